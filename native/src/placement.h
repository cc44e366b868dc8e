#pragma once

#include <node_api.h>

namespace yore {

// Lets the calling thread run wherever the process may: a new thread inherits the processor of the one that starts it.
void ReleaseThread();

void RegisterPlacement(napi_env env, napi_value exports);

}  // namespace yore

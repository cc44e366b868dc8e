// Mounting and unmounting: mount(2) and umount2(2) for root, fusermount3 for everybody else. All of it runs on pool
// threads, because a path may lead through a file system that hangs.
#pragma once

#include <node_api.h>

namespace yore {

void RegisterFuseMount(napi_env env, napi_value exports);

}  // namespace yore

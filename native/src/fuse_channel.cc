#include "addon.h"

namespace yore {

void RegisterFuseChannel(napi_env, napi_value) {}

}  // namespace yore

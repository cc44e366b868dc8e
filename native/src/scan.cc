#include "addon.h"

namespace yore {

void RegisterScan(napi_env, napi_value) {}

}  // namespace yore

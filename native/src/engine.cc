#include "addon.h"

namespace yore {

void RegisterEngine(napi_env, napi_value) {}

}  // namespace yore

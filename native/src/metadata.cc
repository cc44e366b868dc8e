#include "addon.h"

namespace yore {

void RegisterMetadata(napi_env, napi_value) {}

}  // namespace yore

// Entry point. Node.js calls it once for each environment (main thread, each worker) that loads the addon.

#include "addon.h"

#include "napi_helpers.h"
#include "thread_pool.h"

NAPI_MODULE_INIT() {
  if (!yore::AttachThreadPool(env)) return nullptr;
  yore::RegisterEngine(env, exports);
  yore::RegisterFuseChannel(env, exports);
  yore::RegisterScan(env, exports);
  yore::RegisterMetadata(env, exports);
  return exports;
}

// Entry point. Node.js calls it once for each environment (main thread, each worker) that loads the addon.

#include "addon.h"

#include "heap_pages.h"
#include "napi_helpers.h"
#include "placement.h"
#include "thread_pool.h"

NAPI_MODULE_INIT() {
  yore::PrepareHeap();
  if (!yore::AttachThreadPool(env)) return nullptr;
  yore::RegisterAccounts(env, exports);
  yore::RegisterBodySocket(env, exports);
  yore::RegisterCachedRead(env, exports);
  yore::RegisterCompactTree(env, exports);
  yore::RegisterDirectoryRecords(env, exports);
  yore::RegisterEngine(env, exports);
  yore::RegisterExamineFiles(env, exports);
  yore::RegisterFuseChannel(env, exports);
  yore::RegisterHeapPages(env, exports);
  yore::RegisterScan(env, exports);
  yore::RegisterMetadata(env, exports);
  yore::RegisterPackFile(env, exports);
  yore::RegisterPageCache(env, exports);
  yore::RegisterProcess(env, exports);
  yore::RegisterSealedParts(env, exports);
  yore::RegisterSealFunctions(env, exports);
  yore::RegisterSmallFiles(env, exports);
  yore::RegisterUpload(env, exports);
  yore::RegisterWholeFiles(env, exports);
  yore::RegisterPlacement(env, exports);
  return exports;
}

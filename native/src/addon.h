// The parts of the addon. Each registers its flat functions on the exports object; what each function takes and
// gives is declared in src/native/<part>-functions.ts, and that declaration is the contract.
#pragma once

#include <node_api.h>

namespace yore {

void RegisterAccounts(napi_env env, napi_value exports);
void RegisterBodySocket(napi_env env, napi_value exports);
void RegisterCachedRead(napi_env env, napi_value exports);
void RegisterCompactTree(napi_env env, napi_value exports);
void RegisterDirectoryRecords(napi_env env, napi_value exports);
void RegisterEngine(napi_env env, napi_value exports);
void RegisterExamineFiles(napi_env env, napi_value exports);
void RegisterFuseChannel(napi_env env, napi_value exports);
void RegisterHeapPages(napi_env env, napi_value exports);
void RegisterScan(napi_env env, napi_value exports);
void RegisterMetadata(napi_env env, napi_value exports);
void RegisterPackFile(napi_env env, napi_value exports);
void RegisterPageCache(napi_env env, napi_value exports);
void RegisterProcess(napi_env env, napi_value exports);
void RegisterSealedParts(napi_env env, napi_value exports);
void RegisterSealFunctions(napi_env env, napi_value exports);
void RegisterSmallFiles(napi_env env, napi_value exports);
void RegisterUpload(napi_env env, napi_value exports);
void RegisterWholeFiles(napi_env env, napi_value exports);

}  // namespace yore

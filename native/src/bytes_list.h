// Arguments that are many pieces of bytes.
#pragma once

#include <node_api.h>

#include <vector>

#include "napi_helpers.h"
#include "thread_pool.h"

namespace yore {

// The elements of an array. All of them are taken out, and those of all arrays of a call, before bytes are looked for in the
// first: a getter among them could detach the memory of one seen before.
inline bool GetElements(napi_env env, napi_value array, const char* name, std::vector<napi_value>* out) {
  uint32_t length = 0;
  if (!GetArrayLength(env, array, name, &length)) return false;
  for (uint32_t i = 0; i < length; i++) {
    napi_value element = nullptr;
    if (napi_get_element(env, array, i, &element) != napi_ok) return false;
    out->push_back(element);
  }
  return true;
}

// Bytes of each element, held by the task.
inline bool GetBytesOfEach(napi_env env, const std::vector<napi_value>& elements, const char* name, Task* holder,
                           std::vector<Bytes>* out, bool may_lack = false) {
  out->reserve(elements.size());
  for (napi_value element : elements) {
    Bytes bytes;
    if (!(may_lack && IsNullish(env, element))) {
      if (!GetBytes(env, element, name, &bytes) || !holder->Hold(env, element)) return false;
    }
    out->push_back(bytes);
  }
  return true;
}

// Both, for the only array of a call.
inline bool GetBytesList(napi_env env, napi_value array, const char* name, Task* holder, std::vector<Bytes>* out) {
  std::vector<napi_value> elements;
  return GetElements(env, array, name, &elements) && GetBytesOfEach(env, elements, name, holder, out);
}

}  // namespace yore

// Arguments that are many pieces of bytes.
#pragma once

#include <node_api.h>

#include <vector>

#include "napi_helpers.h"
#include "thread_pool.h"

namespace yore {

// The elements of an array of byte arrays, held by the task. All elements are taken out before the first is looked
// into: a getter among them could detach the memory of one seen before.
inline bool GetBytesList(napi_env env, napi_value array, const char* name, Task* holder, std::vector<Bytes>* out,
                         bool may_lack = false) {
  uint32_t length = 0;
  if (!GetArrayLength(env, array, name, &length)) return false;
  std::vector<napi_value> elements;
  for (uint32_t i = 0; i < length; i++) {
    napi_value element = nullptr;
    if (napi_get_element(env, array, i, &element) != napi_ok) return false;
    elements.push_back(element);
  }
  out->reserve(length);
  for (napi_value element : elements) {
    Bytes bytes;
    if (!(may_lack && IsNullish(env, element))) {
      if (!GetBytes(env, element, name, &bytes) || !holder->Hold(env, element)) return false;
    }
    out->push_back(bytes);
  }
  return true;
}

}  // namespace yore

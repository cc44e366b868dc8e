// Opaque handles that JavaScript holds are externals with a tag, so that one kind cannot be passed for another.
#pragma once

#include <node_api.h>

#include <memory>

#include "napi_helpers.h"

namespace yore {

// Of a shared MasterKey.
constexpr napi_type_tag kKeyTag = {0x9b1c5f0e2d7a4e61, 0x8f3ab6c4d1e05297};

template <typename T>
napi_value MakeHandle(napi_env env, std::shared_ptr<T> object, const napi_type_tag* tag) {
  auto release = [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<T>*>(data); };
  auto holder = std::make_unique<std::shared_ptr<T>>(std::move(object));
  napi_value handle = nullptr;
  if (napi_create_external(env, holder.get(), release, nullptr, &handle) != napi_ok) return nullptr;
  holder.release();
  napi_type_tag_object(env, handle, tag);
  return handle;
}

// Tasks share the object, so that it outlives a handle that is collected while work is pending. nullptr: an exception
// is pending.
template <typename T>
std::shared_ptr<T> GetHandle(napi_env env, napi_value value, const char* name, const napi_type_tag* tag) {
  napi_valuetype type;
  bool matches = false;
  void* data = nullptr;
  if (napi_typeof(env, value, &type) == napi_ok && type == napi_external &&
      napi_check_object_type_tag(env, value, tag, &matches) == napi_ok && matches &&
      napi_get_value_external(env, value, &data) == napi_ok)
    return *static_cast<std::shared_ptr<T>*>(data);
  ThrowType(env, name, "a handle that this addon made");
  return nullptr;
}

}  // namespace yore

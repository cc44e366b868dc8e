// Reading arguments and making values. A reader returns false with a JavaScript exception pending; the caller returns
// nullptr at once. Nothing here keeps state, and nothing trusts its caller: JavaScript checks for the user's sake
// (defaults, combinations), C++ checks for memory's sake (types, lengths, ranges).
#pragma once

#include <node_api.h>
#include <uv.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "heap_pages.h"

namespace yore {

// Bytes of a Uint8Array or Buffer. Valid while the JavaScript value is referenced (Task::Hold) and not detached.
struct Bytes {
  uint8_t* data = nullptr;
  size_t size = 0;
};

// Memory that a task makes on a pool thread and that becomes a Buffer without a copy.
struct OwnedBytes {
  struct Free {
    void operator()(uint8_t* data) const { free(data); }
  };
  std::unique_ptr<uint8_t, Free> data;
  size_t size = 0;

  OwnedBytes() = default;
  explicit OwnedBytes(size_t wanted) : data(static_cast<uint8_t*>(AllocatePages(wanted))), size(wanted) {
    if (data == nullptr) throw std::bad_alloc();
  }

  // Gives the rest back: what was allocated by an upper bound would be kept for as long as the bytes are.
  void Shrink(size_t wanted) {
    auto* fitted = static_cast<uint8_t*>(realloc(data.get(), wanted > 0 ? wanted : 1));
    if (fitted != nullptr) {
      data.release();
      data.reset(fitted);
    }
    size = wanted;
  }
};

inline void ThrowType(napi_env env, const char* name, const char* expected) {
  std::string message = std::string("\"") + name + "\" expected " + expected;
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message.c_str());
}

inline void ThrowRange(napi_env env, const char* name, const char* expected) {
  std::string message = std::string("\"") + name + "\" expected " + expected;
  napi_throw_range_error(env, "ERR_OUT_OF_RANGE", message.c_str());
}

// The arguments of a call. Missing ones are undefined and are refused by the readers below.
template <size_t N>
struct Arguments {
  napi_value values[N];
  Arguments(napi_env env, napi_callback_info info) {
    size_t count = N;
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  }
  napi_value operator[](size_t i) const { return values[i]; }
};

inline bool IsNullish(napi_env env, napi_value value) {
  napi_valuetype type;
  return napi_typeof(env, value, &type) == napi_ok && (type == napi_undefined || type == napi_null);
}

// A Uint8Array (a Buffer is one). A detached one has no bytes any more and is refused.
inline bool GetBytes(napi_env env, napi_value value, const char* name, Bytes* out) {
  bool is_typed_array = false;
  napi_is_typedarray(env, value, &is_typed_array);
  napi_typedarray_type type = napi_int8_array;
  napi_value array_buffer = nullptr;
  void* data = nullptr;
  size_t length = 0;
  if (is_typed_array) napi_get_typedarray_info(env, value, &type, &length, &data, &array_buffer, nullptr);
  if (!is_typed_array || type != napi_uint8_array) {
    ThrowType(env, name, "a Uint8Array");
    return false;
  }
  if (length == 0) {
    bool detached = false;
    // Fails for a SharedArrayBuffer, which cannot be detached.
    if (napi_is_detached_arraybuffer(env, array_buffer, &detached) == napi_ok && detached) {
      ThrowType(env, name, "a Uint8Array that is not detached");
      return false;
    }
    data = nullptr;
  }
  out->data = static_cast<uint8_t*>(data);
  out->size = length;
  return true;
}

// Exactly `size` bytes.
inline bool GetBytesOfSize(napi_env env, napi_value value, const char* name, size_t size, Bytes* out) {
  if (!GetBytes(env, value, name, out)) return false;
  if (out->size == size) return true;
  ThrowRange(env, name, (std::to_string(size) + " bytes, got " + std::to_string(out->size)).c_str());
  return false;
}

// A whole number within [min, max], which must lie within +-2^53.
inline bool GetInteger(napi_env env, napi_value value, const char* name, int64_t min, int64_t max, int64_t* out) {
  double number = 0;
  if (napi_get_value_double(env, value, &number) != napi_ok) {
    ThrowType(env, name, "a number");
    return false;
  }
  // Written so that NaN fails too.
  if (!(number >= static_cast<double>(min) && number <= static_cast<double>(max)) ||
      number != static_cast<double>(static_cast<int64_t>(number))) {
    ThrowRange(env, name,
               ("a whole number from " + std::to_string(min) + " to " + std::to_string(max)).c_str());
    return false;
  }
  *out = static_cast<int64_t>(number);
  return true;
}

inline bool GetUint32(napi_env env, napi_value value, const char* name, uint32_t* out) {
  int64_t number;
  if (!GetInteger(env, value, name, 0, UINT32_MAX, &number)) return false;
  *out = static_cast<uint32_t>(number);
  return true;
}

inline bool GetInt32(napi_env env, napi_value value, const char* name, int32_t* out) {
  int64_t number;
  if (!GetInteger(env, value, name, INT32_MIN, INT32_MAX, &number)) return false;
  *out = static_cast<int32_t>(number);
  return true;
}

inline bool GetUint64(napi_env env, napi_value value, const char* name, uint64_t* out) {
  bool lossless = false;
  napi_status status = napi_get_value_bigint_uint64(env, value, out, &lossless);
  if (status == napi_ok && lossless) return true;
  if (status != napi_ok)
    ThrowType(env, name, "a bigint");
  else
    ThrowRange(env, name, "an unsigned 64-bit bigint");
  return false;
}

inline bool GetInt64(napi_env env, napi_value value, const char* name, int64_t* out) {
  bool lossless = false;
  napi_status status = napi_get_value_bigint_int64(env, value, out, &lossless);
  if (status == napi_ok && lossless) return true;
  if (status != napi_ok)
    ThrowType(env, name, "a bigint");
  else
    ThrowRange(env, name, "a signed 64-bit bigint");
  return false;
}

inline bool GetBool(napi_env env, napi_value value, const char* name, bool* out) {
  if (napi_get_value_bool(env, value, out) == napi_ok) return true;
  ThrowType(env, name, "a boolean");
  return false;
}

inline bool GetString(napi_env env, napi_value value, const char* name, std::string* out) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) {
    ThrowType(env, name, "a string");
    return false;
  }
  out->resize(length);
  napi_get_value_string_utf8(env, value, out->data(), length + 1, &length);
  return true;
}

// A path or name for a system call, given as bytes (file names are bytes): not empty, no zero byte.
inline bool GetPath(napi_env env, napi_value value, const char* name, std::string* out) {
  Bytes bytes;
  if (!GetBytes(env, value, name, &bytes)) return false;
  if (bytes.size == 0 || memchr(bytes.data, 0, bytes.size) != nullptr) {
    ThrowRange(env, name, "a path without zero bytes");
    return false;
  }
  out->assign(reinterpret_cast<char*>(bytes.data), bytes.size);
  return true;
}

// Paths or names, as bytes, each with a zero byte behind it. False, with an exception, when the last one has none.
inline bool GetPaths(napi_env env, napi_value value, const char* name, std::vector<std::string>* out) {
  Bytes paths;
  if (!GetBytes(env, value, name, &paths)) return false;
  for (size_t at = 0; at < paths.size;) {
    const uint8_t* begin = paths.data + at;
    const auto* end = static_cast<const uint8_t*>(memchr(begin, 0, paths.size - at));
    if (end == nullptr) {
      ThrowType(env, name, "paths, each with a zero byte behind it");
      return false;
    }
    out->emplace_back(begin, end);
    at = static_cast<size_t>(end - paths.data) + 1;
  }
  return true;
}

inline bool GetArrayLength(napi_env env, napi_value value, const char* name, uint32_t* out) {
  bool is_array = false;
  napi_is_array(env, value, &is_array);
  if (is_array && napi_get_array_length(env, value, out) == napi_ok) return true;
  ThrowType(env, name, "an array");
  return false;
}

inline bool SameLength(napi_env env, const char* name, size_t got, size_t wanted) {
  if (got == wanted) return true;
  ThrowRange(env, name, (std::to_string(wanted) + " elements, got " + std::to_string(got)).c_str());
  return false;
}

// The numbers of an Int32Array or Uint32Array, copied.
template <typename T>
bool GetAllNumbers(napi_env env, napi_value value, const char* name, napi_typedarray_type wanted, const char* expected,
                   std::vector<T>* out) {
  bool is_typed_array = false;
  napi_is_typedarray(env, value, &is_typed_array);
  napi_typedarray_type type = napi_int8_array;
  void* data = nullptr;
  size_t length = 0;
  if (is_typed_array) napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr);
  if (!is_typed_array || type != wanted) {
    ThrowType(env, name, expected);
    return false;
  }
  if (length > 0) out->assign(static_cast<T*>(data), static_cast<T*>(data) + length);
  return true;
}

// The same of so many numbers.
template <typename T>
bool GetNumbers(napi_env env, napi_value value, const char* name, napi_typedarray_type wanted, const char* expected,
                size_t length, std::vector<T>* out) {
  return GetAllNumbers(env, value, name, wanted, expected, out) && SameLength(env, name, out->size(), length);
}

inline napi_value Undefined(napi_env env) {
  napi_value value = nullptr;
  napi_get_undefined(env, &value);
  return value;
}

inline napi_value MakeNumber(napi_env env, double number) {
  napi_value value = nullptr;
  napi_create_double(env, number, &value);
  return value;
}

inline napi_value MakeUint32(napi_env env, uint32_t number) {
  napi_value value = nullptr;
  napi_create_uint32(env, number, &value);
  return value;
}

inline napi_value MakeBigInt(napi_env env, int64_t number) {
  napi_value value = nullptr;
  napi_create_bigint_int64(env, number, &value);
  return value;
}

inline napi_value MakeBool(napi_env env, bool boolean) {
  napi_value value = nullptr;
  napi_get_boolean(env, boolean, &value);
  return value;
}

inline napi_value MakeString(napi_env env, const std::string& text) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

inline napi_value MakeBufferCopy(napi_env env, const void* data, size_t size) {
  napi_value value = nullptr;
  napi_create_buffer_copy(env, size, data, nullptr, &value);
  return value;
}

// Below this a copy is quicker than a finalizer (reference measurement: about 4 KiB).
constexpr size_t kCopyBelowBytes = 4096;

// The Buffer owns the memory from now on.
inline napi_value MakeBuffer(napi_env env, OwnedBytes&& bytes) {
  if (bytes.size >= kCopyBelowBytes) {
    napi_value value = nullptr;
    auto release = [](napi_env, void* data, void*) { free(data); };
    napi_status status =
        napi_create_external_buffer(env, bytes.size, bytes.data.get(), release, nullptr, &value);
    if (status == napi_ok) {
      bytes.data.release();
      return value;
    }
    // What is too large for a Buffer has been given back by Node.js, whose exception says so.
    if (status == napi_generic_failure) bytes.data.release();
    // Runtimes that keep all buffers inside their own memory cage want a copy.
    if (status != napi_no_external_buffers_allowed) return nullptr;
  }
  return MakeBufferCopy(env, bytes.data.get(), bytes.size);
}

inline napi_value MakeArray(napi_env env, size_t length) {
  napi_value array = nullptr;
  napi_create_array_with_length(env, length, &array);
  return array;
}

template <typename T>
napi_value MakeNumbers(napi_env env, const std::vector<T>& numbers, napi_typedarray_type type) {
  void* memory = nullptr;
  napi_value array_buffer = nullptr, array = nullptr;
  if (napi_create_arraybuffer(env, numbers.size() * sizeof(T), &memory, &array_buffer) != napi_ok) return nullptr;
  if (!numbers.empty()) memcpy(memory, numbers.data(), numbers.size() * sizeof(T));
  napi_create_typedarray(env, type, numbers.size(), array_buffer, 0, &array);
  return array;
}

inline napi_value MakeUint32Array(napi_env env, const std::vector<uint32_t>& numbers) {
  return MakeNumbers(env, numbers, napi_uint32_array);
}

inline napi_value MakeInt32Array(napi_env env, const std::vector<int32_t>& numbers) {
  return MakeNumbers(env, numbers, napi_int32_array);
}

// An Error as Node.js makes it for a failed system call: code "ENOENT", errno -2, syscall, and the path in the text.
inline napi_value MakeSystemError(napi_env env, int error_number, const char* syscall, const std::string& path = "") {
  const char* code = uv_err_name(-error_number);
  std::string message = std::string(code) + ": " + uv_strerror(-error_number) + ", " + syscall;
  if (!path.empty()) message += " '" + path + "'";
  napi_value error = nullptr;
  napi_create_error(env, MakeString(env, code), MakeString(env, message), &error);
  if (error == nullptr) return nullptr;
  napi_set_named_property(env, error, "errno", MakeNumber(env, -error_number));
  napi_set_named_property(env, error, "syscall", MakeString(env, syscall));
  return error;
}

inline napi_value ThrowSystemError(napi_env env, int error_number, const char* syscall, const std::string& path = "") {
  napi_value error = MakeSystemError(env, error_number, syscall, path);
  if (error != nullptr) napi_throw(env, error);
  return nullptr;
}

// For functions that compute on the JavaScript thread.
template <typename Work>
napi_value Guard(napi_env env, Work work) {
  try {
    return work();
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
    return nullptr;
  }
}

inline void ExportFunction(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function = nullptr;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function) != napi_ok) return;
  napi_set_named_property(env, exports, name, function);
}

}  // namespace yore

// Sealed things that lie in one piece of memory, such as a range of a pack, thousands of small blobs in one hop: into
// memory of the caller, into files, or only verified. A Buffer for each keeps the garbage collector busy.
// src/native/sealed-parts-functions.ts says what the functions take and give.

#include <memory>
#include <new>
#include <vector>

#include "addon.h"
#include "file_calls.h"
#include "handles.h"
#include "napi_helpers.h"
#include "seal.h"
#include "thread_pool.h"

namespace yore {

namespace {

// What all of them are asked for.
class PartsTask : public Task {
 public:
  bool Read(napi_env env, napi_value key_handle, napi_value sealed_bytes, napi_value part_places, napi_value part_ids,
            napi_value part_failures) {
    key = GetHandle<const MasterKey>(env, key_handle, "key", &kKeyTag);
    Bytes hashes;
    if (key == nullptr || !GetBytes(env, sealed_bytes, "sealed", &sealed) ||
        !GetBytes(env, part_failures, "failures", &failures) ||
        !GetNumbers(env, part_places, "places", napi_uint32_array, "a Uint32Array", 3 * failures.size, &places) ||
        !GetBytesOfSize(env, part_ids, "ids", failures.size * kHashSize, &hashes))
      return false;
    for (size_t i = 0; i < places.size(); i += 3) {
      if (places[i] > sealed.size || places[i + 1] > sealed.size - places[i]) {
        ThrowRange(env, "places", "places within the sealed bytes");
        return false;
      }
    }
    if (hashes.size > 0) ids.assign(hashes.data, hashes.data + hashes.size);
    return Hold(env, sealed_bytes) && Hold(env, part_failures);
  }

 protected:
  size_t count() const { return failures.size; }
  Bytes SealedPart(size_t i) const { return {sealed.data + places[3 * i], places[3 * i + 1]}; }
  uint32_t UncompressedLength(size_t i) const { return places[3 * i + 2]; }
  const uint8_t* Id(size_t i) const { return ids.data() + i * kHashSize; }

  // The plaintext is valid until the thread unseals the next one.
  bool Unseal(size_t i, Bytes* plaintext) {
    thread_local Scratch scratch;
    UnsealFailure failure = UnsealFailure::kLength;
    try {
      failure = UnsealToScratch(*key, SealedPart(i), UncompressedLength(i), Id(i), &scratch, plaintext);
    } catch (const std::bad_alloc&) {
      // It claims to be larger than the memory.
    }
    failures.data[i] = static_cast<uint8_t>(failure);
    return failure == UnsealFailure::kNone;
  }

  std::shared_ptr<const MasterKey> key;
  Bytes sealed;
  // Offset, length and uncompressed length of each.
  std::vector<uint32_t> places;
  std::vector<uint8_t> ids;
  Bytes failures;
};

class UnsealPartsTask final : public PartsTask {
 public:
  Bytes plaintexts;

  bool HasRoom() const {
    size_t room = plaintexts.size;
    for (size_t i = 0; i < count(); i++) {
      const size_t size = PlainSize(SealedPart(i), UncompressedLength(i));
      if (size > room) return false;
      room -= size;
    }
    return true;
  }

  void Execute() override {
    uint8_t* out = plaintexts.data;
    uint8_t nothing = 0;
    for (size_t i = 0; i < count(); i++) {
      const size_t size = PlainSize(SealedPart(i), UncompressedLength(i));
      const UnsealFailure failure =
          UnsealInto(*key, SealedPart(i), UncompressedLength(i), Id(i), size > 0 ? out : &nothing);
      failures.data[i] = static_cast<uint8_t>(failure);
      // Nothing that was not verified may be seen, nor what the memory held before.
      if (failure != UnsealFailure::kNone && size > 0) memset(out, 0, size);
      out += size;
    }
  }

  napi_value Complete(napi_env env) override { return Undefined(env); }
};

napi_value UnsealParts(napi_env env, napi_callback_info info) {
  Arguments<6> arguments(env, info);
  auto task = std::make_unique<UnsealPartsTask>();
  if (!task->Read(env, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4]) ||
      !GetBytes(env, arguments[5], "plaintexts", &task->plaintexts) || !task->Hold(env, arguments[5]))
    return Abandon(env, std::move(task));
  if (!task->HasRoom()) {
    ThrowRange(env, "plaintexts", "room for all of them");
    return Abandon(env, std::move(task));
  }
  return Submit(env, std::move(task));
}

class VerifyPartsTask final : public PartsTask {
 public:
  void Execute() override {
    Bytes plaintext;
    for (size_t i = 0; i < count(); i++) Unseal(i, &plaintext);
  }

  napi_value Complete(napi_env env) override { return Undefined(env); }
};

napi_value VerifyParts(napi_env env, napi_callback_info info) {
  Arguments<5> arguments(env, info);
  auto task = std::make_unique<VerifyPartsTask>();
  if (!task->Read(env, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4]))
    return Abandon(env, std::move(task));
  return Submit(env, std::move(task));
}

class UnsealToFilesTask final : public PartsTask, private PlaintextSource {
 public:
  std::string root;
  Bytes program;

  void Execute() override {
    if (count() > 0) memset(failures.data, static_cast<int>(UnsealFailure::kNone), count());
    call_failures_ = CarryOut(root, program, this);
  }

  napi_value Complete(napi_env env) override { return MakeInt32Array(env, call_failures_); }

 private:
  // Calls for the same part follow one another, as a rule: it is unsealed once for all of them.
  bool Open(uint32_t part, Bytes* plaintext) override {
    if (part >= count() || failures.data[part] != static_cast<uint8_t>(UnsealFailure::kNone)) return false;
    if (!has_current_ || part != current_) {
      has_current_ = Unseal(part, &plaintext_);
      current_ = part;
    }
    *plaintext = plaintext_;
    return has_current_;
  }

  bool has_current_ = false;
  uint32_t current_ = 0;
  Bytes plaintext_;
  std::vector<int32_t> call_failures_;
};

napi_value UnsealToFiles(napi_env env, napi_callback_info info) {
  Arguments<7> arguments(env, info);
  auto task = std::make_unique<UnsealToFilesTask>();
  if (!task->Read(env, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4]) ||
      !GetPath(env, arguments[5], "root", &task->root) || !GetBytes(env, arguments[6], "program", &task->program) ||
      !task->Hold(env, arguments[6]))
    return Abandon(env, std::move(task));
  return Submit(env, std::move(task), Lane::kBlocking);
}

}  // namespace

void RegisterSealedParts(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "unsealParts", UnsealParts);
  ExportFunction(env, exports, "verifyParts", VerifyParts);
  ExportFunction(env, exports, "unsealToFiles", UnsealToFiles);
}

}  // namespace yore

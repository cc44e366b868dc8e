// Sealed things that lie in one piece of memory, such as a range of a pack, thousands of small blobs in one hop: into
// memory of the caller, into files, or only verified. A Buffer for each keeps the garbage collector busy.
// src/native/sealed-parts-functions.ts says what the functions take and give.

#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "addon.h"
#include "file_calls.h"
#include "handles.h"
#include "napi_helpers.h"
#include "seal.h"
#include "sha256_lanes.h"
#include "thread_pool.h"

namespace yore {

namespace {

// So much is unsealed before it is hashed, in two lanes; it is in the cache of the processor then. Larger parts are taken two
// at a time for the lanes' sake, up to so many bytes: a restore of 3 GiB of large files takes 2.9 s instead of 3.1.
constexpr size_t kBatchBytes = size_t{256} << 10;
constexpr size_t kLargeBytes = size_t{4} << 20;
constexpr size_t kBatchParts = 16;

constexpr char kOneLargePart[] = "one large part";

// Plaintexts whose hashes are still to be compared with what they should be.
class HashChecks {
 public:
  bool IsFull() const { return count_ == kBatchParts; }

  // `failure` becomes kHash when the hash is another.
  void Add(Bytes plaintext, const uint8_t* id, uint8_t* failure) {
    inputs_[count_] = {plaintext.data, plaintext.size, hashes_[count_]};
    ids_[count_] = id;
    failures_[count_++] = failure;
  }

  // With a long message beside them, or nullptr.
  void Run(Sha256Lanes* lanes) {
    if (lanes != nullptr)
      lanes->Hash(inputs_, count_);
    else
      Sha256All(inputs_, count_);
    for (size_t i = 0; i < count_; i++) {
      if (memcmp(hashes_[i], ids_[i], kHashSize) != 0) *failures_[i] = static_cast<uint8_t>(UnsealFailure::kHash);
    }
    count_ = 0;
  }

 private:
  size_t count_ = 0;
  HashInput inputs_[kBatchParts];
  const uint8_t* ids_[kBatchParts];
  uint8_t* failures_[kBatchParts];
  uint8_t hashes_[kBatchParts][kHashSize];
};

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
  size_t PlainSize(size_t i) const { return yore::PlainSize(SealedPart(i), UncompressedLength(i)); }
  const uint8_t* Id(size_t i) const { return ids.data() + i * kHashSize; }

  bool IsSound(size_t i) const { return failures.data[i] == static_cast<uint8_t>(UnsealFailure::kNone); }

  // Unseals a part into `room`, where it fits, or else into the scratch. Its hash is compared by `checks`.
  void UnsealUnchecked(size_t i, uint8_t* room, Scratch* scratch, HashChecks* checks, Bytes* plaintext) {
    UnsealFailure failure = UnsealFailure::kLength;
    try {
      if (room != nullptr) {
        *plaintext = {room, PlainSize(i)};
        failure = UnsealInto(*key, SealedPart(i), UncompressedLength(i), nullptr, room);
      } else {
        failure = UnsealToScratch(*key, SealedPart(i), UncompressedLength(i), nullptr, scratch, plaintext);
      }
    } catch (const std::bad_alloc&) {
      // It claims to be larger than the memory.
    }
    failures.data[i] = static_cast<uint8_t>(failure);
    if (failure == UnsealFailure::kNone) checks->Add(*plaintext, Id(i), &failures.data[i]);
  }

  // Unseals and checks the parts from `first` on that fit into memory of the thread, one at least. The plaintexts are valid
  // until it does so again; those of parts that are not sound mean nothing. Returns the part behind them.
  size_t UnsealBatch(size_t first, Sha256Lanes* lanes, Bytes plaintexts[kBatchParts]) {
    thread_local Scratch large, batch;
    HashChecks checks;
    size_t i = first;
    if (PlainSize(i) > kBatchBytes) {
      // Beside a long message there is no lane for another.
      const bool by_twos = lanes == nullptr && i + 1 < count() && PlainSize(i + 1) > kBatchBytes &&
                           PlainSize(i) <= kLargeBytes && PlainSize(i + 1) <= kLargeBytes - PlainSize(i);
      if (!by_twos) {
        UnsealUnchecked(i++, nullptr, &large, &checks, &plaintexts[0]);
      } else {
        uint8_t* room = large.Reserve(kLargeBytes);
        for (size_t n = 0; n < 2; n++, i++) {
          UnsealUnchecked(i, room, nullptr, &checks, &plaintexts[n]);
          room += PlainSize(i);
        }
      }
      checks.Run(lanes);
      return i;
    }
    // Among small parts large ones are rare, and their memory would be kept for nothing.
    large.GiveBack();
    uint8_t* const memory = batch.Reserve(kBatchBytes);
    size_t used = 0;
    for (; i < count() && !checks.IsFull() && i - first < kBatchParts; i++) {
      if (PlainSize(i) > kBatchBytes - used) break;
      UnsealUnchecked(i, memory + used, nullptr, &checks, &plaintexts[i - first]);
      used += PlainSize(i);
    }
    checks.Run(lanes);
    return i;
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
      const size_t size = PlainSize(i);
      if (size > room) return false;
      room -= size;
    }
    return true;
  }

  const char* PairKind() const override { return IsOneLarge() ? kOneLargePart : nullptr; }

  // Two large plaintexts are hashed at 2.5 GB/s by one thread, one at 1.7 (Zen 5): `cp` of 2 GiB out of a mount takes 3.5 s
  // instead of 4.1.
  void ExecuteWith(Task& companion) override {
    HashChecks checks;
    UnsealPartsTask* const both[] = {this, static_cast<UnsealPartsTask*>(&companion)};
    for (UnsealPartsTask* task : both) {
      Bytes plaintext;
      task->UnsealUnchecked(0, task->plaintexts.data, nullptr, &checks, &plaintext);
    }
    checks.Run(nullptr);
    for (UnsealPartsTask* task : both) task->ClearUnsound(0, task->plaintexts.data);
  }

  void Execute() override {
    HashChecks checks;
    uint8_t* out = plaintexts.data;
    uint8_t nothing = 0;
    size_t first = 0;
    uint8_t* first_out = out;
    for (size_t i = 0; i < count(); i++) {
      const size_t size = PlainSize(i);
      Bytes plaintext;
      UnsealUnchecked(i, size > 0 ? out : &nothing, nullptr, &checks, &plaintext);
      out += size;
      // Large ones have left the cache anyway: what counts is that there are two.
      const bool is_batch = checks.IsFull() || (i > first && static_cast<size_t>(out - first_out) >= kBatchBytes);
      if (!is_batch && i + 1 < count()) continue;
      checks.Run(nullptr);
      for (; first <= i; first++) first_out += ClearUnsound(first, first_out);
    }
  }

  napi_value Complete(napi_env env) override { return Undefined(env); }

 private:
  bool IsOneLarge() const {
    return count() == 1 && PlainSize(0) >= kBatchBytes;
  }

  // Nothing that was not verified may be seen, nor what the memory held before. Returns the length of the part's plaintext.
  size_t ClearUnsound(size_t i, uint8_t* plaintext) {
    const size_t length = PlainSize(i);
    if (!IsSound(i) && length > 0) memset(plaintext, 0, length);
    return length;
  }
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

constexpr napi_type_tag kPackHashTag = {0x4d0f83b2a96e51c7, 0xb8e2607f19ad345c};

// Of a pack that comes in pieces. JavaScript thread: `is_taken` while a piece is on its way, and when it is finished.
struct PackHash {
  Sha256Message message;
  bool is_taken = false;
};

// nullptr: an exception is pending.
std::shared_ptr<PackHash> TakePackHash(napi_env env, napi_value handle) {
  std::shared_ptr<PackHash> hash = GetHandle<PackHash>(env, handle, "hash", &kPackHashTag);
  if (hash == nullptr || !std::exchange(hash->is_taken, true)) return hash;
  napi_throw_error(env, "ERR_BUSY", "The hash of the pack is finished, or a piece is still being verified");
  return nullptr;
}

class VerifyPieceTask final : public PartsTask {
 public:
  bool Take(napi_env env, napi_value handle) {
    hash_ = TakePackHash(env, handle);
    return hash_ != nullptr;
  }

  void Execute() override {
    Sha256Lanes lanes(&hash_->message, sealed.data, sealed.size);
    Bytes plaintexts[kBatchParts];
    for (size_t i = 0; i < count();) i = UnsealBatch(i, &lanes, plaintexts);
    lanes.Finish();
  }

  napi_value Complete(napi_env env) override {
    hash_->is_taken = false;
    return Undefined(env);
  }

 private:
  std::shared_ptr<PackHash> hash_;
};

napi_value CreatePackHash(napi_env env, napi_callback_info) {
  try {
    return MakeHandle<PackHash>(env, std::make_shared<PackHash>(), &kPackHashTag);
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
    return nullptr;
  }
}

napi_value VerifyPiece(napi_env env, napi_callback_info info) {
  Arguments<6> arguments(env, info);
  auto task = std::make_unique<VerifyPieceTask>();
  if (!task->Read(env, arguments[0], arguments[2], arguments[3], arguments[4], arguments[5]) ||
      !task->Take(env, arguments[1]))
    return Abandon(env, std::move(task));
  return Submit(env, std::move(task));
}

napi_value FinishPackHash(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  std::shared_ptr<PackHash> hash = TakePackHash(env, arguments[0]);
  if (hash == nullptr) return nullptr;
  try {
    uint8_t bytes[kHashSize];
    hash->message.Finish(bytes);
    return MakeBufferCopy(env, bytes, sizeof bytes);
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
    return nullptr;
  }
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
  // Calls want the parts in their order, as a rule, some of them several times.
  bool Open(uint32_t part, Bytes* plaintext) override {
    if (part >= count() || !IsSound(part)) return false;
    if (part < first_ || part >= behind_) {
      first_ = part;
      behind_ = UnsealBatch(part, nullptr, plaintexts_);
    }
    *plaintext = plaintexts_[part - first_];
    return IsSound(part);
  }

  // What is unsealed now.
  size_t first_ = 0, behind_ = 0;
  Bytes plaintexts_[kBatchParts];
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
  ExportFunction(env, exports, "createPackHash", CreatePackHash);
  ExportFunction(env, exports, "verifyPiece", VerifyPiece);
  ExportFunction(env, exports, "finishPackHash", FinishPackHash);
  ExportFunction(env, exports, "unsealToFiles", UnsealToFiles);
}

}  // namespace yore

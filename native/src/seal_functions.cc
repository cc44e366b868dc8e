// The engine's functions that seal and unseal, each plaintext in memory of its own: argument checks, then one task for each
// call. src/native/engine-functions.ts says what they take and give.

#include <cstring>
#include <memory>
#include <vector>

#include "addon.h"
#include "bytes_list.h"
#include "crypto.h"
#include "handles.h"
#include "napi_helpers.h"
#include "seal.h"
#include "seal_task.h"
#include "thread_pool.h"

namespace yore {

namespace {

napi_value CreateMasterKey(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  Bytes encrypt, mac_k, mac_r;
  if (!GetBytesOfSize(env, arguments[0], "encrypt", 32, &encrypt) ||
      !GetBytesOfSize(env, arguments[1], "macK", 16, &mac_k) ||
      !GetBytesOfSize(env, arguments[2], "macR", 16, &mac_r))
    return nullptr;
  auto key = std::make_shared<MasterKey>();
  memcpy(key->encrypt, encrypt.data, sizeof(key->encrypt));
  memcpy(key->mac_k, mac_k.data, sizeof(key->mac_k));
  memcpy(key->mac_r, mac_r.data, sizeof(key->mac_r));
  return MakeHandle<const MasterKey>(env, std::move(key), &kKeyTag);
}

class SealTask final : public AnySealTask {
 public:
  void Execute() override {
    results_.resize(plaintexts.size());
    for (size_t i = 0; i < plaintexts.size(); i++) {
      if (!IsRight(i) || !Seal(*key, plaintexts[i], levels[i], verify, &results_[i])) results_[i] = OwnedBytes();
    }
  }

  napi_value Complete(napi_env env) override {
    napi_value array = MakeArray(env, results_.size());
    for (uint32_t i = 0; i < results_.size(); i++) {
      napi_value result = results_[i].size == 0 ? Undefined(env) : MakeBuffer(env, std::move(results_[i]));
      if (result == nullptr) return nullptr;
      napi_set_element(env, array, i, result);
    }
    return array;
  }

 private:
  std::vector<OwnedBytes> results_;
};

napi_value SealMany(napi_env env, napi_callback_info info) {
  Arguments<5> arguments(env, info);
  auto task = std::make_unique<SealTask>();
  if (!task->Read(env, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4]))
    return Abandon(env, std::move(task));
  return Submit(env, std::move(task));
}

class SealIntoTask final : public AnySealTask {
 public:
  Bytes room;

  void Execute() override {
    lengths_.resize(plaintexts.size());
    Bytes rest = room;
    for (size_t i = 0; i < plaintexts.size(); i++) {
      const size_t length = IsRight(i) ? SealInto(*key, plaintexts[i], levels[i], verify, rest) : 0;
      lengths_[i] = static_cast<uint32_t>(length);
      rest.data += length;
      rest.size -= length;
    }
  }

  napi_value Complete(napi_env env) override { return MakeUint32Array(env, lengths_); }

 private:
  std::vector<uint32_t> lengths_;
};

napi_value SealManyInto(napi_env env, napi_callback_info info) {
  Arguments<6> arguments(env, info);
  auto task = std::make_unique<SealIntoTask>();
  // The room comes last: a getter among the plaintexts could detach it.
  if (!task->Read(env, arguments[0], arguments[1], arguments[2], arguments[3], arguments[5]) ||
      !GetBytes(env, arguments[4], "room", &task->room) || !task->Hold(env, arguments[4]))
    return Abandon(env, std::move(task));
  if (task->room.size > UINT32_MAX) {
    ThrowRange(env, "room", "less than 4 GiB");
    return Abandon(env, std::move(task));
  }
  return Submit(env, std::move(task));
}

class UnsealTask final : public Task {
 public:
  std::shared_ptr<const MasterKey> key;
  std::vector<Bytes> sealed;
  std::vector<uint32_t> uncompressed_lengths;
  std::vector<Bytes> ids;

  void Execute() override {
    results_.resize(sealed.size());
    failures_.resize(sealed.size());
    for (size_t i = 0; i < sealed.size(); i++)
      failures_[i] = Unseal(*key, sealed[i], uncompressed_lengths[i], ids[i].data, &results_[i]);
  }

  napi_value Complete(napi_env env) override {
    napi_value array = MakeArray(env, results_.size());
    for (uint32_t i = 0; i < results_.size(); i++) {
      napi_value result = failures_[i] == UnsealFailure::kNone
                              ? MakeBuffer(env, std::move(results_[i]))
                              : MakeUint32(env, static_cast<uint32_t>(failures_[i]));
      if (result == nullptr) return nullptr;
      napi_set_element(env, array, i, result);
    }
    return array;
  }

 private:
  std::vector<OwnedBytes> results_;
  std::vector<UnsealFailure> failures_;
};

napi_value UnsealMany(napi_env env, napi_callback_info info) {
  Arguments<4> arguments(env, info);
  auto task = std::make_unique<UnsealTask>();
  task->key = GetHandle<const MasterKey>(env, arguments[0], "key", &kKeyTag);
  std::vector<napi_value> sealed, ids;
  if (task->key == nullptr || !GetElements(env, arguments[1], "sealed", &sealed) ||
      !GetElements(env, arguments[3], "ids", &ids) ||
      !GetBytesOfEach(env, sealed, "sealed", task.get(), &task->sealed) ||
      !GetNumbers(env, arguments[2], "uncompressedLengths", napi_uint32_array, "a Uint32Array", task->sealed.size(),
                  &task->uncompressed_lengths) ||
      !GetBytesOfEach(env, ids, "ids", task.get(), &task->ids, true) ||
      !SameLength(env, "ids", task->ids.size(), task->sealed.size()))
    return Abandon(env, std::move(task));
  for (const Bytes& id : task->ids) {
    if (id.data != nullptr && id.size != kHashSize) {
      ThrowRange(env, "ids", "32 bytes each");
      return Abandon(env, std::move(task));
    }
  }
  uint64_t bytes = 0;
  for (size_t i = 0; i < task->sealed.size(); i++) bytes += task->sealed[i].size + task->uncompressed_lengths[i];
  return SubmitUnlessSmall(env, std::move(task), bytes);
}

// For tests: which of two Poly1305 is at work cannot be seen from outside.
napi_value Poly1305AesNow(napi_env env, napi_callback_info info) {
  Arguments<5> arguments(env, info);
  Bytes k, r, nonce, data;
  bool own = false;
  if (!GetBytesOfSize(env, arguments[0], "k", 16, &k) || !GetBytesOfSize(env, arguments[1], "r", 16, &r) ||
      !GetBytesOfSize(env, arguments[2], "nonce", kIvSize, &nonce) || !GetBytes(env, arguments[3], "data", &data) ||
      !GetBool(env, arguments[4], "own", &own))
    return nullptr;
  return Guard(env, [&] {
    uint8_t mac[kMacSize];
    Poly1305Aes(k.data, r.data, nonce.data, data.data, data.size, mac,
                own ? Poly1305Source::kOwn : Poly1305Source::kFastest);
    return MakeBufferCopy(env, mac, sizeof(mac));
  });
}

}  // namespace

void RegisterSealFunctions(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "createMasterKey", CreateMasterKey);
  ExportFunction(env, exports, "sealMany", SealMany);
  ExportFunction(env, exports, "sealManyInto", SealManyInto);
  ExportFunction(env, exports, "unsealMany", UnsealMany);
  ExportFunction(env, exports, "poly1305Aes", Poly1305AesNow);
}

}  // namespace yore

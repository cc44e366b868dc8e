// The engine's functions, but for sealing (seal_functions.cc): argument checks, then one task for each call.
// src/native/engine-functions.ts says what they take and give.

#include <algorithm>
#include <memory>
#include <vector>

#include "addon.h"
#include "bytes_list.h"
#include "chunker.h"
#include "compression.h"
#include "crypto.h"
#include "handles.h"
#include "index_file.h"
#include "napi_helpers.h"
#include "scrypt.h"
#include "seal.h"
#include "sha256_lanes.h"
#include "thread_pool.h"

namespace yore {

namespace {

constexpr uint64_t kMaxScryptBytes = uint64_t{1} << 31;
constexpr napi_type_tag kChunkerTag = {0x41d6e8a90b7f4c23, 0xa5c2f7139e684bd0};

napi_value HashOne(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  Bytes data;
  if (!GetBytes(env, arguments[0], "data", &data)) return nullptr;
  return Guard(env, [&] {
    uint8_t hash[kHashSize];
    Sha256(data.data, data.size, hash);
    return MakeBufferCopy(env, hash, sizeof(hash));
  });
}

class HashManyTask final : public Task {
 public:
  std::vector<Bytes> inputs;

  void Execute() override {
    hashes_ = OwnedBytes(inputs.size() * kHashSize);
    std::vector<HashInput> all(inputs.size());
    for (size_t i = 0; i < inputs.size(); i++)
      all[i] = {inputs[i].data, inputs[i].size, hashes_.data.get() + i * kHashSize};
    Sha256All(all.data(), all.size());
  }

  napi_value Complete(napi_env env) override { return MakeBuffer(env, std::move(hashes_)); }

 private:
  OwnedBytes hashes_;
};

napi_value HashMany(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  auto task = std::make_unique<HashManyTask>();
  if (!GetBytesList(env, arguments[0], "inputs", task.get(), &task->inputs)) return Abandon(env, std::move(task));
  uint64_t bytes = 0;
  for (const Bytes& input : task->inputs) bytes += input.size;
  return SubmitUnlessSmall(env, std::move(task), bytes);
}

// ---------------------------------------------------------------------------------------------------------------------

class HashJoinedTask final : public Task {
 public:
  std::vector<Bytes> pieces;

  void Execute() override {
    std::vector<Piece> all;
    for (const Bytes& piece : pieces) all.push_back({piece.data, piece.size});
    Sha256(all, hash_);
  }

  napi_value Complete(napi_env env) override { return MakeBufferCopy(env, hash_, sizeof(hash_)); }

 private:
  uint8_t hash_[kHashSize];
};

napi_value HashJoined(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  auto task = std::make_unique<HashJoinedTask>();
  if (!GetBytesList(env, arguments[0], "pieces", task.get(), &task->pieces)) return Abandon(env, std::move(task));
  return Submit(env, std::move(task));
}

// ---------------------------------------------------------------------------------------------------------------------

class CompressTask final : public Task {
 public:
  Bytes data;
  int32_t level = 0;

  void Execute() override {
    result_ = OwnedBytes(CompressBound(data.size));
    result_.Shrink(CompressInto(data.data, data.size, level, result_.data.get()));
  }

  napi_value Complete(napi_env env) override { return MakeBuffer(env, std::move(result_)); }

 private:
  OwnedBytes result_;
};

napi_value Compress(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  auto task = std::make_unique<CompressTask>();
  int64_t level = 0;
  if (!GetBytes(env, arguments[0], "data", &task->data) ||
      !GetInteger(env, arguments[1], "level", MinCompressionLevel(), MaxCompressionLevel(), &level) ||
      !task->Hold(env, arguments[0]))
    return Abandon(env, std::move(task));
  task->level = static_cast<int32_t>(level);
  return Submit(env, std::move(task));
}

class DecompressTask final : public Task {
 public:
  Bytes data;
  size_t max_size = 0;

  void Execute() override { outcome_ = DecompressBounded(data.data, data.size, max_size, &result_); }

  napi_value Complete(napi_env env) override {
    if (outcome_ == Decompression::kOk) return MakeBuffer(env, std::move(result_));
    return MakeUint32(env, static_cast<uint32_t>(outcome_ == Decompression::kWrongLength
                                                     ? UnsealFailure::kLength
                                                     : UnsealFailure::kDecompress));
  }

 private:
  Decompression outcome_ = Decompression::kDamaged;
  OwnedBytes result_;
};

napi_value Decompress(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  auto task = std::make_unique<DecompressTask>();
  int64_t max_size = 0;
  if (!GetBytes(env, arguments[0], "data", &task->data) ||
      !GetInteger(env, arguments[1], "maxBytes", 0, int64_t{1} << 40, &max_size) || !task->Hold(env, arguments[0]))
    return Abandon(env, std::move(task));
  task->max_size = static_cast<size_t>(max_size);
  const uint64_t bytes = task->data.size + DecompressBound(task->data.data, task->data.size);
  return SubmitUnlessSmall(env, std::move(task), bytes);
}

// ---------------------------------------------------------------------------------------------------------------------

napi_value CreateChunker(napi_env env, napi_callback_info info) {
  Arguments<4> arguments(env, info);
  uint64_t polynomial = 0;
  int64_t min_bytes = 0, max_bytes = 0, average_bits = 0;
  if (!GetUint64(env, arguments[0], "polynomial", &polynomial)) return nullptr;
  if (polynomial >> 53 != 1) {
    ThrowRange(env, "polynomial", "degree 53");
    return nullptr;
  }
  if (!GetInteger(env, arguments[1], "minBytes", Chunker::kWindow, INT32_MAX, &min_bytes) ||
      !GetInteger(env, arguments[2], "maxBytes", min_bytes, INT32_MAX, &max_bytes) ||
      !GetInteger(env, arguments[3], "averageBits", 1, 52, &average_bits))
    return nullptr;
  return Guard(env, [&] {
    auto chunker = std::make_shared<Chunker>(polynomial, min_bytes, max_bytes, static_cast<unsigned>(average_bits));
    return MakeHandle<const Chunker>(env, std::move(chunker), &kChunkerTag);
  });
}

class CutTask final : public Task {
 public:
  std::shared_ptr<const Chunker> chunker;
  Bytes data;
  bool is_last = false;
  size_t scanned = 0;

  void Execute() override {
    lengths_ = chunker->Cut(data.data, data.size, is_last, scanned);
    ids_ = OwnedBytes(lengths_.size() * kHashSize);
    std::vector<HashInput> chunks(lengths_.size());
    const uint8_t* chunk = data.data;
    for (size_t i = 0; i < lengths_.size(); i++) {
      chunks[i] = {chunk, lengths_[i], ids_.data.get() + i * kHashSize};
      chunk += lengths_[i];
    }
    Sha256All(chunks.data(), chunks.size());
  }

  napi_value Complete(napi_env env) override {
    napi_value cuts = nullptr;
    napi_value lengths = MakeUint32Array(env, lengths_);
    if (lengths == nullptr) return nullptr;
    napi_value ids = MakeBuffer(env, std::move(ids_));
    if (ids == nullptr || napi_create_object(env, &cuts) != napi_ok) return nullptr;
    napi_set_named_property(env, cuts, "lengths", lengths);
    napi_set_named_property(env, cuts, "ids", ids);
    return cuts;
  }

 private:
  std::vector<uint32_t> lengths_;
  OwnedBytes ids_;
};

napi_value Cut(napi_env env, napi_callback_info info) {
  Arguments<4> arguments(env, info);
  auto task = std::make_unique<CutTask>();
  int64_t scanned = 0;
  task->chunker = GetHandle<const Chunker>(env, arguments[0], "chunker", &kChunkerTag);
  if (task->chunker == nullptr || !GetBytes(env, arguments[1], "data", &task->data) ||
      !GetBool(env, arguments[2], "final", &task->is_last) ||
      !GetInteger(env, arguments[3], "scanned", 0, static_cast<int64_t>(task->data.size), &scanned) ||
      !task->Hold(env, arguments[1]))
    return Abandon(env, std::move(task));
  task->scanned = static_cast<size_t>(scanned);
  return Submit(env, std::move(task));
}

// The columns of an index file in one buffer; see src/native/engine-functions.ts.
class ParseIndexTask final : public Task {
 public:
  Bytes json;

  void Execute() override {
    IndexColumns columns;
    is_known_ = ParseIndexFile(json.data, json.size, &columns);
    if (!is_known_) return;
    const size_t blobs = columns.packs.size();
    const uint32_t head[] = {static_cast<uint32_t>(columns.pack_ids.size() / kHashSize), static_cast<uint32_t>(blobs)};
    packed_ = OwnedBytes(sizeof head + columns.pack_ids.size() + blobs * (kHashSize + 4 * sizeof(uint32_t)));
    uint8_t* to = packed_.data.get();
    const auto append = [&to](const void* from, size_t size) {
      if (size > 0) memcpy(to, from, size);
      to += size;
    };
    append(head, sizeof head);
    append(columns.pack_ids.data(), columns.pack_ids.size());
    append(columns.ids.data(), columns.ids.size());
    for (const auto* column : {&columns.offsets, &columns.lengths, &columns.uncompressed, &columns.packs})
      append(column->data(), blobs * sizeof(uint32_t));
  }

  napi_value Complete(napi_env env) override {
    return is_known_ ? MakeBuffer(env, std::move(packed_)) : Undefined(env);
  }

 private:
  bool is_known_ = false;
  OwnedBytes packed_;
};

napi_value ParseIndex(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  auto task = std::make_unique<ParseIndexTask>();
  if (!GetBytes(env, arguments[0], "json", &task->json) || !task->Hold(env, arguments[0]))
    return Abandon(env, std::move(task));
  const uint64_t bytes = task->json.size;
  return SubmitUnlessSmall(env, std::move(task), bytes);
}

// Mixes blocks of scrypt, in place.
class ScryptMixTask final : public Task {
 public:
  Bytes blocks;
  uint32_t lanes = 0;
  uint32_t cost = 0;
  uint32_t stride = 0;

  void Execute() override { ScryptMix(blocks.data, lanes, blocks.size / lanes / 128, cost, stride); }
  napi_value Complete(napi_env env) override { return Undefined(env); }
};

bool IsPowerOfTwo(uint64_t value) { return value != 0 && (value & (value - 1)) == 0; }

napi_value ScryptMixLanes(napi_env env, napi_callback_info info) {
  Arguments<4> arguments(env, info);
  auto task = std::make_unique<ScryptMixTask>();
  if (!GetBytes(env, arguments[0], "blocks", &task->blocks) || !GetUint32(env, arguments[1], "lanes", &task->lanes) ||
      !GetUint32(env, arguments[2], "cost", &task->cost) || !GetUint32(env, arguments[3], "stride", &task->stride))
    return Abandon(env, std::move(task));
  const uint64_t cost = task->cost;
  if (cost < 2 || !IsPowerOfTwo(cost)) {
    ThrowRange(env, "cost", "a power of two from 2 on");
    return Abandon(env, std::move(task));
  }
  if (!IsPowerOfTwo(task->stride) || task->stride > cost) {
    ThrowRange(env, "stride", "a power of two not above the cost");
    return Abandon(env, std::move(task));
  }
  if (task->lanes < 1 || task->lanes > kMaxScryptLanes) {
    ThrowRange(env, "lanes", "1 to 4");
    return Abandon(env, std::move(task));
  }
  const size_t size = task->blocks.size;
  if (size == 0 || size % (size_t{128} * task->lanes) != 0 || size > kMaxScryptBytes / (cost / task->stride)) {
    ThrowRange(env, "blocks", "a multiple of 128 bytes for each lane, not more than 2 GiB together");
    return Abandon(env, std::move(task));
  }
  if (!task->Hold(env, arguments[0])) return Abandon(env, std::move(task));
  return Submit(env, std::move(task));
}

}  // namespace

void RegisterEngine(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "sha256", HashOne);
  ExportFunction(env, exports, "sha256Many", HashMany);
  ExportFunction(env, exports, "sha256Joined", HashJoined);
  ExportFunction(env, exports, "compress", Compress);
  ExportFunction(env, exports, "decompress", Decompress);
  ExportFunction(env, exports, "createChunker", CreateChunker);
  ExportFunction(env, exports, "cutChunks", Cut);
  ExportFunction(env, exports, "scryptMix", ScryptMixLanes);
  ExportFunction(env, exports, "parseIndex", ParseIndex);
}

}  // namespace yore

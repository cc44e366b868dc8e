// What JavaScript may do with a channel; see src/native/fuse-functions.ts. Types, lengths and states are checked here.

#include "addon.h"
#include "bytes_list.h"
#include "napi_helpers.h"

#ifdef __linux__

#include <limits.h>
#include <sys/uio.h>

#include "fuse_channel.h"
#include "fuse_mount.h"

namespace yore {

namespace {

constexpr size_t kMaxContentBytes = size_t{2} << 20;

napi_value ThrowClosed(napi_env env) {
  napi_throw_error(env, "ERR_FUSE_CLOSED", "The channel is closed");
  return nullptr;
}

napi_value Start(napi_env env, napi_callback_info info) {
  Arguments<6> arguments(env, info);
  FuseChannel* channel = FuseChannel::From(env, arguments[0]);
  if (channel == nullptr) return nullptr;
  if (!channel->is_open()) return ThrowClosed(env);
  uint32_t slot_bytes;
  if (!GetUint32(env, arguments[2], "slotBytes", &slot_bytes)) return nullptr;
  return channel->Start(env, arguments[0], arguments[1], slot_bytes, arguments[3], arguments[4], arguments[5]);
}

// A started, open channel and a length within its reply buffer.
FuseChannel* ReplyingChannel(napi_env env, napi_value handle, napi_value length_value, uint32_t* length) {
  FuseChannel* channel = FuseChannel::From(env, handle);
  if (channel == nullptr) return nullptr;
  if (!channel->is_open()) {
    ThrowClosed(env);
    return nullptr;
  }
  if (!GetUint32(env, length_value, "length", length)) return nullptr;
  if (*length >= kFuseOutHeaderBytes && *length <= channel->reply_capacity()) return channel;
  ThrowRange(env, "length", "from 16 to the size of the reply buffer");
  return nullptr;
}

napi_value Reply(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  uint32_t length;
  FuseChannel* channel = ReplyingChannel(env, arguments[0], arguments[1], &length);
  if (channel == nullptr) return nullptr;
  return MakeUint32(env, static_cast<uint32_t>(channel->Reply(length)));
}

napi_value ReplyWithPieces(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  // A getter among them could close the channel.
  std::vector<napi_value> pieces;
  if (!GetElements(env, arguments[2], "pieces", &pieces)) return nullptr;
  uint32_t head_length;
  FuseChannel* channel = ReplyingChannel(env, arguments[0], arguments[1], &head_length);
  if (channel == nullptr) return nullptr;
  if (pieces.size() > IOV_MAX - 1) {
    ThrowRange(env, "pieces", "at most 1023 pieces");
    return nullptr;
  }
  std::vector<struct iovec> vectors(1);
  for (napi_value piece : pieces) {
    Bytes bytes;
    if (!GetBytes(env, piece, "pieces", &bytes)) return nullptr;
    vectors.push_back({bytes.data, bytes.size});
  }
  return MakeUint32(env, static_cast<uint32_t>(channel->ReplyWithPieces(head_length, vectors)));
}

napi_value Notify(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  FuseChannel* channel = FuseChannel::From(env, arguments[0]);
  Bytes message;
  if (channel == nullptr || !GetBytes(env, arguments[1], "message", &message)) return nullptr;
  if (!channel->is_open()) return ThrowClosed(env);
  if (message.size < kFuseOutHeaderBytes) {
    ThrowRange(env, "message", "at least 16 bytes");
    return nullptr;
  }
  try {
    channel->Notify(message);
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
    return nullptr;
  }
  return Undefined(env);
}

// Nodes, and an offset and a content for each. False when an exception is pending.
bool GetContents(napi_env env, napi_value nodes, napi_value offsets, napi_value values,
                 std::vector<StoredContent>* contents) {
  std::vector<napi_value> node_values, offset_values, content_values;
  if (!GetElements(env, nodes, "nodes", &node_values) || !GetElements(env, offsets, "offsets", &offset_values) ||
      !SameLength(env, "offsets", offset_values.size(), node_values.size()) ||
      !GetElements(env, values, "contents", &content_values) ||
      !SameLength(env, "contents", content_values.size(), node_values.size()))
    return false;
  for (size_t i = 0; i < node_values.size(); i++) {
    int64_t node, offset;
    Bytes content;
    if (!GetInteger(env, node_values[i], "nodes", 1, int64_t{1} << 53, &node) ||
        !GetInteger(env, offset_values[i], "offsets", 0, int64_t{1} << 53, &offset) ||
        !GetBytes(env, content_values[i], "contents", &content))
      return false;
    if (content.size > kMaxContentBytes) {
      ThrowRange(env, "contents", "at most 2 MiB each");
      return false;
    }
    contents->push_back({static_cast<uint64_t>(node), static_cast<uint64_t>(offset), content.data, content.size});
  }
  return true;
}

napi_value Store(napi_env env, napi_callback_info info) {
  Arguments<4> arguments(env, info);
  FuseChannel* channel = FuseChannel::From(env, arguments[0]);
  std::vector<StoredContent> contents;
  if (channel == nullptr || !GetContents(env, arguments[1], arguments[2], arguments[3], &contents)) return nullptr;
  if (!channel->is_open()) return ThrowClosed(env);
  try {
    return MakeUint32(env, static_cast<uint32_t>(channel->Store(contents)));
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
    return nullptr;
  }
}

// An open channel and one of its slots for prepared replies.
FuseChannel* PreparingChannel(napi_env env, napi_value handle, napi_value slot_value, uint32_t* slot) {
  FuseChannel* channel = FuseChannel::From(env, handle);
  if (channel == nullptr || !GetUint32(env, slot_value, "slot", slot)) return nullptr;
  if (*slot < PreparedReplies::kSlots) return channel;
  ThrowRange(env, "slot", "from 0 to 7");
  return nullptr;
}

napi_value Prepare(napi_env env, napi_callback_info info) {
  Arguments<9> arguments(env, info);
  uint32_t slot, size, end;
  int64_t node;
  Bytes body;
  std::vector<StoredContent> contents;
  FuseChannel* channel = PreparingChannel(env, arguments[0], arguments[1], &slot);
  if (channel == nullptr || !GetInteger(env, arguments[2], "node", 1, int64_t{1} << 53, &node) ||
      !GetUint32(env, arguments[3], "size", &size) || !GetUint32(env, arguments[5], "end", &end) ||
      !GetContents(env, arguments[6], arguments[7], arguments[8], &contents) ||
      !GetBytes(env, arguments[4], "body", &body))
    return nullptr;
  if (!channel->is_open()) return ThrowClosed(env);
  if (body.size > size || size > UINT32_MAX - kFuseOutHeaderBytes) {
    ThrowRange(env, "body", "no more bytes than \"size\"");
    return nullptr;
  }
  try {
    channel->Prepare(slot, static_cast<uint64_t>(node), size, body.data, body.size, end, contents);
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
    return nullptr;
  }
  return Undefined(env);
}

napi_value Withdraw(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  uint32_t slot;
  FuseChannel* channel = PreparingChannel(env, arguments[0], arguments[1], &slot);
  if (channel == nullptr) return nullptr;
  return MakeUint32(env, channel->Withdraw(slot));
}

napi_value Plain(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  FuseChannel* channel = FuseChannel::From(env, arguments[0]);
  uint32_t count;
  if (channel == nullptr || !GetArrayLength(env, arguments[1], "nodes", &count)) return nullptr;
  for (uint32_t i = 0; i < count; i++) {
    napi_value value = nullptr;
    int64_t node;
    if (napi_get_element(env, arguments[1], i, &value) != napi_ok ||
        !GetInteger(env, value, "nodes", 1, int64_t{1} << 53, &node))
      return nullptr;
    channel->AddPlain(static_cast<uint64_t>(node));
  }
  return Undefined(env);
}

napi_value Close(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  FuseChannel* channel = FuseChannel::From(env, arguments[0]);
  if (channel == nullptr) return nullptr;
  channel->Close();
  return Undefined(env);
}

}  // namespace

void RegisterFuseChannel(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "fuseStart", Start);
  ExportFunction(env, exports, "fuseReply", Reply);
  ExportFunction(env, exports, "fuseReplyWithPieces", ReplyWithPieces);
  ExportFunction(env, exports, "fusePrepare", Prepare);
  ExportFunction(env, exports, "fuseWithdraw", Withdraw);
  ExportFunction(env, exports, "fusePlain", Plain);
  ExportFunction(env, exports, "fuseNotify", Notify);
  ExportFunction(env, exports, "fuseStore", Store);
  ExportFunction(env, exports, "fuseClose", Close);
  RegisterFuseMount(env, exports);
}

}  // namespace yore

#else

namespace yore {

// Other systems have no /dev/fuse of this kind; the fuse-native driver serves them.
void RegisterFuseChannel(napi_env, napi_value) {}

}  // namespace yore

#endif

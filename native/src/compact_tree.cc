// The short way from the JSON of a tree to the memory of a CompactTree (drawn in src/cache/compact-tree.ts): a tree that
// looks as writers make them today takes 2 ns a byte, a tenth of the way over objects. It judges nothing: whatever is
// not plain (escapes, unknown or repeated fields, names out of order, numbers that are too large, mistakes) makes it give
// up, and the decoder in TypeScript, which knows the rare cases and says what is wrong, starts from the beginning.

#include <algorithm>

#include "addon.h"
#include "compact_tree.h"
#include "napi_helpers.h"
#include "plain_json.h"

namespace yore {

namespace {

constexpr size_t kHeaderBytes = kTreeHeaderBytes;
constexpr size_t kIdBytes = PlainJson::kIdBytes;
static_assert(kIdBytes == kTreeIdBytes, "an ID is an ID");
constexpr uint64_t kMaxExact = (uint64_t{1} << 53) - 1;
constexpr uint32_t kNoValue = 0xffffffffu;

using Entry = TreeEntry;

enum class Type { kNone, kFile, kDirectory, kSymlink, kBlockDevice, kCharacterDevice, kFifo, kSocket };

// As in src/cache/compact-tree.ts.
uint32_t KernelDevice(uint64_t device) {
  const auto low = static_cast<uint32_t>(device);
  const uint32_t major = (low >> 8) & 0xfff;
  const uint32_t minor = (low & 0xff) | ((low >> 12) & 0xfff00);
  return (minor & 0xff) | (major << 8) | ((minor & ~0xffu) << 12);
}

// What the nodes of a tree refer to: the trees of directories, the blobs of files.
struct References {
  std::vector<uint8_t> subtrees;
  std::vector<uint8_t> contents;
};

class TreeParser {
 public:
  // With `references` these are gathered, and nothing else is kept.
  explicit TreeParser(Bytes json, References* references = nullptr) : json_(json), references_(references) {}

  // False: not a tree that it knows, or one that does not say all that it refers to when that is gathered.
  bool Parse() { return ParsePart(0, SIZE_MAX, nullptr); }

  // So many nodes, or as many as there are, of the tree's start or of the comma in front of a node, which is where the JSON
  // begins; `from` is its offset. Behind where each node begins `starts` gets where the next part does: a comma, or the end.
  bool ParsePart(uint32_t from, size_t limit, std::vector<uint32_t>* starts) {
    const auto note = [&] {
      if (starts != nullptr) starts->push_back(static_cast<uint32_t>(from + json_.Offset()));
    };
    if (from == 0 ? !json_.Take("{\"nodes\":[") : !json_.TakeByte(',')) return false;
    if (from > 0 || !json_.TakeByte(']')) {
      for (size_t count = 0; count == 0 || json_.TakeByte(','); count++) {
        note();
        if (!ParseNode()) return false;
        if (count + 1 < limit || !json_.IsAt(',')) continue;
        note();
        return true;
      }
      if (!json_.TakeByte(']')) return false;
    }
    if (!json_.TakeByte('}')) return false;
    json_.TakeByte('\n');
    note();
    return json_.AtEnd();
  }

  size_t Size() const { return (kHeaderBytes + entries_.size() * sizeof(Entry) + pool_.size() + 7) & ~size_t{7}; }

  // False: an offset would not fit.
  bool Write(uint8_t* to) {
    const size_t pool = kHeaderBytes + entries_.size() * sizeof(Entry);
    if (Size() > UINT32_MAX) return false;
    const uint32_t header[2] = {static_cast<uint32_t>(entries_.size()), subdirectories_};
    memcpy(to, header, sizeof header);
    for (Entry& entry : entries_) {
      entry.name_offset += static_cast<uint32_t>(pool);
      entry.content_offset += static_cast<uint32_t>(pool);
    }
    if (!entries_.empty()) memcpy(to + kHeaderBytes, entries_.data(), entries_.size() * sizeof(Entry));
    if (!pool_.empty()) memcpy(to + pool, pool_.data(), pool_.size());
    return true;
  }

 private:
  // What is known of the node that is being read.
  struct Node {
    uint32_t seen = 0;
    Type type = Type::kNone;
    uint32_t mode = 0;
    uint64_t device = 0;
    Span name;
    Span target;
    bool has_content = false;
    bool has_subtree = false;
    uint8_t subtree[kIdBytes];
  };

  enum Field : uint32_t {
    kName, kType, kMode, kMtime, kAtime, kCtime, kUid, kGid, kUser, kGroup, kInode, kDeviceId, kSize, kLinks, kLinkTarget,
    kAttributes, kDevice, kContent, kSubtree, kError, kUnknown
  };

  bool ParseNode() {
    if (!json_.TakeByte('{')) return false;
    Node node;
    Entry entry{};
    entry.mtime = entry.atime = entry.ctime = -62135596800.0;  // Go's zero time, 1 January of the year 1.
    content_.clear();
    attributes_.clear();
    if (!json_.TakeByte('}')) {
      do {
        Span name;
        if (!json_.TakeString(&name) || !json_.TakeByte(':')) return false;
        const Field field = FieldOf(name);
        if (field == kUnknown || (node.seen & (1u << field)) != 0) return false;
        node.seen |= 1u << field;
        if (json_.Take("null")) continue;
        if (!ParseField(field, &node, &entry)) return false;
      } while (json_.TakeByte(','));
      if (!json_.TakeByte('}')) return false;
    }
    return Add(node, &entry);
  }

  // Fields in the order in which restic writes them, so that most are found at once behind the one before.
  Field FieldOf(const Span& name) {
    static constexpr struct {
      const char* name;
      size_t size;
      Field field;
    } kFields[] = {{"name", 4, kName},
                   {"type", 4, kType},
                   {"mode", 4, kMode},
                   {"mtime", 5, kMtime},
                   {"atime", 5, kAtime},
                   {"ctime", 5, kCtime},
                   {"uid", 3, kUid},
                   {"gid", 3, kGid},
                   {"user", 4, kUser},
                   {"group", 5, kGroup},
                   {"inode", 5, kInode},
                   {"device_id", 9, kDeviceId},
                   {"size", 4, kSize},
                   {"links", 5, kLinks},
                   {"linktarget", 10, kLinkTarget},
                   {"extended_attributes", 19, kAttributes},
                   {"device", 6, kDevice},
                   {"content", 7, kContent},
                   {"subtree", 7, kSubtree},
                   {"error", 5, kError}};
    constexpr size_t kCount = sizeof kFields / sizeof *kFields;
    for (size_t tried = 0; tried < kCount; tried++) {
      const auto& known = kFields[next_field_];
      next_field_ = next_field_ + 1 == kCount ? 0 : next_field_ + 1;
      if (known.size == name.size && memcmp(known.name, name.data, name.size) == 0) return known.field;
    }
    return kUnknown;
  }

  bool ParseField(Field field, Node* node, Entry* entry) {
    uint64_t number;
    Span text;
    switch (field) {
      case kName: return json_.TakeString(&node->name);
      case kType: return json_.TakeString(&text) && (node->type = TypeOf(text)) != Type::kNone;
      case kMode: return json_.TakeUint32(&node->mode);
      case kMtime: return json_.TakeTime(&entry->mtime, &entry->mtime_ns);
      case kAtime: return json_.TakeTime(&entry->atime, &entry->atime_ns);
      case kCtime: return json_.TakeTime(&entry->ctime, &entry->ctime_ns);
      case kUid: return json_.TakeUint32(&entry->uid);
      case kGid: return json_.TakeUint32(&entry->gid);
      case kUser:
      case kGroup:
      case kError: return json_.TakeString(&text);
      case kInode: return json_.TakeUint(&entry->inode);
      case kDeviceId: return json_.TakeUint(&entry->device_id);
      case kSize:
        if (!json_.TakeUint(&number) || number > kMaxExact) return false;
        entry->size = static_cast<double>(number);
        return true;
      case kLinks:
        if (!json_.TakeUint(&number) || number > kMaxExact) return false;
        entry->links = number > UINT32_MAX ? UINT32_MAX : static_cast<uint32_t>(number);
        return true;
      case kLinkTarget: return json_.TakeString(&node->target);
      case kAttributes: return TakeAttributes();
      case kDevice: return json_.TakeUint(&node->device);
      case kContent: return node->has_content = TakeContent();
      case kSubtree: return node->has_subtree = json_.TakeId(node->subtree);
      case kUnknown: return false;
    }
    return false;
  }

  static Type TypeOf(const Span& text) {
    if (text.Is("file")) return Type::kFile;
    if (text.Is("dir")) return Type::kDirectory;
    if (text.Is("symlink")) return Type::kSymlink;
    if (text.Is("dev")) return Type::kBlockDevice;
    if (text.Is("chardev")) return Type::kCharacterDevice;
    if (text.Is("fifo")) return Type::kFifo;
    return text.Is("socket") ? Type::kSocket : Type::kNone;
  }

  bool Add(const Node& node, Entry* entry) {
    if (node.type == Type::kNone || !IsPlainName(node.name) || !IsBehindLast(node.name)) return false;
    if (references_ != nullptr) return Refer(node);
    entry->mode = PosixMode(node) | (attributes_.empty() ? 0 : kTreeHasAttributes);
    entry->name_offset = static_cast<uint32_t>(pool_.size());
    entry->name_length = static_cast<uint32_t>(node.name.size);
    Append(node.name.data, node.name.size);
    entry->content_offset = static_cast<uint32_t>(pool_.size());
    switch (node.type) {
      case Type::kFile:
        entry->content_count = static_cast<uint32_t>(content_.size() / kIdBytes);
        Append(content_.data(), content_.size());
        break;
      case Type::kDirectory:
        subdirectories_++;
        if (!node.has_subtree) break;
        entry->content_count = 1;
        Append(node.subtree, kIdBytes);
        break;
      case Type::kSymlink:
        entry->content_count = static_cast<uint32_t>(node.target.size);
        Append(node.target.data, node.target.size);
        break;
      case Type::kBlockDevice:
      case Type::kCharacterDevice:
        entry->rdev = KernelDevice(node.device);
        break;
      default:
        break;
    }
    Append(attributes_.data(), attributes_.size());
    if (pool_.size() > INT32_MAX) return false;
    entries_.push_back(*entry);
    return true;
  }

  // False: it does not say, or names no blob.
  bool Refer(const Node& node) {
    if (node.type == Type::kDirectory) return node.has_subtree && AppendIds(node.subtree, kIdBytes, &references_->subtrees);
    if (node.type != Type::kFile) return true;
    return node.has_content && AppendIds(content_.data(), content_.size(), &references_->contents);
  }

  static bool AppendIds(const uint8_t* ids, size_t size, std::vector<uint8_t>* to) {
    for (const uint8_t* id = ids; id < ids + size; id += kIdBytes) {
      if (std::all_of(id, id + kIdBytes, [](uint8_t byte) { return byte == 0; })) return false;
    }
    to->insert(to->end(), ids, ids + size);
    return true;
  }

  static uint32_t PosixMode(const Node& node) {
    static constexpr uint32_t kKinds[] = {0, 0100000, 0040000, 0120000, 0060000, 0020000, 0010000, 0140000};
    return kKinds[static_cast<size_t>(node.type)] | (node.mode & 0777) | ((node.mode & (1u << 23)) != 0 ? 04000 : 0) |
           ((node.mode & (1u << 22)) != 0 ? 02000 : 0) | ((node.mode & (1u << 20)) != 0 ? 01000 : 0);
  }

  // A name that a directory can show as it is.
  static bool IsPlainName(const Span& name) {
    if (name.size == 0 || memchr(name.data, '/', name.size) != nullptr) return false;
    return name.data[0] != '.' || name.size > 2 || (name.size == 2 && name.data[1] != '.');
  }

  bool IsBehindLast(const Span& name) {
    const Span last = last_;
    last_ = name;
    if (last.data == nullptr) return true;
    const int order = memcmp(last.data, name.data, last.size < name.size ? last.size : name.size);
    return order < 0 || (order == 0 && last.size < name.size);
  }

  void Append(const uint8_t* data, size_t size) { pool_.insert(pool_.end(), data, data + size); }

  void AppendUint32(std::vector<uint8_t>* to, uint32_t value) {
    uint8_t bytes[4];
    memcpy(bytes, &value, 4);
    to->insert(to->end(), bytes, bytes + 4);
  }

  bool TakeContent() {
    if (!json_.TakeByte('[')) return false;
    if (json_.TakeByte(']')) return true;
    do {
      uint8_t id[kIdBytes];
      if (!json_.TakeId(id)) return false;
      content_.insert(content_.end(), id, id + kIdBytes);
    } while (json_.TakeByte(','));
    return json_.TakeByte(']');
  }

  // As [{"name":"user.key","value":"aGVsbG8="}]: how many, then for each the two lengths, name and value.
  bool TakeAttributes() {
    if (!json_.TakeByte('[')) return false;
    if (json_.TakeByte(']')) return true;
    uint32_t count = 0;
    AppendUint32(&attributes_, 0);
    do {
      Span name, value;
      bool has_value = true;
      if (!json_.Take("{\"name\":") || !json_.TakeString(&name) || !json_.Take(",\"value\":")) return false;
      if (json_.Take("null")) has_value = false;
      else if (!json_.TakeString(&value)) return false;
      if (!json_.TakeByte('}')) return false;
      value_.clear();
      if (has_value && !DecodeBase64(value, &value_)) return false;
      AppendUint32(&attributes_, static_cast<uint32_t>(name.size));
      AppendUint32(&attributes_, has_value ? static_cast<uint32_t>(value_.size()) : kNoValue);
      attributes_.insert(attributes_.end(), name.data, name.data + name.size);
      attributes_.insert(attributes_.end(), value_.begin(), value_.end());
      count++;
    } while (json_.TakeByte(','));
    memcpy(attributes_.data(), &count, sizeof count);
    return json_.TakeByte(']');
  }

  PlainJson json_;
  References* const references_;
  std::vector<Entry> entries_;
  // Names and what belongs to them, one entry after the other.
  std::vector<uint8_t> pool_;
  uint32_t subdirectories_ = 0;
  Span last_;
  // Where FieldOf begins to look.
  size_t next_field_ = 0;
  // Of the present node.
  std::vector<uint8_t> content_;
  std::vector<uint8_t> attributes_;
  std::vector<uint8_t> value_;
};

napi_value CompactTree(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  Bytes json;
  if (!GetBytes(env, arguments[0], "json", &json)) return nullptr;
  try {
    TreeParser parser(json);
    if (!parser.Parse() || parser.Size() > UINT32_MAX) return Undefined(env);
    void* memory = nullptr;
    napi_value buffer = nullptr;
    if (napi_create_arraybuffer(env, parser.Size(), &memory, &buffer) != napi_ok) return nullptr;
    parser.Write(static_cast<uint8_t*>(memory));
    return buffer;
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
    return nullptr;
  }
}

// | memory of a CompactTree of n entries | where each begins u32[n], where the next part does u32 |
napi_value CompactNodes(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  Bytes json;
  uint32_t from, limit;
  if (!GetBytes(env, arguments[0], "json", &json) || !GetUint32(env, arguments[1], "from", &from) ||
      !GetUint32(env, arguments[2], "limit", &limit))
    return nullptr;
  if (from > json.size) {
    ThrowRange(env, "from", "an offset within the JSON");
    return nullptr;
  }
  if (json.size > UINT32_MAX) return Undefined(env);
  try {
    TreeParser parser({json.data + from, json.size - from});
    std::vector<uint32_t> starts;
    if (!parser.ParsePart(from, limit, &starts)) return Undefined(env);
    const size_t tree_size = parser.Size();
    const size_t starts_size = starts.size() * sizeof(uint32_t);
    // A multiple of 8, as the memory of a tree is.
    const size_t size = (tree_size + starts_size + 7) & ~size_t{7};
    void* memory = nullptr;
    napi_value buffer = nullptr;
    if (size > UINT32_MAX) return Undefined(env);
    if (napi_create_arraybuffer(env, size, &memory, &buffer) != napi_ok) return nullptr;
    parser.Write(static_cast<uint8_t*>(memory));
    memcpy(static_cast<uint8_t*>(memory) + size - starts_size, starts.data(), starts_size);
    return buffer;
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
    return nullptr;
  }
}

// | trees u32, blobs u32 | IDs of trees | IDs of blobs |
napi_value TreeReferences(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  Bytes json;
  if (!GetBytes(env, arguments[0], "json", &json)) return nullptr;
  try {
    References references;
    if (!TreeParser(json, &references).Parse()) return Undefined(env);
    const auto& [subtrees, contents] = references;
    void* memory = nullptr;
    napi_value buffer = nullptr;
    const size_t size = kHeaderBytes + subtrees.size() + contents.size();
    if (napi_create_arraybuffer(env, size, &memory, &buffer) != napi_ok) return nullptr;
    const uint32_t header[2] = {static_cast<uint32_t>(subtrees.size() / kIdBytes),
                                static_cast<uint32_t>(contents.size() / kIdBytes)};
    auto* to = static_cast<uint8_t*>(memory);
    memcpy(to, header, sizeof header);
    if (!subtrees.empty()) memcpy(to + kHeaderBytes, subtrees.data(), subtrees.size());
    if (!contents.empty()) memcpy(to + kHeaderBytes + subtrees.size(), contents.data(), contents.size());
    return buffer;
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
    return nullptr;
  }
}

}  // namespace

void RegisterCompactTree(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "compactTree", CompactTree);
  ExportFunction(env, exports, "compactNodes", CompactNodes);
  ExportFunction(env, exports, "treeReferences", TreeReferences);
}

}  // namespace yore

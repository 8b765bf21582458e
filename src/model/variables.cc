#include "model/variables.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "core/error.h"
#include "serving/proto/wire.h"

namespace slip::model {
namespace {

using serving::WireReader;
using Type = WireReader::Type;

constexpr std::size_t kFooter = 48;
constexpr std::uint64_t kMagic = 0xdb4775248b80fb57;
constexpr std::uint64_t kMostShards = 100'000;

[[noreturn]] void malformed() {
  throw Error(ErrorKind::Invalid, "malformed: no index of variables")
      .add_hint("save the model again: its folder `variables` was damaged");
}

std::uint64_t take(std::string_view& bytes) {
  const auto value = WireReader::take_varint(bytes);
  if (!value) {
    malformed();
  }
  return *value;
}

/// Content of the block whose handle stands at the front of `handle`.
std::string_view block(std::string_view file, std::string_view& handle) {
  const std::uint64_t offset = take(handle);
  const std::uint64_t size = take(handle);
  // A type byte and a checksum follow the block.
  if (offset > file.size() || size > file.size() - offset || file.size() - offset - size < 5) {
    malformed();
  }
  if (file[offset + size] != 0) {
    throw Error(ErrorKind::Unsupported, "its blocks are compressed, which is not read here");
  }
  return file.substr(offset, size);
}

using Each = std::function<void(const std::string& key, std::string_view value)>;

void read_block(std::string_view bytes, const Each& each) {
  if (bytes.size() < 4) {
    malformed();
  }
  std::uint32_t restarts = 0;
  std::memcpy(&restarts, bytes.data() + bytes.size() - 4, 4);
  if (restarts > (bytes.size() - 4) / 4) {
    malformed();
  }
  bytes = bytes.substr(0, bytes.size() - 4 - std::size_t{4} * restarts);
  std::string key;
  while (!bytes.empty()) {
    const std::uint64_t shared = take(bytes);
    const std::uint64_t fresh = take(bytes);
    const std::uint64_t value = take(bytes);
    if (shared > key.size() || fresh > bytes.size() || value > bytes.size() - fresh) {
      malformed();
    }
    key.resize(shared);
    key += bytes.substr(0, fresh);
    each(key, bytes.substr(fresh, value));
    bytes.remove_prefix(fresh + value);
  }
}

std::uint64_t shards_of(std::string_view header) {
  WireReader r(header);
  std::uint64_t shards = 1;
  while (r.next()) {
    if (r.is(1, Type::Varint)) {
      shards = r.number();
    }
  }
  if (!r.ok() || shards == 0 || shards > kMostShards) {
    malformed();
  }
  return shards;
}

void read_entry(std::string_view entry, VariableIndex& index) {
  WireReader r(entry);
  std::uint64_t shard = 0;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  while (r.next()) {
    if (r.is(3, Type::Varint)) {
      shard = r.number();
    } else if (r.is(4, Type::Varint)) {
      offset = r.number();
    } else if (r.is(5, Type::Varint)) {
      size = r.number();
    }
  }
  if (!r.ok() || shard >= index.shards.size() || offset + size < offset) {
    malformed();
  }
  index.shards[shard] = std::max(index.shards[shard], offset + size);
  ++index.variables;
}

}  // namespace

VariableIndex read_variable_index(std::string_view bytes) {
  std::uint64_t magic = 0;
  if (bytes.size() < kFooter) {
    malformed();
  }
  std::memcpy(&magic, bytes.data() + bytes.size() - 8, 8);
  if (magic != kMagic) {
    malformed();
  }
  std::string_view footer = bytes.substr(bytes.size() - kFooter, kFooter - 8);
  take(footer);  // the meta index, which is empty
  take(footer);
  VariableIndex index;
  bool first = true;
  read_block(block(bytes, footer), [&](const std::string&, std::string_view handle) {
    read_block(block(bytes, handle), [&](const std::string& key, std::string_view value) {
      if (first != key.empty()) {
        malformed();  // the header has the empty key, which sorts first
      }
      if (first) {
        index.shards.resize(static_cast<std::size_t>(shards_of(value)));
        first = false;
      } else {
        read_entry(value, index);
      }
    });
  });
  if (first) {
    malformed();
  }
  return index;
}

std::string shard_name(std::size_t shard, std::size_t shards) {
  return format("variables.data-{:05}-of-{:05}", shard, shards);
}

}  // namespace slip::model

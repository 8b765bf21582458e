#include "serving/tf/signature.h"

#include "serving/proto/wire.h"

namespace slip::serving {
namespace {

using Type = WireReader::Type;

bool read_shape(std::string_view bytes, TensorInfo& info) {
  WireReader r(bytes);
  while (r.next()) {
    if (r.is(2, Type::Bytes)) {
      WireReader dim(r.bytes());
      std::int64_t size = 0;
      while (dim.next()) {
        if (dim.is(1, Type::Varint)) {
          size = dim.signed_number();
        }
      }
      if (!dim.ok()) {
        return false;
      }
      info.shape.push_back(size);
    } else if (r.is(3, Type::Varint)) {
      info.unknown_rank = r.number() != 0;
    }
  }
  return r.ok();
}

bool read_tensor_info(std::string_view bytes, TensorInfo& info) {
  WireReader r(bytes);
  while (r.next()) {
    if (r.is(1, Type::Bytes)) {
      info.name = r.bytes();
    } else if (r.is(2, Type::Varint)) {
      info.type = static_cast<DataType>(static_cast<int>(r.number()));
    } else if (r.is(3, Type::Bytes) && !read_shape(r.bytes(), info)) {
      return false;
    }
  }
  return r.ok();
}

bool read_signature(std::string_view bytes, Signature& signature) {
  WireReader r(bytes);
  while (r.next()) {
    if (r.is(1, Type::Bytes) || r.is(2, Type::Bytes)) {
      auto& side = r.field() == 1 ? signature.inputs : signature.outputs;
      const auto entry = WireEntry::read(r.bytes());
      if (!entry || !read_tensor_info(entry->value, side[std::string(entry->key)])) {
        return false;
      }
    } else if (r.is(3, Type::Bytes)) {
      signature.method = r.bytes();
    }
  }
  return r.ok();
}

WireWriter write_tensor_info(const TensorInfo& info) {
  WireWriter w;
  w.bytes(1, info.name);
  w.varint(2, static_cast<std::uint64_t>(info.type));
  WireWriter shape;
  for (const std::int64_t size : info.shape) {
    WireWriter dim;
    dim.varint(1, static_cast<std::uint64_t>(size));
    shape.message(2, dim);
  }
  if (info.unknown_rank) {
    shape.boolean(3, true);
  }
  w.message(3, shape);
  return w;
}

}  // namespace

Result<Signatures> read_signatures(std::string_view meta_graph_def) {
  Signatures signatures;
  WireReader r(meta_graph_def);
  bool ok = true;
  while (ok && r.next()) {
    if (r.is(5, Type::Bytes)) {
      const auto entry = WireEntry::read(r.bytes());
      ok = entry && read_signature(entry->value, signatures[std::string(entry->key)]);
    }
  }
  if (!ok || !r.ok()) {
    return fail(Code::DataLoss, "the signatures of the saved model are malformed");
  }
  return signatures;
}

std::string to_wire(const Signature& signature) {
  WireWriter w;
  for (std::uint32_t field = 1; field <= 2; ++field) {
    for (const auto& [name, info] : field == 1 ? signature.inputs : signature.outputs) {
      WireWriter entry;
      entry.bytes(1, name);
      entry.message(2, write_tensor_info(info));
      w.message(field, entry);
    }
  }
  w.bytes(3, signature.method);
  return w.take();
}

}  // namespace slip::serving

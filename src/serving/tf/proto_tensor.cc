#include "serving/tf/proto_tensor.h"

#include <type_traits>
#include <vector>

namespace slip::serving {
namespace {

using Type = WireReader::Type;

/// Field numbers of TensorProto.
enum Field : std::uint32_t {
  kType = 1,
  kShape = 2,
  kContent = 4,
  kFloat = 5,
  kDouble = 6,
  kInt = 7,
  kString = 8,
  kComplex64 = 9,
  kInt64 = 10,
  kBool = 11,
  kComplex128 = 12,
  kHalf = 13,
  kUInt32 = 16,
  kUInt64 = 17,
};

/// The field that holds values of `type`; 0 for types that have none here.
std::uint32_t value_field(DataType type) noexcept {
  switch (type) {
    case DataType::Float: return kFloat;
    case DataType::Double: return kDouble;
    case DataType::Int32:
    case DataType::Int16:
    case DataType::UInt16:
    case DataType::Int8:
    case DataType::UInt8: return kInt;
    case DataType::String: return kString;
    case DataType::Complex64: return kComplex64;
    case DataType::Int64: return kInt64;
    case DataType::Bool: return kBool;
    case DataType::Complex128: return kComplex128;
    case DataType::Half:
    case DataType::BFloat16: return kHalf;
    case DataType::UInt32: return kUInt32;
    case DataType::UInt64: return kUInt64;
    case DataType::Invalid:
    case DataType::Resource:
    case DataType::Variant: return 0;
  }
  return 0;
}

/// Appends one varint value as an element of the builder's type.
void push_varint(TensorBuilder& into, std::uint64_t value) {
  switch (size_of(into.type())) {
    case 1: into.push(static_cast<std::uint8_t>(into.type() == DataType::Bool ? value != 0 : value)); break;
    case 2: into.push(static_cast<std::uint16_t>(value)); break;
    case 4: into.push(static_cast<std::uint32_t>(value)); break;
    default: into.push(value); break;
  }
}

bool is_varint_field(std::uint32_t field) noexcept {
  return field != kFloat && field != kDouble && field != kString && field != kComplex64 && field != kComplex128;
}

/// One occurrence of the value field, packed or not.
bool read_values(const WireReader& r, TensorBuilder& into, std::uint32_t field) {
  if (field == kString) {
    if (r.type() != Type::Bytes) {
      return false;
    }
    into.push_text(r.bytes());
    return true;
  }
  if (!is_varint_field(field)) {
    const std::size_t unit = field == kFloat || field == kComplex64 ? 4 : 8;
    if (r.type() == Type::Bytes && r.bytes().size() % size_of(into.type()) == 0) {
      into.append(r.bytes().data(), r.bytes().size());
      return true;
    }
    const std::uint64_t number = r.number();
    const bool single = (r.type() == Type::Fixed32 && unit == 4) || (r.type() == Type::Fixed64 && unit == 8);
    if (single && unit == size_of(into.type())) {
      into.append(&number, unit);
      return true;
    }
    return false;
  }
  if (r.type() == Type::Varint) {
    push_varint(into, r.number());
    return true;
  }
  std::string_view packed = r.bytes();
  while (r.type() == Type::Bytes && !packed.empty()) {
    const auto value = WireReader::take_varint(packed);
    if (!value) {
      return false;
    }
    push_varint(into, *value);
  }
  return r.type() == Type::Bytes;
}

bool read_shape(std::string_view bytes, Shape& shape) {
  WireReader r(bytes);
  while (r.next()) {
    if (r.is(2, Type::Bytes)) {
      std::int64_t size = 0;
      WireReader dim(r.bytes());
      while (dim.next()) {
        size = dim.is(1, Type::Varint) ? dim.signed_number() : size;
      }
      if (!dim.ok() || shape.size() == 254) {
        return false;
      }
      shape.push_back(size);
    } else if (r.is(3, Type::Varint) && r.number() != 0) {
      return false;
    }
  }
  return r.ok();
}

/// What stands in a TensorProto before its values are looked at.
struct Header {
  DataType type = DataType::Invalid;
  Shape shape;
  std::string_view content;
};

Result<Header> read_header(std::string_view bytes) {
  Header header;
  WireReader r(bytes);
  bool ok = true;
  while (ok && r.next()) {
    if (r.is(kType, Type::Varint)) {
      header.type = static_cast<DataType>(static_cast<int>(r.number()));
    } else if (r.is(kShape, Type::Bytes)) {
      ok = read_shape(r.bytes(), header.shape);
    } else if (r.is(kContent, Type::Bytes)) {
      header.content = r.bytes();
    }
  }
  if (!ok || !r.ok()) {
    return invalid("malformed TensorProto");
  }
  if (value_field(header.type) == 0) {
    return invalid("tensors of type " + std::to_string(static_cast<int>(header.type)) + " cannot be sent in a request");
  }
  return header;
}

Result<Tensor> finish(TensorBuilder& builder, const Header& header, std::int64_t elements) {
  const auto count = static_cast<std::int64_t>(builder.count());
  if (count > elements) {
    return invalid("TensorProto holds " + std::to_string(count) + " values for shape " + to_string(header.shape));
  }
  if (count < elements) {
    if (count == 0) {
      if (header.type == DataType::String) {
        builder.push_text({});
      } else {
        const unsigned char zeros[16] = {};
        builder.append(zeros, size_of(header.type));
      }
    }
    builder.repeat(builder.count() - 1, static_cast<std::size_t>(elements) - builder.count());
  }
  return builder.finish(header.shape);
}

Result<void> read_string_content(std::string_view content, std::int64_t elements, TensorBuilder& into) {
  // Lengths as varints, then all texts (tensor_coding.cc, DecodeStringList).
  std::vector<std::uint64_t> sizes;
  for (std::int64_t i = 0; i < elements; ++i) {
    const auto size = WireReader::take_varint(content);
    if (!size) {
      return invalid("malformed tensor_content of strings");
    }
    sizes.push_back(*size);
  }
  for (const std::uint64_t size : sizes) {
    if (size > content.size()) {
      return invalid("malformed tensor_content of strings");
    }
    into.push_text(content.substr(0, size));
    content.remove_prefix(size);
  }
  return {};
}

template <class T>
void write_varints(WireWriter& out, std::uint32_t field, const Tensor& tensor) {
  WireWriter packed;
  const T* values = tensor.as<T>();
  for (std::int64_t i = 0; i < tensor.count(); ++i) {
    if constexpr (std::is_signed_v<T>) {
      packed.raw_varint(static_cast<std::uint64_t>(static_cast<std::int64_t>(values[i])));
    } else {
      packed.raw_varint(values[i]);
    }
  }
  out.message(field, packed);
}

Result<void> write_values(WireWriter& out, const Tensor& tensor) {
  const std::uint32_t field = value_field(tensor.type());
  switch (tensor.type()) {
    case DataType::Float:
    case DataType::Double:
    case DataType::Complex64:
    case DataType::Complex128:
      out.length(field, tensor.byte_size());
      out.raw(tensor.data(), tensor.byte_size());
      return {};
    case DataType::Int32: write_varints<std::int32_t>(out, field, tensor); return {};
    case DataType::Int16: write_varints<std::int16_t>(out, field, tensor); return {};
    case DataType::Int8: write_varints<std::int8_t>(out, field, tensor); return {};
    case DataType::UInt8:
    case DataType::Bool: write_varints<std::uint8_t>(out, field, tensor); return {};
    case DataType::UInt16:
    case DataType::Half:
    case DataType::BFloat16: write_varints<std::uint16_t>(out, field, tensor); return {};
    case DataType::Int64: write_varints<std::int64_t>(out, field, tensor); return {};
    case DataType::UInt32: write_varints<std::uint32_t>(out, field, tensor); return {};
    case DataType::UInt64: write_varints<std::uint64_t>(out, field, tensor); return {};
    case DataType::String:
      for (std::int64_t i = 0; i < tensor.count(); ++i) {
        out.bytes(kString, tensor.text(i));
      }
      return {};
    case DataType::Invalid:
    case DataType::Resource:
    case DataType::Variant: break;
  }
  return fail(Code::Unimplemented, std::string("tensors of type ") + name_of(tensor.type()) + " cannot be sent");
}

}  // namespace

Result<Tensor> read_tensor_proto(const TfApi& api, std::string_view bytes, std::size_t limit) {
  const auto header = read_header(bytes);
  if (!header) {
    return tl::unexpected(header.error());
  }
  const std::int64_t elements = element_count(header->shape);
  const std::size_t unit = header->type == DataType::String ? sizeof(TF_TString) : size_of(header->type);
  if (elements < 0 || static_cast<std::uint64_t>(elements) > limit / unit) {
    return invalid("TensorProto has shape " + to_string(header->shape) + ", which is too large or negative");
  }
  TensorBuilder builder(api, header->type);
  if (!header->content.empty()) {
    if (header->type == DataType::String) {
      if (static_cast<std::uint64_t>(elements) > header->content.size()) {
        return invalid("malformed tensor_content of strings");
      }
      if (auto done = read_string_content(header->content, elements, builder); !done) {
        return tl::unexpected(done.error());
      }
    } else if (header->content.size() != static_cast<std::size_t>(elements) * unit) {
      return invalid("tensor_content has " + std::to_string(header->content.size()) + " bytes for shape " +
                     to_string(header->shape) + " of " + name_of(header->type));
    } else {
      builder.append(header->content.data(), header->content.size());
    }
    return finish(builder, *header, elements);
  }
  const std::uint32_t field = value_field(header->type);
  WireReader r(bytes);
  while (r.next()) {
    if (r.field() == field && !read_values(r, builder, field)) {
      return invalid("malformed values in a TensorProto");
    }
  }
  return finish(builder, *header, elements);
}

Result<void> write_tensor_proto(WireWriter& out, std::uint32_t field, const Tensor& tensor, TensorForm form) {
  WireWriter proto;
  proto.varint(kType, static_cast<std::uint64_t>(tensor.type()));
  WireWriter shape;
  for (const std::int64_t size : tensor.shape()) {
    WireWriter dim;
    dim.varint(1, static_cast<std::uint64_t>(size));
    shape.message(2, dim);
  }
  proto.message(kShape, shape);
  if (form == TensorForm::Content && size_of(tensor.type()) != 0) {
    proto.length(kContent, tensor.byte_size());
    proto.raw(tensor.data(), tensor.byte_size());
  } else if (auto done = write_values(proto, tensor); !done) {
    return done;
  }
  out.message(field, proto);
  return {};
}

}  // namespace slip::serving

#include "serving/oip/proto.h"

#include <charconv>
#include <limits>
#include <type_traits>

namespace slip::serving {
namespace {

using Type = WireReader::Type;

tl::unexpected<Failure> malformed() { return invalid("malformed ModelInferRequest"); }

/// The field of InferTensorContents that holds values of `type`; 0: none does.
std::uint32_t contents_field(DataType type) noexcept {
  switch (static_cast<int>(type)) {
    case static_cast<int>(DataType::Bool): return 1;
    case static_cast<int>(DataType::Int8):
    case static_cast<int>(DataType::Int16):
    case static_cast<int>(DataType::Int32): return 2;
    case static_cast<int>(DataType::Int64): return 3;
    case static_cast<int>(DataType::UInt8):
    case static_cast<int>(DataType::UInt16):
    case static_cast<int>(DataType::UInt32): return 4;
    case static_cast<int>(DataType::UInt64): return 5;
    case static_cast<int>(DataType::Float): return 6;
    case static_cast<int>(DataType::Double): return 7;
    case static_cast<int>(DataType::String): return 8;
    default: return 0;
  }
}

/// One varint as an element; false when it does not fit the builder's type.
bool push_number(TensorBuilder& into, std::uint64_t number) {
  const auto as = [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_signed_v<T>) {
      const auto value = static_cast<std::int64_t>(number);
      if (value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max()) {
        return false;
      }
    } else if (number > std::numeric_limits<T>::max()) {
      return false;
    }
    into.push(static_cast<T>(number));
    return true;
  };
  switch (static_cast<int>(into.type())) {
    case static_cast<int>(DataType::Bool): into.push(number != 0); return true;
    case static_cast<int>(DataType::Int8): return as(std::int8_t{});
    case static_cast<int>(DataType::Int16): return as(std::int16_t{});
    case static_cast<int>(DataType::Int32): return as(std::int32_t{});
    case static_cast<int>(DataType::Int64): return as(std::int64_t{});
    case static_cast<int>(DataType::UInt8): return as(std::uint8_t{});
    case static_cast<int>(DataType::UInt16): return as(std::uint16_t{});
    case static_cast<int>(DataType::UInt32): return as(std::uint32_t{});
    default: return as(std::uint64_t{});
  }
}

/// One occurrence of the values' field, packed or not.
bool read_values(const WireReader& r, TensorBuilder& into) {
  if (into.type() == DataType::String) {
    if (r.type() == Type::Bytes) {
      into.push_text(r.bytes());
    }
    return r.type() == Type::Bytes;
  }
  if (into.type() == DataType::Float || into.type() == DataType::Double) {
    const std::size_t unit = size_of(into.type());
    const std::uint64_t number = r.number();
    if (r.type() == Type::Bytes && r.bytes().size() % unit == 0) {
      into.append(r.bytes().data(), r.bytes().size());
      return true;
    }
    if (r.type() == (unit == 4 ? Type::Fixed32 : Type::Fixed64)) {
      into.append(&number, unit);
      return true;
    }
    return false;
  }
  if (r.type() == Type::Varint) {
    return push_number(into, r.number());
  }
  std::string_view packed = r.bytes();
  while (r.type() == Type::Bytes && !packed.empty()) {
    const auto number = WireReader::take_varint(packed);
    if (!number || !push_number(into, *number)) {
      return false;
    }
  }
  return r.type() == Type::Bytes;
}

/// An input as it stands in the message, its values still there.
struct WireInput {
  OipInput input;
  std::string_view contents;
  bool has_contents = false;
};

Result<WireInput> read_input(std::string_view bytes) {
  WireInput out;
  WireReader r(bytes);
  while (r.next()) {
    if (r.is(1, Type::Bytes)) {
      out.input.name = r.bytes();
    } else if (r.is(2, Type::Bytes)) {
      out.input.type = oip_type_of(r.bytes());
      if (out.input.type == DataType::Invalid) {
        return invalid("unknown datatype '" + std::string(r.bytes()) + "'");
      }
    } else if (r.is(3, Type::Varint)) {
      out.input.shape.push_back(r.signed_number());
    } else if (r.is(3, Type::Bytes)) {
      std::string_view packed = r.bytes();
      while (!packed.empty()) {
        const auto size = WireReader::take_varint(packed);
        if (!size) {
          return malformed();
        }
        out.input.shape.push_back(static_cast<std::int64_t>(*size));
      }
    } else if (r.is(5, Type::Bytes)) {
      out.contents = r.bytes();
      out.has_contents = !out.contents.empty();
    }
  }
  if (!r.ok() || out.input.shape.size() > 254) {
    return malformed();
  }
  if (out.input.type == DataType::Invalid) {
    return invalid("input '" + out.input.name + "' has no datatype");
  }
  return out;
}

Result<void> read_contents(const TfApi& api, WireInput& wire) {
  OipInput& input = wire.input;
  const std::uint32_t field = contents_field(input.type);
  if (field == 0) {
    return invalid("input '" + input.name + "': " + std::string(oip_name_of(input.type)) +
                   " must be sent as raw_input_contents");
  }
  TensorBuilder builder(api, input.type);
  WireReader r(wire.contents);
  while (r.next()) {
    if (r.field() == field && !read_values(r, builder)) {
      return invalid("malformed contents of input '" + input.name + "'");
    }
  }
  if (!r.ok()) {
    return malformed();
  }
  if (element_count(input.shape) != static_cast<std::int64_t>(builder.count())) {
    return invalid("input '" + input.name + "' has " + std::to_string(builder.count()) + " values for shape " +
                   to_string(input.shape));
  }
  input.tensor = builder.finish(input.shape);
  return {};
}

/// One entry of the map of parameters: InferParameter{bool=1, int64=2, string=3}.
bool read_parameter(std::string_view bytes, OipRequest& request) {
  const auto entry = WireEntry::read(bytes);
  if (!entry) {
    return false;
  }
  const std::string_view key = entry->key;
  WireReader parameter(entry->value);
  while (parameter.next()) {
    if (key == "signature_name" && parameter.is(3, Type::Bytes)) {
      request.signature = parameter.bytes();
    } else if (key == "timeout" && parameter.is(2, Type::Varint)) {
      request.timeout_us = parameter.signed_number();
    }
  }
  return parameter.ok();
}

Result<std::string> first_text(std::string_view bytes) {
  std::string text;
  WireReader r(bytes);
  while (r.next()) {
    if (r.is(1, Type::Bytes)) {
      text = r.bytes();
    }
  }
  return r.ok() ? Result<std::string>(std::move(text)) : Result<std::string>(malformed());
}

Result<void> finish_inputs(const TfApi& api, std::vector<WireInput>& inputs, const std::vector<std::string_view>& raw,
                           OipMessage& message) {
  message.raw = !raw.empty();
  if (message.raw && raw.size() != inputs.size()) {
    return invalid("expected " + std::to_string(inputs.size()) + " raw_input_contents but got " +
                   std::to_string(raw.size()));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    OipInput& input = inputs[i].input;
    if (message.raw && inputs[i].has_contents) {
      return invalid("contents field must not be specified when using raw_input_contents for '" + input.name + "'");
    }
    if (message.raw) {
      auto tensor = read_oip_raw(api, input.name, input.type, input.shape, raw[i]);
      if (!tensor) {
        return tl::unexpected(tensor.error());
      }
      input.tensor = std::move(*tensor);
    } else if (auto done = read_contents(api, inputs[i]); !done) {
      return done;
    }
    message.request.inputs.push_back(std::move(input));
  }
  return {};
}

template <class T>
void write_varints(WireWriter& out, std::uint32_t field, const Tensor& tensor) {
  WireWriter packed;
  for (std::int64_t i = 0; i < tensor.count(); ++i) {
    if constexpr (std::is_signed_v<T>) {
      packed.raw_varint(static_cast<std::uint64_t>(static_cast<std::int64_t>(tensor.as<T>()[i])));
    } else {
      packed.raw_varint(tensor.as<T>()[i]);
    }
  }
  out.message(field, packed);
}

/// InferTensorContents; false: it has no field for the type.
bool write_contents(WireWriter& out, const Tensor& tensor) {
  const std::uint32_t field = contents_field(tensor.type());
  switch (static_cast<int>(tensor.type())) {
    case static_cast<int>(DataType::Float):
    case static_cast<int>(DataType::Double):
      out.length(field, tensor.byte_size());
      out.raw(tensor.data(), tensor.byte_size());
      return true;
    case static_cast<int>(DataType::Bool):
    case static_cast<int>(DataType::UInt8): write_varints<std::uint8_t>(out, field, tensor); return true;
    case static_cast<int>(DataType::UInt16): write_varints<std::uint16_t>(out, field, tensor); return true;
    case static_cast<int>(DataType::UInt32): write_varints<std::uint32_t>(out, field, tensor); return true;
    case static_cast<int>(DataType::UInt64): write_varints<std::uint64_t>(out, field, tensor); return true;
    case static_cast<int>(DataType::Int8): write_varints<std::int8_t>(out, field, tensor); return true;
    case static_cast<int>(DataType::Int16): write_varints<std::int16_t>(out, field, tensor); return true;
    case static_cast<int>(DataType::Int32): write_varints<std::int32_t>(out, field, tensor); return true;
    case static_cast<int>(DataType::Int64): write_varints<std::int64_t>(out, field, tensor); return true;
    case static_cast<int>(DataType::String):
      for (std::int64_t i = 0; i < tensor.count(); ++i) {
        out.bytes(field, tensor.text(i));
      }
      return true;
    default: return false;
  }
}

}  // namespace

Result<ModelSpec> read_oip_spec(std::string_view bytes) {
  ModelSpec spec;
  WireReader r(bytes);
  while (r.next()) {
    if (r.is(1, Type::Bytes)) {
      spec.name = r.bytes();
    } else if (r.is(2, Type::Bytes) && !r.bytes().empty()) {
      std::int64_t number = 0;
      const auto [end, error] = std::from_chars(r.bytes().data(), r.bytes().data() + r.bytes().size(), number);
      if (error != std::errc{} || end != r.bytes().data() + r.bytes().size() || number < 0) {
        return invalid("failed to parse the version '" + std::string(r.bytes()) + "'");
      }
      spec.version = number;
    }
  }
  return r.ok() ? Result<ModelSpec>(std::move(spec)) : Result<ModelSpec>(malformed());
}

Result<OipMessage> read_oip_message(const TfApi& api, std::string_view bytes) {
  auto spec = read_oip_spec(bytes);
  if (!spec) {
    return tl::unexpected(spec.error());
  }
  OipMessage message;
  message.spec = std::move(*spec);
  std::vector<WireInput> inputs;
  std::vector<std::string_view> raw;
  WireReader r(bytes);
  while (r.next()) {
    if (r.is(3, Type::Bytes)) {
      message.request.id = r.bytes();
    } else if (r.is(4, Type::Bytes)) {
      if (!read_parameter(r.bytes(), message.request)) {
        return malformed();
      }
    } else if (r.is(5, Type::Bytes)) {
      auto input = read_input(r.bytes());
      if (!input) {
        return tl::unexpected(input.error());
      }
      inputs.push_back(std::move(*input));
    } else if (r.is(6, Type::Bytes)) {
      auto name = first_text(r.bytes());
      if (!name) {
        return tl::unexpected(name.error());
      }
      message.request.outputs.push_back({std::move(*name), std::nullopt});
    } else if (r.is(7, Type::Bytes)) {
      raw.push_back(r.bytes());
    }
  }
  if (auto done = finish_inputs(api, inputs, raw, message); !done) {
    return tl::unexpected(done.error());
  }
  return message;
}

Result<std::string> write_oip_message(const Servable& servable, const OipMessage& message, const OipPlan& plan,
                                      const std::vector<Tensor>& outputs) {
  WireWriter response;
  response.bytes(1, servable.name);
  response.bytes(2, std::to_string(servable.version));
  if (!message.request.id.empty()) {
    response.bytes(3, message.request.id);
  }
  bool raw = message.raw;
  for (const Tensor& tensor : outputs) {
    raw |= contents_field(tensor.type()) == 0;
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const std::string& name = plan.method->outputs[plan.outputs[i]].name;
    const std::string_view type = oip_name_of(outputs[i].type());
    if (type.empty()) {
      return fail(Code::Unimplemented, "output '" + name + "' has type " + name_of(outputs[i].type()) +
                                           ", which the protocol does not have");
    }
    WireWriter output;
    output.bytes(1, name);
    output.bytes(2, type);
    WireWriter shape;
    for (const std::int64_t size : outputs[i].shape()) {
      shape.raw_varint(static_cast<std::uint64_t>(size));
    }
    output.message(3, shape);
    WireWriter contents;
    if (!raw && write_contents(contents, outputs[i])) {
      output.message(5, contents);
    }
    response.message(5, output);
  }
  for (const Tensor& tensor : outputs) {
    if (raw) {
      std::string bytes;
      append_oip_raw(bytes, tensor);
      response.bytes(6, bytes);
    }
  }
  return response.take();
}

}  // namespace slip::serving

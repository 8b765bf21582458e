#include "serving/tf/session_config.h"

#include <map>

#include "serving/proto/text_format.h"
#include "serving/proto/wire.h"

namespace slip::serving {
namespace {

/// One field of a message: its number and what it holds.
struct Field {
  enum class Kind { Number, Boolean, Text, Enum, Message } kind;
  std::uint32_t number;
  std::string_view type = {};  ///< of a message or an enum
};

using Fields = std::map<std::string_view, Field>;
using Kind = Field::Kind;

const std::map<std::string_view, Fields>& messages() {
  static const std::map<std::string_view, Fields> table = {
      {"tensorflow.ConfigProto",
       {{"device_count", {Kind::Message, 1, "DeviceCountEntry"}},
        {"intra_op_parallelism_threads", {Kind::Number, 2}},
        {"inter_op_parallelism_threads", {Kind::Number, 5}},
        {"use_per_session_threads", {Kind::Boolean, 9}},
        {"allow_soft_placement", {Kind::Boolean, 7}},
        {"log_device_placement", {Kind::Boolean, 8}},
        {"operation_timeout_in_ms", {Kind::Number, 11}},
        {"graph_options", {Kind::Message, 10, "GraphOptions"}},
        {"gpu_options", {Kind::Message, 6, "GPUOptions"}}}},
      {"DeviceCountEntry", {{"key", {Kind::Text, 1}}, {"value", {Kind::Number, 2}}}},
      {"GPUOptions", {{"allow_growth", {Kind::Boolean, 4}}, {"visible_device_list", {Kind::Text, 5}}}},
      {"GraphOptions",
       {{"optimizer_options", {Kind::Message, 3, "OptimizerOptions"}},
        {"rewrite_options", {Kind::Message, 10, "RewriterConfig"}}}},
      {"OptimizerOptions",
       {{"do_common_subexpression_elimination", {Kind::Boolean, 1}},
        {"do_constant_folding", {Kind::Boolean, 2}},
        {"opt_level", {Kind::Enum, 3, "Level"}},
        {"do_function_inlining", {Kind::Boolean, 4}},
        {"global_jit_level", {Kind::Enum, 5, "GlobalJitLevel"}}}},
      {"RewriterConfig",
       {{"layout_optimizer", {Kind::Enum, 1, "Toggle"}},
        {"constant_folding", {Kind::Enum, 3, "Toggle"}},
        {"arithmetic_optimization", {Kind::Enum, 7, "Toggle"}},
        {"dependency_optimization", {Kind::Enum, 8, "Toggle"}},
        {"loop_optimization", {Kind::Enum, 9, "Toggle"}},
        {"function_optimization", {Kind::Enum, 10, "Toggle"}},
        {"remapping", {Kind::Enum, 14, "Toggle"}},
        {"shape_optimization", {Kind::Enum, 13, "Toggle"}},
        {"disable_meta_optimizer", {Kind::Boolean, 19}}}},
  };
  return table;
}

const std::map<std::string_view, std::map<std::string_view, std::int64_t>>& enums() {
  static const std::map<std::string_view, std::map<std::string_view, std::int64_t>> table = {
      {"Level", {{"L1", 0}, {"L0", -1}}},
      {"GlobalJitLevel", {{"DEFAULT", 0}, {"OFF", -1}, {"ON_1", 1}, {"ON_2", 2}}},
      {"Toggle", {{"DEFAULT", 0}, {"ON", 1}, {"OFF", 2}, {"AGGRESSIVE", 3}}},
  };
  return table;
}

Result<WireWriter> encode(const TextMessage& message, std::string_view type);

Result<void> encode_field(const TextReader& reader, const TextField& field, const Field& row, WireWriter& out) {
  if (row.kind == Kind::Message) {
    const auto inner = reader.message(field);
    auto encoded = inner ? encode(**inner, row.type) : Result<WireWriter>(tl::unexpected(inner.error()));
    if (!encoded) {
      return tl::unexpected(encoded.error());
    }
    out.message(row.number, *encoded);
    return {};
  }
  if (row.kind == Kind::Text) {
    return reader.text(field).map([&](const std::string& text) { out.bytes(row.number, text); });
  }
  if (row.kind == Kind::Boolean) {
    return reader.boolean(field).map([&](bool on) { out.boolean(row.number, on); });
  }
  if (row.kind == Kind::Enum && !field.message) {
    const auto& names = enums().at(row.type);
    if (const auto found = names.find(field.scalar); found != names.end()) {
      out.varint(row.number, static_cast<std::uint64_t>(found->second));
      return {};
    }
  }
  return reader.number(field).map(
      [&](std::int64_t number) { out.varint(row.number, static_cast<std::uint64_t>(number)); });
}

Result<WireWriter> encode(const TextMessage& message, std::string_view type) {
  const Fields& fields = messages().at(type);
  const TextReader reader(message, std::string(type));
  WireWriter out;
  for (const TextField& field : reader.fields()) {
    const auto row = fields.find(field.name);
    if (row == fields.end()) {
      return reader.unknown(field);
    }
    if (auto done = encode_field(reader, field, row->second, out); !done) {
      return tl::unexpected(done.error());
    }
  }
  return out;
}

}  // namespace

Result<std::string> read_session_config(std::string_view text) {
  const auto root = read_text_format(text);
  auto encoded = root ? encode(*root, "tensorflow.ConfigProto") : Result<WireWriter>(tl::unexpected(root.error()));
  if (!encoded) {
    return invalid("Error parsing text-format tensorflow.ConfigProto: " + encoded.error().message);
  }
  return encoded->take();
}

}  // namespace slip::serving

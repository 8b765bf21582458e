#include "serving/tfs/predict_proto.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "core/text.h"

namespace slip::serving {
namespace {

using Type = WireReader::Type;

tl::unexpected<Failure> malformed(const char* what) { return invalid(std::string("malformed ") + what); }

std::string set_text(const std::set<std::string>& names) { return "{" + join({names.begin(), names.end()}, ",") + "}"; }

Result<void> check_inputs(const Method& method, const PredictMessage& message) {
  std::set<std::string> given;
  std::set<std::string> wanted;
  for (const auto& [alias, bytes] : message.inputs) {
    given.insert(alias);
  }
  for (const Port& port : method.inputs) {
    wanted.insert(port.name);
  }
  if (given == wanted) {
    return {};
  }
  std::set<std::string> extra;
  std::set<std::string> missing;
  std::ranges::set_difference(given, wanted, std::inserter(extra, extra.end()));
  std::ranges::set_difference(wanted, given, std::inserter(missing, missing.end()));
  return invalid("input size does not match signature: " + std::to_string(given.size()) +
                 "!=" + std::to_string(wanted.size()) + " len(" + set_text(given) + ") != len(" + set_text(wanted) +
                 "). Sent extra: " + set_text(extra) + ". Missing but required: " + set_text(missing) + ".");
}

Result<void> resolve_outputs(const PredictMessage& message, PredictPlan& plan) {
  std::set<std::string> seen;
  for (const std::string& alias : message.output_filter) {
    const int port = Method::find(plan.method->outputs, alias);
    if (port < 0) {
      return invalid("output tensor alias not found in signature: " + alias + " Outputs expected to be in the set " +
                     [&] {
                       std::set<std::string> names;
                       for (const Port& p : plan.method->outputs) {
                         names.insert(p.name);
                       }
                       return set_text(names);
                     }() +
                     ".");
    }
    if (!seen.insert(alias).second) {
      return invalid("duplicate output tensor alias: " + alias);
    }
    plan.outputs.push_back(static_cast<std::size_t>(port));
  }
  for (std::size_t i = 0; message.output_filter.empty() && i < plan.method->outputs.size(); ++i) {
    plan.outputs.push_back(i);
  }
  return {};
}

bool read_number(std::string_view bytes, std::int64_t& value) {
  WireReader r(bytes);
  while (r.next()) {
    if (r.is(1, Type::Varint)) {
      value = r.signed_number();
    }
  }
  return r.ok();
}

}  // namespace

Result<WireSpec> read_model_spec(std::string_view bytes) {
  WireSpec out;
  WireReader r(bytes);
  while (r.next()) {
    if (r.is(1, Type::Bytes)) {
      out.spec.name = r.bytes();
    } else if (r.is(2, Type::Bytes)) {
      std::int64_t version = 0;
      if (!read_number(r.bytes(), version)) {
        return malformed("ModelSpec");
      }
      out.spec.version = version;
    } else if (r.is(3, Type::Bytes)) {
      out.signature = r.bytes();
    } else if (r.is(4, Type::Bytes)) {
      out.spec.label = r.bytes();
    }
  }
  return r.ok() ? Result<WireSpec>(std::move(out)) : Result<WireSpec>(malformed("ModelSpec"));
}

void write_model_spec(WireWriter& out, std::uint32_t field, const Servable& servable, std::string_view signature) {
  WireWriter version;
  if (servable.version != 0) {
    version.varint(1, static_cast<std::uint64_t>(servable.version));
  }
  WireWriter spec;
  spec.bytes(1, servable.name);
  spec.message(2, version);
  if (!signature.empty()) {
    spec.bytes(3, signature);
  }
  out.message(field, spec);
}

Result<PredictMessage> read_predict_message(std::string_view bytes) {
  PredictMessage out;
  WireReader r(bytes);
  while (r.next()) {
    if (r.is(1, Type::Bytes)) {
      auto model = read_model_spec(r.bytes());
      if (!model) {
        return tl::unexpected(model.error());
      }
      out.model = std::move(*model);
    } else if (r.is(2, Type::Bytes)) {
      const auto input = WireEntry::read(r.bytes());
      if (!input) {
        return malformed("PredictRequest");
      }
      out.inputs.emplace_back(input->key, input->value);
    } else if (r.is(3, Type::Bytes)) {
      out.output_filter.emplace_back(r.bytes());
    }
  }
  return r.ok() ? Result<PredictMessage>(std::move(out)) : Result<PredictMessage>(malformed("PredictRequest"));
}

Result<PredictPlan> plan_predict(const Model& model, const PredictMessage& message, std::size_t limit) {
  PredictPlan plan;
  plan.method = model.method(message.model.signature);
  if (plan.method == nullptr) {
    return fail(Code::FailedPrecondition,
                "Serving signature key \"" +
                    (message.model.signature.empty() ? std::string(kDefaultSignature) : message.model.signature) +
                    "\" not found.");
  }
  if (auto checked = check_inputs(*plan.method, message); !checked) {
    return tl::unexpected(checked.error());
  }
  plan.inputs.resize(plan.method->inputs.size());
  for (const auto& [alias, bytes] : message.inputs) {
    const auto port = static_cast<std::size_t>(Method::find(plan.method->inputs, alias));
    auto tensor = read_tensor_proto(model.api(), bytes, limit);
    if (!tensor) {
      return invalid("input tensor " + alias + ": " + tensor.error().message);
    }
    const DataType expected = plan.method->inputs[port].info.type;
    if (tensor->type() != expected) {
      return invalid("input tensor " + alias + ": expected type " + name_of(expected) + " but got " +
                     name_of(tensor->type()));
    }
    plan.inputs[port] = std::move(*tensor);
  }
  if (auto resolved = resolve_outputs(message, plan); !resolved) {
    return tl::unexpected(resolved.error());
  }
  return plan;
}

Result<std::string> write_predict_response(const Servable& servable, const PredictPlan& plan,
                                           const std::vector<Tensor>& outputs, TensorForm form) {
  WireWriter response;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    WireWriter entry;
    entry.bytes(1, plan.method->outputs[plan.outputs[i]].name);
    if (auto written = write_tensor_proto(entry, 2, outputs[i], form); !written) {
      return tl::unexpected(written.error());
    }
    response.message(1, entry);
  }
  write_model_spec(response, 2, servable, plan.method->name);
  return response.take();
}

Result<std::vector<std::string>> read_input(std::string_view bytes) {
  std::vector<std::string> examples;
  std::string context;
  WireReader input(bytes);
  while (input.next()) {
    if (!input.is(1, Type::Bytes) && !input.is(2, Type::Bytes)) {
      continue;
    }
    examples.clear();
    context.clear();
    const bool with_context = input.field() == 2;
    WireReader list(input.bytes());
    while (list.next()) {
      if (list.is(1, Type::Bytes)) {
        examples.emplace_back(list.bytes());
      } else if (with_context && list.is(2, Type::Bytes)) {
        context = list.bytes();
      }
    }
    if (!list.ok()) {
      return malformed("Input");
    }
  }
  if (!input.ok()) {
    return malformed("Input");
  }
  if (examples.empty()) {
    return invalid("Input is empty.");
  }
  for (std::string& example : examples) {
    example = context + example;
  }
  return examples;
}

Result<ExampleMessage> read_example_message(std::string_view bytes) {
  ExampleMessage out;
  std::string_view input;
  WireReader r(bytes);
  while (r.next()) {
    if (r.is(1, Type::Bytes)) {
      auto model = read_model_spec(r.bytes());
      if (!model) {
        return tl::unexpected(model.error());
      }
      out.model = std::move(*model);
    } else if (r.is(2, Type::Bytes)) {
      input = r.bytes();
    }
  }
  if (!r.ok()) {
    return malformed("request");
  }
  auto examples = read_input(input);
  if (!examples) {
    return tl::unexpected(examples.error());
  }
  out.examples = std::move(*examples);
  return out;
}

WireWriter write_classification_result(const Classifications& classifications) {
  WireWriter result;
  for (const auto& classes : classifications) {
    WireWriter list;
    for (const auto& [label, score] : classes) {
      WireWriter one;
      one.bytes(1, label);
      one.fixed32(2, score);
      list.message(1, one);
    }
    result.message(1, list);
  }
  return result;
}

WireWriter write_regression_result(const std::vector<float>& values) {
  WireWriter result;
  for (const float value : values) {
    WireWriter one;
    one.fixed32(1, value);
    result.message(1, one);
  }
  return result;
}

}  // namespace slip::serving

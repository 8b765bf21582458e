// What is told of models. TensorFlow Serving makes its two answers with protobuf's JSON printer: one blank per level,
// every field shown, 64-bit numbers as strings.
#include <algorithm>

#include "serving/json/out.h"
#include "serving/tfs/rest.h"

namespace slip::serving {
namespace {

void write_tensor_info(JsonOut& out, const TensorInfo& info) {
  out.begin_object();
  out.key("dtype");
  out.string(proto_name_of(info.type));
  out.key("tensor_shape");
  out.begin_object();
  out.key("dim");
  out.begin_array();
  for (const std::int64_t size : info.shape) {
    out.begin_object();
    out.key("size");
    out.string(std::to_string(size));
    out.key("name");
    out.string("");
    out.end_object();
  }
  out.end_array();
  out.key("unknown_rank");
  out.boolean(info.unknown_rank);
  out.end_object();
  out.key("name");
  out.string(info.name);
  out.end_object();
}

void write_side(JsonOut& out, const char* key, const std::map<std::string, TensorInfo>& infos) {
  out.key(key);
  out.begin_object();
  for (const auto& [name, info] : infos) {
    out.key(name);
    write_tensor_info(out, info);
  }
  out.end_object();
}

/// The SignatureDefMap, whose closing brace stands at the outermost level.
std::string signatures_json(const Signatures& signatures) {
  JsonOut out(1);
  out.begin_object();
  out.key("signature_def");
  out.begin_object();
  for (const auto& [name, signature] : signatures) {
    out.key(name);
    out.begin_object();
    write_side(out, "inputs", signature.inputs);
    write_side(out, "outputs", signature.outputs);
    out.key("method_name");
    out.string(signature.method);
    out.end_object();
  }
  out.end_object();
  out.end_object();
  return out.take();
}

}  // namespace

Result<std::string> RestService::status_json(const ModelSpec& spec) const {
  if (spec.name.empty()) {
    return invalid("Missing model name in request.");
  }
  const auto versions = manager_.status(spec.name, spec.version);
  if (!versions) {
    return tl::unexpected(versions.error());
  }
  JsonOut out(1);
  out.begin_object();
  out.key("model_version_status");
  out.begin_array();
  for (const VersionStatus& version : *versions) {
    out.begin_object();
    out.key("version");
    out.string(std::to_string(version.version));
    out.key("state");
    out.string(name_of(version.state));
    out.key("status");
    out.begin_object();
    out.key("error_code");
    out.string(name_of(version.failure.code));
    out.key("error_message");
    out.string(version.failure.message);
    out.end_object();
    out.end_object();
  }
  out.end_array();
  out.end_object();
  return out.take() + "\n";
}

/// Names of all models, or whether one is ready. @source kserve, protocol/rest/v1_endpoints.py
Result<std::string> RestService::kserve_status_json(const std::string& model) const {
  const auto names = manager_.names();
  if (model.empty()) {
    std::string body = R"({"models":[)";
    for (const std::string& name : names) {
      body += body.back() == '[' ? "" : ",";
      append_json_string(body, name);
    }
    return body + "]}";
  }
  if (std::ranges::find(names, model) == names.end()) {
    return fail(Code::NotFound, "Model with name " + model + " does not exist.");
  }
  if (manager_.serving(model).empty()) {
    return fail(Code::Unavailable, "Model with name " + model + " is not ready.");
  }
  std::string body = R"({"name":)";
  append_json_string(body, model);
  return body + R"(,"ready":true})";
}

Result<std::string> RestService::metadata_json(const ModelSpec& spec) const {
  if (spec.name.empty()) {
    return invalid("Missing model name in request.");
  }
  const auto servable = manager_.find(spec);
  if (!servable) {
    return tl::unexpected(servable.error());
  }
  JsonOut model(1);
  model.begin_object();
  model.key("name");
  model.string(spec.name);
  model.key("signature_name");
  model.string("");
  model.key("version");
  model.string(std::to_string((*servable)->version));
  model.end_object();
  return "{\n\"model_spec\":" + model.take() +
         "\n,\n\"metadata\": {\"signature_def\": " + signatures_json((*servable)->model->signatures()) + "\n}\n}\n";
}

}  // namespace slip::serving

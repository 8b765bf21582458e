#include "model/checks.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/count.h"
#include "core/error.h"
#include "core/text.h"
#include "model/variables.h"
#include "os/file.h"

namespace slip::model {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

Finding check_operations(const MetaGraph& graph, const RuntimeFacts& runtime) {
  const std::string title = "the runtime has every operation";
  std::vector<std::string> unknown;
  for (const std::string& operation : graph.operations) {
    if (!runtime.operations.contains(operation)) {
      unknown.push_back(printable(operation));
    }
  }
  if (unknown.empty()) {
    return fine("operations", title, counted(graph.operations.size(), "operation"));
  }
  const std::size_t all = unknown.size();
  unknown.resize(std::min<std::size_t>(all, 5));
  return amiss(
      "operations", title, join(unknown, ", ") + (all > 5 ? format(" and {} more", all - 5) : ""),
      format("operations of TensorFlow {}", runtime.tensorflow),
      "operations of other libraries (TensorFlow Text, Addons, your own) cannot be served: leave them out of the "
      "exported signature and do that work before the request");
}

Finding check_versions(const MetaGraph& graph, const RuntimeFacts& runtime) {
  const std::string title = "the graph is not newer than the runtime";
  const GraphVersions& v = graph.versions;
  const std::string wanted = format("at most {}, TensorFlow {}'s", runtime.graph_version, runtime.tensorflow);
  const std::string writer =
      graph.tensorflow.empty() ? std::string() : ", written by TensorFlow " + printable(graph.tensorflow);
  const std::string hint =
      format("save the model with TensorFlow {}, or serve it with the version that saved it", runtime.tensorflow);
  if (v.min_consumer > runtime.graph_version) {
    return amiss("graph", title, format("it needs graph version {}{}", v.min_consumer, writer), wanted, hint);
  }
  if (std::ranges::find(v.bad_consumers, runtime.graph_version) != v.bad_consumers.end()) {
    return amiss("graph", title, format("it refuses graph version {}{}", runtime.graph_version, writer),
                 "a graph that does not name this version", hint);
  }
  if (v.producer > runtime.graph_version) {
    return amiss("graph", title, format("it has graph version {}{}", v.producer, writer), wanted, hint);
  }
  return fine("graph", title, format("graph version {}{}", v.producer, writer));
}

std::uint64_t size_of_file(const fs::path& path) {
  std::error_code error;
  const std::uint64_t size = fs::file_size(path, error);
  return error ? 0 : size;
}

Finding check_variables(const SavedModel& model) {
  const std::string title = "its variables are complete";
  const std::string hint = "copy the whole folder that was saved, or save the model again";
  const fs::path folder = model.folder / "variables";
  const auto text = os::read_file_if_any(folder / "variables.index");
  if (!text) {
    return model.graph.has_variables() ? amiss("variables", title, "there is no variables/variables.index",
                                               "the variables that the graph uses", hint)
                                       : fine("variables", title, "none in the graph");
  }
  VariableIndex index;
  try {
    index = read_variable_index(*text);
  } catch (const Error& e) {
    return amiss("variables", title, "variables/variables.index: " + e.joined(), "an index of variables", hint);
  }
  for (std::size_t i = 0; i < index.shards.size(); ++i) {
    const std::string name = shard_name(i, index.shards.size());
    const bool there = fs::exists(folder / name);
    if (!there || size_of_file(folder / name) < index.shards[i]) {
      return amiss("variables", title,
                   there ? format("variables/{} has {} bytes", name, size_of_file(folder / name))
                         : format("variables/{} is missing", name),
                   format("{} bytes, as its index says", index.shards[i]), hint);
    }
  }
  return fine("variables", title,
              format("{} in {}", counted(index.variables, "variable"), counted(index.shards.size(), "file")));
}

Finding check_assets(const SavedModel& model) {
  const std::string title = "its assets are there";
  for (const std::string& asset : model.graph.assets) {
    const fs::path relative = fs::path(asset).lexically_normal();
    if (relative.is_absolute() || relative.empty() || *relative.begin() == ".." ||
        !fs::is_regular_file(model.folder / "assets" / relative)) {
      return amiss("assets", title, format("assets/{} is missing", printable(asset)), "every file that the graph reads",
                   "copy the whole folder that was saved, or save the model again");
    }
  }
  return fine("assets", title, counted(model.graph.assets.size(), "file"));
}

Finding check_signatures(const MetaGraph& graph) {
  const std::string title = "there is a way to call it";
  if (graph.signatures.empty()) {
    return amiss("signatures", title, "no signature", "at least one",
                 "save it with `signatures=`: `tf.saved_model.save(model, folder, "
                 "signatures=model.call.get_concrete_function(...))`");
  }
  return fine("signatures", title, counted(graph.signatures.size(), "signature"));
}

}  // namespace

RuntimeFacts parse_facts(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  try {
    RuntimeFacts facts;
    facts.tensorflow = json.at("tensorflow");
    facts.graph_version = json.at("graph_def");
    facts.operations = json.at("ops").get<std::set<std::string>>();
    return facts;
  } catch (const Json::exception&) {
    throw Error(ErrorKind::Invalid, "slipway-serve did not describe its runtime: `{}`", printable(text.substr(0, 200)));
  }
}

std::vector<Finding> check_model(const SavedModel& model, const RuntimeFacts& runtime) {
  return {check_signatures(model.graph), check_operations(model.graph, runtime), check_versions(model.graph, runtime),
          check_variables(model), check_assets(model)};
}

void refuse_unless_ok(const SavedModel& model, const std::vector<Finding>& findings) {
  if (all_ok(findings)) {
    return;
  }
  Error error(ErrorKind::Unsupported, "model `{}` version {} cannot be served", model.name, model.version);
  for (const Finding& f : findings) {
    if (!f.ok) {
      error.add_cause(format("{}: {} (wanted: {})", f.id, f.found, f.wanted));
      error.add_hint(f.hint);
    }
  }
  throw error;
}

}  // namespace slip::model

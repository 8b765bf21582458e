#include "model/saved_model.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "core/error.h"
#include "core/text.h"
#include "os/file.h"
#include "serving/proto/wire.h"

namespace slip::model {
namespace {

namespace fs = std::filesystem;
using serving::WireReader;
using Type = WireReader::Type;

/// Collects what a graph uses; every read_… is false for malformed bytes.
class GraphReader {
 public:
  bool read_graph(std::string_view bytes) {
    WireReader r(bytes);
    bool ok = true;
    while (ok && r.next()) {
      if (r.is(1, Type::Bytes)) {
        ok = read_node({}, r.bytes());
      } else if (r.is(2, Type::Bytes)) {
        ok = read_library(r.bytes());
      } else if (r.is(4, Type::Bytes)) {
        ok = read_versions(r.bytes());
      }
    }
    return ok && r.ok();
  }

  /// Moves into the graph what was collected; its signatures are there.
  void finish(MetaGraph& graph) {
    for (const auto& [name, signature] : graph.signatures) {
      for (const auto& [alias, tensor] : signature.inputs) {
        if (auto features = examples_.parsed_from(tensor.name);
            tensor.type == serving::DataType::String && !features.empty()) {
          graph.parsed[name][alias] = std::move(features);
        }
      }
    }
    for (const std::string& function : functions_) {
      operations_.erase(function);
    }
    graph.operations = std::move(operations_);
    graph.versions = std::move(versions_);
  }

 private:
  bool read_node(const std::string& function, std::string_view bytes) {
    WireReader r(bytes);
    while (r.next()) {
      if (r.is(2, Type::Bytes)) {
        operations_.emplace(r.bytes());
      }
    }
    return r.ok() && examples_.add_node(function, bytes);
  }

  bool read_library(std::string_view bytes) {
    WireReader r(bytes);
    bool ok = true;
    while (ok && r.next()) {
      if (r.is(1, Type::Bytes)) {
        ok = read_function(r.bytes());
      }
    }
    return ok && r.ok();
  }

  bool read_function(std::string_view bytes) {
    std::string name;
    WireReader signatures(bytes);
    bool ok = true;
    while (ok && signatures.next()) {
      if (signatures.is(1, Type::Bytes)) {
        ok = read_function_signature(signatures.bytes(), name);
      }
    }
    WireReader r(bytes);
    while (ok && r.next()) {
      if (r.is(3, Type::Bytes)) {
        ok = read_node(name, r.bytes());
      }
    }
    return ok && r.ok();
  }

  bool read_function_signature(std::string_view bytes, std::string& name) {
    WireReader r(bytes);
    std::vector<std::string> arguments;
    bool ok = true;
    while (ok && r.next()) {
      if (r.is(1, Type::Bytes)) {
        name = r.bytes();
      } else if (r.is(2, Type::Bytes)) {
        WireReader argument(r.bytes());
        arguments.emplace_back();
        while (argument.next()) {
          if (argument.is(1, Type::Bytes)) {
            arguments.back() = argument.bytes();
          }
        }
        ok = argument.ok();
      }
    }
    functions_.insert(name);
    examples_.add_function(name, std::move(arguments));
    return ok && r.ok();
  }

  bool read_versions(std::string_view bytes) {
    WireReader r(bytes);
    while (r.next()) {
      if (r.is(1, Type::Varint)) {
        versions_.producer = r.signed_number();
      } else if (r.is(2, Type::Varint)) {
        versions_.min_consumer = r.signed_number();
      } else if (r.is(3, Type::Varint)) {
        versions_.bad_consumers.push_back(r.signed_number());
      } else if (r.is(3, Type::Bytes)) {
        std::string_view packed = r.bytes();
        while (!packed.empty()) {
          const auto value = WireReader::take_varint(packed);
          if (!value) {
            return false;
          }
          versions_.bad_consumers.push_back(static_cast<std::int64_t>(*value));
        }
      }
    }
    return r.ok();
  }

  std::set<std::string> operations_;
  std::set<std::string> functions_;
  ExampleGraph examples_;
  GraphVersions versions_;
};

bool read_meta_info(std::string_view bytes, MetaGraph& graph, std::vector<std::string>& tags) {
  WireReader r(bytes);
  while (r.next()) {
    if (r.is(4, Type::Bytes)) {
      tags.emplace_back(r.bytes());
    } else if (r.is(5, Type::Bytes)) {
      graph.tensorflow = r.bytes();
    }
  }
  return r.ok();
}

bool read_asset(std::string_view bytes, MetaGraph& graph) {
  WireReader r(bytes);
  while (r.next()) {
    if (r.is(2, Type::Bytes)) {
      graph.assets.emplace_back(r.bytes());
    }
  }
  return r.ok();
}

/// nullopt when the bytes are malformed.
std::optional<MetaGraph> read_meta_graph(std::string_view bytes, std::vector<std::string>& tags) {
  MetaGraph graph;
  GraphReader reader;
  WireReader r(bytes);
  bool ok = true;
  while (ok && r.next()) {
    if (r.is(1, Type::Bytes)) {
      ok = read_meta_info(r.bytes(), graph, tags);
    } else if (r.is(2, Type::Bytes)) {
      ok = reader.read_graph(r.bytes());
    } else if (r.is(6, Type::Bytes)) {
      ok = read_asset(r.bytes(), graph);
    }
  }
  auto signatures = serving::read_signatures(bytes);
  if (!ok || !r.ok() || !signatures) {
    return std::nullopt;
  }
  graph.signatures = std::move(*signatures);
  graph.signatures.erase("__saved_model_init_op");  // the loader's, no way to call the model
  graph.signatures.erase("__saved_model_train_op");
  reader.finish(graph);
  return graph;
}

std::optional<std::uint64_t> number_of(const std::string& name) {
  std::uint64_t number = 0;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data(), end, number);
  return error == std::errc{} && stop == end ? std::optional(number) : std::nullopt;
}

/// Folders of `base` that are named by a number and hold a SavedModel, ascending.
std::vector<std::string> versions_in(const fs::path& base) {
  std::vector<std::string> versions;
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(base, none)) {
    const std::string name = entry.path().filename().string();
    if (number_of(name) && fs::exists(entry.path() / "saved_model.pb", none)) {
      versions.push_back(name);
    }
  }
  std::sort(versions.begin(), versions.end(),
            [](const std::string& a, const std::string& b) { return *number_of(a) < *number_of(b); });
  return versions;
}

void check_name(const std::string& name) {
  const bool good =
      !name.empty() && name.size() <= 128 && name.front() != '.' && name.front() != '-' &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == std::string::npos;
  if (!good) {
    throw Error(ErrorKind::Usage, "`{}` cannot be a model's name: letters a–z, digits, `.`, `_` and `-`",
                printable(name))
        .add_hint("give it another with `--name`");
  }
}

}  // namespace

bool MetaGraph::has_variables() const {
  return std::any_of(operations.begin(), operations.end(), [](const std::string& op) {
    return op == "VarHandleOp" || op == "VariableV2" || op == "Variable";
  });
}

MetaGraph read_saved_model(std::string_view bytes, const std::string& name) {
  WireReader r(bytes);
  std::vector<std::string> seen;
  while (r.next()) {
    if (!r.is(2, Type::Bytes)) {
      continue;
    }
    std::vector<std::string> tags;
    auto graph = read_meta_graph(r.bytes(), tags);
    if (!graph) {
      throw Error(ErrorKind::Invalid, "read `{}`: malformed, or no SavedModel", name)
          .add_hint("save the model again with `tf.saved_model.save` or `model.save`");
    }
    if (tags == std::vector<std::string>{"serve"}) {
      return std::move(*graph);
    }
    seen.push_back("{" + join(tags, ", ") + "}");
  }
  if (!r.ok() || seen.empty()) {
    throw Error(ErrorKind::Invalid, "read `{}`: malformed, or no SavedModel", name)
        .add_hint("save the model again with `tf.saved_model.save` or `model.save`");
  }
  throw Error(ErrorKind::Invalid, "`{}` has no graph for serving: its graphs have the tags {}", name,
              printable(join(seen, ", ")))
      .add_hint("save it with the tag `serve`, which `tf.saved_model.save` does");
}

SavedModel open_saved_model(const fs::path& given, const std::string& name) {
  const fs::path folder = fs::absolute(given).lexically_normal();
  const fs::path base = folder.has_filename() ? folder : folder.parent_path();
  SavedModel model;
  if (fs::exists(base / "saved_model.pb")) {
    model.folder = base;
    const std::string leaf = base.filename().string();
    const bool numbered = number_of(leaf).has_value();
    model.version = numbered ? leaf : "1";
    model.name = !name.empty() ? name : (numbered ? base.parent_path().filename() : base.filename()).string();
  } else {
    model.older = versions_in(base);
    if (model.older.empty()) {
      Error error(ErrorKind::NotFound, "`{}` is no SavedModel and holds no numbered version of one", given.string());
      error.add_cause(fs::exists(base) ? "there is no saved_model.pb in it" : "there is no such folder");
      throw error.add_hint("name the folder that `tf.saved_model.save` or `model.save` wrote");
    }
    model.version = model.older.back();
    model.older.pop_back();
    model.folder = base / model.version;
    model.name = name.empty() ? base.filename().string() : name;
  }
  check_name(model.name);
  const os::Mapping bytes(model.folder / "saved_model.pb");
  model.graph = read_saved_model(as_text(bytes.bytes()), (given / "saved_model.pb").lexically_normal().string());
  return model;
}

std::vector<SavedModel> open_versions(const fs::path& folder, const std::string& name, std::size_t count) {
  std::vector<SavedModel> models = {open_saved_model(folder, name)};
  const SavedModel& newest = models.front();
  std::vector<std::string> older = newest.older;
  const std::size_t wanted = count == 0 ? older.size() : std::min(count - 1, older.size());
  older.erase(older.begin(), older.end() - static_cast<std::ptrdiff_t>(wanted));
  for (std::size_t i = 0; i < older.size(); ++i) {
    models.insert(models.begin() + static_cast<std::ptrdiff_t>(i),
                  open_saved_model(models.back().folder.parent_path() / older[i], models.back().name));
  }
  return models;
}

std::string text_of(const serving::TensorInfo& tensor) {
  return serving::name_of(tensor.type) + (tensor.unknown_rank ? std::string("?") : serving::to_string(tensor.shape));
}

}  // namespace slip::model

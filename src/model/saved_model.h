#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "model/features.h"
#include "serving/tf/signature.h"

/// What a SavedModel says of itself, read without TensorFlow.
namespace slip::model {

/// Which runtimes may run a graph. @source tensorflow/core/framework/versions.proto
struct GraphVersions {
  std::int64_t producer = 0;  ///< version of the TensorFlow that wrote it (TF_GRAPH_DEF_VERSION)
  std::int64_t min_consumer = 0;
  std::vector<std::int64_t> bad_consumers;
  bool operator==(const GraphVersions&) const = default;
};

/// The features that the inputs of one signature are parsed for, by the input's alias; no entry where nothing is
/// parsed.
using ParsedInputs = std::map<std::string, std::vector<Feature>>;

/// The graph that is served: the one with the tag `serve`.
struct MetaGraph {
  serving::Signatures signatures;
  std::map<std::string, ParsedInputs> parsed;  ///< by signature; no entry where nothing is parsed
  std::string tensorflow;                      ///< version that wrote it, "2.9.0"; empty: not said
  GraphVersions versions;
  std::set<std::string> operations;  ///< every op that the graph and its functions use, but calls of its own functions
  std::vector<std::string> assets;   ///< file names below assets/
  [[nodiscard]] bool has_variables() const;
};

/// A SavedModel on the disk.
struct SavedModel {
  std::filesystem::path folder;    ///< holds saved_model.pb
  std::string name;                ///< what clients call it
  std::string version;             ///< "1": its folder's name, or 1
  std::vector<std::string> older;  ///< versions beside it that are left out
  MetaGraph graph;
};

/// Reads saved_model.pb. @throws Error Invalid naming `name`: malformed, or without a graph for serving
/// @source tensorflow/core/protobuf/saved_model.proto, meta_graph.proto; framework/graph.proto, function.proto,
///         node_def.proto, op_def.proto
MetaGraph read_saved_model(std::string_view bytes, const std::string& name);

/// Opens a SavedModel, or the newest of a folder of numbered versions.
/// @param name  empty: the name of the folder that holds the versions
/// @throws Error NotFound: no saved_model.pb there; Usage: a name that no URL can hold; Invalid
SavedModel open_saved_model(const std::filesystem::path& folder, const std::string& name);

/// The newest `count` versions of a folder of numbered ones, ascending; of a single SavedModel that one.
/// @param count  0: all
/// @throws Error as open_saved_model()
std::vector<SavedModel> open_versions(const std::filesystem::path& folder, const std::string& name, std::size_t count);

/// "float[-1,3]": type and shape of a tensor, for people; "?" where the rank is not known.
std::string text_of(const serving::TensorInfo& tensor);

}  // namespace slip::model

#include "serving/tf/describe.h"

#include <set>

#include "core/error.h"
#include "serving/proto/wire.h"

namespace slip::serving {
namespace {

using Type = WireReader::Type;

std::string_view text_of(const TF_Buffer& buffer) { return {static_cast<const char*>(buffer.data), buffer.length}; }

/// An empty graph has the version of the library that made it. @source tensorflow/core/framework/versions.proto
std::uint64_t graph_version(const TfApi& api) {
  TF_Graph* graph = api.NewGraph();
  TF_Status* status = api.NewStatus();
  TF_Buffer* buffer = api.NewBuffer();
  api.GraphVersions(graph, buffer, status);
  std::uint64_t producer = 0;
  WireReader r(text_of(*buffer));
  while (r.next()) {
    if (r.is(1, Type::Varint)) {
      producer = r.number();
    }
  }
  api.DeleteBuffer(buffer);
  api.DeleteStatus(status);
  api.DeleteGraph(graph);
  return producer;
}

/// @source tensorflow/core/framework/op_def.proto: OpList 1 (op), OpDef 1 (name)
std::set<std::string> operations(const TfApi& api) {
  std::set<std::string> names;
  TF_Buffer* buffer = api.GetAllOpList();
  WireReader list(text_of(*buffer));
  while (list.next()) {
    if (!list.is(1, Type::Bytes)) {
      continue;
    }
    WireReader op(list.bytes());
    while (op.next()) {
      if (op.is(1, Type::Bytes)) {
        names.emplace(op.bytes());
      }
    }
  }
  api.DeleteBuffer(buffer);
  return names;
}

}  // namespace

std::string describe_runtime(const TfApi& api) {
  std::string ops;
  for (const std::string& name : operations(api)) {  // letters, digits and a few marks: nothing to escape
    ops += (ops.empty() ? "\"" : ",\"") + name + "\"";
  }
  return format("{{\"tensorflow\":\"{}\",\"graph_def\":{},\"ops\":[{}]}}\n", std::string(api.Version()),
                graph_version(api), ops);
}

}  // namespace slip::serving

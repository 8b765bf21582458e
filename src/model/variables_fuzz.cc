#include "model/variables.h"

#include "core/error.h"
#include "model/requests.h"
#include "model/saved_model.h"

// The two files of a SavedModel that we read: whatever the bytes, an answer or an error.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    if (slip::model::read_variable_index(bytes).shards.empty()) {
      __builtin_trap();
    }
  } catch (const slip::Error&) {
  }
  try {
    const slip::model::MetaGraph graph = slip::model::read_saved_model(bytes, "fuzz");
    for (const auto& [name, parsed] : graph.parsed) {
      (void)slip::model::request_for(name, graph.signatures.at(name), parsed);
    }
  } catch (const slip::Error& e) {
    if (e.kind() != slip::ErrorKind::Invalid) {
      __builtin_trap();
    }
  }
  return 0;
}

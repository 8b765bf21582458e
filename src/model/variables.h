#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace slip::model {

/// What the index of a SavedModel's variables says about the files beside it.
struct VariableIndex {
  std::size_t variables = 0;
  std::vector<std::uint64_t> shards;  ///< bytes that each variables.data-0000I-of-0000N must have at least
};

/// Reads variables.index. @throws Error Invalid: malformed
/// @source tensorflow/core/protobuf/tensor_bundle.proto; tensorflow/core/lib/io/table_format.txt (blocks, handles,
///         footer); blocks are not compressed, as tf.saved_model.save writes them
VariableIndex read_variable_index(std::string_view bytes);

/// "variables.data-00000-of-00001".
std::string shard_name(std::size_t shard, std::size_t shards);

}  // namespace slip::model

#pragma once

#include <cstdint>
#include <vector>

#include "serving/models/executor.h"
#include "serving/tf/tensor.h"

/// Tensors joined and cut along dimension 0, their rows.
namespace slip::serving {

/// Number of rows of every input; a failure when they differ or an input has none.
Result<std::int64_t> common_rows(const RunCall& call);

/// All parts one after the other, then the last row again until there are `rows`. Where inner sizes differ, each is
/// filled up to the largest with the part's first element, as TensorFlow Serving does.
/// @pre parts are of one type and rank, at least one has a row
/// @source TensorFlow Serving 2.9, batching/batching_util.h
Tensor join_rows(const TfApi& api, const std::vector<const Tensor*>& parts, std::int64_t rows);

/// Rows [begin, end) of every tensor.
std::vector<Tensor> cut_rows(const TfApi& api, const std::vector<Tensor>& from, std::int64_t begin, std::int64_t end);

}  // namespace slip::serving

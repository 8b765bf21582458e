#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "serving/models/manager.h"

namespace slip::serving {

/// Runs the requests that lie beside a version, so that its first client does not wait for TensorFlow's preparations.
/// No file: nothing to do. @param folder  of the version  @param iterations  how often each request runs
/// @return how many requests the file holds
/// @source TensorFlow Serving 2.9, saved_model_warmup.cc: assets.extra/tf_serving_warmup_requests, TFRecords of
///         PredictionLog, at most 1000
Result<std::size_t> warm_up(const Servable& servable, const std::filesystem::path& folder, std::int64_t iterations);

/// Runs every signature on zeros and empty texts of the shapes it tells, at least twice, so that a version without
/// warm-up requests is warm too. What a signature refuses is left out. State that runs change, such as a counter,
/// changes. @return how many signatures ran
std::size_t warm_up_signatures(const Servable& servable, std::int64_t iterations);

/// The records of a TFRecord file, views into `bytes`; every checksum is verified.
/// @source tensorflow/core/lib/io/record_writer.h
Result<std::vector<std::string_view>> read_tf_records(std::string_view bytes);

}  // namespace slip::serving

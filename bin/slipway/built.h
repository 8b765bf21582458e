#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "image/build.h"
#include "options.h"

namespace slip::cli {

/// The record of `build --json`, which other commands that make images extend: digest, reference, size,
/// size_unpacked, layers, seconds.
nlohmann::json record_of(const image::BuildResult& built, double seconds);

/// `--compression`, for commands that make images.
void declare_compression(Options& o, std::string& word);
/// The lock with the compression that the word names; empty: as it is.
lock::Lock compressed(lock::Lock lock, const std::string& word);

/// "Built app:latest in 1.2s: 7 layers (2 new), 30.1 MB compressed, 90.4 MB unpacked".
std::string built_line(const char* verb, const image::BuildResult& built, double seconds);

}  // namespace slip::cli

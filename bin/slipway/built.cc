#include "built.h"

#include <nlohmann/json.hpp>

#include "core/count.h"
#include "core/text.h"
#include "lock/compression.h"

namespace slip::cli {

nlohmann::json record_of(const image::BuildResult& built, double seconds) {
  nlohmann::json layers = nlohmann::json::array();
  for (const image::Layer& layer : built.layers) {
    layers.push_back({{"digest", layer.encoded.digest.text()},
                      {"diff_id", layer.encoded.diff_id.text()},
                      {"size", layer.encoded.size},
                      {"size_unpacked", layer.encoded.size_unpacked},
                      {"kind", image::kind_of(layer.plan.recipe)},
                      {"name", layer.plan.name},
                      {"reused", layer.reused},
                      {"packages", layer.plan.packages}});
  }
  return {{"digest", built.digest.text()},
          {"reference", built.reference},
          {"size", built.size},
          {"size_unpacked", built.size_unpacked},
          {"layers", layers},
          {"seconds", seconds}};
}

void declare_compression(Options& o, std::string& word) {
  o.value("compression", "KIND", word, "how layers are compressed; zstd is smaller, and not for every tool")
      .choices({"gzip", "zstd"})
      .fallback("what the lock names, gzip");
}

lock::Lock compressed(lock::Lock lock, const std::string& word) {
  if (word.empty()) {
    return lock;
  }
  return lock::compressed_by(std::move(lock), word == "zstd" ? codec::Compression::Zstd : codec::Compression::Gzip);
}

std::string built_line(const char* verb, const image::BuildResult& built, double seconds) {
  std::size_t made = 0;
  for (const image::Layer& layer : built.layers) {
    made += layer.reused ? 0 : 1;
  }
  return format("{} {} in {}: {} ({} new), {} compressed, {} unpacked", verb, built.reference, human_seconds(seconds),
                counted(built.layers.size(), "layer"), made, human_size(built.size), human_size(built.size_unpacked));
}

}  // namespace slip::cli

#include <chrono>
#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "command.h"
#include "core/count.h"
#include "core/text.h"
#include "image/build.h"
#include "oci/types.h"
#include "options.h"
#include "remotes.h"
#include "session.h"

namespace slip::cli {
namespace {

class Pull final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Pulls an image from the registry in its name and unpacks it, so that `slipway up` and `slipway run --image` "
        "can "
        "start it. Every byte is checked against its digest; a download that was broken off goes on. Images of other "
        "tools are taken too: OCI and Docker schema 2, layers in gzip or zstd, of an index the image for this "
        "machine.");
    o.arg("REF", from_, "what to pull").required();
    o.value("verify", "KEY", key_, "take it only if the key in this PEM file has signed it")
        .fallback("trusted_keys, where config.toml says require_signature for the registry")
        .file();
    o.json();
    o.example("slipway pull registry.example.com/team/tf29-dev:2026-05", "the team's environment");
    o.example("slipway pull registry.example.com/team/tf29-dev@sha256:…", "exactly that one");
  }

  int run(Session& s) override {
    const auto start = std::chrono::steady_clock::now();
    const oci::Reference from = oci::Reference::parse(from_);
    const PullAnswer pulled = pull_image(s, from, key_);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const auto note = image::image_note(s.store(), pulled.digest);
    const std::uint64_t size = note ? note->size : 0;
    const std::uint64_t unpacked = note ? note->size_unpacked : 0;
    if (s.json()) {
      const codec::Json record = {
          {"digest", pulled.digest.text()},
          {"reference", from.text()},
          {"size", size},
          {"size_unpacked", unpacked},
          {"downloaded_bytes", pulled.downloaded},
          {"signed_by", pulled.signed_by.empty() ? codec::Json(nullptr) : codec::Json(pulled.signed_by)},
          {"layers", layers(s, pulled.digest)},
          {"seconds", seconds}};
      s.print(record.dump());
      return 0;
    }
    if (!pulled.signed_by.empty()) {
      s.say(format("Verified the signature of {}", pulled.signed_by));
    }
    s.say(pulled.unchanged
              ? format("Pulled {} already, nothing has changed", from.text())
              : format("Pulled {} in {}: {} downloaded, {} compressed, {} unpacked", from.text(),
                       human_seconds(seconds), human_size(pulled.downloaded), human_size(size), human_size(unpacked)));
    s.print(pulled.digest.text());
    return 0;
  }

 private:
  static codec::Json layers(Session& s, const Digest& digest) {
    const oci::Manifest manifest = oci::parse_manifest(s.store().read_blob(digest));
    const oci::ImageConfig config = oci::parse_image_config(s.store().read_blob(manifest.config.digest));
    codec::Json list = codec::Json::array();
    for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
      list.push_back({{"digest", manifest.layers[i].digest.text()},
                      {"diff_id", config.diff_ids.at(i).text()},
                      {"size", manifest.layers[i].size},
                      {"media_type", manifest.layers[i].media_type}});
    }
    return list;
  }

  std::string from_;
  std::string key_;
};

}  // namespace

std::unique_ptr<Command> make_pull() { return std::make_unique<Pull>(); }

}  // namespace slip::cli

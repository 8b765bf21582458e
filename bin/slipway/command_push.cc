#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "command.h"
#include "core/count.h"
#include "core/text.h"
#include "image/stored.h"
#include "oci/media_types.h"
#include "options.h"
#include "registry/push.h"
#include "registry/signature.h"
#include "remotes.h"
#include "secret_input.h"
#include "session.h"

namespace slip::cli {
namespace {

class Push final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Pushes an image of the store to the registry in its name. Only what the repository lacks is uploaded; what "
        "another "
        "repository of the registry has is mounted from there. After a broken connection the upload goes on.\n\n"
        "With a second name the image is pushed under that one.\n\n"
        "`--sign` writes signatures that `slipway pull --verify` and cosign check, beside the image. The key is ECDSA "
        "on "
        "P-256 in PEM form; an encrypted one is opened with the password asked for, or with $COSIGN_PASSWORD.");
    o.arg("REF", from_, "an image").required();
    o.arg("TO", to_, "where to").fallback("REF");
    o.value("sign", "KEY", key_, "sign it with the private key in this PEM file").file();
    o.json();
    o.example("slipway push registry.example.com/team/tf29-dev:2026-05", "an image with the registry in its name");
    o.example("slipway push --sign release.key registry.example.com/team/tf29-dev:2026-05", "and sign it");
    o.example("slipway push tf29-dev registry.example.com/team/tf29-dev:2026-05", "one without");
  }

  int run(Session& s) override {
    const auto start = std::chrono::steady_clock::now();
    const oci::Reference from = oci::Reference::parse(from_);
    const oci::Reference to = to_.empty() ? from : oci::Reference::parse(to_);
    const auto key = signing_key();
    const auto remote = connect(s, to);
    const image::StoredImage stored(require_image(s, from.text()), s.context());
    const registry::Pushed pushed = registry::push(*remote, stored.image(), to, s.store());
    if (key) {
      const std::string& manifest = stored.image().manifest;
      const std::string type = oci::parse_manifest(manifest).media_type;
      registry::sign_image(*remote, to.repository, pushed.digest, manifest.size(),
                           type.empty() ? std::string(oci::media::kManifest) : type, *key);
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (s.json()) {
      const codec::Json record = {
          {"digest", pushed.digest.text()}, {"reference", to.text()},    {"uploaded_bytes", pushed.uploaded_bytes},
          {"uploaded", pushed.uploaded},    {"mounted", pushed.mounted}, {"skipped", pushed.skipped},
          {"signed", key.has_value()},      {"seconds", seconds}};
      s.print(record.dump());
      return 0;
    }
    s.say(format("Pushed {} in {}: {} uploaded ({}), {} mounted, {} there already", to.text(), human_seconds(seconds),
                 counted(pushed.uploaded, "blob"), human_size(pushed.uploaded_bytes), pushed.mounted, pushed.skipped));
    if (key) {
      s.say(format("Signed {} with {}", pushed.digest.text(), key_));
    }
    s.print(pushed.digest.text());
    return 0;
  }

 private:
  /// Read before any work, so that a wrong password costs nothing.
  [[nodiscard]] std::optional<registry::PrivateKey> signing_key() const {
    if (key_.empty()) {
      return std::nullopt;
    }
    return registry::PrivateKey::load(key_, [&] {
      const char* password = std::getenv("COSIGN_PASSWORD");
      return password != nullptr ? std::string(password) : ask_secret(("Password of " + key_ + ": ").c_str());
    });
  }

  std::string key_;
  std::string from_;
  std::string to_;
};

}  // namespace

std::unique_ptr<Command> make_push() { return std::make_unique<Push>(); }

}  // namespace slip::cli

#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "command.h"
#include "core/count.h"
#include "core/error.h"
#include "core/text.h"
#include "image/stored.h"
#include "inspect/documents.h"
#include "oci/media_types.h"
#include "options.h"
#include "os/file.h"
#include "registry/push.h"
#include "registry/referrers.h"
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
        "P-256: PEM, or cosign's own cosign.key. An encrypted one is opened with what `--key-password` holds, "
        "$COSIGN_PASSWORD, or the password asked for.\n\n"
        "An image that carries its lock is pushed with what scanners and auditors ask for: bills of materials (SPDX "
        "2.3, "
        "CycloneDX 1.5) and SLSA v1 provenance, attached to it as referrers. They are made from the lock, so the same "
        "image has the same ones and another push adds nothing. A registry that takes no such documents costs a "
        "warning, with `--sbom` the push.");
    o.arg("REF", from_, "an image").required();
    o.arg("TO", to_, "where to").fallback("REF");
    o.value("sign", "KEY", key_, "sign it with the private key in this PEM file").file();
    o.value("key-password", "FILE", password_file_, "file whose first line opens the key")
        .fallback("$COSIGN_PASSWORD, or asked for")
        .file();
    o.flag("sbom", sbom_, "attach the documents also to an image without a lock, and do not end well without them");
    o.flag("no-sbom", no_sbom_, "attach none");
    o.value("builder", "URI", builder_, "who built it, for the provenance")
        .fallback("urn:slipway:local, which promises nothing");
    o.json();
    o.example("slipway push registry.example.com/team/tf29-dev:2026-05", "an image with the registry in its name");
    o.example("slipway push --sign release.key registry.example.com/team/tf29-dev:2026-05", "and sign it");
    o.example("slipway push tf29-dev registry.example.com/team/tf29-dev:2026-05", "one without");
  }

  int run(Session& s) override {
    if (sbom_ && no_sbom_) {
      throw Error(ErrorKind::Usage, "--sbom and --no-sbom contradict each other");
    }
    const auto start = std::chrono::steady_clock::now();
    const oci::Reference from = oci::Reference::parse(from_);
    const oci::Reference to = to_.empty() ? from : oci::Reference::parse(to_);
    const auto key = signing_key();
    const auto remote = connect(s, to);
    const image::StoredImage stored(require_image(s, from.text()), s.context());
    const registry::Pushed pushed = registry::push(*remote, stored.image(), to, s.store());
    const std::string& manifest = stored.image().manifest;
    const std::string type = oci::parse_manifest(manifest).media_type;
    const oci::Descriptor image =
        registry::descriptor_of(type.empty() ? std::string(oci::media::kManifest) : type, manifest);
    if (key) {
      registry::sign_image(*remote, to.repository, image.digest, image.size, image.media_type, *key);
    }
    const std::size_t attached = attach_documents(s, *remote, from, to, image);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (s.json()) {
      const codec::Json record = {
          {"digest", pushed.digest.text()}, {"reference", to.text()},    {"uploaded_bytes", pushed.uploaded_bytes},
          {"uploaded", pushed.uploaded},    {"mounted", pushed.mounted}, {"skipped", pushed.skipped},
          {"signed", key.has_value()},      {"attached", attached},      {"seconds", seconds}};
      s.print(record.dump());
      return 0;
    }
    s.say(format("Pushed {} in {}: {} uploaded ({}), {} mounted, {} there already", to.text(), human_seconds(seconds),
                 counted(pushed.uploaded, "blob"), human_size(pushed.uploaded_bytes), pushed.mounted, pushed.skipped));
    if (key) {
      s.say(format("Signed {} with {}", pushed.digest.text(), key_));
    }
    if (attached > 0) {
      s.say(format("Attached {} to it", counted(attached, "document")));
    }
    s.print(pushed.digest.text());
    return 0;
  }

 private:
  /// Returns how many documents the registry did not have yet. The image is there already, so that without --sbom a
  /// refusal is no failure.
  std::size_t attach_documents(Session& s, registry::Remote& remote, const oci::Reference& from,
                               const oci::Reference& to, const oci::Descriptor& image) const {
    if (no_sbom_) {
      return 0;
    }
    try {
      const inspect::Subject subject = inspect::Subject::open(from.text(), s.context());
      if (!subject.lock() && !sbom_) {
        return 0;
      }
      inspect::BuildRun run;
      if (!builder_.empty()) {
        run.builder = builder_;
      }
      std::vector<registry::Document> documents;
      for (inspect::Document& document : inspect::documents_of(subject, run, s.events())) {
        documents.push_back({std::move(document.media_type), std::move(document.text)});
      }
      return registry::attach(remote, to.repository, image, documents);
    } catch (const Error& e) {
      if (sbom_) {
        throw;
      }
      s.events().warn("the image is pushed, but not what it is made of: {}", e.joined());
      return 0;
    }
  }

  /// Read before any work, so that a wrong password costs nothing.
  [[nodiscard]] std::optional<registry::PrivateKey> signing_key() const {
    if (key_.empty()) {
      return std::nullopt;
    }
    return registry::PrivateKey::load(key_, [&] {
      if (!password_file_.empty()) {
        const std::string text = os::read_file(password_file_, 64u << 10);
        return text.substr(0, text.find_first_of("\r\n"));
      }
      const char* password = std::getenv("COSIGN_PASSWORD");
      return password != nullptr ? std::string(password) : ask_secret(("Password of " + key_ + ": ").c_str());
    });
  }

  std::string key_;
  std::string from_;
  std::string to_;
  std::string builder_;
  std::string password_file_;
  bool sbom_ = false;
  bool no_sbom_ = false;
};

}  // namespace

std::unique_ptr<Command> make_push() { return std::make_unique<Push>(); }

}  // namespace slip::cli

#include "command.h"
#include "core/error.h"
#include "inspect/documents.h"
#include "options.h"
#include "project.h"
#include "registry/pull.h"
#include "registry/referrers.h"
#include "remotes.h"
#include "session.h"

namespace slip::cli {
namespace {

class Sbom final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Prints what an image is made of for scanners and auditors: an SPDX 2.3 or CycloneDX 1.5 bill of materials, or "
        "its "
        "SLSA v1 provenance as an in-toto statement. Made from the lock that the image carries: every package with its "
        "version, SHA-256 and package URL, and through whom it came. Of an image without a lock, from its own "
        "records.\n\n"
        "The same image gives the same bytes.\n\n"
        "Of an image that only a registry has, what is attached to it there is printed; `--attached` asks the registry "
        "in "
        "any case. Such a document is what whoever pushed it says: of an image that you pulled, slipway makes its "
        "own.");
    o.arg("REF", name_,
          "an image: of the store, of a registry, `oci:DIR[:TAG]`, `oci-archive:FILE` or `docker-archive:FILE`")
        .fallback("the image of the project here");
    o.flag("attached", attached_, "print what is attached to the image in its registry");
    o.value("format", "NAME", format_, "what to print").choices({"spdx", "cyclonedx", "slsa"}).fallback("spdx");
    o.value("builder", "URI", builder_, "who built it, for slsa").fallback("urn:slipway:local, which promises nothing");
    o.flag("offline", offline_, "use only what the store holds");
    o.example("slipway sbom tf29-dev > tf29.spdx.json", "a bill of materials for the image");
    o.example("slipway sbom --attached registry.example.com/team/tf29-dev:2026-05", "what its registry says");
    o.example("slipway sbom --format cyclonedx oci-archive:image.tar", "the other format, of a file");
  }

  int run(Session& s) override {
    if (attached_ && offline_) {
      throw Error(ErrorKind::Usage, "--attached asks a registry, --offline forbids it");
    }
    const std::string name = name_.empty() ? open_project("", "").spec.name : name_;
    if (attached_ || only_in_registry(s, name)) {
      s.print(attached(s, oci::Reference::parse(name)));
      return 0;
    }
    const inspect::Subject subject = inspect::Subject::open(name, s.context(offline_));
    const auto components = inspect::components_of(subject, s.events());
    inspect::BuildRun run;
    if (!builder_.empty()) {
      run.builder = builder_;
    }
    s.print(format_ == "slsa"        ? inspect::provenance(subject, components, run)
            : format_ == "cyclonedx" ? inspect::cyclonedx(subject, components)
                                     : inspect::spdx(subject, components));
    return 0;
  }

 private:
  [[nodiscard]] bool only_in_registry(Session& s, const std::string& name) const {
    if (offline_ || inspect::as_file(name)) {
      return false;
    }
    const oci::Reference reference = oci::Reference::parse(name);
    return !reference.registry.empty() && !s.store().resolve(reference.text());
  }

  /// The document as the registry has it.
  std::string attached(Session& s, const oci::Reference& from) {
    const std::string type = format_ == "slsa"        ? "application/vnd.in-toto+json"
                             : format_ == "cyclonedx" ? "application/vnd.cyclonedx+json"
                                                      : "application/spdx+json";
    const auto remote = connect(s, from);
    const Digest image = registry::resolve(*remote, from).digest;
    const std::vector<std::string> found = registry::attached(*remote, from.repository, image, type);
    if (found.empty()) {
      throw Error(ErrorKind::NotFound, "`{}` has nothing of type `{}` attached to it", from.text(), type)
          .add_hint(format("pull the image and have slipway make it: `slipway pull {}`, `slipway sbom {}`", from.text(),
                           from.text()));
    }
    if (found.size() > 1) {
      s.events().info("{} such documents are attached; this is the first", found.size());
    }
    return found.front();
  }

  std::string name_;
  std::string format_ = "spdx";
  std::string builder_;
  bool offline_ = false;
  bool attached_ = false;
};

}  // namespace

std::unique_ptr<Command> make_sbom() { return std::make_unique<Sbom>(); }

}  // namespace slip::cli

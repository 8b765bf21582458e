#include "command.h"
#include "inspect/documents.h"
#include "options.h"
#include "project.h"
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
        "The same image gives the same bytes.");
    o.arg("REF", name_, "an image: of the store, `oci:DIR[:TAG]`, `oci-archive:FILE` or `docker-archive:FILE`")
        .fallback("the image of the project here");
    o.value("format", "NAME", format_, "what to print").choices({"spdx", "cyclonedx", "slsa"}).fallback("spdx");
    o.value("builder", "URI", builder_, "who built it, for slsa").fallback("urn:slipway:local, which promises nothing");
    o.flag("offline", offline_, "use only what the store holds");
    o.example("slipway sbom tf29-dev > tf29.spdx.json", "a bill of materials for the image");
    o.example("slipway sbom --format cyclonedx oci-archive:image.tar", "the other format, of a file");
  }

  int run(Session& s) override {
    const std::string name = name_.empty() ? open_project("", "").spec.name : name_;
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
  std::string name_;
  std::string format_ = "spdx";
  std::string builder_;
  bool offline_ = false;
};

}  // namespace

std::unique_ptr<Command> make_sbom() { return std::make_unique<Sbom>(); }

}  // namespace slip::cli

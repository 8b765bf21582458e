#include <nlohmann/json.hpp>

#include "command.h"
#include "core/count.h"
#include "core/text.h"
#include "inspect/verify.h"
#include "options.h"
#include "project.h"
#include "session.h"

namespace slip::cli {
namespace {

using nlohmann::json;

json or_null(const std::string& text) { return text.empty() ? json() : json(text); }

class Verify final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Makes an image again from the lock that it carries, in an empty store, and compares the bytes. Packages come "
        "from "
        "the store, each hashed again, or from their sources; slipway-init is taken out of the image and held against "
        "the "
        "lock; the project's files, a model and the program that serves it are taken out of the image, since no lock "
        "names "
        "them.\n\n"
        "Where something differs, the first layer, path and field that does is named. Exit status 1: the image is not "
        "what "
        "its lock gives.");
    o.arg("REF", name_, "an image: of the store, `oci:DIR[:TAG]`, `oci-archive:FILE` or `docker-archive:FILE`")
        .fallback("the image of the project here");
    o.flag("offline", offline_, "use only what the store holds");
    o.json();
    o.example("slipway verify tf29-dev", "prove that the image is what its lock gives");
    o.example("slipway verify --json oci-archive:image.tar", "the same of a file that somebody sent, for scripts");
  }

  int run(Session& s) override {
    const std::string name = name_.empty() ? open_project("", "").spec.name : name_;
    lock::Context& context = s.context(offline_);
    const inspect::Subject subject = inspect::Subject::open(name, context);
    const inspect::Verification v = inspect::verify(subject, context);
    if (s.json()) {
      s.print(record_of(v, name).dump());
      return v.same ? 0 : 1;
    }
    if (v.same) {
      s.say(format("Verified {}: {} made again, the same to the byte", name, counted(v.layers, "layer")));
      if (!v.taken.empty()) {
        s.say(format("  {}: taken from the image, which no lock names", join(v.taken, ", ")));
      }
      s.print(v.actual.text());
      return 0;
    }
    s.print(format("{} is {}, its lock gives {}", name, v.expected.text(), v.actual.text()));
    if (v.first) {
      print(*v.first, s);
    }
    if (v.same_content) {
      s.print("Every layer unpacks to the same bytes: another encoder compressed them");
    }
    return 1;
  }

 private:
  static void print(const inspect::Difference& d, Session& s) {
    std::string place = d.layer.empty() ? std::string("the image") : "layer " + d.layer;
    if (!d.path.empty()) {
      place += ", /" + printable(d.path);
    }
    s.print(format("First difference: {}: {}", place, d.field));
    s.print(format("  image     {}", printable(d.expected)));
    s.print(format("  from lock {}", printable(d.actual)));
  }

  static json record_of(const inspect::Verification& v, const std::string& name) {
    json first;
    if (v.first) {
      first = {{"layer", or_null(v.first->layer)},
               {"path", v.first->path.empty() ? json() : json("/" + v.first->path)},
               {"field", v.first->field},
               {"expected", v.first->expected},
               {"actual", v.first->actual}};
    }
    return {{"image", name},
            {"same", v.same},
            {"same_content", v.same_content},
            {"expected", v.expected.text()},
            {"actual", v.actual.text()},
            {"layers", v.layers},
            {"taken", v.taken},
            {"first_difference", first}};
  }

  std::string name_;
  bool offline_ = false;
};

}  // namespace

std::unique_ptr<Command> make_verify() { return std::make_unique<Verify>(); }

}  // namespace slip::cli

#include <filesystem>

#include "codec/json.h"
#include "command.h"
#include "core/error.h"
#include "nlohmann/json.hpp"
#include "options.h"
#include "os/file.h"
#include "session.h"
#include "spec/template.h"

namespace slip::cli {
namespace {

class Init final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Writes slipway.yaml into the folder. Without a template, a requirements.txt and an apt.txt that lie there are "
        "taken up; where there is neither, the template `minimal` is written.");
    o.arg("FOLDER", folder_, "where to write it").fallback("the current folder").file();
    o.value("template", 't', "NAME", template_, "what to start from").choices(spec::template_names());
    o.value("name", "NAME", name_, "the environment's name").fallback("the folder's name");
    o.flag("force", 'f', force_, "replace a slipway.yaml that is there");
    o.json();
    o.example("slipway init --template tf29", "start from TensorFlow 2.9 on Python 3.9");
    o.example("slipway init services/api", "start in another folder, from its requirements.txt");
  }

  int run(Session& s) override {
    const std::filesystem::path folder = std::filesystem::absolute(folder_.empty() ? "." : folder_).lexically_normal();
    const std::filesystem::path file = folder / "slipway.yaml";
    if (!force_ && std::filesystem::exists(file)) {
      throw Error(ErrorKind::Conflict, "`{}` is there already",
                  (std::filesystem::path(folder_) / "slipway.yaml").string())
          .add_hint("add `--force` to replace it");
    }
    const spec::Starter starter = spec::starter(folder, template_, name_);
    os::make_dirs(folder);
    os::write_file(file, starter.text);
    if (s.json()) {
      s.print(codec::Json{{"file", file.string()}, {"from", starter.from}}.dump());
    } else {
      s.say(format("Wrote slipway.yaml from {}", starter.from));
    }
    return 0;
  }

 private:
  std::string folder_;
  std::string template_;
  std::string name_;
  bool force_ = false;
};

}  // namespace

std::unique_ptr<Command> make_init() { return std::make_unique<Init>(); }

}  // namespace slip::cli

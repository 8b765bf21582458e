#include <filesystem>

#include "codec/json.h"
#include "command.h"
#include "core/error.h"
#include "nlohmann/json.hpp"
#include "options.h"
#include "os/file.h"
#include "session.h"
#include "spec/ci.h"
#include "spec/template.h"

namespace slip::cli {
namespace {

namespace fs = std::filesystem;

class Init final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Writes slipway.yaml into the folder. Without a template, a requirements.txt and an apt.txt that lie there are "
        "taken up; where there is neither, the template `minimal` is written.\n\n"
        "`--ci` also writes the file that has a CI build, test, push and sign the environment at every commit; a "
        "slipway.yaml that is there stays. Users, passwords and keys are not in it: its first lines say which "
        "variables "
        "to set.");
    o.arg("FOLDER", folder_, "where to write it").fallback("the current folder").file();
    o.value("template", 't', "NAME", template_, "what to start from").choices(spec::template_names());
    o.value("name", "NAME", name_, "the environment's name").fallback("the folder's name");
    o.value("ci", "NAME", ci_, "also write .gitlab-ci.yml, .github/workflows/slipway.yml or Jenkinsfile")
        .choices(spec::ci_names());
    o.flag("force", 'f', force_, "replace a file that is there");
    o.json();
    o.example("slipway init --template tf29", "start from TensorFlow 2.9 on Python 3.9");
    o.example("slipway init --ci gitlab", "have every commit built and pushed");
    o.example("slipway init services/api", "start in another folder, from its requirements.txt");
  }

  int run(Session& s) override {
    const fs::path folder = fs::absolute(folder_.empty() ? "." : folder_).lexically_normal();
    const fs::path file = folder / "slipway.yaml";
    codec::Json record;
    if (ci_.empty() || !template_.empty() || !fs::exists(file)) {
      const spec::Starter starter = spec::starter(folder, template_, name_);
      write(s, folder, "slipway.yaml", starter.text, starter.from);
      record = {{"file", file.string()}, {"from", starter.from}};
    } else {
      record = {{"file", file.string()}, {"from", nullptr}};
    }
    if (!ci_.empty()) {
      const spec::CiFile made = spec::ci_file(ci_, spec::load(file));
      write(s, folder, made.path, made.text, "slipway.yaml");
      s.events().info("its first lines say which variables to set in the CI");
      record["ci"] = (folder / made.path).string();
    }
    if (s.json()) {
      s.print(record.dump());
    }
    return 0;
  }

 private:
  void write(Session& s, const fs::path& folder, const std::string& path, const std::string& text,
             const std::string& from) const {
    if (!force_ && fs::exists(folder / path)) {
      throw Error(ErrorKind::Conflict, "`{}` is there already", (fs::path(folder_) / path).string())
          .add_hint("add `--force` to replace it");
    }
    os::make_dirs((folder / path).parent_path());
    os::write_file(folder / path, text);
    if (!s.json()) {
      s.say(format("Wrote {} from {}", path, from));
    }
  }

  std::string folder_;
  std::string template_;
  std::string name_;
  std::string ci_;
  bool force_ = false;
};

}  // namespace

std::unique_ptr<Command> make_init() { return std::make_unique<Init>(); }

}  // namespace slip::cli

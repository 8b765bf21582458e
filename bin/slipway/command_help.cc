#include "command.h"
#include "help.h"
#include "manual.h"
#include "options.h"
#include "os/file.h"
#include "session.h"
#include "spec/schema.h"
#include "spec/spec.h"

namespace slip::cli {
namespace {

class Help final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Shows what slipway or one command does. With `--write`, writes the reference pages and the schema of "
        "slipway.yaml instead; with `--manual`, the pages for man(1).");
    o.arg("COMMAND", command_, "which command");
    o.value("write", "FOLDER", write_, "write docs/reference and the JSON schema into this folder").file();
    o.value("manual", "FOLDER", manual_, "write the manual pages into this folder").file();
    o.example("slipway help lock", "the page of one command");
    o.example("slipway help --write docs/reference", "bring the reference pages up to date");
  }

  int run(Session& s) override {
    if (!write_.empty()) {
      const std::filesystem::path folder = write_;
      os::make_dirs(folder / "commands");
      for (const Entry& entry : commands()) {
        os::write_file(folder / "commands" / (std::string(entry.name) + ".md"), markdown_of(entry));
      }
      os::write_file(folder / "commands.md", markdown_overview());
      os::write_file(folder / "spec.md", spec::spec_reference());
      os::write_file(folder / "slipway.schema.json", spec::json_schema() + "\n");
      return 0;
    }
    if (!manual_.empty()) {
      os::make_dirs(manual_);
      for (const auto& [name, page] : manual_pages()) {
        os::write_file(std::filesystem::path(manual_) / name, page);
      }
      return 0;
    }
    s.print(command_.empty() ? overview(s.out()) : help_of(find_command(command_), s.out()));
    return 0;
  }

 private:
  std::string command_;
  std::string write_;
  std::string manual_;
};

}  // namespace

std::unique_ptr<Command> make_help() { return std::make_unique<Help>(); }

}  // namespace slip::cli

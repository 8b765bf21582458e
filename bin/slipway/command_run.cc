#include <unistd.h>

#include "command.h"
#include "core/error.h"
#include "image/build.h"
#include "launch/native.h"
#include "options.h"
#include "project.h"
#include "session.h"
#include "workspace/plan.h"

namespace slip::cli {
namespace {

class Run final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Runs a command in the environment that slipway.lock describes, building what is missing first: as an ordinary "
        "user, without capabilities, on a read-only system with a writable home and /tmp that are gone afterwards, "
        "without network. Only declared mounts are seen. The command's own exit status is passed on.");
    o.value("file", 'f', "FILE", file_, "the spec").fallback("slipway.yaml here or in a folder above").file();
    o.value("variant", "NAME", variant_, "run a variant of the spec");
    o.value("mount", 'm', "SOURCE:TARGET[:rw]", mounts_,
            "make a folder or file of the host visible inside (may be repeated)");
    o.value("env", 'e', "NAME=VALUE", env_,
            "set a variable inside; NAME alone takes the caller's value (may be repeated)");
    o.value("runtime", "NAME", runtime_, "who performs the launch plan: native, runc or crun").fallback("native");
    o.flag("plan", plan_, "print the launch plan, or the bundle of `--runtime`, and run nothing");
    o.flag("offline", offline_, "use only what the store holds");
    o.rest("COMMAND", command_, "what to run, with its arguments").required();
    o.example("slipway run -- python train.py", "run a script in the environment");
    o.example("slipway run --mount ~/data:/data -- python", "a prompt that sees a folder, read-only");
  }

  int run(Session& s) override {
    const auto runtime = launch::find_runtime(runtime_.empty() ? "native" : runtime_);
    const Project project = open_project(file_, variant_);
    const image::InitProgram init = find_init();
    const lock::Lock& lock = require_lock(project, init);
    const workspace::RunOptions options = run_options();
    lock::Context& context = s.context(offline_);
    const launch::HostId id = context.id;
    const std::filesystem::path root = image::image_root(project.spec, lock, init, context);
    launch::LaunchPlan plan = workspace::plan_run(project.spec, root, options);
    if (runtime) {
      workspace::add_init(plan);
    }
    if (plan_) {
      s.print(runtime ? launch::bundle_text(plan, *runtime, id) : launch::to_json(plan));
      return 0;
    }
    workspace::prepare_mounts(plan.mounts, project.spec.folder);
    // The lease keeps the root from `slipway gc`, which need not wait for a command that runs for days.
    const auto lease = s.store().lease_tree(root.filename().string());
    s.close_store();
    const launch::LaunchResult result = runtime
                                            ? launch::run_by_runtime(*runtime, plan, id, launch::Stdio{}, s.events())
                                            : launch::run_native(plan, id, launch::Stdio{}, s.events());
    for (const std::string& unmet : result.unmet) {
      s.events().warn("{}", unmet);
    }
    return result.status.shell_status();
  }

 private:
  [[nodiscard]] workspace::RunOptions run_options() const {
    workspace::RunOptions options;
    options.command = command_;
    for (const std::string& mount : mounts_) {
      options.mounts.push_back(workspace::parse_mount(mount, std::filesystem::current_path()));
    }
    for (const std::string& variable : env_) {
      const std::size_t equals = variable.find('=');
      const std::string name = variable.substr(0, equals);
      if (name.empty()) {
        throw Error(ErrorKind::Usage, "`{}` sets no variable: write NAME=VALUE or NAME", variable);
      }
      const char* callers = ::getenv(name.c_str());
      options.env[name] = equals != std::string::npos ? variable.substr(equals + 1) : callers == nullptr ? "" : callers;
    }
    return options;
  }

  std::string file_;
  std::string variant_;
  std::string runtime_;
  std::vector<std::string> mounts_;
  std::vector<std::string> env_;
  std::vector<std::string> command_;
  bool plan_ = false;
  bool offline_ = false;
};

}  // namespace

std::unique_ptr<Command> make_run() { return std::make_unique<Run>(); }

}  // namespace slip::cli

#include <unistd.h>

#include "command.h"
#include "core/error.h"
#include "image/build.h"
#include "launch/native.h"
#include "options.h"
#include "project.h"
#include "remotes.h"
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
    o.value("image", 'i', "REF", image_, "run this image instead; pulled when the store lacks it");
    o.value("mount", 'm', "SOURCE:TARGET[:rw]", mounts_,
            "make a folder or file of the host visible inside (may be repeated)");
    o.value("env", 'e', "NAME=VALUE", env_,
            "set a variable inside; NAME alone takes the caller's value (may be repeated)");
    o.value("gpus", "WHICH", gpus_, "GPUs of this machine: all, none, or numbers and UUIDs separated by commas")
        .fallback("all where the project's spec has `gpu:`, else none");
    o.value("runtime", "NAME", runtime_, "who performs the launch plan: native, runc or crun").fallback("native");
    o.flag("allow-mounts", allow_mounts_, "let an image mount the folders of this machine that it names");
    o.flag("plan", plan_, "print the launch plan, or the bundle of `--runtime`, and run nothing");
    o.flag("offline", offline_, "use only what the store holds");
    o.rest("COMMAND", command_, "what to run, with its arguments").required();
    o.example("slipway run -- python train.py", "run a script in the environment");
    o.example("slipway run --image registry.example.com/team/tf29-dev -- python", "without a checkout");
    o.example("slipway run --mount ~/data:/data -- python", "a prompt that sees a folder, read-only");
  }

  int run(Session& s) override {
    const auto runtime = launch::find_runtime(runtime_.empty() ? "native" : runtime_);
    workspace::RunPlan wanted = image_.empty() ? plan_of_project(s) : plan_of_image(s);
    launch::LaunchPlan& plan = wanted.plan;
    gpu::give_gpus(plan, wanted.gpu);
    const launch::HostId id = s.context(offline_).id;
    if (runtime) {
      workspace::add_init(plan);
    }
    if (plan_) {
      s.print(runtime ? launch::bundle_text(plan, *runtime, id) : launch::to_json(plan));
      return 0;
    }
    workspace::prepare_mounts(plan.mounts, folder_);
    // The lease keeps the root from `slipway gc`, which need not wait for a command that runs for days.
    const auto lease = s.store().lease_tree(plan.root.filename().string());
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
  workspace::RunPlan plan_of_project(Session& s) {
    const Project project = open_project(file_, variant_);
    const image::InitProgram init = find_init();
    const lock::Lock& lock = require_lock(project, init);
    const workspace::RunOptions options = run_options();
    folder_ = project.spec.folder;
    return workspace::plan_run(project.spec, image::image_root(project.spec, lock, init, s.context(offline_)), options);
  }

  workspace::RunPlan plan_of_image(Session& s) {
    if (!file_.empty() || !variant_.empty()) {
      throw Error(ErrorKind::Usage, "--image goes with neither --file nor --variant");
    }
    const workspace::RunOptions options = run_options();
    const Runnable image = runnable_image(s, image_, offline_);
    folder_ = std::filesystem::current_path();
    workspace::RunPlan run = workspace::plan_run_image(image.config, image.reference, image.root, options);
    check_mounts_of_image(s, image.reference, run.plan.mounts, options.mounts, allow_mounts_, plan_);
    note_gpus_of_image(s, image.reference, run.gpu);
    return run;
  }

  [[nodiscard]] workspace::RunOptions run_options() const {
    workspace::RunOptions options;
    options.command = command_;
    options.gpus = gpus_;
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

  std::filesystem::path folder_;  ///< the project's
  std::string image_;
  std::string file_;
  std::string variant_;
  std::string runtime_;
  std::string gpus_;
  std::vector<std::string> mounts_;
  std::vector<std::string> env_;
  std::vector<std::string> command_;
  bool allow_mounts_ = false;
  bool plan_ = false;
  bool offline_ = false;
};

}  // namespace

std::unique_ptr<Command> make_run() { return std::make_unique<Run>(); }

}  // namespace slip::cli

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "command.h"
#include "core/error.h"
#include "core/text.h"
#include "image/build.h"
#include "image/services.h"
#include "launch/native.h"
#include "oci/reference.h"
#include "oci/types.h"
#include "options.h"
#include "project.h"
#include "remotes.h"
#include "session.h"
#include "workspace/host.h"
#include "workspace/manage.h"
#include "workspace/plan.h"
#include "workspace/ssh_config.h"
#include "workspace/unit.h"
#include "workspaces.h"

namespace slip::cli {
namespace {

namespace fs = std::filesystem;

/// A folder or spec file is a project, anything else the reference of an image.
bool is_project(const std::string& target) {
  std::error_code none;
  return target.empty() || fs::exists(target, none) || target.starts_with('.') || target.starts_with('/');
}

class Up final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Starts the workspace of a project, building its image first where that is needed: Jupyter behind a token and "
        "SSH with keys, on ports of 127.0.0.1, as an ordinary user without capabilities on a read-only system. The "
        "home "
        "is kept, and so is what `pip install` adds, until the image changes. A workspace that runs already as asked "
        "is "
        "left alone; one whose image or settings have changed is started anew.\n\n"
        "With the reference of an image in place of a folder no checkout is needed: services come from the image, "
        "which is "
        "pulled when the store lacks it. Of a model image (`slipway ship`) the REST and gRPC ports are published.");
    o.arg("DIR|REF", target_, "a project's folder, or an image").file();
    o.value("name", 'n', "NAME", name_, "what to call the workspace").fallback("the spec's name");
    o.value("variant", "NAME", variant_, "start a variant of the spec");
    o.value("mount", 'm', "SOURCE:TARGET[:rw]", mounts_,
            "make a folder or file of the host visible inside (may be repeated)");
    o.value("env", 'e', "NAME=VALUE", env_, "set a variable inside; not for secrets (may be repeated)");
    o.value("port", 'p', "SERVICE=PORT", ports_,
            "publish `jupyter`, `ssh`, `rest` or `grpc` at this port (may be repeated)")
        .fallback("the one it had, or 8888 and 2222, or a free one");
    o.value("gpus", "WHICH", gpus_, "GPUs of this machine: all, none, or numbers and UUIDs separated by commas")
        .fallback("all where the project's spec has `gpu:`, else none");
    o.value("runtime", "NAME", runtime_, "who performs the launch plan: native, runc or crun")
        .fallback("the one it had, or native");
    o.flag("allow-mounts", allow_mounts_, "let an image mount the folders of this machine that it names");
    o.flag("no-ssh-config", no_ssh_config_, "leave ~/.ssh/config as it is");
    o.flag("enable", enable_, "also start it with the machine (root), or with your session: a systemd unit");
    o.flag("plan", plan_, "print the launch plan, or the bundle of `--runtime`, and start nothing");
    o.flag("offline", offline_, "use only what the store holds");
    o.json();
    o.example("slipway up", "start the workspace of the project here");
    o.example("slipway up tf29-dev:latest --mount ./work:/workspace/work:rw", "start one from an image");
  }

  int run(Session& s) override {
    const auto start = std::chrono::steady_clock::now();
    const auto runtime = launch::find_runtime(runtime_.empty() ? "native" : runtime_);
    workspace::UpInput input;
    workspace::Record record = is_project(target_) ? of_project(s, input.root) : of_image(s, input.root);
    const config::Config& config = s.config();
    input.dirs = config.dirs;
    const workspace::Folder folder = workspace::folder_of(config.dirs, record.name);
    launch::LaunchPlan plan = workspace::plan_up(record, folder, input.root);
    gpu::give_gpus(plan, record.gpu);  // the monitor asks again; here whoever asked is told before anything starts
    if (plan_) {
      s.print(runtime ? launch::bundle_text(plan, *runtime, launch::host_id(config.root_host_id))
                      : launch::to_json(plan));
      return 0;
    }
    workspace::prepare_mounts(record.mounts, record.project);
    input.files = workspace::host_files(config, person_home());
    input.monitor = {"/proc/self/exe", "monitor"};
    // The monitor's own folder is /, so what was relative to ours is not any more.
    ::setenv("SLIPWAY_STORE", config.dirs.store.c_str(), 1);
    ::setenv("SLIPWAY_STATE", config.dirs.state.c_str(), 1);
    ::setenv("SLIPWAY_CONFIG", config.dirs.config.c_str(), 1);
    const auto lease = s.store().lease_tree(record.root);
    s.close_store();
    const workspace::UpOutcome outcome = workspace::up(record, input, s.events());
    if (record.ssh && !no_ssh_config_) {
      include_ssh(s, config.dirs);
    }
    if (enable_) {
      const fs::path unit = workspace::enable_unit(unit_input(config.dirs), record.name);
      s.say(format("Enabled {}", unit.string()));
      if (::geteuid() != 0) {
        s.events().info("it starts with your first session; `loginctl enable-linger` makes that the machine's start");
      }
    }
    answer(s, record.name, outcome, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    return 0;
  }

 private:
  workspace::Record of_project(Session& s, fs::path& root) {
    const Project project = open_project(target_, variant_);
    const spec::Spec& spec = project.spec;
    // Before anything is built for it. Files and steps of the spec may bring services of their own.
    if (!plan_ && !image::services_recipe(spec, 0) && spec.files.empty() && spec.run.empty()) {
      throw workspace::no_services(spec.full_name() + ":latest");
    }
    const image::InitProgram init = find_init();
    const lock::Lock& lock = require_lock(project, init);
    root = image::image_root(project.spec, lock, init, s.context(offline_));
    workspace::Record record = workspace::record_of(project.spec, root, options());
    if (const auto tagged = s.store().resolve(oci::Reference::parse(record.image).text())) {
      const auto note = image::image_note(s.store(), *tagged);
      record.digest = note && note->root == record.root ? tagged->text() : "";
    }
    return record;
  }

  workspace::Record of_image(Session& s, fs::path& root) {
    const Runnable image = runnable_image(s, target_, offline_);
    root = image.root;
    const workspace::UpOptions wanted = options();
    workspace::Record record = workspace::record_of_image(image.config, image.reference, root, wanted);
    record.digest = image.digest.text();
    check_mounts_of_image(s, image.reference, record.mounts, wanted.mounts, allow_mounts_, plan_);
    note_gpus_of_image(s, image.reference, record.gpu);
    return record;
  }

  [[nodiscard]] workspace::UpOptions options() const {
    workspace::UpOptions options;
    options.name = name_;
    options.runtime = runtime_;
    options.gpus = gpus_;
    for (const std::string& mount : mounts_) {
      options.mounts.push_back(workspace::parse_mount(mount, fs::current_path()));
    }
    for (const std::string& variable : env_) {
      const std::size_t equals = variable.find('=');
      if (equals == 0 || equals == std::string::npos) {
        throw Error(ErrorKind::Usage, "`{}` sets no variable: write NAME=VALUE", variable);
      }
      options.env[variable.substr(0, equals)] = variable.substr(equals + 1);
    }
    for (const std::string& port : ports_) {
      const std::size_t equals = port.find('=');
      std::uint16_t number = 0;
      const char* end = port.data() + port.size();
      if (equals == 0 || equals == std::string::npos ||
          std::from_chars(port.data() + equals + 1, end, number).ptr != end || number == 0) {
        throw Error(ErrorKind::Usage, "`{}` is no port: write jupyter=8888 or ssh=2222", port);
      }
      options.ports[port.substr(0, equals)] = number;
    }
    return options;
  }

  static void include_ssh(Session& s, const os::HostDirs& dirs) {
    try {
      if (workspace::include_ssh_index(dirs, person_home())) {
        s.say("Included workspaces in ~/.ssh/config, so that `ssh NAME` finds them");
      }
    } catch (const Error& e) {
      s.events().warn("~/.ssh/config stays as it is ({}): use `slipway ssh`", e.what());
    }
  }

  static void answer(Session& s, const std::string& name, workspace::UpOutcome outcome, double seconds) {
    const workspace::View view = workspace::inspect(s.config().dirs, name);
    const workspace::Folder folder = workspace::folder_of(s.config().dirs, name);
    for (const std::string& unmet : view.unmet) {
      s.events().warn("{}", unmet);
    }
    if (s.json()) {
      nlohmann::json json = to_json(view, folder);
      json["outcome"] = outcome == workspace::UpOutcome::Unchanged   ? "unchanged"
                        : outcome == workspace::UpOutcome::Restarted ? "restarted"
                                                                     : "started";
      json["seconds"] = seconds;
      s.print(json.dump());
      return;
    }
    s.say(outcome == workspace::UpOutcome::Unchanged ? format("Running {} already, as asked", name)
                                                     : format("Started {} in {}", name, human_seconds(seconds)));
    if (view.record.jupyter) {
      s.print(format("Jupyter  {}  (`slipway open {}` logs in)", workspace::url_of(view.record, "jupyter"), name));
    }
    if (view.record.ssh) {
      s.print(format("SSH      ssh {}  (127.0.0.1:{})", name, view.record.ports.at("ssh")));
    }
    if (!view.record.model.empty()) {
      s.print(format("REST     {}", workspace::url_of(view.record, "rest")));
      s.print(format("gRPC     {}", workspace::url_of(view.record, "grpc")));
      return;
    }
    s.print(format("Home     {}", folder.home().string()));
    if (const std::string drift = drift_text(view); !drift.empty()) {
      s.events().info("{}", drift);
    }
  }

  std::string target_;
  std::string name_;
  std::string variant_;
  std::vector<std::string> mounts_;
  std::vector<std::string> env_;
  std::vector<std::string> ports_;
  std::string runtime_;
  std::string gpus_;
  bool no_ssh_config_ = false;
  bool enable_ = false;
  bool allow_mounts_ = false;
  bool plan_ = false;
  bool offline_ = false;
};

}  // namespace

std::unique_ptr<Command> make_up() { return std::make_unique<Up>(); }

}  // namespace slip::cli

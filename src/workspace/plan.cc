#include "workspace/plan.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/text.h"
#include "image/model_image.h"
#include "image/plan.h"
#include "os/file.h"

namespace slip::workspace {
namespace {

using Json = nlohmann::json;

/// Enough for data loaders and build tools, and an end for what forks without one.
constexpr std::uint64_t kDefaultPids = 4096;

std::filesystem::path absolute(const std::string& source, const std::filesystem::path& folder) {
  return (std::filesystem::path(source).is_absolute() ? std::filesystem::path(source) : folder / source)
      .lexically_normal();
}

void add_mount(std::vector<launch::Mount>& mounts, launch::Mount mount) {
  std::erase_if(mounts, [&](const launch::Mount& m) { return m.target == mount.target; });
  mounts.push_back(std::move(mount));
}

void add_options(Record& record, const UpOptions& options) {
  for (const launch::Mount& m : options.mounts) {
    add_mount(record.mounts, m);
  }
  for (const auto& [name, value] : options.env) {
    record.env[name] = value;
  }
  for (const auto& [service, port] : options.ports) {
    if (!record.has(service)) {
      throw Error(ErrorKind::Usage, "workspace `{}` has no service `{}` that a port could be for", record.name,
                  service);
    }
  }
  record.gpu.which = options.gpus;
  record.ports = options.ports;
  record.runtime = options.runtime;
}

/// "NAME=VALUE" entries of an image's configuration.
std::map<std::string, std::string> variables_of(const oci::ImageConfig& config) {
  std::map<std::string, std::string> variables;
  for (const std::string& variable : config.env) {
    const std::size_t equals = variable.find('=');
    variables[variable.substr(0, equals)] = equals == std::string::npos ? "" : variable.substr(equals + 1);
  }
  return variables;
}

/// What the person says, or all where the project's spec asks for CUDA. An image does not help itself to devices.
gpu::Request gpus_wanted(const std::optional<spec::Gpu>& spec, const std::string& asked) {
  return {!asked.empty() ? asked : spec ? "all" : "", spec ? spec->cuda : ""};
}

/// What the spec alone decides, be it of a project or in an image's label.
Record wanted_by(const spec::Spec& spec) {
  Record record;
  record.user = spec.user;
  record.jupyter = spec.services.jupyter.has_value();
  record.ssh = spec.services.ssh.has_value();
  record.ssh_keys = spec.services.ssh ? spec.services.ssh->keys : std::vector<std::string>{};
  record.gpu.cuda = spec.gpu ? spec.gpu->cuda : "";
  record.outbound = spec.outbound;
  record.limits = {spec.resources.memory_bytes, spec.resources.cpus, spec.resources.pids.value_or(kDefaultPids),
                   spec.resources.shm_bytes};
  return record;
}

Record from_spec_label(const spec::Spec& spec, const oci::ImageConfig& config, const std::string& reference,
                       const std::filesystem::path& root, const UpOptions& options) {
  Record record = wanted_by(spec);
  record.name = options.name.empty() ? spec.name : options.name;
  record.image = reference;
  record.root = root.filename();
  record.env = variables_of(config);
  for (const spec::MountRequest& m : spec.mounts) {
    if (std::filesystem::path(m.source).is_absolute()) {
      record.mounts.push_back({m.source, m.target, m.read_only});
    }
  }
  add_options(record, options);
  return record;
}

/// The record of a model image. Its services are the ports that clients ask.
Record from_model_label(const Json& model, const oci::ImageConfig& config, const std::string& reference,
                        const std::filesystem::path& root, const UpOptions& options) {
  Record record;
  record.model = model.at("name").get<std::string>();
  record.name = options.name.empty() ? to_lower(record.model) : options.name;
  record.image = reference;
  record.root = root.filename();
  record.user = "nonroot";
  record.outbound = false;
  record.env = variables_of(config);
  add_options(record, options);
  return record;
}

bool lies_in(const std::filesystem::path& path, const std::filesystem::path& folder) {
  const std::filesystem::path relative = path.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

}  // namespace

RunPlan plan_run(const spec::Spec& spec, const std::filesystem::path& root, const RunOptions& options) {
  launch::LaunchPlan plan;
  plan.name = spec.name;
  plan.root = root;
  plan.argv = options.command;
  plan.env = image::image_env(spec);
  plan.home = "/home/" + spec.user;
  plan.env["HOME"] = plan.home;
  plan.env["USER"] = spec.user;
  plan.env["LOGNAME"] = spec.user;
  for (const auto& [name, value] : options.env) {
    plan.env[name] = value;
  }
  plan.cwd = "/workspace";
  plan.uid = launch::InnerId{image::kUserId};
  plan.gid = launch::InnerId{image::kUserId};
  plan.hostname = spec.name;
  for (const spec::MountRequest& m : spec.mounts) {
    add_mount(plan.mounts, {absolute(m.source, spec.folder), m.target, m.read_only});
  }
  for (const launch::Mount& m : options.mounts) {
    add_mount(plan.mounts, m);
  }
  plan.limits = {spec.resources.memory_bytes, spec.resources.cpus, spec.resources.pids, spec.resources.shm_bytes};
  return {std::move(plan), gpus_wanted(spec.gpu, options.gpus)};
}

RunPlan plan_run_image(const oci::ImageConfig& config, const std::string& reference, const std::filesystem::path& root,
                       const RunOptions& options) {
  Record record;
  if (config.labels.contains("dev.slipway.spec")) {
    record = record_of_image(config, reference, root, {});
  } else {
    record.name = "image";
    record.env = variables_of(config);
  }
  launch::LaunchPlan plan;
  plan.name = record.name;
  plan.root = root;
  plan.argv = options.command;
  plan.env = record.env;
  plan.home = record.user.empty() ? "" : "/home/" + record.user;
  plan.env["HOME"] = plan.home.empty() ? "/tmp" : plan.home;
  plan.env["USER"] = record.user.empty() ? "user" : record.user;
  plan.env["LOGNAME"] = plan.env["USER"];
  for (const auto& [name, value] : options.env) {
    plan.env[name] = value;
  }
  plan.cwd = config.working_dir.empty() ? "/" : config.working_dir;
  plan.uid = launch::InnerId{image::kUserId};
  plan.gid = launch::InnerId{image::kUserId};
  plan.hostname = record.name;
  plan.mounts = record.mounts;
  for (const launch::Mount& m : options.mounts) {
    add_mount(plan.mounts, m);
  }
  plan.limits = record.limits;
  record.gpu.which = options.gpus;
  return {std::move(plan), std::move(record.gpu)};
}

void add_init(launch::LaunchPlan& plan) {
  plan.argv.insert(plan.argv.begin(), {image::kInitPath, "--"});
  plan.direct = true;
}

Record record_of(const spec::Spec& spec, const std::filesystem::path& root, const UpOptions& options) {
  Record record = wanted_by(spec);
  record.name = !options.name.empty() ? options.name : spec.full_name();
  record.image = record.name + ":latest";
  record.root = root.filename();
  record.project = spec.folder;
  record.env = image::image_env(spec);
  for (const spec::MountRequest& m : spec.mounts) {
    add_mount(record.mounts, {absolute(m.source, spec.folder), m.target, m.read_only});
  }
  add_options(record, options);
  record.gpu = gpus_wanted(spec.gpu, options.gpus);
  return record;
}

Record record_of_image(const oci::ImageConfig& config, const std::string& reference, const std::filesystem::path& root,
                       const UpOptions& options) {
  if (const auto model = config.labels.find(image::kModelLabel); model != config.labels.end()) {
    const Json json = Json::parse(model->second, nullptr, false);
    if (!json.is_object() || !json.contains("name") || !json.at("name").is_string()) {
      throw Error(ErrorKind::Invalid, "the label `{}` of image `{}` cannot be read", std::string(image::kModelLabel),
                  reference);
    }
    return from_model_label(json, config, reference, root, options);
  }
  const auto label = config.labels.find("dev.slipway.spec");
  if (label == config.labels.end()) {
    throw Error(ErrorKind::Invalid, "image `{}` was not made by slipway: it does not say which services it has",
                reference);
  }
  const spec::Spec spec =
      spec::from_json(label->second, format("the label `dev.slipway.spec` of image `{}`", reference));
  return from_spec_label(spec, config, reference, root, options);
}

launch::Mount parse_mount(const std::string& text, const std::filesystem::path& folder) {
  std::vector<std::string_view> parts = split(text, ':');
  launch::Mount mount;
  if (parts.size() == 3 && (parts[2] == "ro" || parts[2] == "rw")) {
    mount.read_only = parts[2] == "ro";
    parts.pop_back();
  }
  if (parts.size() != 2 || parts[0].empty() || !parts[1].starts_with('/')) {
    throw Error(ErrorKind::Usage, "`{}` is not a mount: write SOURCE:TARGET, SOURCE:TARGET:ro or SOURCE:TARGET:rw",
                text);
  }
  mount.source = absolute(std::string(parts[0]), folder);
  mount.target = std::string(parts[1]);
  return mount;
}

void prepare_mounts(const std::vector<launch::Mount>& mounts, const std::filesystem::path& project) {
  for (const launch::Mount& mount : mounts) {
    std::error_code ignored;
    if (std::filesystem::exists(mount.source, ignored)) {
      continue;
    }
    if (!mount.read_only && lies_in(mount.source, project)) {
      os::make_dirs(mount.source);
      continue;
    }
    throw Error(ErrorKind::NotFound, "mount `{}` at `{}`: there is no such file or folder", mount.source.string(),
                mount.target)
        .add_hint(format("make it, or change the mount in slipway.yaml"));
  }
}

}  // namespace slip::workspace

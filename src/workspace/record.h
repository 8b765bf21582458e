#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gpu/give.h"
#include "launch/plan.h"
#include "os/file.h"

namespace slip::workspace {

/// Where the way out listens inside, on 127.0.0.1: an HTTP proxy.
inline constexpr std::uint16_t kOutboundPort = 3128;

/// Everything that decides how a workspace runs, but secrets and what the host is like: enough to start it again after
/// a reboot, with no checkout at hand. Lies as workspace.json in the workspace's folder.
struct Record {
  std::string name;               ///< "tf29-dev"
  std::string image;              ///< reference, "tf29-dev:latest"
  std::string digest;             ///< of the image's manifest, "sha256:…"; empty: not tagged
  std::string root;               ///< store key of the merged root
  std::filesystem::path project;  ///< folder of the spec; empty: started from an image alone
  std::string user;               ///< name of the workspace user
  std::map<std::string, std::string> env;
  bool jupyter = false;
  bool ssh = false;
  std::string model;                  ///< what clients call the model of a model image; empty: a workspace
  std::vector<std::string> ssh_keys;  ///< public keys that may log in, besides the caller's own
  std::vector<launch::Mount> mounts;
  launch::Limits limits;
  gpu::Request gpu;
  bool outbound = true;            ///< a way out through the host
  std::string runtime = "native";  ///< who performs the launch plan, see launch::find_runtime()
  /// Port of 127.0.0.1 on the host by service; kept, so that a workspace comes back where it was.
  std::map<std::string, std::uint16_t> ports;
  /// True for a service that a port can be published for: jupyter and ssh, or rest and grpc.
  [[nodiscard]] bool has(const std::string& service) const {
    return (service == "jupyter" && jupyter) || (service == "ssh" && ssh) ||
           ((service == "rest" || service == "grpc") && !model.empty());
  }
  bool operator==(const Record&) const = default;
};

std::string to_json(const Record& record);
/// @throws Error Corrupt
Record parse_record(const std::string& json);

/// The files of one workspace, all below a folder of mode 0700.
struct Folder {
  std::filesystem::path path;  ///< STATE/workspaces/NAME
  [[nodiscard]] std::filesystem::path record() const { return path / "workspace.json"; }
  [[nodiscard]] std::filesystem::path status() const { return path / "status.json"; }
  /// Held by whoever changes the workspace (up, down), and by its monitor as long as that lives.
  [[nodiscard]] std::filesystem::path change_lock() const { return path / "change.lock"; }
  [[nodiscard]] std::filesystem::path alive_lock() const { return path / "alive.lock"; }
  [[nodiscard]] std::filesystem::path keys() const { return path / "keys"; }  ///< /run/slipway/keys inside
  [[nodiscard]] std::filesystem::path run() const { return path / "run"; }    ///< /run/slipway inside
  [[nodiscard]] std::filesystem::path home() const { return path / "home"; }
  [[nodiscard]] std::filesystem::path log() const { return path / "log"; }
  [[nodiscard]] std::filesystem::path layers() const { return path / "layers"; }
  [[nodiscard]] std::filesystem::path client_key() const { return path / "client_key"; }
  [[nodiscard]] std::filesystem::path ssh_config() const { return path / "ssh_config"; }
  [[nodiscard]] std::filesystem::path known_hosts() const { return path / "known_hosts"; }
};

/// The folder of a workspace. @throws Error Usage for a name that is none ([a-z0-9][a-z0-9._-]*, at most 63)
Folder folder_of(const os::HostDirs& dirs, const std::string& name);
/// Names of all workspaces that have a record, sorted.
std::vector<std::string> workspace_names(const os::HostDirs& dirs);
std::optional<Record> load_record(const Folder& folder);

/// The launch plan of a workspace: slipway-init of the image as PID 1 with the image's services, which listen on lo of
/// its own network namespace; home and installed packages are kept. Pure: of GPUs it holds the variables only, their
/// files come from gpu::give_gpus() at every start.
launch::LaunchPlan plan_up(const Record& record, const Folder& folder, const std::filesystem::path& root);

}  // namespace slip::workspace

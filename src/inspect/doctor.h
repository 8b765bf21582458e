#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "core/finding.h"
#include "http/client.h"
#include "store/store.h"

/// What this machine can do, tried rather than asked where that costs nothing, and what earlier kills left on it.
namespace slip::inspect {

struct DoctorInput {
  const config::Config& config;
  http::Client* http = nullptr;      ///< null: sources are not asked
  std::filesystem::path init;        ///< slipway-init as it should lie beside slipway
  std::int64_t now = 0;              ///< seconds since 1970
  std::string release = "bookworm";  ///< whose Release file the Debian sources are asked for
};

/// All checks, in a fixed order. Nothing is changed on the machine.
std::vector<Finding> examine(const DoctorInput& input);

// The parts, each over what it needs; tests make the machine up.

/// The kernel by its release text, "6.1.0-18-amd64". @source overlayfs in user namespaces: Linux 5.11
Finding check_kernel(std::string_view release);
/// The difference of a server's clock to ours. @param date  an HTTP Date header
Finding check_clock(std::string_view date, std::int64_t now);
/// Free bytes and file nodes where the store lies.
Finding check_space(std::uint64_t free_bytes, std::uint64_t free_nodes, const std::string& place);
/// NVIDIA's driver, device nodes and library, looked up below `root` ("/", or a made-up tree).
/// @source facts of NVIDIA's driver: /proc/driver/nvidia; minimum drivers of CUDA's release notes
std::vector<Finding> check_gpu(const std::filesystem::path& root);
/// Unfinished things in a store that nobody works on any more: entries of its tmp/ that no process holds.
std::vector<std::string> abandoned(const std::filesystem::path& store, std::int64_t now);

}  // namespace slip::inspect

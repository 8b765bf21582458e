#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

/// The NVIDIA driver of this machine: what is loaded, and which of its files a workspace needs.
namespace slip::gpu {

struct Gpu {
  std::string bus;     ///< "0000:00:06.0"
  std::string model;   ///< "NVIDIA H200"
  std::string uuid;    ///< "GPU-f5739083-…"
  unsigned minor = 0;  ///< of /dev/nvidiaN
};

struct Driver {
  std::string version;  ///< "580.159.04"
  std::vector<Gpu>
      gpus;  ///< in the order of their buses, which is nvidia-smi's and that of CUDA_DEVICE_ORDER=PCI_BUS_ID
};

/// What the kernel says in /proc/driver/nvidia below `root`; nullopt: no driver is loaded.
std::optional<Driver> find_driver(const std::filesystem::path& root = "/");

/// Where the host's loader looks, relative to `root`: its own folders, Debian's for the driver, and those that its
/// configuration names, such as /usr/local/nvidia/lib64 of machines whose driver is mounted.
/// @source ld.so(8), ldconfig(8)
std::vector<std::filesystem::path> library_folders(const std::filesystem::path& root = "/");

/// The folder with libcuda.so of the loaded version, relative to `root`; nullopt where there is none: another version
/// was installed since the driver was loaded.
std::optional<std::filesystem::path> driver_folder(const Driver& driver, const std::filesystem::path& root = "/");

/// True when the user of this process's workspaces may open a device node. Root's run as an id of their own, for which
/// counts what everybody may do.
bool may_open(const std::filesystem::path& node);

/// Compares two versions part by part as numbers; missing parts are 0.
bool is_older(std::string_view version, std::string_view than);

/// The oldest driver that runs programs of a CUDA version: "450.80.02" for 11.2; empty for one that is not known.
/// @source NVIDIA's table of minor version compatibility
std::string_view oldest_driver_for(std::string_view cuda);

}  // namespace slip::gpu

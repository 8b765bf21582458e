#include "gpu/driver.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "core/text.h"
#include "os/file.h"

namespace slip::gpu {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostText = 1 << 16;

std::string text_of(const fs::path& file) { return os::read_file_if_any(file, kMostText).value_or(""); }

/// "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build …"
std::string version_in(std::string_view text) {
  for (const std::string_view word : split_words(text.substr(0, text.find('\n')))) {
    if (word.find('.') != std::string_view::npos && word.find_first_not_of("0123456789.") == std::string_view::npos) {
      return std::string(word);
    }
  }
  return {};
}

Gpu gpu_in(std::string bus, std::string_view text) {
  Gpu gpu;
  gpu.bus = std::move(bus);
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
      continue;
    }
    const std::string_view key = line.substr(0, colon);
    const std::string_view value = trim(line.substr(colon + 1));
    if (key == "Model") {
      gpu.model = value;
    } else if (key == "GPU UUID") {
      gpu.uuid = value;
    } else if (key == "Device Minor") {
      std::from_chars(value.data(), value.data() + value.size(), gpu.minor);
    }
  }
  return gpu;
}

unsigned long take_part(std::string_view& version) {
  const std::size_t dot = version.find('.');
  const std::string_view part = version.substr(0, dot);
  version.remove_prefix(dot == std::string_view::npos ? version.size() : dot + 1);
  unsigned long number = 0;
  std::from_chars(part.data(), part.data() + part.size(), number);
  return number;
}

}  // namespace

std::optional<Driver> find_driver(const fs::path& root) {
  Driver driver;
  driver.version = version_in(text_of(root / "proc/driver/nvidia/version"));
  if (driver.version.empty()) {
    return std::nullopt;
  }
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(root / "proc/driver/nvidia/gpus", none)) {
    driver.gpus.push_back(gpu_in(entry.path().filename(), text_of(entry.path() / "information")));
  }
  std::ranges::sort(driver.gpus, {}, &Gpu::bus);
  return driver;
}

std::vector<fs::path> library_folders(const fs::path& root) {
  std::vector<fs::path> folders = {"usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib64", "usr/lib",
                                   "usr/lib/x86_64-linux-gnu/nvidia/current"};
  std::vector<fs::path> files;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(root / "etc/ld.so.conf.d", none)) {
    files.push_back(entry.path());
  }
  std::ranges::sort(files);
  files.push_back(root / "etc/ld.so.conf");
  for (const fs::path& file : files) {
    const std::string text = text_of(file);
    for (const std::string_view line : split(text, '\n')) {
      if (const std::string_view folder = trim(line); folder.starts_with('/')) {
        folders.emplace_back(folder.substr(1));
      }
    }
  }
  return folders;
}

std::optional<fs::path> driver_folder(const Driver& driver, const fs::path& root) {
  std::error_code none;
  for (const fs::path& folder : library_folders(root)) {
    if (fs::exists(root / folder / ("libcuda.so." + driver.version), none)) {
      return folder;
    }
  }
  return std::nullopt;
}

bool may_open(const fs::path& node) {
  constexpr fs::perms kOpen = fs::perms::others_read | fs::perms::others_write;
  std::error_code none;
  return ::geteuid() == 0 ? (fs::status(node, none).permissions() & kOpen) == kOpen
                          : ::access(node.c_str(), R_OK | W_OK) == 0;
}

bool is_older(std::string_view version, std::string_view than) {
  while (!version.empty() || !than.empty()) {
    const unsigned long a = take_part(version);
    const unsigned long b = take_part(than);
    if (a != b) {
      return a < b;
    }
  }
  return false;
}

std::string_view oldest_driver_for(std::string_view cuda) {
  const std::string_view major = cuda.substr(0, cuda.find('.'));
  return major == "11" ? "450.80.02" : major == "12" ? "525.60.13" : major == "13" ? "580.65.06" : "";
}

}  // namespace slip::gpu

#include "gpu/give.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/text.h"
#include "gpu/driver.h"

namespace slip::gpu {
namespace {

namespace fs = std::filesystem;

/// What programs that compute need: the driver's interface and NVML, the compilers behind it, debugger, video in and
/// out of models. Pictures and windows need more (libnvidia-glcore and its like), which stay outside.
/// @source libnvidia-container's classes utility, compute and video
constexpr std::array kLibraryNames = {"libcuda",
                                      "libnvidia-ml",
                                      "libnvidia-cfg",
                                      "libnvidia-ptxjitcompiler",
                                      "libnvidia-nvvm",
                                      "libnvidia-gpucomp",
                                      "libnvidia-allocator",
                                      "libnvidia-opencl",
                                      "libnvidia-pkcs11",
                                      "libnvidia-pkcs11-openssl3",
                                      "libcudadebugger",
                                      "libnvidia-encode",
                                      "libnvcuvid",
                                      "libnvidia-opticalflow"};

Error cannot_give(ErrorKind kind, const launch::LaunchPlan& plan, const std::string& why) {
  return Error(kind, "give `{}` the GPUs of this machine: {}", plan.name, why);
}

/// "libcuda" of "libcuda.so.580.159.04"; empty for what is no library.
std::string_view stem_of(std::string_view file) {
  const std::size_t so = file.find(".so");
  return so == std::string_view::npos ? std::string_view() : file.substr(0, so);
}

/// The driver's libraries under every name that they have on the host: programs ask for libcuda.so.1 and libcuda.so,
/// the libraries themselves for each other by the full version.
void add_libraries(launch::LaunchPlan& plan, const Driver& driver, const fs::path& root, const fs::path& folder) {
  const std::string ending = ".so." + driver.version;
  std::vector<launch::HostFile> found;
  for (const auto& entry : fs::directory_iterator(root / folder)) {
    const std::string name = entry.path().filename();
    std::error_code none;
    if (std::ranges::find(kLibraryNames, stem_of(name)) == kLibraryNames.end()) {
      continue;
    }
    const fs::path file = fs::canonical(entry.path(), none);
    if (!none && file.filename().string().ends_with(ending)) {
      found.push_back({file, format("{}/{}", kLibraries, name), false});
    }
  }
  std::ranges::sort(found, {}, &launch::HostFile::target);
  plan.host_files.insert(plan.host_files.end(), found.begin(), found.end());
}

void add_programs(launch::LaunchPlan& plan, const fs::path& root, const fs::path& libraries) {
  std::error_code none;
  // First the one that came with the libraries: where the driver is mounted, /usr/bin has a script that calls it there.
  for (const fs::path& folder : {libraries.parent_path() / "bin", fs::path("usr/bin")}) {
    const fs::path program = root / folder / "nvidia-smi";
    if (fs::exists(program, none)) {
      plan.host_files.push_back({fs::canonical(program), format("{}/nvidia-smi", kPrograms), false});
      return;
    }
  }
}

void add_node(launch::LaunchPlan& plan, const fs::path& root, const std::string& name, bool needed) {
  const fs::path node = root / "dev" / name;
  std::error_code none;
  if (!fs::exists(node, none)) {
    if (needed) {
      throw cannot_give(ErrorKind::Unavailable, plan, format("`/dev/{}` is missing", name))
          .add_hint("run `nvidia-modprobe -c0 -u` as root, and after every start of the machine");
    }
    return;
  }
  const bool may = may_open(node);
  if (!may && needed) {
    throw cannot_give(ErrorKind::Denied, plan, format("`/dev/{}` may not be opened by its user", name))
        .add_hint("let everybody open it (NVreg_DeviceFileMode=0666, the driver's default), or join its group");
  }
  if (may) {
    plan.host_files.push_back({node, "/dev/" + name, true});
  }
}

std::vector<Gpu> selected(const launch::LaunchPlan& plan, const Driver& driver, std::string_view selection) {
  if (selection == "all") {
    if (driver.gpus.empty()) {
      throw cannot_give(ErrorKind::Unavailable, plan, format("driver {} sees none", driver.version))
          .add_hint("`slipway doctor` looks at the machine");
    }
    return driver.gpus;
  }
  std::vector<Gpu> gpus;
  for (const std::string_view wanted : split(selection, ',')) {
    const auto at = std::ranges::find_if(driver.gpus, [&](const Gpu& gpu) {
      return wanted == gpu.uuid || wanted == std::to_string(&gpu - driver.gpus.data());
    });
    if (at == driver.gpus.end()) {
      std::vector<std::string> there;
      for (const Gpu& gpu : driver.gpus) {
        there.push_back(format("{} ({}, {})", &gpu - driver.gpus.data(), gpu.model, gpu.uuid));
      }
      throw cannot_give(ErrorKind::NotFound, plan, format("there is no GPU `{}`", printable(wanted)))
          .add_hint(there.empty() ? "this machine has none" : "there is " + join(there, ", "));
    }
    if (std::ranges::find(gpus, at->bus, &Gpu::bus) == gpus.end()) {
      gpus.push_back(*at);
    }
  }
  return gpus;
}

void check_version(const launch::LaunchPlan& plan, const Driver& driver, std::string_view cuda) {
  const std::string_view oldest = oldest_driver_for(cuda);
  if (!oldest.empty() && is_older(driver.version, oldest)) {
    throw cannot_give(ErrorKind::Unavailable, plan,
                      format("CUDA {} needs driver {} or newer, and {} is loaded", cuda, oldest, driver.version))
        .add_hint("install a newer NVIDIA driver, or run it on the CPU with `--gpus none`");
  }
}

}  // namespace

void add_variables(std::map<std::string, std::string>& env) {
  std::string& libraries = env["LD_LIBRARY_PATH"];
  if (libraries.starts_with(kLibraries)) {
    return;
  }
  libraries = libraries.empty() ? kLibraries : format("{}:{}", kLibraries, libraries);
  std::string& programs = env["PATH"];
  programs =
      programs.empty() ? format("/usr/local/bin:/usr/bin:/bin:{}", kPrograms) : format("{}:{}", programs, kPrograms);
}

void give_gpus(launch::LaunchPlan& plan, const Request& request, const fs::path& root) {
  if (!request.any()) {
    return;
  }
  const auto driver = find_driver(root);
  if (!driver) {
    throw cannot_give(ErrorKind::Unavailable, plan, "no NVIDIA driver is loaded")
        .add_hint("`--gpus none` runs it on the CPU")
        .add_hint("`slipway doctor` looks at the machine");
  }
  check_version(plan, *driver, request.cuda);
  const std::vector<Gpu> gpus = selected(plan, *driver, request.which);
  const auto folder = driver_folder(*driver, root);
  if (!folder) {
    throw cannot_give(ErrorKind::Unavailable, plan,
                      format("there is no libcuda.so.{} beside the loaded driver", driver->version))
        .add_hint("after an update of the driver: start the machine anew; else install its libraries (libcuda1)");
  }
  add_node(plan, root, "nvidiactl", true);
  add_node(plan, root, "nvidia-uvm", true);
  add_node(plan, root, "nvidia-uvm-tools", false);
  for (const Gpu& gpu : gpus) {
    add_node(plan, root, format("nvidia{}", gpu.minor), true);
  }
  add_libraries(plan, *driver, root, *folder);
  add_programs(plan, root, *folder);
  add_variables(plan.env);
}

}  // namespace slip::gpu

#include "cuda/toolkit.h"

#include <algorithm>
#include <array>
#include <span>

#include "core/error.h"
#include "core/text.h"

namespace slip::cuda {
namespace {

/// A CUDA that can be had. Of Debian's each release has one; NVIDIA's wheels suit all of them.
struct Toolkit {
  std::string_view version;
  std::string_view suite;  ///< empty: wheels
  std::string_view cupti;  ///< soname, which follows the minor version
  std::span<const std::string_view> parts;
};

// libcublasLt is needed by libcublas. cuPTI is what TensorFlow's profiler loads.
constexpr std::array<std::string_view, 7> kBullseye = {"libcublas11", "libcudart11.0", "libcufft10",   "libcupti11.2",
                                                       "libcurand10", "libcusolver11", "libcusparse11"};
constexpr std::array<std::string_view, 7> kBookworm = {"libcublas11", "libcudart11.0", "libcufft10",   "libcupti11.8",
                                                       "libcurand10", "libcusolver11", "libcusparse11"};
constexpr std::array<std::string_view, 7> kWheels117 = {
    "nvidia-cublas-cu11==11.10.*",   "nvidia-cuda-cupti-cu11==11.7.*", "nvidia-cuda-runtime-cu11==11.7.*",
    "nvidia-cufft-cu11==10.7.*",     "nvidia-curand-cu11==10.2.*",     "nvidia-cusolver-cu11==11.4.0.*",
    "nvidia-cusparse-cu11==11.7.4.*"};
constexpr std::array<std::string_view, 7> kWheels118 = {
    "nvidia-cublas-cu11==11.11.*",   "nvidia-cuda-cupti-cu11==11.8.*", "nvidia-cuda-runtime-cu11==11.8.*",
    "nvidia-cufft-cu11==10.9.*",     "nvidia-curand-cu11==10.3.*",     "nvidia-cusolver-cu11==11.4.1.*",
    "nvidia-cusparse-cu11==11.7.5.*"};

// Debian's in front: what a short "11" means.
constexpr std::array kToolkits = {
    Toolkit{"11.2.2", "bullseye", "libcupti.so.11.2", kBullseye},
    Toolkit{"11.8.0", "bookworm", "libcupti.so.11.8", kBookworm},
    Toolkit{"11.8", "", "libcupti.so.11.8", kWheels118},
    Toolkit{"11.7", "", "libcupti.so.11.7", kWheels117},
};

// What TensorFlow 2.9 to 2.14 load; CUDA 11 has kept the names throughout.
constexpr std::array<std::string_view, 7> kSonames = {"libcudart.so.11.0", "libcublas.so.11", "libcublasLt.so.11",
                                                      "libcufft.so.10",    "libcurand.so.10", "libcusolver.so.11",
                                                      "libcusparse.so.11"};

// The first is what programs name; it opens the others by name when it first needs them, and they are what needs
// cuBLAS.
constexpr std::array<std::string_view, 7> kCudnn = {
    "libcudnn.so.8",           "libcudnn_ops_infer.so.8", "libcudnn_ops_train.so.8", "libcudnn_cnn_infer.so.8",
    "libcudnn_cnn_train.so.8", "libcudnn_adv_infer.so.8", "libcudnn_adv_train.so.8"};

/// The parts that are written agree: "11" and "11.2" fit 11.2.2.
bool fits(std::string_view wanted, std::string_view version) {
  return version.starts_with(wanted) && (version.size() == wanted.size() || version[wanted.size()] == '.');
}

std::string_view major_of(std::string_view version) { return version.substr(0, version.find('.')); }

bool is_for(const Toolkit& toolkit, std::string_view suite) { return toolkit.suite.empty() || toolkit.suite == suite; }

Error refusal(const Wanted& wanted, const std::string& what) {
  return {ErrorKind::Unsupported, "{}{}", wanted.place.empty() ? std::string() : wanted.place + ": ", what};
}

const Toolkit& toolkit_for(const Wanted& wanted) {
  std::vector<std::string> have;
  for (const Toolkit& toolkit : kToolkits) {
    if (is_for(toolkit, wanted.suite)) {
      if (fits(wanted.cuda, toolkit.version)) {
        return toolkit;
      }
      const std::string from = toolkit.suite.empty() ? "NVIDIA's wheels" : "Debian's packages";
      if (std::ranges::none_of(have, [&](const std::string& h) { return h.starts_with(toolkit.version); })) {
        have.push_back(format("{} ({})", toolkit.version, from));
      }
    }
  }
  throw refusal(wanted, format("there is no CUDA {} for {}", wanted.cuda, wanted.suite))
      .add_hint("there is " + join(have, ", "));
}

void add_cudnn(const Wanted& wanted, const Toolkit& toolkit, Parts& parts) {
  if (const std::string_view major = major_of(wanted.cudnn); major != "8") {
    throw refusal(wanted, format("there is no cuDNN {} for CUDA {} here", wanted.cudnn, toolkit.version))
        .add_hint("what is built for CUDA 11 loads cuDNN 8: `cudnn: \"8\"`");
  }
  parts.requirements.push_back(format("nvidia-cudnn-cu11=={}.*", wanted.cudnn));
  parts.sonames.insert(parts.sonames.end(), kCudnn.begin(), kCudnn.end());
  if (wanted.cudnn == "8" && fits("11.2", toolkit.version)) {
    parts.constraints.push_back({"nvidia-cudnn-cu11<8.6",
                                 "cuDNN from 8.6 on is built with CUDA 11.8; 8.5 is the nearest to 11.2 that there is "
                                 "(another: `cudnn: \"8.9\"`)"});
  }
  if (!toolkit.suite.empty()) {
    parts.left_out.push_back(
        {"nvidia-cublas-cu11",
         format("whoever requires it, as nvidia-cudnn-cu11 does: Debian's libcublas11 of CUDA {} has its sonames",
                toolkit.version)});
  }
}

}  // namespace

Parts parts_of(const Wanted& wanted) {
  const Toolkit& toolkit = toolkit_for(wanted);
  if (wanted.python.empty()) {
    throw refusal(wanted, "cuDNN is a Python wheel, and this spec has no Python")
        .add_hint("name it with `python:`, or leave out `gpu:`");
  }
  Parts parts;
  std::vector<std::string>& into = toolkit.suite.empty() ? parts.requirements : parts.debs;
  into.assign(toolkit.parts.begin(), toolkit.parts.end());
  parts.sonames.assign(kSonames.begin(), kSonames.end());
  parts.sonames.emplace_back(toolkit.cupti);
  add_cudnn(wanted, toolkit, parts);
  return parts;
}

bool brings_libraries(std::string_view wheel_name) { return wheel_name.starts_with("nvidia-"); }

std::string misfit(const Build& build, std::string_view cuda, std::string_view cudnn) {
  if (build.cuda.empty()) {
    return format("{} is built without CUDA here", build.framework);
  }
  if (major_of(build.cuda) != major_of(cuda)) {
    return format("{} is built for CUDA {}, and the image brings {}", build.framework, build.cuda, cuda);
  }
  if (!build.cudnn.empty() && major_of(build.cudnn) != major_of(cudnn)) {
    return format("{} is built for cuDNN {}, and the image brings {}", build.framework, build.cudnn, cudnn);
  }
  return {};
}

}  // namespace slip::cuda

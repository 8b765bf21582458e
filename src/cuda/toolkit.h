#pragma once

#include <string>
#include <string_view>
#include <vector>

/// NVIDIA's CUDA and cuDNN: which versions there are for an image, where they come from, what goes together. Tables,
/// and what follows from them; nothing here asks the network. The driver's own libraries (libcuda, NVML) are never part
/// of an image: they must be those of the driver that the host has loaded.
namespace slip::cuda {

/// What an image is asked to bring.
struct Wanted {
  std::string cuda;    ///< "11.2", "11": the parts that are written must agree
  std::string cudnn;   ///< "8", "8.6"
  std::string suite;   ///< Debian release of the image: "bullseye"
  std::string python;  ///< "3.9"; empty: none, and then nothing that comes as a wheel can be had
  std::string place;   ///< "slipway.yaml:7:6", for messages
};

/// A constraint on a wheel, or the name of one that must not come, with the reason as the lock shows it.
struct Ruling {
  std::string text;
  std::string because;
};

/// What that comes to.
struct Parts {
  std::vector<std::string> debs;          ///< packages of Debian's component non-free; what they depend on comes too
  std::vector<std::string> requirements;  ///< PEP 508, of NVIDIA's wheels
  std::vector<Ruling> constraints;        ///< PEP 508
  std::vector<Ruling> left_out;           ///< names of wheels that others require, and that have no business here
  std::vector<std::string> sonames;       ///< what programs built for this CUDA load by name
};

/// @throws Error Unsupported: a version that nobody has for this suite (the hint names those that there are), or a spec
///         without Python
/// @source Packages indexes of bullseye and bookworm, component non-free; METADATA, SONAME and NEEDED of the wheels;
///         TensorFlow 2.9's dso_loader for the sonames
Parts parts_of(const Wanted& wanted);

/// The component that `debs` lie in.
inline constexpr std::string_view kComponent = "non-free";

/// True for wheels whose libraries programs find by their soname alone, not by a path of their own: NVIDIA's.
bool brings_libraries(std::string_view wheel_name);

/// How a framework was built, as it says itself ("11.2" and "8"; both empty: without CUDA).
struct Build {
  std::string framework;  ///< "tensorflow"
  std::string cuda;
  std::string cudnn;
};
/// Why a framework cannot use the versions that the image brings; empty: it can. Within one major version CUDA 11 and
/// cuDNN 8 keep their sonames and what they offer.
/// @source CUDA Compatibility, "minor version compatibility"; cuDNN's versioning rules
std::string misfit(const Build& build, std::string_view cuda, std::string_view cudnn);

}  // namespace slip::cuda

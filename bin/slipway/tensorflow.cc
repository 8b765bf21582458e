#include "tensorflow.h"

#include <fcntl.h>

#include <cstdlib>

#include "core/error.h"
#include "lock/packages.h"
#include "wheel/archive.h"

namespace slip::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLibrary = "libtensorflow_framework.so.2";

/// The wheel whose libraries serve models: the processor-only build of the version that images train with.
lock::Wheel runtime_wheel() {
  lock::Wheel wheel;
  wheel.name = "tensorflow-cpu";
  wheel.version = "2.9.0";
  wheel.artifact.source = "pypi";
  wheel.artifact.file = "tensorflow_cpu-2.9.0-cp39-cp39-manylinux_2_17_x86_64.manylinux2014_x86_64.whl";
  wheel.artifact.size = 207'457'565;
  wheel.artifact.sha256 = Digest::from("sha256:1e5ac63e05725c94ecde91a226caf19cd6e771f9a4171b744ff51e53aee1a810");
  return wheel;
}

/// A lease that lasts as long as the process, also when another program takes its place.
void hold(const store::Lease& lease) {
  // Not close-on-exec, and never closed by us: the end of the process gives the tree free.
  [[maybe_unused]] const int held = ::fcntl(lease.fd().get(), F_DUPFD, 3);
}

}  // namespace

fs::path find_tensorflow(Session& s, bool offline) {
  if (const char* given = std::getenv("SLIPWAY_TENSORFLOW"); given != nullptr && *given != '\0') {
    if (!fs::exists(fs::path(given) / kLibrary)) {
      throw Error(ErrorKind::NotFound, "use TensorFlow in `{}`, which SLIPWAY_TENSORFLOW names", given)
          .add_cause(std::string("it holds no ") + kLibrary);
    }
    return given;
  }
  const fs::path installed = fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "lib/slipway/tensorflow";
  if (fs::exists(installed / kLibrary)) {
    return installed;
  }
  lock::Context& context = s.context(offline);
  const lock::Wheel wheel = runtime_wheel();
  lock::fetch_wheels({&wheel, 1}, context);
  const wheel::WheelInput input{context.store.blob_path(wheel.artifact.sha256), wheel.artifact.file,
                                wheel.artifact.sha256, false};
  const fs::path tree = wheel::unpack(input, context.store, context.id);
  if (const auto lease = context.store.lease_tree(tree.filename().string())) {
    hold(*lease);
  }
  return tree / "root/tensorflow";
}

}  // namespace slip::cli

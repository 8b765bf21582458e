#include "tensorflow.h"

#include <fcntl.h>

#include <algorithm>
#include <cstdlib>

#include "core/error.h"
#include "lock/packages.h"
#include "model/runtime.h"
#include "wheel/archive.h"

namespace slip::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLibrary = "libtensorflow_framework.so.2";

/// The wheel whose libraries serve a model: of the version that wrote it when the runtime lock has that one.
lock::Wheel runtime_wheel(const std::string& version) {
  const lock::Lock runtime = model::parse_runtime(model::kRuntimeLock, "runtime.lock", Digest{});
  const bool known = std::ranges::any_of(runtime.wheels, [&](const lock::Wheel& w) { return w.version == version; });
  return model::with_tensorflow(runtime, known ? version : std::string(model::kDefaultTensorflow)).wheels.at(0);
}

/// A lease that lasts as long as the process, also when another program takes its place.
void hold(const store::Lease& lease) {
  // Not close-on-exec, and never closed by us: the end of the process gives the tree free.
  [[maybe_unused]] const int held = ::fcntl(lease.fd().get(), F_DUPFD, 3);
}

}  // namespace

fs::path find_tensorflow(Session& s, const std::string& version, bool offline) {
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
  const lock::Wheel wheel = runtime_wheel(version);
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

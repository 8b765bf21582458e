#include "serving/tf/api.h"

#include <dlfcn.h>

#include <string>

#include "core/error.h"
#include "serving/tf/python_stubs.h"

namespace slip::serving {
namespace {

void* open_library(const std::filesystem::path& path, int flags) {
  if (!std::filesystem::exists(path)) {
    throw Error(ErrorKind::NotFound, "load `{}`: no such file", path.string())
        .add_hint(
            "name the `tensorflow` folder of an unpacked tensorflow-cpu 2.9 wheel with --tensorflow=FOLDER or "
            "SLIPWAY_TENSORFLOW");
  }
  void* handle = ::dlopen(path.c_str(), flags);
  if (handle == nullptr) {
    throw Error(ErrorKind::Unsupported, "load `{}`: {}", path.string(), ::dlerror());
  }
  return handle;
}

template <class F>
void bind(void* library, const char* name, F*& into) {
  into = reinterpret_cast<F*>(::dlsym(library, name));
  if (into == nullptr) {
    throw Error(ErrorKind::Unsupported, "load TensorFlow: its libraries have no function `{}`", name)
        .add_hint("use the libraries of TensorFlow 2.9");
  }
}

}  // namespace

const TfApi& load_tensorflow(const std::filesystem::path& folder) {
  // One table per process, as the libraries are: a second copy of TensorFlow in a process does not work.
  static const TfApi api = [&] {
    keep_python_stubs();
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx")) {
      throw Error(ErrorKind::Unsupported, "load TensorFlow: this processor has no AVX, which its wheels require");
    }
#endif
    const auto absolute = std::filesystem::absolute(folder);
    open_library(absolute / "libtensorflow_framework.so.2", RTLD_NOW | RTLD_LOCAL);
    void* library =
        open_library(absolute / "python/_pywrap_tensorflow_internal.so", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    TfApi loaded;
#define SLIP_TF_BIND(name, ...) bind(library, "TF_" #name, loaded.name);
    SLIP_TF_FUNCTIONS(SLIP_TF_BIND)
#undef SLIP_TF_BIND
    return loaded;
  }();
  return api;
}

}  // namespace slip::serving

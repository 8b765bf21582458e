#include "model/runtime.h"

#include <algorithm>

#include "codec/layer.h"
#include "core/error.h"
#include "core/text.h"
#include "deb/deb.h"

namespace slip::model {
namespace {

constexpr std::string_view kHead =
    "# What every model image stands on: the packages of its system and the CPU wheels whose libraries it runs.\n"
    "# Written by `slipway ship --update`; do not edit it. Of the packages only what the programs need enters an "
    "image; of the\n"
    "# wheels the one whose version the model was trained with.\n";

bool is_own_line(std::string_view line) {
  return line.starts_with('#') || line.starts_with("encoder = ") || line.starts_with("slipway-init = ");
}

}  // namespace

lock::Lock parse_runtime(std::string_view text, const std::string& file_name, const Digest& init) {
  return lock::from_toml(format("{}encoder = \"{}\"\nslipway-init = \"{}\"\n", text, codec::encoder_id(), init.text()),
                         file_name);
}

std::string runtime_text(const lock::Lock& runtime) {
  std::string text(kHead);
  const std::string whole = lock::to_toml(runtime);
  for (const std::string_view line : split(trim(whole), '\n')) {
    if (!is_own_line(line)) {
      text.append(line).append("\n");
    }
  }
  return text;
}

lock::Lock with_tensorflow(lock::Lock runtime, const std::string& version) {
  std::vector<std::string> known;
  for (const lock::Wheel& w : runtime.wheels) {
    known.push_back(w.version);
  }
  std::erase_if(runtime.wheels, [&](const lock::Wheel& w) { return w.version != version; });
  if (runtime.wheels.empty()) {
    throw Error(ErrorKind::Unsupported, "the model was trained with TensorFlow {}, this runtime has {}", version,
                join(known, ", "))
        .add_hint("train with one of these, or serve the model with that TensorFlow's own server");
  }
  return runtime;
}

std::string tensorflow_of(const lock::Lock& training, const std::string& file_name) {
  for (const lock::Wheel& w : training.wheels) {
    if (w.name == "tensorflow" || w.name == "tensorflow-cpu" || w.name == "tensorflow-gpu") {
      return w.version;
    }
  }
  throw Error(ErrorKind::NotFound, "{} locks no TensorFlow, so it did not train this model", file_name)
      .add_hint("name the lock of the environment that the model was trained in, or leave `--lock` out");
}

lock::Lock updated(const lock::Lock& runtime, lock::Context& context) {
  std::vector<deb::Request> requests;
  for (const lock::Deb& d : runtime.debs) {
    requests.push_back({d.name, "", "runtime"});
  }
  const deb::Solution solution =
      deb::solve(runtime.suite, requests, false, context.config, context.http, context.store, context.events);
  lock::Lock fresh = runtime;
  fresh.snapshot = solution.snapshot;
  for (lock::Deb& d : fresh.debs) {
    const auto found = std::find_if(solution.packages.begin(), solution.packages.end(),
                                    [&](const deb::Candidate& c) { return c.name == d.name; });
    SLIP_CHECK(found != solution.packages.end());
    d.version = found->version;
    d.arch = found->arch;
    d.artifact = {found->alias, found->path, found->size, found->sha256};
  }
  if (fresh.debs == runtime.debs) {
    fresh.snapshot = runtime.snapshot;  // an archive that was only dated anew changes no byte
  }
  return fresh;
}

}  // namespace slip::model

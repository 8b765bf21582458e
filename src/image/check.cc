#include "image/check.h"

#include <algorithm>
#include <map>
#include <set>

#include <nlohmann/json.hpp>
#include "codec/json.h"
#include "codec/sha256.h"
#include "core/count.h"
#include "core/text.h"
#include "cuda/toolkit.h"
#include "lock/packages.h"
#include "lock/solve.h"

namespace slip::image {
namespace {

using codec::Json;

constexpr std::string_view kBucket = "import";

// What is loaded by soname, with every symbol bound, by the image's own loader: first, because a module may bring a
// library by a path that only it knows. Then each module on its own, all in one process: one interpreter start, and
// shared dependencies load once. Last what TensorFlow says it was built for.
constexpr const char* kProbe = R"(
import ctypes, importlib, json, os, sys, traceback
modules, libraries = json.loads(sys.argv[1])
failed, missing, built = {}, {}, {}
for name in libraries:
    try:
        ctypes.CDLL(name, mode=os.RTLD_NOW)
    except OSError as error:
        missing[name] = str(error)
for name in modules:
    try:
        importlib.import_module(name)
    except BaseException as error:
        failed[name] = traceback.format_exception_only(type(error), error)[-1].strip()
describe = getattr(getattr(sys.modules.get('tensorflow'), 'sysconfig', None), 'get_build_info', None)  # since 2.3
if libraries and describe:
    info = describe()
    built['tensorflow'] = {'cuda': str(info.get('cuda_version') or ''), 'cudnn': str(info.get('cudnn_version') or '')}
sys.stdout.flush()
print('\n' + json.dumps({'imports': failed, 'libraries': missing, 'builds': built}))
)";

struct Module {
  std::string name;
  std::string wheel;  ///< empty: named by the spec
};

/// name → names it may need, by METADATA; markers and extras ignored, so rather too many than too few.
std::map<std::string, std::set<std::string>> dependency_graph(const std::vector<wheel::WheelInput>& inputs,
                                                              const lock::Lock& lock) {
  std::map<std::string, std::set<std::string>> graph;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    for (const std::string& needed : wheel::required_names(inputs[i])) {
      graph[lock.wheels[i].name].insert(needed);
    }
  }
  return graph;
}

/// Digest of a wheel with everything below it: unchanged means the import works as it did.
Digest closure_digest(const std::string& name, const std::map<std::string, std::set<std::string>>& graph,
                      const lock::Lock& lock) {
  std::set<std::string> closure = {name};
  std::vector<std::string> open = {name};
  while (!open.empty()) {
    const std::string next = open.back();
    open.pop_back();
    if (const auto found = graph.find(next); found != graph.end()) {
      for (const std::string& needed : found->second) {
        if (closure.insert(needed).second) {
          open.push_back(needed);
        }
      }
    }
  }
  codec::Sha256 hash;
  for (const lock::Deb& deb : lock.debs) {
    hash.update(as_bytes(deb.artifact.sha256.hex()));
  }
  for (const lock::Wheel& w : lock.wheels) {
    if (name.empty() || closure.contains(w.name)) {
      hash.update(as_bytes(" " + w.artifact.sha256.hex()));
    }
  }
  return hash.finish();
}

std::vector<Module> modules_to_check(const spec::Spec& spec, const lock::Lock& lock,
                                     const std::vector<wheel::WheelInput>& inputs) {
  std::vector<Module> modules;
  if (!spec.import_check.empty()) {
    for (const std::string& name : spec.import_check) {
      modules.push_back({name, ""});
    }
    return modules;
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (lock.wheels[i].why != "requirement") {
      continue;
    }
    for (const std::string& name : wheel::top_level_modules(inputs[i])) {
      modules.push_back({name, lock.wheels[i].name});
    }
  }
  return modules;
}

Error import_error(const Json& failed, std::size_t modules) {
  Error error(ErrorKind::Invalid, "import check: {} of {} modules cannot be imported", failed.size(), modules);
  for (const auto& [name, why] : failed.items()) {
    error.add_cause(format("`import {}`: {}", name, printable(why.get<std::string>())));
  }
  error.add_hint(
      "pin another version of what the message names; `import-check: false` in slipway.yaml switches the check off");
  return error;
}

/// What is missing would be told by nobody at run time: frameworks then compute on the CPU without a word.
void refuse_unusable_gpu(const Json& found, const spec::Gpu& gpu) {
  if (const Json& missing = found.at("libraries"); !missing.empty()) {
    Error error(ErrorKind::Invalid, "GPU check: {} of CUDA {} and cuDNN {} cannot be loaded in the image",
                counted(missing.size(), "shared object"), gpu.cuda, gpu.cudnn);
    for (const auto& [name, why] : missing.items()) {
      error.add_cause(printable(why.get<std::string>()));
    }
    error.add_hint("name other versions with `gpu:`; `import-check: false` in slipway.yaml switches the check off");
    throw error;
  }
  for (const auto& [framework, build] : found.at("builds").items()) {
    const std::string why = cuda::misfit(
        {framework, build.at("cuda").get<std::string>(), build.at("cudnn").get<std::string>()}, gpu.cuda, gpu.cudnn);
    if (!why.empty()) {
      throw Error(ErrorKind::Invalid, "GPU check: {}: it would run on the CPU", why)
          .add_hint("require a release built for them, or name others with `gpu:`; `tensorflow-cpu` has no CUDA at all")
          .add_hint("`import-check: false` in slipway.yaml switches the check off");
    }
  }
}

/// What is to be tried that this store does not know to work.
struct Questions {
  std::vector<std::string> modules;
  std::vector<std::string> libraries;
  std::vector<std::string> records;  ///< that the answers are kept under
  [[nodiscard]] bool any() const noexcept { return !records.empty(); }
  [[nodiscard]] std::string title() const {
    std::vector<std::string> parts;
    if (!modules.empty()) {
      parts.push_back(counted(modules.size(), "module"));
    }
    if (!libraries.empty()) {
      parts.push_back(counted(libraries.size(), "shared object") + " of CUDA");
    }
    return join(parts, ", ");
  }
};

Questions questions_of(const spec::Spec& spec, const lock::Lock& lock, const std::vector<wheel::WheelInput>& inputs,
                       const store::Store& store) {
  const auto graph = dependency_graph(inputs, lock);
  Questions questions;
  const std::string whole = closure_digest("", graph, lock).hex();
  if (spec.gpu) {
    const std::string record = format("gpu-2 {} {} {}", spec.gpu->cuda, spec.gpu->cudnn, whole);
    if (!store.record(kBucket, record)) {
      questions.libraries = lock::cuda_parts(spec).sonames;
      questions.records.push_back(record);
    }
  }
  for (const Module& module : modules_to_check(spec, lock, inputs)) {
    const std::string record = module.name + " " + closure_digest(module.wheel, graph, lock).hex();
    // What a framework was built for is asked of the module itself.
    if (!store.record(kBucket, record) || !questions.libraries.empty()) {
      questions.modules.push_back(module.name);
      questions.records.push_back(record);
    }
  }
  return questions;
}

Json ask(const Questions& questions, const spec::Spec& spec, Engine& engine, lock::Context& context) {
  const os::TempDir scratch = context.store.temp_dir("import-");
  launch::Sandbox::Options options;
  options.lower = engine.root();
  options.scratch = scratch.path();
  options.id = context.id;
  options.emulate_ownership = false;
  launch::Sandbox sandbox(std::move(options), context.events);
  const launch::SandboxRun ran = sandbox.run({std::string(kPrefix) + "/bin/python", "-c", kProbe,
                                              Json::array({Json(questions.modules), Json(questions.libraries)})
                                                  .dump(-1, ' ', false, Json::error_handler_t::replace)},
                                             image_env(spec));
  const std::size_t line = ran.output.rfind("\n{");
  Json found = line == std::string::npos ? Json() : Json::parse(ran.output.substr(line + 1), nullptr, false);
  // A module may print something of its own when the process ends.
  const bool answered =
      found.is_object() && found.contains("imports") && found.contains("libraries") && found.contains("builds");
  if (!ran.status.ok() || !answered) {
    Error error(ErrorKind::Invalid, "import check: {}", ran.status.text());
    for (const std::string_view text : split(trim(ran.output), '\n')) {
      error.add_cause(printable(text));
    }
    throw error;
  }
  return found;
}

}  // namespace

void check_imports(const spec::Spec& spec, const lock::Lock& lock, Engine& engine, lock::Context& context) {
  if (lock.wheels.empty() || spec.import_check == std::vector<std::string>{"none"}) {
    return;
  }
  const std::string done_key = lock::digest(lock).hex() + " " + spec.digest().hex();
  if (context.store.record(kBucket, done_key)) {
    return;
  }
  const wheel::Target target = lock::target_of(lock.debs, lock.suite, lock.python, context);
  const Questions questions = questions_of(spec, lock, lock::wheel_files(lock, target, context), context.store);
  if (questions.any()) {
    Task task(context.events, "Importing", questions.title());
    const Json found = ask(questions, spec, engine, context);
    if (const Json& failed = found.at("imports"); !failed.empty()) {
      throw import_error(failed, questions.modules.size());
    }
    if (spec.gpu) {
      refuse_unusable_gpu(found, *spec.gpu);
    }
    for (const std::string& record : questions.records) {
      context.store.set_record(kBucket, record, "ok");
    }
    task.succeed();
  }
  context.store.set_record(kBucket, done_key, "ok");
}

}  // namespace slip::image

#include "image/check.h"

#include <algorithm>
#include <map>
#include <set>

#include <nlohmann/json.hpp>
#include "codec/json.h"
#include "codec/sha256.h"
#include "core/text.h"
#include "lock/packages.h"

namespace slip::image {
namespace {

using codec::Json;

constexpr std::string_view kBucket = "import";

// Each module on its own, all in one process: one interpreter start, and shared dependencies load once.
constexpr const char* kImport = R"(
import importlib, json, sys, traceback
failed = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except BaseException as error:
        failed[name] = traceback.format_exception_only(type(error), error)[-1].strip()
sys.stdout.flush()
print('\n' + json.dumps(failed))
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

Error import_error(const Json& failed, const std::vector<Module>& modules) {
  Error error(ErrorKind::Invalid, "import check: {} of {} modules cannot be imported", failed.size(), modules.size());
  for (const auto& [name, why] : failed.items()) {
    error.add_cause(format("`import {}`: {}", name, printable(why.get<std::string>())));
  }
  error.add_hint(
      "pin another version of what the message names; `import-check: false` in slipway.yaml switches the check off");
  return error;
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
  const std::vector<wheel::WheelInput> inputs = lock::wheel_files(lock, target, context);
  const auto graph = dependency_graph(inputs, lock);
  std::vector<std::string> argv = {std::string(kPrefix) + "/bin/python", "-c", kImport};
  std::vector<std::string> records;
  const std::vector<Module> modules = modules_to_check(spec, lock, inputs);
  for (const Module& module : modules) {
    const std::string record = module.name + " " + closure_digest(module.wheel, graph, lock).hex();
    if (!context.store.record(kBucket, record)) {
      argv.push_back(module.name);
      records.push_back(record);
    }
  }
  if (!records.empty()) {
    Task task(context.events, "Importing", format("{} modules", records.size()));
    const os::TempDir scratch = context.store.temp_dir("import-");
    launch::Sandbox::Options options;
    options.lower = engine.root();
    options.scratch = scratch.path();
    options.id = context.id;
    options.emulate_ownership = false;
    launch::Sandbox sandbox(std::move(options), context.events);
    const launch::SandboxRun ran = sandbox.run(argv, image_env(spec));
    const std::size_t line = ran.output.rfind("\n{");
    const Json failed = line == std::string::npos ? Json() : Json::parse(ran.output.substr(line + 1), nullptr, false);
    if (!ran.status.ok() || !failed.is_object()) {
      Error error(ErrorKind::Invalid, "import check: {}", ran.status.text());
      for (const std::string_view text : split(trim(ran.output), '\n')) {
        error.add_cause(printable(text));
      }
      throw error;
    }
    if (!failed.empty()) {
      throw import_error(failed, modules);
    }
    for (const std::string& record : records) {
      context.store.set_record(kBucket, record, "ok");
    }
    task.succeed();
  }
  context.store.set_record(kBucket, done_key, "ok");
}

}  // namespace slip::image

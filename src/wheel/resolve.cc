#include <algorithm>
#include <ctime>
#include <map>
#include <set>
#include <utility>

#include "core/error.h"
#include "core/text.h"
#include "wheel/choice.h"
#include "wheel/explain.h"
#include "wheel/gaps.h"
#include "wheel/index.h"
#include "wheel/name.h"
#include "wheel/sdist.h"
#include "wheel/uv.h"
#include "wheel/wheel.h"

namespace slip::wheel {
namespace {

/// Midnight UTC of today: locks of one day agree.
std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm tm{};
  ::gmtime_r(&now, &tm);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT00:00:00Z", &tm);
  return text;
}

std::map<std::string, std::string> versions_of(const std::vector<Pin>& pins) {
  std::map<std::string, std::string> versions;
  for (const Pin& pin : pins) {
    versions[pin.name] = pin.version;
  }
  return versions;
}

/// Of "numpy==1.26.4" lines.
std::map<std::string, std::string> versions_of(const std::vector<std::string>& pins) {
  std::map<std::string, std::string> versions;
  for (const std::string& pin : pins) {
    const std::size_t equals = pin.find("==");
    versions[pin.substr(0, equals)] = equals == std::string::npos ? "" : pin.substr(equals + 2);
  }
  return versions;
}

const std::string& by_text(const AddedConstraint& added) { return added.constraint; }

std::string why_of(const Pin& pin, const std::map<std::string, std::string>& direct) {
  if (const auto found = direct.find(pin.name); found != direct.end()) {
    return found->second;
  }
  return pin.via.empty() ? "requirement" : "needed by " + *std::min_element(pin.via.begin(), pin.via.end());
}

class Resolver {
 public:
  Resolver(const ResolveRequest& request, const Target& target, const config::Config& config, http::Client& client,
           store::Store& store, const launch::HostId& id, Events& events)
      : request_(request),
        target_(target),
        config_(config),
        client_(client),
        store_(store),
        id_(id),
        events_(events),
        uv_(target, config, client, store, id, events) {}

  Resolution resolve() {
    Resolution result;
    result.exclude_newer = request_.exclude_newer.empty() ? today() : request_.exclude_newer;
    Task task(events_, "Resolving", format("{} Python requirements", request_.requirements.size()));
    const std::vector<Pin> pins = solve(result);
    std::map<std::string, std::string> direct;
    std::map<std::string, std::vector<std::string>> hashes;
    for (const Requirement& r : request_.requirements) {
      const std::string name = requirement_name(r.text);
      direct.try_emplace(name, r.why);
      hashes[name].insert(hashes[name].end(), r.hashes.begin(), r.hashes.end());
    }
    result.files = files_of(pins, result.exclude_newer, hashes);
    for (std::size_t i = 0; i < pins.size(); ++i) {
      result.files[i].why = why_of(pins[i], direct);
    }
    result.tools = {uv_.wheel()};
    build_sdists(result);
    task.succeed();
    return result;
  }

 private:
  /// Resolves, adds what metadata does not say, and resolves again until nothing is to be added.
  std::vector<Pin> solve(Resolution& result) {
    CompileRequest compile;
    for (const Requirement& r : request_.requirements) {
      compile.requirements.push_back(r.text);
    }
    compile.preferences = request_.preferences;
    compile.excludes = request_.left_out;
    compile.exclude_newer = result.exclude_newer;
    compile.alias = request_.alias;
    // What the previous lock held tells, as a rule, what is going to be added: one question less for uv. It is a guess:
    // a constraint that only it gave is dropped again.
    std::vector<AddedConstraint> added = missing_constraints(versions_of(request_.preferences), request_.overruled);
    bool guessed = !added.empty();
    for (int round = 0; round < 6; ++round) {
      const std::vector<AddedConstraint> all = with_asked_for(added);
      compile.constraints.clear();
      for (const AddedConstraint& a : all) {
        compile.constraints.push_back(a.constraint);
      }
      CompileAnswer answer = uv_.compile(compile);
      if (!answer.solved && !guessed) {
        throw explain(request_, compile, answer, all, target_, config_, client_, uv_);
      }
      std::vector<AddedConstraint> needed = missing_constraints(versions_of(answer.pins), request_.overruled);
      if (std::exchange(guessed, false) && !std::ranges::includes(needed, added, {}, by_text, by_text)) {
        added.clear();
        continue;
      }
      for (const AddedConstraint& a : added) {
        const bool there = std::any_of(needed.begin(), needed.end(),
                                       [&](const AddedConstraint& n) { return n.constraint == a.constraint; });
        if (!there) {
          needed.push_back(a);
        }
      }
      std::ranges::sort(needed, {}, by_text);
      if (needed == added) {
        for (const AddedConstraint& a : all) {
          result.added.emplace_back(a.constraint, a.because);
        }
        return std::move(answer.pins);
      }
      added = std::move(needed);
    }
    throw Error(ErrorKind::Internal, "the added constraints did not settle");
  }

  /// Constraints that the request itself brings, and those of the table of gaps.
  [[nodiscard]] std::vector<AddedConstraint> with_asked_for(std::vector<AddedConstraint> added) const {
    for (const auto& [constraint, because] : request_.constraints) {
      added.push_back({constraint, because, requirement_name(constraint)});
    }
    std::ranges::sort(added, {}, by_text);
    return added;
  }

  std::vector<File> files_of(const std::vector<Pin>& pins, const std::string& exclude_newer,
                             const std::map<std::string, std::vector<std::string>>& hashes) {
    std::vector<Wanted> wanted;
    for (const Pin& pin : pins) {
      const auto required = hashes.find(pin.name);
      wanted.push_back(
          {pin.name, pin.version, required == hashes.end() ? std::vector<std::string>{} : required->second});
    }
    return choose_files(wanted, request_.alias, target_, exclude_newer, config_, client_, store_);
  }

  void ensure_blob(const File& file) {
    if (!store_.has_blob(file.sha256)) {
      http::Download job;
      job.urls = {file.url};
      job.target = store_.partial_path(file.sha256);
      job.size = file.size;
      job.sha256 = file.sha256;
      job.label = file.name + " " + file.version;
      client_.download({&job, 1});
      store_.adopt_blob(job.target, file.sha256);
    }
  }

  /// Locks what the sdists are built with, and builds each once: the wheel's digest goes into the lock.
  void build_sdists(Resolution& result) {
    std::map<std::string, File> tools;
    for (const File& file : result.files) {
      if (!file.sdist) {
        continue;
      }
      ensure_blob(file);
      CompileRequest compile;
      compile.requirements = build_requirements(store_.blob_path(file.sha256), file.file);
      // Old code bases build with a setuptools that still has what they use.
      compile.constraints = {"setuptools<81"};
      compile.exclude_newer = result.exclude_newer;
      compile.alias = request_.alias;
      for (const auto& [name, tool] : tools) {
        compile.preferences.push_back(name + "==" + tool.version);
      }
      const CompileAnswer answer = uv_.compile(compile);
      if (!answer.solved) {
        Error error(ErrorKind::Conflict, "{} {} has no wheel, and what it says it is built with cannot be had",
                    file.name, file.version);
        error.add_cause(answer.explanation);
        throw error;
      }
      std::vector<WheelInput> inputs;
      for (File& tool : files_of(answer.pins, result.exclude_newer, {})) {
        if (tool.sdist) {
          throw Error(ErrorKind::Unsupported, "building {} {} needs {} {}, which has no wheel either", file.name,
                      file.version, tool.name, tool.version);
        }
        ensure_blob(tool);
        inputs.push_back({store_.blob_path(tool.sha256), tool.file, tool.sha256, false});
        tool.why = "needed by " + file.name;
        tools.emplace(tool.name, tool);
      }
      Built built = build_sdist(store_.blob_path(file.sha256), file.file, inputs, target_, store_, id_, events_);
      for (const Pin& pin : answer.pins) {
        built.with.push_back(pin.name + "==" + pin.version);
      }
      std::sort(built.with.begin(), built.with.end());
      result.built.emplace(file.name, std::move(built));
    }
    for (auto& [name, tool] : tools) {
      result.build_tools.push_back(std::move(tool));
    }
  }

  const ResolveRequest& request_;
  const Target& target_;
  const config::Config& config_;
  http::Client& client_;
  store::Store& store_;
  launch::HostId id_;
  Events& events_;
  Uv uv_;
};

}  // namespace

Resolution resolve(const ResolveRequest& request, const Target& target, const config::Config& config,
                   http::Client& client, store::Store& store, const launch::HostId& id, Events& events) {
  return Resolver(request, target, config, client, store, id, events).resolve();
}

std::map<Digest, std::string> locate(std::span<const File> files, const std::string& alias,
                                     const config::Config& config, http::Client& client, store::Store&) {
  std::set<std::string> names;
  for (const File& file : files) {
    names.insert(file.name);
  }
  const auto pages = fetch_index({names.begin(), names.end()}, alias, config, client);
  std::map<Digest, std::string> urls;
  for (const File& file : files) {
    const auto page = pages.find(file.name);
    if (page != pages.end()) {
      for (const IndexFile& offered : page->second) {
        if (offered.sha256 == file.sha256) {
          urls[file.sha256] = offered.url;
          break;
        }
      }
    }
    if (!urls.contains(file.sha256)) {
      throw Error(ErrorKind::NotFound, "the index `{}` has no `{}` with SHA-256 {}", alias, file.file,
                  file.sha256.brief())
          .add_hint(
              format("it may have been taken back there; `slipway lock --update {}` locks another version", file.name));
    }
  }
  return urls;
}

}  // namespace slip::wheel

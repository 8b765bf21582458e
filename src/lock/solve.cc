#include "lock/solve.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/suggest.h"
#include "core/text.h"
#include "lock/compression.h"
#include "lock/packages.h"
#include "lock/split.h"
#include "wheel/name.h"

namespace slip::lock {
namespace {

std::vector<deb::Request> debian_requests(const spec::Spec& spec) {
  std::vector<deb::Request> requests;
  for (const spec::AptRequest& apt : spec.apt) {
    const std::size_t equals = apt.text.find('=');
    deb::Request request;
    request.name = apt.text.substr(0, equals);
    request.version = equals == std::string::npos ? std::string() : apt.text.substr(equals + 1);
    request.place = format("{}:{}:{}", apt.place.file, apt.place.line, apt.place.column);
    requests.push_back(std::move(request));
  }
  for (const Implied& implied : implied_debs(spec)) {
    requests.push_back({implied.text, "", implied.why, implied.component});
  }
  return requests;
}

Deb to_deb(const deb::Candidate& candidate) {
  return {candidate.name,
          candidate.version,
          candidate.arch,
          {candidate.alias, candidate.path, candidate.size, candidate.sha256},
          "",
          candidate.why};
}

/// A requested package is "apt" to the solver; say which service asked for it.
void name_services(std::vector<Deb>& debs, const spec::Spec& spec) {
  std::map<std::string, std::string> implied;
  for (const Implied& i : implied_debs(spec)) {
    implied[i.text] = i.why;
  }
  for (const spec::AptRequest& apt : spec.apt) {
    implied.erase(apt.text.substr(0, apt.text.find('=')));
  }
  for (Deb& deb : debs) {
    if (const auto found = implied.find(deb.name); found != implied.end() && deb.why == "apt") {
      deb.why = found->second;
    }
  }
}

/// True when the previous Debian packages are exactly what these requests would keep: same suite, every request
/// there, nothing that was requested then and is not now.
bool debs_still_fit(const Lock& previous, const spec::Spec& spec, const std::vector<deb::Request>& requests,
                    const SolveOptions& options) {
  if (previous.suite != spec.suite || (previous.python.empty() != spec.python.empty()) || options.update_all) {
    return false;
  }
  std::map<std::string, const Deb*> by_name;
  for (const Deb& deb : previous.debs) {
    by_name[deb.name] = &deb;
  }
  std::set<std::string> wanted;
  for (const deb::Request& request : requests) {
    const auto found = by_name.find(request.name);
    if (found == by_name.end() || (!request.version.empty() && found->second->version != request.version)) {
      return false;
    }
    wanted.insert(request.name);
  }
  for (const std::string& base : deb::base_requests(spec.suite, !spec.python.empty())) {
    if (!by_name.contains(base)) {
      return false;
    }
  }
  for (const std::string& name : options.update) {
    if (by_name.contains(name)) {
      return false;
    }
  }
  return std::all_of(previous.debs.begin(), previous.debs.end(), [&](const Deb& deb) {
    return deb.why == "base" || deb.why.starts_with("needed by ") || wanted.contains(deb.name);
  });
}

void solve_debian(Lock& lock, const spec::Spec& spec, const SolveOptions& options, Context& context) {
  const std::vector<deb::Request> requests = debian_requests(spec);
  if (options.previous && debs_still_fit(*options.previous, spec, requests, options)) {
    lock.debs = options.previous->debs;
    lock.snapshot = options.previous->snapshot;
    return;
  }
  const deb::Solution solution = deb::solve(spec.suite, requests, !spec.python.empty(), context.config, context.http,
                                            context.store, context.events);
  for (const deb::Candidate& candidate : solution.packages) {
    lock.debs.push_back(to_deb(candidate));
  }
  name_services(lock.debs, spec);
  lock.snapshot = solution.snapshot;
  for (const std::string& note : solution.notes) {
    context.events.warn("{}", note);
  }
  // A Release file that was only dated anew must not change a single byte of the image.
  if (options.previous && options.previous->suite == spec.suite) {
    const auto same = [](const Deb& a, const Deb& b) { return a.artifact == b.artifact && a.name == b.name; };
    if (std::equal(lock.debs.begin(), lock.debs.end(), options.previous->debs.begin(), options.previous->debs.end(),
                   same)) {
      lock.snapshot = options.previous->snapshot;
    }
  }
}

Wheel to_wheel(const wheel::File& file, const std::string& alias) {
  Wheel w;
  w.name = file.name;
  w.version = file.version;
  w.artifact = {alias, file.file, file.size, file.sha256};
  w.why = file.why;
  return w;
}

/// What `gpu:` leaves out, but for what the spec names itself.
std::vector<LeftOut> left_out_of(const spec::Spec& spec) {
  std::vector<LeftOut> left_out;
  for (const cuda::Ruling& wheel : cuda_parts(spec).left_out) {
    const bool asked_for = std::ranges::any_of(
        spec.requirements, [&](const spec::Requirement& r) { return wheel::requirement_name(r.text) == wheel.text; });
    if (!asked_for && std::ranges::count(spec.overrule, wheel.text) == 0) {
      left_out.push_back({wheel.text, wheel.because});
    }
  }
  return left_out;
}

wheel::ResolveRequest python_request(const spec::Spec& spec, const SolveOptions& options) {
  wheel::ResolveRequest request;
  for (const spec::Requirement& r : spec.requirements) {
    request.requirements.push_back(
        {r.text, r.hashes, format("{}:{}:{}", r.place.file, r.place.line, r.place.column), "requirement"});
  }
  for (const Implied& implied : implied_requirements(spec)) {
    request.requirements.push_back({implied.text, {}, implied.why, implied.why});
  }
  const cuda::Parts cuda = cuda_parts(spec);
  for (const cuda::Ruling& constraint : cuda.constraints) {
    if (std::ranges::count(spec.overrule, wheel::requirement_name(constraint.text)) == 0) {
      request.constraints.emplace_back(constraint.text, constraint.because);
    }
  }
  for (const LeftOut& wheel : left_out_of(spec)) {
    request.left_out.push_back(wheel.name);
  }
  request.overruled = spec.overrule;
  request.exclude_newer = spec.exclude_newer;
  if (options.previous && !options.update_all) {
    if (request.exclude_newer.empty() && options.update.empty()) {
      request.exclude_newer = options.previous->exclude_newer;
    }
    for (const Wheel& w : options.previous->wheels) {
      if (std::find(options.update.begin(), options.update.end(), w.name) == options.update.end()) {
        request.preferences.push_back(w.name + "==" + w.version);
      }
    }
  }
  return request;
}

void solve_python(Lock& lock, const spec::Spec& spec, const SolveOptions& options, Context& context) {
  const wheel::Target target = target_of(lock.debs, spec.suite, spec.python, context);
  const wheel::ResolveRequest request = python_request(spec, options);
  const wheel::Resolution found =
      wheel::resolve(request, target, context.config, context.http, context.store, context.id, context.events);
  lock.python = spec.python;
  lock.exclude_newer = found.exclude_newer;
  for (const wheel::File& file : found.files) {
    Wheel w = to_wheel(file, request.alias);
    if (const auto built = found.built.find(file.name); built != found.built.end()) {
      w.built = Wheel::Built{built->second.file, built->second.size, built->second.sha256, built->second.with};
    }
    lock.wheels.push_back(std::move(w));
  }
  for (const wheel::File& file : found.build_tools) {
    lock.build_tools.push_back(to_wheel(file, request.alias));
  }
  for (const wheel::File& file : found.tools) {
    lock.tools.push_back(to_wheel(file, request.alias));
  }
  for (const auto& [constraint, because] : found.added) {
    lock.added.push_back({constraint, because});
  }
  lock.left_out = left_out_of(spec);
}

/// Names that may move, as the lock spells them. @throws Error NotFound for one that is not in the lock
std::vector<std::string> names_to_update(const SolveOptions& options) {
  if (!options.previous) {
    return options.update;
  }
  std::vector<std::string> known;
  for (const Deb& deb : options.previous->debs) {
    known.push_back(deb.name);
  }
  for (const Wheel& w : options.previous->wheels) {
    known.push_back(w.name);
  }
  std::vector<std::string> names;
  for (const std::string& name : options.update) {
    const std::string spelt = std::ranges::count(known, name) != 0 ? name : wheel::normalise(name);
    if (std::ranges::count(known, spelt) == 0) {
      Error error(ErrorKind::NotFound, "`{}` is not in the lock, so it cannot be updated", name);
      if (const auto near = nearest(spelt, known)) {
        error.add_hint(format("did you mean `{}`?", *near));
      }
      throw error;
    }
    names.push_back(spelt);
  }
  return names;
}

}  // namespace

cuda::Parts cuda_parts(const spec::Spec& spec) {
  if (!spec.gpu) {
    return {};
  }
  const spec::Place& place = spec.gpu->place;
  return cuda::parts_of({spec.gpu->cuda, spec.gpu->cudnn, spec.suite, spec.python,
                         place.line == 0 ? std::string() : format("{}:{}:{}", place.file, place.line, place.column)});
}

std::vector<Implied> implied_debs(const spec::Spec& spec) {
  std::vector<Implied> implied;
  if (spec.services.ssh) {
    // What editors and copy tools expect at the far end of an SSH connection.
    for (const char* name :
         {"libnss-wrapper", "openssh-server", "openssh-sftp-server", "procps", "rsync", "xz-utils"}) {
      implied.push_back({name, "service ssh"});
    }
  }
  for (const std::string& name : cuda_parts(spec).debs) {
    implied.push_back({name, kGpu, std::string(cuda::kComponent)});
  }
  return implied;
}

namespace {

/// The classic notebook, which the extensions are for. Before 6.5.7 its metadata lets in releases of jupyter-client,
/// pyzmq and traitlets that it does not start with. What it wants has no wheels from Python 3.12 on: there the next
/// one.
const char* notebook_for(const std::string& python) {
  return wheel::compare_release(python, "3.12") < 0 ? "notebook>=6.5.7,<7" : "notebook>=7";
}

}  // namespace

std::vector<Implied> implied_requirements(const spec::Spec& spec) {
  std::vector<Implied> implied;
  if (spec.python.empty()) {
    return implied;
  }
  if (!spec.requirements.empty() || spec.services.jupyter) {
    implied.push_back({"pip", "base"});
  }
  if (spec.services.jupyter) {
    if (!spec.services.jupyter->lab || !spec.services.jupyter->nbextensions.empty()) {
      implied.push_back({notebook_for(spec.python), "service jupyter"});
    }
    implied.push_back({"ipykernel", "service jupyter"});
    if (!spec.services.jupyter->nbextensions.empty()) {
      implied.push_back({"jupyter-contrib-nbextensions", "service jupyter"});
    }
    if (spec.services.jupyter->lab) {
      implied.push_back({"jupyterlab", "service jupyter"});
    }
  }
  for (const std::string& requirement : cuda_parts(spec).requirements) {
    implied.push_back({requirement, kGpu});
  }
  return implied;
}

namespace {

bool holds_cuda(const Lock& lock, const spec::Spec& spec) {
  const cuda::Parts parts = cuda_parts(spec);
  return std::ranges::all_of(parts.debs,
                             [&](const std::string& name) {
                               return std::ranges::find(lock.debs, name, &Deb::name) != lock.debs.end();
                             }) &&
         std::ranges::all_of(parts.requirements, [&](const std::string& text) {
           return std::ranges::find(lock.wheels, wheel::requirement_name(text), &Wheel::name) != lock.wheels.end();
         });
}

}  // namespace

std::string stale_reason(const Lock& lock, const spec::Spec& spec, const Digest& init) {
  if (lock.spec != spec.digest()) {
    return "the spec was changed after it was locked";
  }
  const std::string encoder = codec::encoder_id(compression_of(lock));
  if (lock.encoder != encoder) {
    return format("it was locked for the encoder `{}`, this slipway has `{}`", lock.encoder, encoder);
  }
  if (!holds_cuda(lock, spec)) {
    return "it was locked by a slipway that brought no CUDA";
  }
  if (lock.init != init) {
    return format("it names slipway-init {}, this slipway brings {}", lock.init.brief(), init.brief());
  }
  return {};
}

Lock solve(const spec::Spec& spec, const SolveOptions& wanted, Context& context) {
  SolveOptions options = wanted;
  options.update = names_to_update(wanted);
  if (options.previous && options.update.empty() && !options.update_all &&
      stale_reason(*options.previous, spec, options.init).empty()) {
    return *options.previous;
  }
  Lock lock;
  lock.spec = spec.digest();
  lock.suite = spec.suite;
  lock.encoder = codec::encoder_id(options.previous ? compression_of(*options.previous) : codec::Compression::Gzip);
  lock.init = options.init;
  solve_debian(lock, spec, options, context);
  if (!spec.python.empty() && !(spec.requirements.empty() && implied_requirements(spec).empty())) {
    solve_python(lock, spec, options, context);
  } else {
    lock.python = spec.python;
  }
  split_layers(lock);
  return lock;
}

}  // namespace slip::lock

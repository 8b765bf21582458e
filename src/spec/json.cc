// The spec as canonical JSON: what its digest is made of and what an image's label holds.
#include <nlohmann/json.hpp>

#include "codec/sha256.h"
#include "spec/spec.h"

namespace slip::spec {
namespace {

// nlohmann::json keeps keys sorted and dumps without blanks; numbers here are integers, so the text is canonical.
using Json = nlohmann::json;

Json services_json(const Services& services) {
  Json out = Json::object();
  if (services.jupyter) {
    out["jupyter"] = {{"nbextensions", services.jupyter->nbextensions}, {"lab", services.jupyter->lab}};
  }
  if (services.ssh) {
    out["ssh"] = Json::object();  // keys are personal: they never enter an image, its label or the lock
  }
  return out;
}

Json resources_json(const Resources& r) {
  Json out = Json::object();
  if (r.memory_bytes) {
    out["memory"] = *r.memory_bytes;
  }
  if (r.cpus) {
    out["millicpus"] = static_cast<std::uint64_t>(*r.cpus * 1000 + 0.5);
  }
  if (r.pids) {
    out["pids"] = *r.pids;
  }
  if (r.shm_bytes) {
    out["shm"] = *r.shm_bytes;
  }
  return out;
}

/// Empty values are left out, so that a key that is added to slipway later changes no digest of today.
void put(Json& out, const char* key, Json value) {
  if (!value.empty() && value != "") {
    out[key] = std::move(value);
  }
}

}  // namespace

std::string to_json(const Spec& spec) {
  Json out = {{"name", spec.name}, {"debian", spec.suite}, {"user", spec.user}};
  put(out, "variant", spec.variant);
  put(out, "python", spec.python);
  Json requirements = Json::array();
  for (const Requirement& r : spec.requirements) {
    Json one = {{"text", r.text}};
    put(one, "hashes", r.hashes);
    requirements.push_back(std::move(one));
  }
  put(out, "requirements", std::move(requirements));
  Json apt = Json::array();
  for (const AptRequest& a : spec.apt) {
    apt.push_back(a.text);
  }
  put(out, "apt", std::move(apt));
  Json files = Json::array();
  for (const FileMapping& f : spec.files) {
    files.push_back({{"source", f.source}, {"target", f.target}});
  }
  put(out, "files", std::move(files));
  put(out, "env", spec.env);
  put(out, "services", services_json(spec.services));
  Json mounts = Json::array();
  for (const MountRequest& m : spec.mounts) {
    mounts.push_back({{"source", m.source}, {"target", m.target}, {"read_only", m.read_only}});
  }
  put(out, "mounts", std::move(mounts));
  put(out, "resources", resources_json(spec.resources));
  Json run = Json::array();
  for (const RunStep& step : spec.run) {
    run.push_back({{"command", step.command}, {"network", step.network}});
  }
  put(out, "run", std::move(run));
  if (spec.gpu) {
    out["gpu"] = {{"cuda", spec.gpu->cuda}, {"cudnn", spec.gpu->cudnn}};
  }
  put(out, "overrule", spec.accept_gaps);
  put(out, "exclude_newer", spec.exclude_newer);
  put(out, "import_check", spec.import_check);
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Digest Spec::digest() const { return codec::sha256(to_json(*this)); }

}  // namespace slip::spec

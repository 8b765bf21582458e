// The spec as canonical JSON: what its digest is made of and what an image's label holds.
#include <nlohmann/json.hpp>

#include "codec/json.h"
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
  // Left out where it is the default: specs from before this key keep their digest.
  if (!spec.outbound) {
    out["network"] = "none";
  }
  Json run = Json::array();
  for (const RunStep& step : spec.run) {
    run.push_back({{"command", step.command}, {"network", step.network}});
  }
  put(out, "run", std::move(run));
  if (spec.gpu) {
    out["gpu"] = {{"cuda", spec.gpu->cuda}, {"cudnn", spec.gpu->cudnn}};
  }
  put(out, "overrule", spec.overrule);
  put(out, "exclude_newer", spec.exclude_newer);
  put(out, "import_check", spec.import_check);
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

namespace {

/// Reads what to_json() wrote. Members of the wrong type throw nlohmann's errors, which from_json() turns into ours.
Spec read_spec(const Json& in) {
  const auto text = [&](const Json& from, const char* key) { return from.value(key, std::string()); };
  const auto list = [&](const char* key) { return in.value(key, Json::array()); };
  Spec spec;
  spec.name = in.at("name").get<std::string>();
  spec.suite = in.at("debian").get<std::string>();
  spec.user = in.at("user").get<std::string>();
  spec.variant = text(in, "variant");
  spec.python = text(in, "python");
  for (const Json& r : list("requirements")) {
    spec.requirements.push_back(
        {r.at("text").get<std::string>(), r.value("hashes", std::vector<std::string>()), Place{}});
  }
  for (const Json& a : list("apt")) {
    spec.apt.push_back({a.get<std::string>(), Place{}});
  }
  for (const Json& f : list("files")) {
    spec.files.push_back({f.at("source").get<std::string>(), f.at("target").get<std::string>(), Place{}});
  }
  spec.env = in.value("env", std::map<std::string, std::string>());
  const Json services = in.value("services", Json::object());
  if (services.contains("jupyter")) {
    const Json& jupyter = services.at("jupyter");
    spec.services.jupyter =
        Jupyter{jupyter.value("nbextensions", std::vector<std::string>()), jupyter.value("lab", false)};
  }
  if (services.contains("ssh")) {
    spec.services.ssh = Ssh{};
  }
  for (const Json& m : list("mounts")) {
    spec.mounts.push_back(
        {m.at("source").get<std::string>(), m.at("target").get<std::string>(), m.at("read_only").get<bool>(), Place{}});
  }
  const Json resources = in.value("resources", Json::object());
  const auto number = [&](const char* key) -> std::optional<std::uint64_t> {
    if (!resources.contains(key)) {
      return std::nullopt;
    }
    const Json& value = resources.at(key);
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > (std::uint64_t{1} << 50)) {
      throw Error(ErrorKind::Invalid, "`resources.{}` must be a number that is not negative", key);
    }
    return value.get<std::uint64_t>();
  };
  spec.resources = {number("memory"), std::nullopt, number("pids"), number("shm")};
  if (const auto millis = number("millicpus")) {
    spec.resources.cpus = static_cast<double>(*millis) / 1000;
  }
  spec.outbound = text(in, "network") != "none";
  for (const Json& step : list("run")) {
    spec.run.push_back({step.at("command").get<std::string>(), step.at("network").get<bool>(), Place{}});
  }
  if (in.contains("gpu")) {
    spec.gpu = Gpu{in.at("gpu").at("cuda").get<std::string>(), in.at("gpu").at("cudnn").get<std::string>(), Place{}};
  }
  spec.overrule = in.value("overrule", std::vector<std::string>());
  spec.exclude_newer = text(in, "exclude_newer");
  spec.import_check = in.value("import_check", std::vector<std::string>());
  return spec;
}

}  // namespace

Spec from_json(std::string_view json, const std::string& name) {
  codec::parse_json(json, name, {.max_size = 4u << 20, .max_depth = 16});  // limits, and errors with line and column
  try {
    Spec spec = read_spec(Json::parse(json));
    if (to_json(spec) != json) {
      throw Error(ErrorKind::Unsupported, "{}: it holds something that this slipway does not know", name)
          .add_hint("a newer slipway made it: use that one");
    }
    return spec;
  } catch (const Json::exception& e) {
    throw Error(ErrorKind::Invalid, "{}: {}", name, e.what());
  }
}

Digest Spec::digest() const { return codec::sha256(to_json(*this)); }

}  // namespace slip::spec

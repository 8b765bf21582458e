#include "wheel/uv.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "codec/zip.h"
#include "core/error.h"
#include "core/text.h"
#include "core/time.h"
#include "os/file.h"
#include "wheel/name.h"

namespace slip::wheel {
namespace {

namespace fs = std::filesystem;

// The static build: it needs nothing of the root it runs in.
constexpr const char* kVersion = "0.13.9";
constexpr const char* kFile = "uv-0.13.9-py3-none-musllinux_1_1_x86_64.whl";
constexpr const char* kSha256 = "2c45530751517d6c3bbc69a19473f6effe47cce047bede01ffd8af7ea7b36b25";
constexpr std::uint64_t kSize = 19295638;

constexpr const char* kInside = "/mnt/slipway";

void give_to(const fs::path& path, const launch::HostId& id) {
  if (::geteuid() == 0) {
    os::call(::chown, path.c_str(), static_cast<uid_t>(id.uid), static_cast<gid_t>(id.gid))
        .or_throw("give `{}` to the sandbox", path.string());
  }
}

/// uv's progress and warnings say nothing about why.
std::string without_noise(std::string_view text) {
  std::string kept;
  for (const std::string_view line : split(text, '\n')) {
    if (!trim(line).empty() && !line.starts_with("warning:") && !line.starts_with("Resolved ")) {
      kept += std::string(line) + "\n";
    }
  }
  return kept;
}

/// uv's own settings: the indexes in their order, and how long what it has seen of them holds. A page that was read
/// after the time up to which uploads count has everything that counts, so it is not asked for again, nor are files,
/// which never change (a TOML text may be written as JSON writes it). uv searches the default index last, whatever its
/// place.
std::string settings_of(const std::vector<std::string>& indexes, const std::string& exclude_newer) {
  const auto limit = parse_rfc3339(exclude_newer);
  const std::int64_t age = limit ? std::time(nullptr) - *limit : 0;
  std::string text;
  for (const std::string& index : indexes) {
    text += format("[[index]]\nurl = {}\n", codec::Json(index).dump());
    text += format("cache-control = {{ api = \"max-age={}\", files = \"max-age=31536000, immutable\" }}\n",
                   std::max<std::int64_t>(age, 0));
    text += &index == &indexes.back() ? "default = true\n" : "";
  }
  return text;
}

std::string lines_of(const std::vector<std::string>& lines) { return join(lines, "\n") + "\n"; }

}  // namespace

Uv::Uv(const Target& target, const config::Config& config, http::Client& client, store::Store& store,
       const launch::HostId& id, Events& events)
    : target_(target), config_(config), client_(client), store_(store), id_(id), events_(events) {
  wheel_.name = "uv";
  wheel_.version = kVersion;
  wheel_.file = kFile;
  wheel_.size = kSize;
  wheel_.sha256 = Digest::from(kSha256);
  wheel_.why = "resolves the requirements";
}

void Uv::fetch(const std::string& alias) {
  if (!program_.empty()) {
    return;
  }
  if (!store_.has_blob(wheel_.sha256)) {
    const auto urls = locate({&wheel_, 1}, alias, config_, client_, store_);
    http::Download job;
    job.urls = {urls.at(wheel_.sha256)};
    job.target = store_.partial_path(wheel_.sha256);
    job.size = wheel_.size;
    job.sha256 = wheel_.sha256;
    job.label = format("uv {}", kVersion);
    client_.download({&job, 1});
    store_.adopt_blob(job.target, wheel_.sha256);
  }
  const fs::path tree = store_.ensure_tree(format("uv-{}", wheel_.sha256.hex()), [&](const fs::path& into) {
    const os::Mapping archive(store_.blob_path(wheel_.sha256));
    for (const codec::ZipEntry& entry : codec::read_zip(archive.bytes(), kFile)) {
      if (entry.name.ends_with("/scripts/uv")) {
        os::AtomicFile out(into / "uv", 0755);
        os::FdSink sink(out.fd().get(), "uv");
        codec::extract_zip(archive.bytes(), entry, sink, kFile);
        out.commit();
      }
    }
  });
  program_ = tree / "uv";
}

CompileAnswer Uv::compile(const CompileRequest& request) {
  fetch(request.alias);
  const os::TempDir scratch = store_.temp_dir("uv-");
  const fs::path io = scratch.path() / "io";
  os::make_dirs(io, 0755);
  os::write_file(io / "requirements.in", lines_of(request.requirements));
  os::write_file(io / "constraints.txt", lines_of(request.constraints));
  os::write_file(io / "excludes.txt", lines_of(request.excludes));
  if (!request.preferences.empty()) {
    os::write_file(io / "out.txt", lines_of(request.preferences));
    give_to(io / "out.txt", id_);
  }
  const fs::path cache = store_.root() / "uv-cache";
  os::make_dirs(cache, 0755);
  give_to(io, id_);
  give_to(cache, id_);

  launch::Sandbox::Options options;
  options.lower = target_.root;
  options.scratch = scratch.path() / "sandbox";
  os::make_dirs(options.scratch, 0755);
  options.id = id_;
  options.network = launch::Network::Host;
  options.emulate_ownership = false;
  options.mounts = {{io, std::string(kInside) + "/io", false},
                    {cache, std::string(kInside) + "/cache", false},
                    {program_.parent_path(), std::string(kInside) + "/bin", true}};
  const fs::path settings = io / "uv.toml";  // an index's address may hold a password
  os::write_file(settings, settings_of(config::require_python(config_, request.alias), request.exclude_newer), 0600);
  give_to(settings, id_);
  std::map<std::string, std::string> env = {{"UV_CACHE_DIR", std::string(kInside) + "/cache"},
                                            {"UV_CONFIG_FILE", std::string(kInside) + "/io/uv.toml"},
                                            {"UV_PYTHON_DOWNLOADS", "never"},
                                            {"UV_NO_PROGRESS", "1"},
                                            {"UV_LINK_MODE", "copy"},
                                            {"NO_COLOR", "1"},
                                            {"UV_HTTP_TIMEOUT", "60"},
                                            {"UV_EXCLUDE_NEWER", request.exclude_newer}};
  if (!config_.ca_file.empty()) {
    options.mounts.push_back({fs::canonical(config_.ca_file), std::string(kInside) + "/ca.pem", true});
    env["SSL_CERT_FILE"] = std::string(kInside) + "/ca.pem";
  }
  for (const auto& [name, value] : {std::pair{"HTTP_PROXY", config_.http_proxy},
                                    {"HTTPS_PROXY", config_.https_proxy},
                                    {"NO_PROXY", config_.no_proxy}}) {
    if (!value.empty()) {
      env[name] = value;
    }
  }
  launch::Sandbox sandbox(std::move(options), events_);
  const launch::SandboxRun ran =
      sandbox.run({std::string(kInside) + "/bin/uv", "pip", "compile", "--python", "/usr/bin/python" + target_.python,
                   "--no-header", "--annotation-style", "split", "--constraints", "constraints.txt", "--excludes",
                   "excludes.txt", "--output-file", "out.txt", "--quiet", "requirements.in"},
                  env, std::string(kInside) + "/io");
  CompileAnswer answer;
  if (ran.status.ok()) {
    answer.solved = true;
    answer.pins = parse_pins(os::read_file(io / "out.txt"));
    return answer;
  }
  answer.explanation = without_noise(ran.output);
  if (answer.explanation.find("No solution found") == std::string::npos &&
      answer.explanation.find("unsatisfiable") == std::string::npos) {
    Error error(ErrorKind::Unavailable, "resolve the Python requirements: uv ended with {}", ran.status.text());
    for (const std::string_view line : split(trim(answer.explanation), '\n')) {
      error.add_cause(printable(trim(line)));
    }
    throw error;
  }
  return answer;
}

std::vector<Pin> parse_pins(std::string_view text) {
  std::vector<Pin> pins;
  bool below_via = false;
  for (const std::string_view raw : split(text, '\n')) {
    const std::string_view line = trim(raw);
    if (line.empty()) {
      continue;
    }
    if (!raw.starts_with(' ') && !line.starts_with('#')) {
      const std::size_t equals = line.find("==");
      if (equals == std::string_view::npos) {
        throw Error(ErrorKind::Internal, "uv answered `{}`, which pins nothing", printable(line));
      }
      std::string_view version = line.substr(equals + 2);
      version = trim(version.substr(0, version.find_first_of(" ;\\")));
      pins.push_back({requirement_name(line), std::string(version), {}});
      below_via = false;
      continue;
    }
    if (pins.empty() || !line.starts_with('#')) {
      continue;
    }
    std::string_view note = trim(line.substr(1));
    if (note.starts_with("via")) {
      note = trim(note.substr(3));
      below_via = true;
    }
    if (!below_via || note.empty() || note.starts_with("-r ") || note.starts_with("-c ")) {
      continue;
    }
    pins.back().via.push_back(requirement_name(note));
  }
  std::sort(pins.begin(), pins.end(), [](const Pin& a, const Pin& b) { return a.name < b.name; });
  return pins;
}

}  // namespace slip::wheel

#include "wheel/sdist.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "codec/compress.h"
#include "codec/sha256.h"
#include "codec/tar.h"
#include "core/error.h"
#include "core/text.h"
#include "core/toml.h"
#include "core/utf8.h"
#include "os/file.h"
#include "wheel/archive.h"
#include "wheel/wheel.h"

namespace slip::wheel {
namespace {

namespace fs = std::filesystem;

constexpr const char* kInside = "/mnt/slipway";

// The front end of a build: unpacks, reads which back end to call, calls it. argv: archive, out folder.
constexpr const char* kBuild = R"(
import glob, importlib, os, re, sys, tarfile, zipfile
os.umask(0o022)
archive, out = sys.argv[1:3]
work = '/tmp/build'
os.makedirs(work)
if archive.endswith('.zip'):
    zipfile.ZipFile(archive).extractall(work)
else:
    with tarfile.open(archive) as tar:
        for member in tar:
            name = os.path.normpath(member.name)
            if name.startswith(('/', '..')) or not (member.isfile() or member.isdir()):
                continue
            member.uid = member.gid = 0
            member.mode = 0o755 if member.isdir() or member.mode & 0o111 else 0o644
            member.mtime = int(os.environ['SOURCE_DATE_EPOCH'])
            tar.extract(member, work, set_attrs=True)
top = [p for p in glob.glob(work + '/*') if os.path.isdir(p)]
if len(top) != 1:
    sys.exit('the archive does not hold one folder')
os.chdir(top[0])
backend, path = 'setuptools.build_meta:__legacy__', []
if os.path.exists('pyproject.toml'):
    try:
        import tomllib as toml
    except ImportError:
        try:
            import tomli as toml
        except ImportError:
            toml = None
    if toml is None:
        text = open('pyproject.toml').read()
        found = re.search(r'^\s*build-backend\s*=\s*["\']([^"\']+)', text, re.M)
        backend = found.group(1) if found else backend
    else:
        system = toml.load(open('pyproject.toml', 'rb')).get('build-system', {})
        backend = system.get('build-backend', backend)
        path = system.get('backend-path', [])
sys.path[:0] = [os.path.abspath(p) for p in path]
sys.argv = sys.argv[:1]
module, _, attribute = backend.partition(':')
hooks = importlib.import_module(module)
for part in filter(None, attribute.split('.')):
    hooks = getattr(hooks, part)
print(hooks.build_wheel(out))
)";

void give_to(const fs::path& path, const launch::HostId& id) {
  if (::geteuid() == 0) {
    os::call(::chown, path.c_str(), static_cast<uid_t>(id.uid), static_cast<gid_t>(id.gid))
        .or_throw("give `{}` to the sandbox", path.string());
  }
}

/// pyproject.toml of the archive's one top folder; empty when it has none.
std::string read_pyproject(const fs::path& sdist, const std::string& name) {
  const os::Fd file = os::open_read(sdist);
  os::FdSource raw(file.get(), name);
  const auto plain = codec::open_compressed(raw, name);
  codec::TarReader tar(*plain);
  while (const auto entry = tar.next()) {
    const std::size_t slash = entry->path.find('/');
    if (entry->type == codec::FileType::Regular && slash != std::string::npos &&
        entry->path.substr(slash + 1) == "pyproject.toml") {
      if (entry->size > (1u << 20)) {
        throw Error(ErrorKind::Invalid, "{}: its pyproject.toml is too large", name);
      }
      BytesSink text;
      copy_all(tar.content(), text);
      return std::string(as_text(text.data));
    }
  }
  return {};
}

}  // namespace

std::vector<std::string> build_requirements(const fs::path& sdist, const std::string& name) {
  const std::vector<std::string> fallback = {"setuptools>=40.8.0", "wheel"};
  if (name.ends_with(".zip")) {
    return fallback;
  }
  const std::string text = read_pyproject(sdist, name);
  if (text.empty()) {
    return fallback;
  }
  if (first_non_text(text)) {
    throw Error(ErrorKind::Invalid, "{}: its pyproject.toml cannot be read: it is no text", name);
  }
  try {
    const toml::table table = toml::parse(text, std::string_view("pyproject.toml"));
    const toml::array* listed = table["build-system"]["requires"].as_array();
    if (listed == nullptr) {
      return fallback;
    }
    std::vector<std::string> requirements;
    for (const toml::node& node : *listed) {
      if (const auto requirement = node.value<std::string>()) {
        requirements.push_back(*requirement);
      }
    }
    // Older back ends of setuptools make wheels with the wheel package, without naming it.
    requirements.emplace_back("wheel");
    return requirements;
  } catch (const toml::parse_error& e) {
    throw Error(ErrorKind::Invalid, "{}: its pyproject.toml cannot be read: {}", name, printable(e.description()));
  }
}

namespace {

constexpr const char* kBuilt = "sdist";

/// Everything that the wheel's bytes come from: the archive, the tools, the root and its interpreter, how it is called.
std::string key_of(const fs::path& sdist, const std::string& sdist_name, std::span<const WheelInput> tool_wheels,
                   const Target& target) {
  std::string text = format("{} {}\n{} {}\n{}\n", sdist_name, sdist.filename().string(),
                            target.root.filename().string(), target.build_id, kBuild);
  for (const WheelInput& tool : tool_wheels) {
    text += format("{} {}\n", tool.file, tool.sha256.hex());
  }
  return codec::sha256(text).hex();
}

/// The wheel that the same build gave before, when it still lies in the store.
std::optional<Built> built_before(const std::string& key, const store::Store& store) {
  const auto record = store.record(kBuilt, key);
  if (!record) {
    return std::nullopt;
  }
  const auto words = split_words(*record);
  Built built;
  built.sha256 = Digest::from(words.at(0));
  built.file = words.at(1);
  if (!store.has_blob(built.sha256)) {
    return std::nullopt;
  }
  built.size = fs::file_size(store.blob_path(built.sha256));
  return built;
}

}  // namespace

Built build_sdist(const fs::path& sdist, const std::string& sdist_name, std::span<const WheelInput> tool_wheels,
                  const Target& target, store::Store& store, const launch::HostId& id, Events& events) {
  const std::string key = key_of(sdist, sdist_name, tool_wheels, target);
  if (auto known = built_before(key, store)) {
    return *std::move(known);
  }
  Task task(events, "Building", sdist_name);
  const os::TempDir scratch = store.temp_dir("sdist-");
  const fs::path in = scratch.path() / "in";
  const fs::path out = scratch.path() / "out";
  for (const fs::path& folder : {in, out, scratch.path() / "sandbox"}) {
    os::make_dirs(folder, 0755);
    give_to(folder, id);
  }
  fs::copy_file(sdist, in / sdist_name);
  os::call(::chmod, (in / sdist_name).c_str(), mode_t{0644}).or_throw("prepare `{}`", sdist_name);
  std::string path;
  for (const WheelInput& tool : tool_wheels) {
    unpack(tool, store, id);
    path += (path.empty() ? "" : ":") + format("{}/trees/wheel-{}/root", kInside, tool.sha256.hex());
  }
  launch::Sandbox::Options options;
  options.lower = target.root;
  options.scratch = scratch.path() / "sandbox";
  options.id = id;
  options.epoch = 315532800;  // the earliest time a zip archive can hold: the wheel must not depend on the snapshot
  options.emulate_ownership = false;
  options.mounts = {{store.root() / "trees", std::string(kInside) + "/trees", true},
                    {in, std::string(kInside) + "/in", true},
                    {out, std::string(kInside) + "/out", false}};
  launch::Sandbox sandbox(std::move(options), events);
  const launch::SandboxRun ran =
      sandbox.run({"/usr/bin/python" + target.python, "-c", kBuild, std::string(kInside) + "/in/" + sdist_name,
                   std::string(kInside) + "/out"},
                  {{"PYTHONPATH", path}, {"PYTHONDONTWRITEBYTECODE", "1"}});
  if (!ran.status.ok()) {
    Error error(ErrorKind::Invalid, "build {}: {}", sdist_name, ran.status.text());
    const auto lines = split(trim(ran.output), '\n');
    for (std::size_t i = lines.size() > 20 ? lines.size() - 20 : 0; i < lines.size(); ++i) {
      error.add_cause(printable(lines[i]));
    }
    error.add_hint("pin a version that has a wheel, or leave the package out");
    throw error;
  }
  std::vector<fs::path> made;
  for (const fs::directory_entry& entry : fs::directory_iterator(out)) {
    made.push_back(entry.path());
  }
  if (made.size() != 1 || made[0].extension() != ".whl") {
    throw Error(ErrorKind::Invalid, "build {}: it gave {} files instead of one wheel", sdist_name, made.size());
  }
  Built built;
  built.file = made[0].filename().string();
  built.size = fs::file_size(made[0]);
  {
    const os::Mapping bytes(made[0]);
    built.sha256 = codec::sha256(bytes.bytes());
  }
  if (::geteuid() == 0) {
    os::call(::chown, made[0].c_str(), uid_t{0}, gid_t{0}).or_throw("take over `{}`", built.file);
  }
  store.adopt_blob(made[0], built.sha256);
  store.set_record(kBuilt, key, built.sha256.hex() + " " + built.file);
  task.succeed();
  return built;
}

}  // namespace slip::wheel

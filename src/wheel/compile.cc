#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <set>

#include "codec/json.h"
#include "codec/sha256.h"
#include "core/count.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/text.h"
#include "os/file.h"
#include "wheel/archive.h"
#include "wheel/wheel.h"

namespace slip::wheel {
namespace {

namespace fs = std::filesystem;
using codec::LayerItem;

constexpr const char* kInside = "/mnt/slipway";
constexpr std::int64_t kTime = 315532800;

// Unchecked-hash headers (PEP 552): an import never reads the source for them. marshal version 2 writes no
// references, so the bytes do not depend on what was compiled before. Files that are no Python 3 are passed over.
constexpr const char* kCompile = R"(
import importlib.util, marshal, os, sys, warnings
warnings.simplefilter('ignore')
magic = importlib.util.MAGIC_NUMBER
for line in sys.stdin.buffer.read().split(b'\0'):
    if not line:
        continue
    source, final, out = line.split(b'\n')
    with open(source, 'rb') as file:
        text = file.read()
    try:
        code = compile(text, os.fsdecode(final), 'exec', dont_inherit=True, optimize=-1)
    except (SyntaxError, ValueError, UnicodeError, RecursionError):
        continue
    data = magic + (1).to_bytes(4, 'little') + importlib.util.source_hash(text) + marshal.dumps(code, 2)
    os.makedirs(os.path.dirname(out), exist_ok=True)
    with open(out, 'wb') as file:
        file.write(data)
)";

/// One source file to compile.
struct Source {
  std::string tree;   ///< key of the wheel's tree and the path in it
  std::string final;  ///< absolute path in the image
  std::string code;   ///< path of the byte code relative to the site folder
  std::uint64_t size = 0;
};

/// "pkg/mod.py" → "pkg/__pycache__/mod.cpython-39.pyc". @source PEP 3147
std::string code_path(const std::string& source, const Target& target) {
  const fs::path path(source);
  std::string tag = "cpython-" + target.python;
  std::erase(tag, '.');
  return (path.parent_path() / "__pycache__" / (path.stem().string() + "." + tag + ".pyc")).string();
}

std::string tree_key(const WheelInput& wheel, const Target& target) {
  return "pyc-" +
         codec::sha256(format("byte code 1 {} {} {}", wheel.sha256.hex(), target.build_id, target.prefix)).hex();
}

/// The .py files that a wheel puts into the site folder.
std::vector<Source> sources_of(const WheelInput& wheel, const Target& target) {
  const Archive archive = open_wheel(wheel);
  const std::string site = site_packages(target) + "/";
  std::vector<Source> sources;
  for (const codec::ZipEntry& entry : archive.entries) {
    const std::string path =
        entry.name.ends_with(".py") ? place_of(entry.name, archive, target, wheel.file).path : std::string();
    if (path.starts_with(site)) {
      sources.push_back({format("wheel-{}/root/{}", wheel.sha256.hex(), entry.name), "/" + path,
                         code_path(path.substr(site.size()), target), entry.size});
    }
  }
  return sources;
}

/// Compiles one share of the files in a sandbox of its own.
void run_share(const std::vector<std::string>& lines, const fs::path& scratch, const fs::path& out,
               const Target& target, store::Store& store, const launch::HostId& id, Events& events) {
  if (lines.empty()) {
    return;
  }
  os::make_dirs(scratch, 0755);
  launch::Sandbox::Options options;
  options.lower = target.root;
  options.scratch = scratch;
  options.id = id;
  options.emulate_ownership = false;
  options.mounts = {{store.root() / "trees", std::string(kInside) + "/trees", true},
                    {out, std::string(kInside) + "/out", false}};
  launch::Sandbox sandbox(std::move(options), events);
  std::string input;
  for (const std::string& line : lines) {
    input += line;
    input += '\0';
  }
  const launch::SandboxRun ran = sandbox.run({"/usr/bin/python" + target.python, "-S", "-c", kCompile},
                                             {{"PYTHONDONTWRITEBYTECODE", "1"}}, "/", input);
  if (!ran.status.ok()) {
    Error error(ErrorKind::Internal, "compile byte code: {}", ran.status.text());
    for (const std::string_view line : split(trim(ran.output), '\n')) {
      error.add_cause(printable(line));
    }
    throw error;
  }
}

/// A long job that starts last leaves the other cores idle.
std::vector<std::size_t> largest_first(std::span<const WheelInput> wheels) {
  std::vector<std::pair<std::uint64_t, std::size_t>> sized;
  for (std::size_t i = 0; i < wheels.size(); ++i) {
    sized.emplace_back(fs::file_size(wheels[i].path), i);
  }
  std::sort(sized.begin(), sized.end(),
            [](const auto& a, const auto& b) { return a.first != b.first ? a.first > b.first : a.second < b.second; });
  std::vector<std::size_t> order;
  for (const auto& [size, i] : sized) {
    order.push_back(i);
  }
  return order;
}

struct Job {
  std::size_t wheel = 0;  ///< index in the call's list
  std::vector<Source> sources;
};

/// Compiles what the store lacks and keeps it, one tree per wheel.
void compile_missing(const std::vector<Job>& jobs, std::span<const WheelInput> wheels, const Target& target,
                     store::Store& store, const launch::HostId& id, Events& events) {
  const os::TempDir scratch = store.temp_dir("compile-");
  const fs::path out = scratch.path() / "out";
  os::make_dirs(out, 0755);
  if (::geteuid() == 0) {
    os::call(::chown, out.c_str(), static_cast<uid_t>(id.uid), static_cast<gid_t>(id.gid))
        .or_throw("give a folder to the sandbox");
  }
  struct Weighted {
    std::uint64_t size;
    std::string line;
  };
  std::vector<Weighted> all;
  for (const Job& job : jobs) {
    for (const Source& s : job.sources) {
      all.push_back(
          {s.size, format("{}/trees/{}\n{}\n{}/out/{}/{}", kInside, s.tree, s.final, kInside, job.wheel, s.code)});
    }
  }
  std::sort(all.begin(), all.end(),
            [](const Weighted& a, const Weighted& b) { return a.size != b.size ? a.size > b.size : a.line < b.line; });
  const std::size_t shares = std::clamp<std::size_t>(effective_jobs(0), 1, 8);
  std::vector<std::vector<std::string>> lines(shares);
  for (std::size_t i = 0; i < all.size(); ++i) {
    lines[i % shares].push_back(all[i].line);
  }
  parallel_for(shares, shares, [&](std::size_t i) {
    run_share(lines[i], scratch.path() / format("sandbox-{}", i), out, target, store, id, events);
  });
  for (const Job& job : jobs) {
    const fs::path made = out / std::to_string(job.wheel);
    store.ensure_tree(tree_key(wheels[job.wheel], target), [&](const fs::path& into) {
      if (fs::exists(made)) {
        fs::rename(made, into / "code");
      }
    });
  }
}

std::vector<LayerItem> items_of(const std::vector<Source>& sources, const fs::path& tree, const Target& target) {
  std::vector<LayerItem> items;
  std::set<std::string> folders;
  const std::string site = site_packages(target);
  for (const Source& s : sources) {
    const fs::path code = tree / "code" / s.code;
    std::error_code missing;
    const std::uint64_t size = fs::file_size(code, missing);
    if (missing) {
      continue;  // it did not compile
    }
    LayerItem item;
    item.entry.path = site + "/" + s.code;
    item.entry.mode = 0644;
    item.entry.size = size;
    item.entry.mtime = kTime;
    item.content = codec::FileContent{code};
    folders.insert(fs::path(item.entry.path).parent_path().string());
    items.push_back(std::move(item));
  }
  for (const std::string& folder : folders) {
    LayerItem item;
    item.entry.path = folder;
    item.entry.type = codec::FileType::Directory;
    item.entry.mode = 0755;
    item.entry.mtime = kTime;
    items.push_back(std::move(item));
  }
  codec::sort_items(items);
  return items;
}

}  // namespace

std::vector<std::vector<LayerItem>> compile(std::span<const WheelInput> wheels, const Target& target,
                                            store::Store& store, const launch::HostId& id, Events& events) {
  std::vector<std::vector<Source>> sources(wheels.size());
  std::vector<Job> jobs;
  {
    Task task(events, "Unpacking", counted(wheels.size(), "wheel"));
    std::atomic<std::size_t> done = 0;
    const std::vector<std::size_t> order = largest_first(wheels);
    parallel_for(order.size(), 0, [&](std::size_t n) {
      unpack(wheels[order[n]], store, id);
      sources[order[n]] = sources_of(wheels[order[n]], target);
      task.progress(++done, wheels.size());
    });
    task.succeed();
  }
  for (std::size_t i = 0; i < wheels.size(); ++i) {
    if (!store.find_tree(tree_key(wheels[i], target))) {
      jobs.push_back({i, sources[i]});
    }
  }
  if (!jobs.empty()) {
    Task compiling(events, "Compiling", "byte code of " + counted(jobs.size(), "wheel"));
    compile_missing(jobs, wheels, target, store, id, events);
    compiling.succeed();
  }
  std::vector<std::vector<LayerItem>> items(wheels.size());
  for (std::size_t i = 0; i < wheels.size(); ++i) {
    const auto tree = store.find_tree(tree_key(wheels[i], target));
    SLIP_CHECK(tree.has_value());
    items[i] = items_of(sources[i], *tree, target);
  }
  return items;
}

}  // namespace slip::wheel

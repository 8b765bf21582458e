#include "image/steps.h"

#include <unistd.h>

#include <algorithm>
#include <map>

#include "core/text.h"
#include "lock/packages.h"

namespace slip::image {
namespace {

using codec::FileType;
using codec::LayerItem;

std::string in_folder_of(const std::string& path, std::string_view leaf) {
  const std::size_t slash = path.rfind('/');
  return (slash == std::string::npos ? std::string() : path.substr(0, slash + 1)) + std::string(leaf);
}

LayerItem whiteout(std::string path) {
  LayerItem item;
  item.entry.path = std::move(path);
  item.entry.mode = 0;
  return item;
}

/// The last lines of what a failed step printed, as causes.
[[noreturn]] void step_failed(Error error, const std::string& output) {
  const std::vector<std::string_view> lines = split(trim(output), '\n');
  const std::size_t first = lines.size() > 20 ? lines.size() - 20 : 0;
  for (std::size_t i = first; i < lines.size(); ++i) {
    if (!trim(lines[i]).empty()) {
      error.add_cause(printable(lines[i]));
    }
  }
  throw error;
}

launch::Sandbox::Options sandbox_options(const std::filesystem::path& lower, const std::filesystem::path& scratch,
                                         std::int64_t epoch, const lock::Context& context) {
  launch::Sandbox::Options options;
  options.lower = lower;
  options.scratch = scratch;
  options.id = context.id;
  options.epoch = epoch;
  return options;
}

/// Byte code and caches that a tool leaves beside what it read are no result of a step.
bool is_litter(const std::string& path) {
  return path.find("/__pycache__") != std::string::npos || path.ends_with("/__pycache__") ||
         path.starts_with("root/.cache") || path.starts_with("root/.local/share/jupyter/runtime");
}

std::vector<LayerItem> without_litter(std::vector<LayerItem> items) {
  std::erase_if(items, [](const LayerItem& item) { return is_litter(item.entry.path); });
  return items;
}

// Extensions are linked, not copied: the files are in the wheel's layer already. Servers refuse links that lead out of
// the folders they serve, so the links' target is named as one. JSON files are written by notebook's own code, so they
// look as if a person had enabled the extensions.
constexpr const char* kInstallExtensions = R"(
import json, os, sys
prefix, names = sys.argv[1], json.loads(sys.argv[2])
from jupyter_contrib_nbextensions.application import main
main(['install', '--sys-prefix', '--symlink', '--skip-running-check'])
from notebook.nbextensions import enable_nbextension
folder = os.path.join(prefix, 'share', 'jupyter', 'nbextensions')
missing = [n for n in names if not os.path.exists(os.path.join(folder, n.split('/')[0]))]
if missing:
    sys.exit('no such notebook extension: ' + ', '.join(missing))
for name in names:
    enable_nbextension('notebook', name, sys_prefix=True)
import jupyter_contrib_nbextensions
source = os.path.join(os.path.dirname(jupyter_contrib_nbextensions.__file__), 'nbextensions')
from traitlets.config.manager import BaseJSONConfigManager
settings = BaseJSONConfigManager(config_dir=os.path.join(prefix, 'etc', 'jupyter'))
settings.update('jupyter_notebook_config', {'NotebookApp': {'extra_nbextensions_path': [source]}})
)";

}  // namespace

std::vector<LayerItem> items_of(const std::vector<launch::Sandbox::Change>& changes) {
  std::vector<LayerItem> items;
  for (const launch::Sandbox::Change& change : changes) {
    using Kind = launch::Sandbox::Change::Kind;
    if (change.kind == Kind::Removed) {
      items.push_back(whiteout(in_folder_of(
          change.entry.path, ".wh." + change.entry.path.substr(in_folder_of(change.entry.path, "").size()))));
      continue;
    }
    if (change.kind == Kind::Replaced) {
      items.push_back(whiteout(change.entry.path + "/.wh..wh..opq"));
    }
    LayerItem item{change.entry, codec::NoContent{}};
    if (item.entry.type == FileType::Regular) {
      item.entry.mode &= ~06000U;  // no set-id files in an image of ours
      if (item.entry.size > 0) {
        item.content = codec::FileContent{change.content};
      }
    }
    items.push_back(std::move(item));
  }
  codec::sort_items(items);
  return items;
}

namespace {

/// Of a path that two packages ship, either one's layer may lie on top: the layer above all of them says whose it is,
/// unless the scripts have changed or removed it. The file is linked, as what is captured moves to its place.
void add_winner(const deb::Overlap& overlap, const deb::Unpacked& winner, const std::filesystem::path& scratch,
                std::map<std::string, LayerItem>& all) {
  const std::string leaf = overlap.path.substr(in_folder_of(overlap.path, "").size());
  if (all.contains(overlap.path) || all.contains(in_folder_of(overlap.path, ".wh." + leaf))) {
    return;
  }
  const auto found = std::find_if(winner.items.begin(), winner.items.end(),
                                  [&](const LayerItem& item) { return item.entry.path == overlap.path; });
  if (found == winner.items.end()) {
    return;  // a third package has taken it over in turn
  }
  LayerItem item = *found;
  if (auto* file = std::get_if<codec::FileContent>(&item.content)) {
    const std::filesystem::path linked = scratch / format("overlap-{}", all.size());
    os::call(::link, file->path.c_str(), linked.c_str()).or_throw("keep `/{}`", overlap.path);
    file->path = linked;
  }
  all[overlap.path] = std::move(item);
}

}  // namespace

std::vector<LayerItem> configured_items(const ConfigureRecipe& recipe, const std::filesystem::path& scratch,
                                        lock::Context& context) {
  const std::filesystem::path root = lock::unconfigured_root(recipe.debs, recipe.suite, context);
  std::vector<deb::Unpacked> packages = lock::unpack_debs(recipe.debs, recipe.suite, context);
  const std::vector<deb::Overlap> overlaps = deb::settle_overlaps(packages);
  launch::Sandbox sandbox(sandbox_options(root, scratch, recipe.epoch, context), context.events);
  std::vector<LayerItem> changes = deb::configure(sandbox, packages, overlaps, recipe.suite, context.events);

  // dpkg's database stood in the lower root but in no layer: what was not changed belongs to this one, and
  // what was removed from it needs no whiteout.
  std::map<std::string, LayerItem> all;
  for (LayerItem& item : deb::dpkg_database(packages)) {
    all[item.entry.path] = std::move(item);
  }
  std::map<std::string, bool> shipped;
  for (const deb::Unpacked& package : packages) {
    for (const LayerItem& item : package.items) {
      shipped[item.entry.path] = true;
    }
  }
  for (LayerItem& item : changes) {
    const std::string& path = item.entry.path;
    const std::string leaf = path.substr(in_folder_of(path, "").size());
    if (leaf.starts_with(".wh.") && leaf != ".wh..wh..opq") {
      const std::string hidden = in_folder_of(path, leaf.substr(4));
      all.erase(hidden);
      if (!shipped.contains(hidden)) {
        continue;
      }
    }
    all[path] = std::move(item);
  }
  for (const deb::Overlap& overlap : overlaps) {
    add_winner(overlap, packages[overlap.winner], scratch, all);
  }
  std::vector<LayerItem> items;
  for (auto& [path, item] : all) {
    items.push_back(std::move(item));
  }
  codec::sort_items(items);
  return items;
}

std::vector<LayerItem> nbextension_items(const NbextensionsRecipe& recipe, const std::filesystem::path& root,
                                         const std::filesystem::path& scratch, lock::Context& context) {
  Task task(context.events, "Running", "nbextension install");
  launch::Sandbox::Options options = sandbox_options(root, scratch, recipe.epoch, context);
  options.emulate_ownership = false;
  launch::Sandbox sandbox(std::move(options), context.events);
  std::string names = "[";
  for (const std::string& name : recipe.enabled) {
    names += (names.size() > 1 ? ",\"" : "\"") + name + "\"";
  }
  names += "]";
  const launch::SandboxRun ran =
      sandbox.run({recipe.prefix + "/bin/python", "-c", kInstallExtensions, recipe.prefix, names},
                  {{"PYTHONDONTWRITEBYTECODE", "1"}, {"JUPYTER_CONFIG_DIR", "/tmp/jupyter"}});
  if (!ran.status.ok()) {
    step_failed(Error(ErrorKind::Invalid, "install the notebook extensions: {}", ran.status.text()), ran.output);
  }
  task.succeed();
  return without_litter(items_of(sandbox.capture()));
}

namespace {

/// What programs say that look for a host where there is none.
bool wanted_network(std::string_view output) {
  const std::string said = to_lower(output);
  return std::ranges::any_of(
      std::initializer_list<const char*>{"resolve", "name resolution", "unreachable", "connection", "network"},
      [&](const char* word) { return said.find(word) != std::string::npos; });
}

}  // namespace

std::vector<LayerItem> run_items(const RunRecipe& recipe, const std::filesystem::path& root,
                                 const std::filesystem::path& scratch, lock::Context& context) {
  Task task(context.events, "Running", recipe.command);
  launch::Sandbox::Options options = sandbox_options(root, scratch, recipe.epoch, context);
  options.network = recipe.network ? launch::Network::Host : launch::Network::None;
  launch::Sandbox sandbox(std::move(options), context.events);
  const launch::SandboxRun ran = sandbox.run({"/bin/sh", "-eu", "-c", recipe.command}, recipe.env);
  if (!ran.status.ok()) {
    Error error(ErrorKind::Invalid, "run step {} `{}`: {}", recipe.index + 1, recipe.command, ran.status.text());
    if (!recipe.network && wanted_network(ran.output)) {
      error.add_hint("a step that needs the network says so: `- {command: …, network: true}`");
    }
    step_failed(std::move(error), ran.output);
  }
  task.succeed();
  return items_of(sandbox.capture());
}

}  // namespace slip::image

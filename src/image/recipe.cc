#include "image/recipe.h"

#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "codec/sha256.h"
#include "core/format.h"

namespace slip::image {
namespace {

using codec::Json;

// Raise it whenever the same recipe would give other bytes than before.
constexpr int kRecipeFormat = 2;

Json inputs(const std::vector<lock::Deb>& debs) {
  Json list = Json::array();
  for (const lock::Deb& deb : debs) {
    list.push_back(deb.name + " " + deb.version + " " + deb.artifact.sha256.hex());
  }
  return list;
}

std::string input(const lock::Wheel& w) {
  const Digest& sha256 = w.built ? w.built->sha256 : w.artifact.sha256;
  return w.name + " " + w.version + " " + sha256.hex();
}

Json texts(const std::vector<TextsRecipe::File>& files) {
  Json list = Json::array();
  for (const TextsRecipe::File& f : files) {
    list.push_back(format("{:o} {} {}", f.mode, codec::sha256(f.text).hex(), f.path));
  }
  return list;
}

struct Describe {
  Json operator()(const DebsRecipe& r) const {
    return {{"kind", "debs"}, {"suite", r.suite}, {"skeleton", r.skeleton}, {"debs", inputs(r.debs)}};
  }
  Json operator()(const ConfigureRecipe& r) const {
    return {{"kind", "configure"}, {"suite", r.suite}, {"epoch", r.epoch}, {"debs", inputs(r.debs)}};
  }
  Json operator()(const WheelsRecipe& r) const {
    Json list = Json::array();
    for (const lock::Wheel& w : r.wheels) {
      list.push_back(input(w) + (r.requested.contains(w.name) ? " requested" : ""));
    }
    return {{"kind", "wheels"}, {"python", r.python_build}, {"prefix", r.prefix}, {"wheels", list}};
  }
  Json operator()(const SystemRecipe& r) const {
    Json json = {{"kind", "system"},   {"suite", r.suite},   {"epoch", r.epoch},   {"user", r.user},
                 {"python", r.python}, {"prefix", r.prefix}, {"env", Json(r.env)}, {"configured", r.configured.hex()}};
    for (const lock::Wheel& w : r.libraries) {
      json["libraries"].push_back(input(w));
    }
    return json;
  }
  Json operator()(const NbextensionsRecipe& r) const {
    return {{"kind", "nbextensions"}, {"format", 3},  // to be raised with what image/steps.cc does for it
            {"epoch", r.epoch},       {"prefix", r.prefix}, {"enabled", Json(r.enabled)}, {"below", r.below.hex()}};
  }
  Json operator()(const RunRecipe& r) const {
    return {{"kind", "run"},      {"epoch", r.epoch}, {"command", r.command},  {"network", r.network},
            {"env", Json(r.env)}, {"index", r.index}, {"below", r.below.hex()}};
  }
  Json operator()(const FilesRecipe& r) const {
    Json list = Json::array();
    for (const ProjectFile& f : r.files) {
      switch (f.kind) {
        case ProjectFile::Kind::File: list.push_back(format("file {:o} {} {}", f.mode, f.sha256.hex(), f.path)); break;
        case ProjectFile::Kind::Folder: list.push_back(format("folder {:o} {}", f.mode, f.path)); break;
        case ProjectFile::Kind::Link: list.push_back(format("link {} {}", f.path, f.link)); break;
      }
    }
    Json json = {{"kind", "files"}, {"epoch", r.epoch}, {"files", list}};
    if (r.owner != FilesRecipe{}.owner) {
      json["owner"] = r.owner;
    }
    return json;
  }
  Json operator()(const InitRecipe& r) const { return {{"kind", "init"}, {"sha256", r.sha256.hex()}}; }
  Json operator()(const TextsRecipe& r) const {
    return {{"kind", "texts"}, {"epoch", r.epoch}, {"files", texts(r.files)}};
  }
  Json operator()(const PickRecipe& r) const {
    return {{"kind", "picked"},       {"suite", r.suite},       {"epoch", r.epoch},
            {"debs", inputs(r.debs)}, {"paths", Json(r.paths)}, {"texts", texts(r.texts)}};
  }
  Json operator()(const ExtractRecipe& r) const {
    return {{"kind", "extracted"}, {"epoch", r.epoch}, {"wheel", input(r.wheel)}, {"files", Json(r.files)}};
  }
  Json operator()(const ProgramsRecipe& r) const {
    Json list = Json::array();
    for (const ProgramsRecipe::Program& p : r.programs) {
      list.push_back(format("{} {}{}", p.sha256.hex(), p.path, p.strip ? " stripped" : ""));
    }
    return {{"kind", "programs"}, {"epoch", r.epoch}, {"programs", list}, {"texts", texts(r.texts)}};
  }
};

Json to_json(const Recipe& recipe) { return std::visit(Describe{}, recipe); }

}  // namespace

std::string kind_of(const Recipe& recipe) {
  static constexpr std::array<const char*, std::variant_size_v<Recipe>> kNames = {
      "debs",  "configure", "wheels", "system", "nbextensions", "run",
      "files", "init",      "texts",  "picked", "extracted",    "programs"};
  return kNames[recipe.index()];
}

std::string describe(const Recipe& recipe) { return codec::dump_canonical(to_json(recipe)); }

Digest key(const Recipe& recipe) {
  return codec::sha256(format("slipway recipe {}\n{}", kRecipeFormat, describe(recipe)));
}

}  // namespace slip::image

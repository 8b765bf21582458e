// pyproject.toml: the requirements of a project and the Pythons it allows. The only reader of TOML in this room.

#include <sstream>

#include "core/text.h"
#include "core/toml.h"
#include "core/utf8.h"
#include "spec/requirements.h"

namespace slip::spec {
namespace {

Place place_of(const SourceText& source, const toml::node& node) {
  return source.place(static_cast<int>(node.source().begin.line), static_cast<int>(node.source().begin.column));
}

Error wants(const SourceText& source, const toml::node& node, std::string_view key, std::string_view what) {
  return error_at(source, place_of(source, node), 1, format("`{}` wants {}", key, what));
}

void read_dependencies(RequirementsFile& result, const SourceText& source, const toml::node& node) {
  const toml::array* list = node.as_array();
  if (list == nullptr) {
    throw wants(source, node, "project.dependencies", "a list of requirements");
  }
  for (const toml::node& item : *list) {
    const auto text = item.value_exact<std::string>();
    if (!text) {
      throw wants(source, item, "project.dependencies", "a list of requirements");
    }
    Place place = place_of(source, item);
    ++place.column;  // behind the quote
    result.requirements.push_back(read_requirement(source, place, trim(*text)));
  }
}

}  // namespace

RequirementsFile read_pyproject(const SourceText& source) {
  if (const auto at = first_non_text(source.text)) {  // toml++ relies on what it reads being text
    throw error_at(source, source.place(static_cast<int>(at->line), static_cast<int>(at->column)), 1,
                   "a byte that no text has");
  }
  toml::table document;
  try {
    document = toml::parse(source.text);
  } catch (const toml::parse_error& e) {
    throw error_at(
        source, source.place(static_cast<int>(e.source().begin.line), static_cast<int>(e.source().begin.column)), 1,
        format("not TOML: {}", to_lower(e.description().substr(0, 1)) + std::string(e.description().substr(1))));
  }
  RequirementsFile result;
  const toml::table* project = document["project"].as_table();
  if (project == nullptr) {
    throw Error(ErrorKind::Invalid, "{}: there is no [project] table to take requirements from", source.file)
        .add_hint("list the requirements in slipway.yaml, or add `dependencies` to [project]");
  }
  if (const toml::array* dynamic = (*project)["dynamic"].as_array()) {
    for (const toml::node& item : *dynamic) {
      if (item.value_or(std::string_view()) == "dependencies") {
        throw error_at(source, place_of(source, item), 14,
                       "the dependencies are dynamic, so only the project's own build could tell them")
            .add_hint("write them into a requirements.txt and name that in slipway.yaml");
      }
    }
  }
  if (const toml::node* dependencies = project->get("dependencies")) {
    read_dependencies(result, source, *dependencies);
  }
  if (const toml::node* python = project->get("requires-python")) {
    const auto text = python->value_exact<std::string>();
    if (!text) {
      throw wants(source, *python, "project.requires-python", "a text such as \">=3.9\"");
    }
    result.requires_python = *text;
    result.requires_python_place = place_of(source, *python);
  }
  return result;
}

}  // namespace slip::spec

#include "wheel/explain.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "core/text.h"
#include "wheel/name.h"

namespace slip::wheel {
namespace {

constexpr std::size_t kMostTries = 6;

/// The version of "name==version", empty for anything looser.
std::string pinned_version(const std::string& requirement) {
  const std::size_t equals = requirement.find("==");
  if (equals == std::string::npos) {
    return {};
  }
  const std::string rest = requirement.substr(equals + 2);
  return std::string(trim(std::string_view(rest).substr(0, rest.find_first_of(" ;,"))));
}

/// uv's proof without its frame: one sentence a line.
std::vector<std::string> sentences(const std::string& explanation) {
  std::string text;
  for (const std::string_view line : split(explanation, '\n')) {
    std::string_view body = trim(line);
    for (const std::string_view frame : {"\u00d7", "\u2570\u2500\u25b6", "\u251c\u2500\u25b6", "\u2502"}) {
      if (body.starts_with(frame)) {
        body = trim(body.substr(frame.size()));
      }
    }
    if (body.starts_with("No solution found") || body.starts_with("hint:") || body.empty()) {
      continue;
    }
    text += (text.empty() ? "" : " ") + std::string(body);
  }
  std::vector<std::string> out;
  std::size_t start = 0;
  for (std::size_t dot = text.find(". "); dot != std::string::npos; dot = text.find(". ", start)) {
    out.push_back(text.substr(start, dot - start));
    start = dot + 2;
  }
  std::string last = text.substr(start);
  if (last.ends_with('.')) {
    last.pop_back();
  }
  if (!last.empty()) {
    out.push_back(last);
  }
  return out;
}

/// A pinned version that exists, but not for this Python.
bool explain_python(Error& error, const ResolveRequest& request, const Target& target, const config::Config& config, http::Client& client) {
  std::vector<std::string> names;
  for (const Requirement& r : request.requirements) {
    if (!pinned_version(r.text).empty()) {
      names.push_back(requirement_name(r.text));
    }
  }
  const auto pages = fetch_index(names, request.alias, config, client);
  bool found = false;
  for (const Requirement& r : request.requirements) {
    const std::string version = pinned_version(r.text);
    const auto page = pages.find(requirement_name(r.text));
    if (version.empty() || page == pages.end()) {
      continue;
    }
    const std::string pythons = pythons_of(page->second, version);
    const auto list = split(pythons, ' ');
    if (pythons.empty() || std::find(list.begin(), list.end(), target.python) != list.end() ||
        std::find(list.begin(), list.end(), target.python + ",") != list.end()) {
      continue;
    }
    error.add_cause(format("{} ({}) has wheels for Python {}, and the spec asks for Python {}", r.text, r.place, pythons, target.python));
    const std::string newest = pythons.substr(pythons.rfind(' ') == std::string::npos ? 0 : pythons.rfind(' ') + 1);
    error.add_hint(format("write `python: \"{}\"` in slipway.yaml, or pin a version of {} that has wheels for Python {}", newest, requirement_name(r.text), target.python));
    found = true;
  }
  return found;
}

/// The first requirement without whose pin everything resolves, and to what it resolves then.
void suggest_change(Error& error, const ResolveRequest& request, const CompileRequest& compile, const std::string& explanation, Uv& uv) {
  std::size_t tries = 0;
  for (std::size_t i = 0; i < compile.requirements.size() && tries < kMostTries; ++i) {
    const std::string name = requirement_name(compile.requirements[i]);
    if (pinned_version(compile.requirements[i]).empty() || explanation.find(name) == std::string::npos) {
      continue;
    }
    ++tries;
    CompileRequest free = compile;
    free.requirements[i] = name;
    const CompileAnswer answer = uv.compile(free);
    if (!answer.solved) {
      continue;
    }
    for (const Pin& pin : answer.pins) {
      if (pin.name == name) {
        error.add_hint(format("everything fits with `{}=={}` in place of `{}` ({})", name, pin.version, compile.requirements[i], request.requirements[i].place));
        return;
      }
    }
  }
}

}  // namespace

std::string pythons_of(const std::vector<IndexFile>& files, const std::string& version) {
  std::set<unsigned> minors;
  for (const IndexFile& file : files) {
    const auto wheel = parse_wheel_name(file.file);
    if (!wheel || !same_version(wheel->version, version)) {
      if (const auto sdist = parse_sdist_name(file.file); sdist && same_version(sdist->version, version)) {
        return {};  // can be built for any
      }
      continue;
    }
    for (const std::string& python : wheel->pythons) {
      unsigned minor = 0;
      const char* end = python.data() + python.size();
      if (!python.starts_with("cp3") || wheel->abis == std::vector<std::string>{"abi3"} ||
          std::from_chars(python.data() + 3, end, minor).ptr != end) {
        return {};
      }
      minors.insert(minor);
    }
  }
  std::string text;
  for (const unsigned minor : minors) {
    text += format("{}3.{}", text.empty() ? "" : ", ", minor);
  }
  return text;
}

Error explain(const ResolveRequest& request, const CompileRequest& compile, const CompileAnswer& answer,
              const std::vector<AddedConstraint>& added, const Target& target, const config::Config& config, http::Client& client, Uv& uv) {
  Error error(ErrorKind::Conflict, "the Python requirements cannot all be met");
  if (explain_python(error, request, target, config, client)) {
    return error;
  }
  for (const std::string& sentence : sentences(answer.explanation)) {
    error.add_cause(printable(sentence));
  }
  for (const AddedConstraint& a : added) {
    if (answer.explanation.find(a.target) != std::string::npos) {
      error.add_cause(format("`{}` is added by slipway: {}", a.constraint, a.because));
      error.add_hint(format("`overrule: [{}]` in slipway.yaml takes slipway's own constraint away", a.target));
    }
  }
  suggest_change(error, request, compile, answer.explanation, uv);
  return error;
}

}  // namespace slip::wheel

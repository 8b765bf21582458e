#include "deb/explain.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"
#include "deb/libsolv.h"

namespace slip::deb {
namespace {

struct Rule {
  SolverRuleinfo type{};
  Id from = 0, to = 0, dependency = 0;
};

std::string package_text(Pool* pool, Id package) {
  const Solvable* s = pool_id2solvable(pool, package);
  return format("`{} {}`", pool_id2str(pool, s->name), pool_id2str(pool, s->evr));
}

/// libsolv writes "libc6 >= 2.31"; a Debian user reads "libc6 (>= 2.31)".
std::string dependency_text(Pool* pool, Id dependency) {
  if (!ISRELDEP(dependency)) {
    return pool_id2str(pool, dependency);
  }
  const Reldep* rel = GETRELDEP(pool, dependency);
  if (rel->flags == REL_OR) {
    return dependency_text(pool, rel->name) + " | " + dependency_text(pool, rel->evr);
  }
  if (rel->flags == REL_MULTIARCH || rel->flags == REL_ARCH) {
    return dependency_text(pool, rel->name);
  }
  const char* sign = rel->flags == REL_GT              ? ">>"
                     : rel->flags == REL_LT            ? "<<"
                     : rel->flags == REL_EQ            ? "="
                     : rel->flags == (REL_GT | REL_EQ) ? ">="
                     : rel->flags == (REL_LT | REL_EQ) ? "<="
                                                       : nullptr;
  if (sign == nullptr) {
    return pool_dep2str(pool, dependency);
  }
  return format("{} ({} {})", dependency_text(pool, rel->name), sign, dependency_text(pool, rel->evr));
}

/// ", but bullseye has 1.5" or ", which bullseye does not have".
std::string what_there_is(const std::string& dependency, const Index& index, const std::string& release) {
  const std::string name = dependency.substr(0, dependency.find(' '));
  const auto& versions = index.versions(name);
  if (dependency.find('|') != std::string::npos) {
    return format(", none of which {} has", release);
  }
  if (versions.empty()) {
    return format(", which {} does not have", release);
  }
  std::vector<std::string> have;
  for (const IndexEntry* entry : versions) {
    if (std::find(have.begin(), have.end(), entry->version) == have.end()) {
      have.emplace_back(entry->version);
    }
  }
  return format(", but {} has {}", release, join(have, " and "));
}

std::string sentence(Pool* pool, const Rule& rule, const Index& index, const std::string& release) {
  switch (static_cast<unsigned>(rule.type)) {
    case SOLVER_RULE_PKG_NOTHING_PROVIDES_DEP: {
      const std::string dependency = dependency_text(pool, rule.dependency);
      return format("{} needs `{}`{}", package_text(pool, rule.from), dependency,
                    what_there_is(dependency, index, release));
    }
    case SOLVER_RULE_PKG_REQUIRES:
      return format("{} needs `{}`", package_text(pool, rule.from), dependency_text(pool, rule.dependency));
    case SOLVER_RULE_PKG_CONFLICTS:
      return format("{} conflicts with `{}`, which is {}", package_text(pool, rule.from),
                    dependency_text(pool, rule.dependency), package_text(pool, rule.to));
    case SOLVER_RULE_PKG_SELF_CONFLICT: return format("{} conflicts with itself", package_text(pool, rule.from));
    case SOLVER_RULE_PKG_SAME_NAME:
      return format("only one of {} and {} can be installed", package_text(pool, rule.from),
                    package_text(pool, rule.to));
    case SOLVER_RULE_JOB_NOTHING_PROVIDES_DEP:
    case SOLVER_RULE_JOB_UNKNOWN_PACKAGE:
      return format("{} has no `{}`", release, dependency_text(pool, rule.dependency));
    case SOLVER_RULE_PKG_NOT_INSTALLABLE:
      return format("{} cannot be installed on amd64", package_text(pool, rule.from));
    default: return {};
  }
}

}  // namespace

std::vector<std::string> explain_problems(s_Solver* solver, const Index& index, const std::string& release) {
  std::vector<std::string> sentences;
  const unsigned count = solver_problem_count(solver);
  for (Id problem = 1; static_cast<unsigned>(problem) <= count; ++problem) {
    Queue rules;
    queue_init(&rules);
    solver_findallproblemrules(solver, problem, &rules);
    for (int i = 0; i < rules.count; ++i) {
      Rule rule;
      rule.type = solver_ruleinfo(solver, rules.elements[i], &rule.from, &rule.to, &rule.dependency);
      std::string text = sentence(solver->pool, rule, index, release);
      if (!text.empty() && std::find(sentences.begin(), sentences.end(), text) == sentences.end()) {
        sentences.push_back(std::move(text));
      }
    }
    queue_free(&rules);
  }
  return sentences;
}

}  // namespace slip::deb

#include "deb/solve.h"

#include <cstdio>
#include <ctime>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <set>

#include "core/error.h"
#include "core/parallel.h"
#include "core/suggest.h"
#include "core/text.h"
#include "core/time.h"
#include "deb/explain.h"
#include "deb/libsolv.h"
#include "deb/release.h"

namespace slip::deb {
namespace {

struct FreePool {
  void operator()(Pool* pool) const noexcept { pool_free(pool); }
};
struct FreeSolver {
  void operator()(Solver* solver) const noexcept { solver_free(solver); }
};
struct CloseFile {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

class Jobs {
 public:
  Jobs() { queue_init(&queue_); }
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;
  ~Jobs() { queue_free(&queue_); }
  void add(Id how, Id what) { queue_push2(&queue_, how, what); }
  Queue* get() noexcept { return &queue_; }

 private:
  Queue queue_{};
};

std::unique_ptr<Pool, FreePool> pool_of(const Index& index) {
  std::unique_ptr<Pool, FreePool> pool(pool_create());
  pool_setdisttype(pool.get(), DISTTYPE_DEB);
  pool_setarch(pool.get(), "amd64");
  for (const std::string& text : index.texts()) {
    if (text.empty()) {
      continue;
    }
    Repo* repo = repo_create(pool.get(), "archive");
    // libsolv reads a stream; the text stays where it is.
    const std::unique_ptr<std::FILE, CloseFile> file(::fmemopen(const_cast<char*>(text.data()), text.size(), "r"));
    if (!file || repo_add_debpackages(repo, file.get(), 0) != 0) {
      throw Error(ErrorKind::Internal, "libsolv refuses a package list: {}", pool_errstr(pool.get()));
    }
  }
  pool_createwhatprovides(pool.get());
  return pool;
}

Id dependency_id(Pool* pool, std::string_view name, std::string_view version) {
  const Id id = pool_strn2id(pool, name.data(), static_cast<unsigned>(name.size()), 1);
  if (version.empty()) {
    return id;
  }
  const Id evr = pool_strn2id(pool, version.data(), static_cast<unsigned>(version.size()), 1);
  return pool_rel2id(pool, id, evr, REL_EQ, 1);
}

/// A request that cannot even be asked: names and versions the release does not have.
const IndexEntry* entry_of_request(const Index& index, const Request& request, const std::string& release) {
  const std::string place = request.place.empty() ? std::string() : request.place + ": ";
  const auto& versions = index.versions(request.name);
  if (versions.empty()) {
    Error error(ErrorKind::NotFound, "{}{} has no package `{}`", place, release, printable(request.name));
    std::vector<std::string> by;
    for (const IndexEntry* provider : index.providers({request.name, "", Relation::Any, ""})) {
      by.emplace_back(provider->name);
    }
    if (!by.empty()) {
      by.resize(std::min<std::size_t>(by.size(), 8));
      error.add_hint("it is provided by: " + join(by, ", ") + "; name one of them");
    } else if (const auto near = nearest(request.name, index.names())) {
      error.add_hint("did you mean `" + *near + "`?");
    }
    throw error;
  }
  if (request.version.empty()) {
    return index.newest({request.name, "", Relation::Any, ""});
  }
  if (const IndexEntry* found = index.find(request.name, request.version)) {
    return found;
  }
  std::vector<std::string> have;
  for (const IndexEntry* entry : versions) {
    if (std::find(have.begin(), have.end(), entry->version) == have.end()) {
      have.emplace_back(entry->version);
    }
  }
  Error error(ErrorKind::NotFound, "{}{} has no version {} of `{}`", place, release, printable(request.version),
              request.name);
  error.add_hint("there is " + join(have, ", "));
  throw error;
}

struct Roots {
  std::vector<const IndexEntry*> entries;  ///< in order: base first
  std::map<std::string_view, std::string> why;
  std::map<std::string_view, std::string> pinned;  ///< name → version
};

Roots roots_of(const Index& index, const std::string& release, const std::vector<Request>& requests, bool with_python) {
  Roots roots;
  const auto add = [&](const IndexEntry* entry, const char* why) {
    if (roots.why.emplace(entry->name, why).second) {
      roots.entries.push_back(entry);
    }
  };
  for (const IndexEntry& entry : index.entries()) {
    if (entry.essential) {
      add(index.newest({std::string(entry.name), "", Relation::Any, ""}), "base");
    }
  }
  for (const std::string& name : base_requests(release, with_python)) {
    add(entry_of_request(index, {name, "", ""}, release), "base");
  }
  for (const Request& request : requests) {
    const IndexEntry* entry = entry_of_request(index, request, release);
    if (!request.version.empty()) {
      const auto [known, fresh] = roots.pinned.emplace(entry->name, request.version);
      if (!fresh && known->second != request.version) {
        throw Error(ErrorKind::Conflict, "`{}` is asked for as {} and as {}", request.name, known->second,
                    request.version);
      }
    }
    add(entry, "apt");
  }
  return roots;
}

std::vector<const IndexEntry*> run_solver(const Index& index, const Roots& roots, const std::string& release) {
  const std::unique_ptr<Pool, FreePool> pool = pool_of(index);
  Jobs jobs;
  for (const IndexEntry* root : roots.entries) {
    const auto pin = roots.pinned.find(root->name);
    jobs.add(SOLVER_INSTALL | SOLVER_SOLVABLE_NAME,
             dependency_id(pool.get(), root->name,
                           pin == roots.pinned.end() ? std::string_view() : std::string_view(pin->second)));
  }
  // Wishes, not demands: of two alternatives that both stand among the choices (`gnupg | gpg`, where gnupg needs gpg)
  // the solver would otherwise take the smaller answer.
  for (const IndexEntry* choice : apt_like_choices(index, roots.entries)) {
    jobs.add(SOLVER_INSTALL | SOLVER_WEAK | SOLVER_SOLVABLE_NAME,
             dependency_id(pool.get(), choice->name, choice->version));
  }
  const std::unique_ptr<Solver, FreeSolver> solver(solver_create(pool.get()));
  solver_set_flag(solver.get(), SOLVER_FLAG_IGNORE_RECOMMENDED, 1);
  if (solver_solve(solver.get(), jobs.get()) != 0) {
    std::vector<std::string> names;
    for (const auto& [name, why] : roots.why) {
      if (why == "apt") {
        names.emplace_back(name);
      }
    }
    Error error(ErrorKind::Conflict, "the packages asked for cannot be installed together in {}", release);
    for (std::string& sentence : explain_problems(solver.get(), index, release)) {
      error.add_cause(std::move(sentence));
    }
    throw error;
  }
  Jobs decided;
  solver_get_decisionqueue(solver.get(), decided.get());
  std::vector<const IndexEntry*> chosen;
  for (int i = 0; i < decided.get()->count; ++i) {
    const Id id = decided.get()->elements[i];
    if (id <= SYSTEMSOLVABLE) {
      continue;
    }
    const Solvable* s = pool_id2solvable(pool.get(), id);
    const IndexEntry* entry = index.find(pool_id2str(pool.get(), s->name), pool_id2str(pool.get(), s->evr));
    SLIP_CHECK(entry != nullptr);
    chosen.push_back(entry);
  }
  std::sort(chosen.begin(), chosen.end(), [](const IndexEntry* a, const IndexEntry* b) { return a->name < b->name; });
  return chosen;
}

/// The first dependant of every package in a breadth-first walk from the roots.
std::map<std::string_view, std::string> reasons(const std::vector<const IndexEntry*>& chosen, const Roots& roots) {
  std::map<std::string_view, const IndexEntry*> by_name;
  std::map<std::string, std::vector<const IndexEntry*>, std::less<>> by_provided;
  for (const IndexEntry* entry : chosen) {
    by_name[entry->name] = entry;
    for (const std::vector<Dependency>& group : parse_dependencies(entry->provides)) {
      by_provided[group.front().name].push_back(entry);
    }
  }
  std::map<std::string_view, std::string> why;
  std::deque<const IndexEntry*> queue;
  const auto reach = [&](const IndexEntry* entry, std::string reason) {
    if (why.emplace(entry->name, std::move(reason)).second) {
      queue.push_back(entry);
    }
  };
  for (const IndexEntry* root : roots.entries) {
    if (const auto found = by_name.find(root->name); found != by_name.end()) {
      reach(found->second, roots.why.at(root->name));
    }
  }
  while (!queue.empty()) {
    const IndexEntry* entry = queue.front();
    queue.pop_front();
    for (const std::string_view field : {entry->pre_depends, entry->depends}) {
      for (const std::vector<Dependency>& group : parse_dependencies(field)) {
        for (const Dependency& alternative : group) {
          if (const auto found = by_name.find(alternative.name); found != by_name.end()) {
            reach(found->second, format("needed by {}", entry->name));
          } else if (const auto provided = by_provided.find(alternative.name); provided != by_provided.end()) {
            for (const IndexEntry* provider : provided->second) {
              reach(provider, format("needed by {}", entry->name));
            }
          }
        }
      }
    }
  }
  return why;
}

}  // namespace

std::vector<Candidate> solve_index(const Index& index, const std::string& release, const std::vector<Request>& requests,
                                   bool with_python) {
  const Roots roots = roots_of(index, release, requests, with_python);
  const std::vector<const IndexEntry*> chosen = run_solver(index, roots, release);
  const std::map<std::string_view, std::string> why = reasons(chosen, roots);
  std::vector<Candidate> packages;
  for (const IndexEntry* entry : chosen) {
    const auto reason = why.find(entry->name);
    if (reason == why.end()) {
      continue;  // nothing needs it: a leftover of the solver's search
    }
    Candidate candidate;
    candidate.name = entry->name;
    candidate.version = entry->version;
    candidate.arch = entry->arch;
    candidate.alias = index.alias(entry->alias);
    candidate.path = entry->path;
    candidate.size = entry->size;
    candidate.sha256 = entry->sha256;
    candidate.why = reason->second;
    packages.push_back(std::move(candidate));
  }
  return packages;
}

namespace {

/// Says when a release has stopped to get fixes: its security suite carries no validity any more.
void note_age(const Suite& suite, const ReleaseFile& file, const std::string& release, Solution& solution) {
  if (suite.alias == "debian-security" && !file.valid_until) {
    solution.notes.push_back(
        format("{} gets no security fixes any more: the last are of {}", release, rfc3339(file.date).substr(0, 10)));
  }
}

}  // namespace

Solution solve(const std::string& release, const std::vector<Request>& requests, bool with_python,
               const config::Config& config, http::Client& client, store::Store& store, Events& events) {
  Task task(events, "Resolving", release + " packages");
  const std::int64_t now = std::time(nullptr);
  Solution solution;
  std::set<std::string> components;
  for (const Request& request : requests) {
    components.insert(request.component);
  }
  Index index;
  for (const Suite& suite : suites_of(release, components)) {
    const ReleaseFile file = fetch_release(suite, now, config, client, store);
    note_age(suite, file, release, solution);
    solution.epoch = std::max(solution.epoch, file.date);
    for (const std::string& component : suite.components) {
      index.add(suite.alias, fetch_packages(suite, component, file, config, client, store),
                suite.name + "/" + component);
    }
  }
  index.finish();
  solution.snapshot = rfc3339(solution.epoch);
  solution.packages = solve_index(index, release, requests, with_python);
  task.succeed();
  return solution;
}

}  // namespace slip::deb

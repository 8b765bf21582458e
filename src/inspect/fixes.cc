#include "inspect/fixes.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "codec/json.h"
#include "core/count.h"
#include "core/debian_release.h"
#include "core/text.h"
#include "core/time.h"
#include "deb/changelog.h"
#include "deb/index.h"
#include "deb/release.h"

namespace slip::inspect {
namespace {

using codec::Json;

constexpr std::string_view kBucket = "suite";
/// A fixed package is fetched for its changelog up to this size.
constexpr std::uint64_t kMaxFetch = 40u << 20;

/// What is needed of a Release file to read its indexes again without a network.
std::string to_record(const deb::ReleaseFile& release, const std::vector<std::string>& components) {
  Json files = Json::object();
  for (const std::string& component : components) {
    const std::string path = component + "/binary-amd64/Packages.xz";
    if (const auto at = release.files.find(path); at != release.files.end()) {
      files[path] = {{"sha256", at->second.sha256.hex()}, {"size", at->second.size}};
    }
  }
  return codec::dump_canonical({{"date", release.date}, {"files", files}});
}

std::optional<deb::ReleaseFile> from_record(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) {
    return std::nullopt;
  }
  deb::ReleaseFile release;
  release.date = json.value("date", std::int64_t{0});
  for (const auto& [path, entry] : json.at("files").items()) {
    release.files[path] = {Digest::from(entry.at("sha256").get<std::string>()), entry.at("size").get<std::uint64_t>()};
  }
  return release;
}

/// The suite's Release file as fresh as can be; nullopt offline when nobody fetched it before.
std::optional<deb::ReleaseFile> release_file(const deb::Suite& suite, std::int64_t now, lock::Context& context) {
  if (context.offline) {
    const auto text = context.store.record(kBucket, suite.name);
    return text ? from_record(*text) : std::nullopt;
  }
  deb::ReleaseFile release = deb::fetch_release(suite, now, context.config, context.http, context.store);
  context.store.set_record(kBucket, suite.name, to_record(release, suite.components));
  return release;
}

/// Fills the index; the reason when that cannot be done.
std::string read_indexes(const std::string& release, const std::set<std::string>& components, std::int64_t now,
                         lock::Context& context, deb::Index& index, FixReport& report) {
  std::int64_t newest = 0;
  try {
    for (const deb::Suite& suite : deb::suites_of(release, components)) {
      const auto file = release_file(suite, now, context);
      if (!file) {
        return "offline, and no index was fetched before";
      }
      newest = std::max(newest, file->date);
      for (const std::string& component : suite.components) {
        const auto entry = file->files.find(component + "/binary-amd64/Packages.xz");
        if (entry == file->files.end() && component != "main") {
          continue;  // what only claims to be of Debian, or of another release
        }
        if (context.offline && (entry == file->files.end() || !context.store.has_blob(entry->second.sha256))) {
          return "offline, and the store no longer has the index";
        }
        index.add(suite.alias,
                  deb::fetch_packages(suite, component, *file, context.config, context.http, context.store),
                  suite.name + "/" + component);
      }
    }
  } catch (const Error& error) {
    return error.joined();
  }
  index.finish();
  report.dated = rfc3339(newest);
  return {};
}

/// A package of the index as a file; nullopt when it cannot be had.
std::optional<std::filesystem::path> fetch(const deb::IndexEntry& entry, const deb::Index& index,
                                           lock::Context& context) {
  if (context.store.has_blob(entry.sha256)) {
    return context.store.blob_path(entry.sha256);
  }
  if (context.offline || entry.size > kMaxFetch) {
    return std::nullopt;
  }
  http::Download job;
  for (const std::string& base : config::require_debian(context.config, index.alias(entry.alias))) {
    job.urls.push_back(base + "/" + std::string(entry.path));
  }
  job.target = context.store.partial_path(entry.sha256);
  job.size = entry.size;
  job.sha256 = entry.sha256;
  job.label = std::string(entry.name) + " " + std::string(entry.version);
  try {
    context.http.download({&job, 1});
    context.store.adopt_blob(job.target, entry.sha256);
  } catch (const Error&) {
    return std::nullopt;
  }
  return context.store.blob_path(entry.sha256);
}

struct Found {
  Outdated* outdated;
  const deb::IndexEntry* entry;
};

/// Packages of one source have one changelog: the smallest that ships it is read for all of them.
void read_changelogs(std::map<std::string, std::vector<Found>>& by_source, const deb::Index& index,
                     lock::Context& context) {
  Task task(context.events, "Reading", "changelogs of fixed packages");
  std::size_t done = 0;
  for (auto& [source, found] : by_source) {
    std::ranges::sort(found, {}, [](const Found& f) { return f.entry->size; });
    std::optional<std::string> changelog;
    for (const Found& f : found) {
      if (const auto file = fetch(*f.entry, index, context)) {
        try {
          changelog = deb::changelog_of(*file);
        } catch (const Error& error) {
          context.events.debug("{}", error.joined());
        }
      }
      if (changelog) {
        break;
      }
    }
    for (const Found& f : found) {
      f.outdated->changelog_read = changelog.has_value();
      f.outdated->cves = changelog ? deb::cves_since(*changelog, f.outdated->version) : std::vector<std::string>();
    }
    task.progress(++done, by_source.size());
  }
  task.succeed();
}

/// "pattern text" lines of security-support-limited; names may end in ".*".
bool names_source(std::string_view pattern, std::string_view source) {
  return pattern.ends_with(".*") ? source.starts_with(pattern.substr(0, pattern.size() - 2)) : pattern == source;
}

void read_support(const std::vector<Package>& packages, const deb::Index& index, lock::Context& context,
                  FixReport& report) {
  const deb::IndexEntry* entry = index.newest({"debian-security-support", "", deb::Relation::Any, ""});
  const auto file = entry == nullptr ? std::nullopt : fetch(*entry, index, context);
  if (!file) {
    return;
  }
  const auto read = [&](const std::string& name, bool ended) {
    const auto text = deb::read_from_deb(*file, "/debian-security-support/" + name);
    for (const std::string_view line : split(text ? *text : std::string(), '\n')) {
      const auto words = split_words(line);
      if (words.empty() || words[0].starts_with('#')) {
        continue;
      }
      const bool there = std::ranges::any_of(
          packages, [&](const Package& p) { return p.kind == "deb" && names_source(words[0], p.source); });
      if (there) {
        report.support.push_back(
            {std::string(words[0]), ended, std::string(trim(line.substr(words[0].size()))), false});
      }
    }
  };
  if (const DebianRelease* release = debian_release(report.release)) {
    read(format("security-support-ended.deb{}", release->number), true);
  }
  read("security-support-limited", false);
}

std::set<std::string> components_of(const std::vector<Package>& packages) {
  std::set<std::string> components;
  for (const Package& package : packages) {
    if (package.kind == "deb") {
      components.insert(package.component);
    }
  }
  return components;
}

/// @source Debian's security FAQ: contrib and non-free are not part of the distribution that the team looks after
void add_uncovered(const std::vector<Package>& packages, FixReport& report) {
  std::set<std::string> sources;
  for (const Package& package : packages) {
    if (package.kind == "deb" && package.component != "main" && sources.insert(package.source).second) {
      report.support.push_back({package.source, false, "in the component " + package.component, true});
    }
  }
}

std::string describe(const Outdated& outdated) {
  std::string text = format("{} {} -> {}", outdated.package, outdated.version, outdated.fixed);
  if (!outdated.cves.empty()) {
    std::vector<std::string> first(
        outdated.cves.begin(),
        outdated.cves.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(outdated.cves.size(), 3)));
    text += " (" + join(first, ", ") + (outdated.cves.size() > 3 ? format(" +{}", outdated.cves.size() - 3) : "") + ")";
  } else if (!outdated.changelog_read) {
    text += " (changelog not at hand)";
  }
  return text;
}

Finding judge_outdated(const FixReport& report) {
  const std::string title = "no package lacks a fix that Debian has published";
  if (report.release.empty()) {
    return excepted("C4.4", title, "no Debian release that slipway knows", "Debian's indexes", "nothing was looked at");
  }
  if (report.dated.empty()) {
    return excepted("C4.4", title, "not looked at", "Debian's indexes", report.reason);
  }
  const std::string age =
      format("indexes of {}; flaws that nobody has fixed yet are not in them", report.dated.substr(0, 10));
  if (report.outdated.empty()) {
    return fine("C4.4", title, format("{}, {}", counted(report.looked_at, "package"), age));
  }
  std::vector<std::string> first;
  for (std::size_t i = 0; i < std::min<std::size_t>(report.outdated.size(), 5); ++i) {
    first.push_back(describe(report.outdated[i]));
  }
  const std::size_t more = report.outdated.size() - first.size();
  return amiss("C4.4", title,
               format("{} of {}: {}{} ({})", report.outdated.size(), report.looked_at, join(first, "; "),
                      more > 0 ? format(" and {} more", more) : "", age),
               "the newest version of each", "run `slipway lock --update-all`, then build anew");
}

Finding judge_age(const FixReport& report, const std::string& python) {
  const std::string title = "its Debian release gets security fixes";
  if (report.release.empty()) {
    return fine("EOL", title, "no Debian release that slipway knows");
  }
  if (!report.ended) {
    return fine("EOL", title, format("{}, until {}", report.release, report.fixes_until));
  }
  const std::string found = format("{} had its last on {}", report.release, report.fixes_until);
  const DebianRelease* release = debian_release(report.release);
  if (release != nullptr && release->python == python) {
    return excepted("EOL", title, found, "a newer release",
                    format("the spec asks for Python {}, which only {} has", python, report.release));
  }
  return amiss("EOL", title, found, "a newer release", "name a newer `debian:` or `python:` in slipway.yaml");
}

Finding judge_support(const FixReport& report) {
  const std::string title = "every package has its release's security support";
  std::vector<std::string> ended;
  std::vector<std::string> limited;
  std::set<std::string> reasons;
  for (const Support& support : report.support) {
    (support.ended ? ended : limited).push_back(support.package);
    reasons.insert(support.uncovered ? "Debian's security team covers main alone"
                                     : "Debian covers them for trusted content only (debian-security-support)");
  }
  if (!ended.empty()) {
    return amiss("DSS", title, "support has ended for " + join(ended, ", "), "supported packages",
                 "leave them out, or take them from a newer release");
  }
  if (!limited.empty()) {
    return excepted("DSS", title, "limited support for " + join(limited, ", "), "full support",
                    join({reasons.begin(), reasons.end()}, "; "));
  }
  return fine("DSS", title, report.dated.empty() ? "not looked at" : "none with less");
}

}  // namespace

std::string release_of(const Subject& subject, const Tree& tree) {
  if (subject.lock()) {
    return subject.lock()->suite;
  }
  for (const std::string_view line : split(tree.text("etc/os-release"), '\n')) {
    constexpr std::string_view kName = "VERSION_CODENAME=";
    if (line.starts_with(kName)) {
      std::string name(trim(line.substr(kName.size())));
      return debian_release(name) != nullptr ? name : std::string();
    }
  }
  return {};
}

FixReport find_fixes(const std::vector<Package>& packages, const std::string& release, std::int64_t now,
                     lock::Context& context) {
  FixReport report;
  report.release = release;
  if (release.empty()) {
    return report;
  }
  report.fixes_until = deb::known_release(release).fixes_until;
  report.ended = rfc3339(now).substr(0, 10) > report.fixes_until;
  deb::Index index;
  report.reason = read_indexes(release, components_of(packages), now, context, index, report);
  if (!report.reason.empty()) {
    return report;
  }
  std::vector<std::pair<const Package*, const deb::IndexEntry*>> behind;
  for (const Package& package : packages) {
    if (package.kind != "deb") {
      continue;
    }
    ++report.looked_at;
    const deb::IndexEntry* newest = index.newest({package.name, "", deb::Relation::Any, ""});
    if (newest != nullptr && deb::compare_versions(newest->version, package.version) > 0) {
      behind.emplace_back(&package, newest);
      report.outdated.push_back(
          {package.name, package.version, std::string(newest->version), index.alias(newest->alias), {}, false});
    }
  }
  std::map<std::string, std::vector<Found>> by_source;
  for (std::size_t i = 0; i < behind.size(); ++i) {
    by_source[behind[i].first->source].push_back({&report.outdated[i], behind[i].second});
  }
  if (!by_source.empty()) {
    read_changelogs(by_source, index, context);
  }
  read_support(packages, index, context, report);
  add_uncovered(packages, report);
  return report;
}

std::vector<Finding> judge_fixes(const FixReport& report, const std::string& python) {
  return {judge_outdated(report), judge_age(report, python), judge_support(report)};
}

}  // namespace slip::inspect

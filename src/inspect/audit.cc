#include "inspect/audit.h"

#include <algorithm>
#include <optional>
#include <set>

#include "core/count.h"
#include "core/text.h"
#include "image/model_image.h"
#include "inspect/packages.h"

namespace slip::inspect {
namespace {

/// A model image names its lock by digest alone; `slipway ship` makes it again.
std::optional<Finding> model_exception(const Subject& subject, const char* id, const std::string& title) {
  const auto label = subject.config().labels.find("dev.slipway.lock");
  if (subject.lock() || !is_model(subject.config()) || label == subject.config().labels.end()) {
    return std::nullopt;
  }
  return excepted(
      id, title, "lock " + printable(label->second), "a slipway.lock inside",
      "a model image holds nothing that its server does not need: it names the lock of its runtime by digest");
}

Finding check_lock(const Subject& subject) {
  const std::string title = "every package came by a digest from a signed index";
  if (const auto model = model_exception(subject, "C4.2", title)) {
    return *model;
  }
  if (!subject.lock()) {
    return amiss("C4.2", title, "the image carries no lock", "a slipway.lock inside",
                 "build it with slipway: then `slipway verify` can prove what it is made of");
  }
  const lock::Lock& lock = *subject.lock();
  return fine("C4.2", title,
              format("{} and {} by SHA-256, lock {}", counted(lock.debs.size(), "Debian package"),
                     counted(lock.wheels.size(), "wheel"), lock::digest(lock).brief()));
}

/// "deb bash 5.1-2" for what is there but not locked ("+") or locked but not there ("-").
std::vector<std::string> differences(const lock::Lock& lock, const std::vector<Package>& there) {
  std::set<std::string> wanted;
  for (const lock::Deb& deb : lock.debs) {
    wanted.insert("deb " + deb.name + " " + deb.version);
  }
  for (const lock::Wheel& w : lock.wheels) {
    wanted.insert("python " + w.name + " " + w.version);
  }
  std::vector<std::string> odd;
  for (const Package& package : there) {
    const std::string text = package.kind + " " + package.name + " " + package.version;
    if (wanted.erase(text) == 0) {
      odd.push_back("+ " + text);
    }
  }
  for (const std::string& text : wanted) {
    odd.push_back("- " + text);
  }
  return odd;
}

Finding check_packages(const Subject& subject, const Tree& tree) {
  const std::string title = "it holds the packages of its lock and no other";
  const std::vector<Package> there = packages_of(tree);
  if (const auto model = model_exception(subject, "C4.3", title)) {
    return *model;
  }
  if (!subject.lock()) {
    return amiss("C4.3", title, format("{}, no lock", counted(there.size(), "package")), "a slipway.lock inside",
                 "build it with slipway");
  }
  std::vector<std::string> odd = differences(*subject.lock(), there);
  if (!odd.empty()) {
    const std::size_t all = odd.size();
    odd.resize(std::min<std::size_t>(all, 4));
    return amiss("C4.3", title, join(odd, ", ") + (all > 4 ? format(" and {} more", all - 4) : ""),
                 "the packages of the lock", "install packages through the spec, not in `run:` steps");
  }
  return fine("C4.3", title, counted(there.size(), "package"));
}

Finding check_rebuildable(const Subject& subject) {
  const std::string title = "it can be made again and compared";
  if (const auto model = model_exception(subject, "SUP1", title)) {
    return *model;
  }
  if (subject.lock() && subject.config().labels.contains(image::kModelLabel)) {
    return fine("SUP1", title, "run `slipway ship` with the same model to do it");
  }
  if (!subject.lock() || !subject.spec()) {
    return amiss("SUP1", title, "no lock and spec in it", "both", "build it with slipway");
  }
  if (subject.lock()->spec != subject.spec()->digest()) {
    return amiss("SUP1", title, "its lock was made from another spec", "the spec of its label",
                 "somebody changed the image; build it anew");
  }
  for (const spec::RunStep& step : subject.spec()->run) {
    if (step.network) {
      return excepted("SUP1", title, format("a `run:` step with network: `{}`", printable(step.command.substr(0, 60))),
                      "no step that fetches",
                      "the spec asks for it; `slipway verify` shows whether it came out the same");
    }
  }
  return fine("SUP1", title, "run `slipway verify` to do it");
}

}  // namespace

bool is_model(const oci::ImageConfig& config) {
  return config.labels.contains("dev.slipway.model") ||
         (!config.entrypoint.empty() && config.entrypoint.front().ends_with("/slipway-serve"));
}

std::vector<Finding> audit_origin(const Subject& subject, const Tree& tree) {
  return {check_lock(subject), check_packages(subject, tree), check_rebuildable(subject)};
}

ImageAudit audit_image(const Subject& subject, std::int64_t now, lock::Context& context) {
  SecretScan secrets;
  TreeOptions options;
  options.keep = audit_reads;
  options.look = [&](std::size_t layer, const codec::TarEntry& entry, std::string_view content) {
    secrets.look(layer, entry, content);
  };
  const Tree tree = read_tree(subject, options, context.events);
  ImageAudit audit;
  audit.fixes = find_fixes(packages_of(tree), release_of(subject, tree), now, context);
  const std::string python = subject.spec() ? subject.spec()->python : std::string();
  for (std::vector<Finding> part :
       {audit_config(subject), audit_tree(subject, tree, secrets.found()), audit_services(subject, tree),
        audit_origin(subject, tree), judge_fixes(audit.fixes, python)}) {
    std::ranges::move(part, std::back_inserter(audit.findings));
  }
  return audit;
}

}  // namespace slip::inspect

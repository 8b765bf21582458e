#include "lock/split.h"

#include <algorithm>
#include <set>

#include "codec/sha256.h"
#include "core/format.h"

namespace slip::lock {
namespace {

constexpr std::uint64_t kOwnLayer = 8'000'000;  // bytes of the .deb or wheel
constexpr std::size_t kDebBuckets = 4;
constexpr std::size_t kWheelBuckets =
    12;  // a package of some kB changes a layer of some 10 MB: that is what a push costs
constexpr std::size_t kMaxOwnDebs = 4;
constexpr std::size_t kMaxOwnWheels = 12;  // 1 base + 4 + 12 + 4 + 12 leaves seven of forty for what comes on top

std::size_t bucket_of(const std::string& name, std::size_t buckets) { return codec::sha256(name).bytes()[0] % buckets; }

/// Names of the packages that get a layer of their own.
template <class Package>
std::set<std::string> large(const std::vector<Package>& packages, std::size_t most) {
  std::vector<const Package*> found;
  for (const Package& p : packages) {
    if (p.artifact.size >= kOwnLayer && p.layer.empty()) {
      found.push_back(&p);
    }
  }
  std::sort(found.begin(), found.end(), [](const Package* a, const Package* b) {
    return a->artifact.size != b->artifact.size ? a->artifact.size > b->artifact.size : a->name < b->name;
  });
  std::set<std::string> names;
  for (std::size_t i = 0; i < std::min(most, found.size()); ++i) {
    names.insert(found[i]->name);
  }
  return names;
}

/// What is there for this reason, and what that needs: the base system of every image of the suite ("base"), CUDA.
std::set<std::string> closure(const std::vector<Deb>& debs, std::string_view why) {
  std::set<std::string> names;
  for (bool grew = true; grew;) {
    grew = false;
    for (const Deb& deb : debs) {
      constexpr std::string_view kNeeded = "needed by ";
      const bool belongs =
          deb.why == why || (deb.why.starts_with(kNeeded) && names.contains(deb.why.substr(kNeeded.size())));
      grew = (belongs && names.insert(deb.name).second) || grew;
    }
  }
  return names;
}

}  // namespace

void split_layers(Lock& lock) {
  const std::set<std::string> base = closure(lock.debs, "base");
  const std::set<std::string> cuda = closure(lock.debs, kGpu);
  for (Deb& deb : lock.debs) {
    deb.layer = base.contains(deb.name) ? "base" : cuda.contains(deb.name) ? "cuda" : "";
  }
  const std::set<std::string> large_debs = large(lock.debs, kMaxOwnDebs);
  for (Deb& deb : lock.debs) {
    if (deb.layer.empty()) {
      deb.layer = large_debs.contains(deb.name) ? deb.name : format("debs-{}", bucket_of(deb.name, kDebBuckets));
    }
  }
  for (Wheel& wheel : lock.wheels) {
    wheel.layer.clear();
  }
  const std::set<std::string> large_wheels = large(lock.wheels, cuda.empty() ? kMaxOwnWheels : kMaxOwnWheels - 1);
  for (Wheel& wheel : lock.wheels) {
    wheel.layer = large_wheels.contains(wheel.name) ? "python-" + wheel.name
                                                    : format("wheels-{}", bucket_of(wheel.name, kWheelBuckets));
  }
}

}  // namespace slip::lock

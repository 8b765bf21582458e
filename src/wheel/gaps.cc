#include "wheel/gaps.h"

#include <algorithm>

#include "core/format.h"
#include "wheel/name.h"

namespace slip::wheel {
namespace {

constexpr const char* kNumpy1 = "was built against numpy 1 and cannot be imported with numpy 2";
constexpr const char* kProtobuf3 =
    "carries generated code that protobuf 4 refuses; its own later releases want protobuf below 3.20";
constexpr const char* kPkgResources =
    "imports pkg_resources, which setuptools 81 announces the end of and 82 no longer has";
constexpr const char* kInline = "has no RcParams._get, without which matplotlib-inline 0.2 fails in a notebook";

// Bounds as read from the packages themselves: the release that first was built against numpy 2, or that first names
// the bound in its metadata; pkg_resources by searching the wheels for the import (tensorboard: up to 2.20.0).
constexpr Gap kGaps[] = {
    {"tensorflow", "2.0", "2.18", "numpy", "numpy<2", kNumpy1},
    {"tensorflow-cpu", "2.0", "2.18", "numpy", "numpy<2", kNumpy1},
    {"tensorflow", "2.0", "2.9.1", "protobuf", "protobuf<3.20", kProtobuf3},
    {"tensorflow-cpu", "2.0", "2.9.1", "protobuf", "protobuf<3.20", kProtobuf3},
    {"pandas", "0", "2.2.2", "numpy", "numpy<2", kNumpy1},
    {"scikit-learn", "0", "1.4.2", "numpy", "numpy<2", kNumpy1},
    {"matplotlib", "0", "3.8.4", "numpy", "numpy<2", kNumpy1},
    {"scipy", "0", "1.13", "numpy", "numpy<2", kNumpy1},
    {"h5py", "0", "3.11", "numpy", "numpy<2", kNumpy1},
    {"statsmodels", "0", "0.14.2", "numpy", "numpy<2", kNumpy1},
    {"pyarrow", "0", "16", "numpy", "numpy<2", kNumpy1},
    {"tensorboard", "1.0", "", "setuptools", "setuptools<81", kPkgResources},
    {"tensorboard-plugin-wit", "0", "", "setuptools", "setuptools<81", kPkgResources},
    {"matplotlib", "0", "3.7", "matplotlib-inline", "matplotlib-inline<0.2", kInline},
    {"jupyter-contrib-core", "0", "", "setuptools", "setuptools<81", kPkgResources},
    {"jupyter-contrib-nbextensions", "0", "", "setuptools", "setuptools<81", kPkgResources},
};

bool concerns(const Gap& gap, const std::string& version) {
  return compare_release(version, gap.from) >= 0 && (*gap.before == '\0' || compare_release(version, gap.before) < 0);
}

}  // namespace

std::vector<AddedConstraint> missing_constraints(const std::map<std::string, std::string>& pins,
                                                 const std::vector<std::string>& overruled) {
  std::vector<AddedConstraint> added;
  for (const Gap& gap : kGaps) {
    const auto trigger = pins.find(gap.trigger);
    if (trigger == pins.end() || !concerns(gap, trigger->second) || !pins.contains(gap.target) ||
        std::find(overruled.begin(), overruled.end(), gap.target) != overruled.end()) {
      continue;
    }
    const bool there = std::any_of(added.begin(), added.end(),
                                   [&](const AddedConstraint& a) { return a.constraint == gap.constraint; });
    if (!there) {
      added.push_back({gap.constraint, format("{} {} {}", gap.trigger, trigger->second, gap.because), gap.target});
    }
  }
  std::sort(added.begin(), added.end(),
            [](const AddedConstraint& a, const AddedConstraint& b) { return a.constraint < b.constraint; });
  return added;
}

}  // namespace slip::wheel

#include "wheel/explain.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "core/debian_release.h"
#include "core/suggest.h"
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
    for (const std::string_view frame :
         {"\u00d7", "\u2570\u2500\u25b6", "\u251c\u2500\u25b6", "\u2502", "error:", "cause:", "Caused by:"}) {
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

/// The newest Python of a list ("3.7,", "3.8,", "3.9") that a Debian suite brings; empty: none of them.
std::string usable_python(const std::vector<std::string_view>& listed) {
  std::string newest;
  for (const DebianRelease& release : debian_releases()) {
    for (const std::string_view one : listed) {
      if (one.substr(0, one.find(',')) == release.python) {
        newest = release.python;
      }
    }
  }
  return newest;
}

// Names that requirements of this trade have, for "did you mean": an index of half a million is no list to guess from.
const std::vector<std::string>& common_names() {
  static const std::vector<std::string> names = {"beautifulsoup4",
                                                 "black",
                                                 "bokeh",
                                                 "catboost",
                                                 "cython",
                                                 "dask",
                                                 "datasets",
                                                 "fastapi",
                                                 "flake8",
                                                 "flask",
                                                 "gensim",
                                                 "h5py",
                                                 "huggingface-hub",
                                                 "imageio",
                                                 "ipykernel",
                                                 "ipython",
                                                 "ipywidgets",
                                                 "isort",
                                                 "jax",
                                                 "joblib",
                                                 "jupyter",
                                                 "jupyter-contrib-nbextensions",
                                                 "jupyterlab",
                                                 "keras",
                                                 "lightgbm",
                                                 "lxml",
                                                 "matplotlib",
                                                 "mlflow",
                                                 "mypy",
                                                 "networkx",
                                                 "nltk",
                                                 "notebook",
                                                 "numba",
                                                 "numpy",
                                                 "onnx",
                                                 "onnxruntime",
                                                 "opencv-python",
                                                 "openpyxl",
                                                 "optuna",
                                                 "pandas",
                                                 "pdbpp",
                                                 "pillow",
                                                 "pip",
                                                 "plotly",
                                                 "polars",
                                                 "protobuf",
                                                 "pyarrow",
                                                 "pydantic",
                                                 "pylint",
                                                 "pytest",
                                                 "pytorch-lightning",
                                                 "pyyaml",
                                                 "ray",
                                                 "requests",
                                                 "ruff",
                                                 "scikit-image",
                                                 "scikit-learn",
                                                 "scipy",
                                                 "seaborn",
                                                 "sentencepiece",
                                                 "setuptools",
                                                 "shap",
                                                 "spacy",
                                                 "sqlalchemy",
                                                 "statsmodels",
                                                 "sympy",
                                                 "tensorboard",
                                                 "tensorflow",
                                                 "tensorflow-cpu",
                                                 "tensorflow-datasets",
                                                 "tensorflow-hub",
                                                 "tensorflow-probability",
                                                 "tokenizers",
                                                 "torch",
                                                 "torchaudio",
                                                 "torchvision",
                                                 "tqdm",
                                                 "transformers",
                                                 "wandb",
                                                 "wheel",
                                                 "xgboost"};
  return names;
}

/// Requirements that the index does not know at all. False when it knows them all.
bool explain_unknown(Error& error, const ResolveRequest& request, const config::Config& config, http::Client& client) {
  std::vector<std::string> names;
  for (const Requirement& r : request.requirements) {
    names.push_back(requirement_name(r.text));
  }
  const auto pages = fetch_index(names, request.alias, config, client);
  bool unknown = false;
  for (const Requirement& r : request.requirements) {
    const std::string name = requirement_name(r.text);
    if (!pages.contains(name)) {
      error.add_cause(format("the index `{}` has no package `{}` ({})", request.alias, name, r.place));
      const auto meant = nearest(name, common_names());
      error.add_hint(meant ? format("did you mean `{}`?", *meant)
                           : format("is `{}` spelt right, and is its index among the sources of config.toml?", name));
      unknown = true;
    }
  }
  return unknown;
}

/// A pinned version that exists, but not for this Python.
bool explain_python(Error& error, const ResolveRequest& request, const Target& target, const config::Config& config,
                    http::Client& client) {
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
    error.add_cause(format("{} ({}) has wheels for Python {}, and the spec asks for Python {}", r.text, r.place,
                           pythons, target.python));
    const std::string other = usable_python(list);
    const std::string near = nearest_version(page->second, version, tag_target(target.python, target.glibc));
    const std::string pin = near.empty() ? format("take another package than {}", page->first)
                                         : format("pin `{}=={}`, the nearest version that has wheels for Python {}",
                                                  page->first, near, target.python);
    error.add_hint(other.empty() ? pin : format("write `python: \"{}\"` in slipway.yaml, or {}", other, pin));
    found = true;
  }
  return found;
}

/// The first requirement without whose pin everything resolves, and to what it resolves then.
void suggest_change(Error& error, const ResolveRequest& request, const CompileRequest& compile,
                    const std::string& explanation, Uv& uv) {
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
        error.add_hint(format("everything fits with `{}=={}` in place of `{}` ({})", name, pin.version,
                              compile.requirements[i], request.requirements[i].place));
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

std::string nearest_version(const std::vector<IndexFile>& files, const std::string& version, const TagTarget& target) {
  std::string above;
  std::string below;
  for (const IndexFile& file : files) {
    const auto wheel = parse_wheel_name(file.file);
    const bool final_release =
        wheel && wheel->version.find_first_not_of("0123456789.") == std::string::npos;  // no rc, no dev, no post
    if (!final_release || !tag_rank(*wheel, target)) {
      continue;
    }
    const std::string& offered = wheel->version;
    if (compare_release(offered, version) > 0) {
      above = above.empty() || compare_release(offered, above) < 0 ? offered : above;
    } else {
      below = below.empty() || compare_release(offered, below) > 0 ? offered : below;
    }
  }
  return above.empty() ? below : above;
}

Error explain(const ResolveRequest& request, const CompileRequest& compile, const CompileAnswer& answer,
              const std::vector<AddedConstraint>& added, const Target& target, const config::Config& config,
              http::Client& client, Uv& uv) {
  Error error(ErrorKind::Conflict, "the Python requirements cannot all be met");
  if (explain_unknown(error, request, config, client) || explain_python(error, request, target, config, client)) {
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

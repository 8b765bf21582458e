#pragma once

#include <string>
#include <vector>

#include "spec/spec.h"

namespace slip::spec {

/// The file that has a CI build, test, push and sign an environment at every commit.
struct CiFile {
  std::string path;  ///< relative to the project: ".gitlab-ci.yml"
  std::string text;
};

/// "gitlab", "github", "jenkins".
std::vector<std::string> ci_names();

/// What runs in the image as its test: flake8 and black over the project's Python where the spec asks for them, else
/// a call of the interpreter. Shell command lines behind `slipway run -- `.
std::vector<std::string> ci_checks(const Spec& spec);

/// Made for one project: its name, and ci_checks(). Users, passwords and keys are names of the CI's own variables.
/// @param ci  of ci_names()
CiFile ci_file(const std::string& ci, const Spec& spec);

}  // namespace slip::spec

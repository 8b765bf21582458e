#include "spec/ci.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"
#include "spec/pep508.h"

namespace slip::spec {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWorkspace = "/workspace/";
constexpr const char* kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-";

/// @NAME@: the environment's name; @CHECKS@ alone on its line: one line per check, indented as the mark is.
constexpr std::string_view kGitlab =
    R"(# Builds, tests, pushes and signs the environment at every commit. From `slipway init --ci gitlab`, yours to change.
#
# The runner has slipway, and root or user namespaces: `slipway doctor` says what it lacks. Set in the project's CI/CD
# variables, masked where they are secret, with "Expand variable reference" off:
#   IMAGE              where to push, without a tag: registry.example.com/team/@NAME@
#   REGISTRY_USER      may push there; of Harbor a robot account: robot$team+ci
#   REGISTRY_PASSWORD
#   SIGNING_KEY        of type File: a private key for `slipway push --sign`; without it nothing is signed
#   COSIGN_PASSWORD    opens the key where it is encrypted
slipway:
  tags: [slipway]
  interruptible: true
  variables:
    SLIPWAY_STORE: $CI_PROJECT_DIR/.slipway/store
    SLIPWAY_STATE: $CI_PROJECT_DIR/.slipway/state
    DOCKER_CONFIG: $CI_PROJECT_DIR/.slipway/docker
  cache:                     # the locked packages: another lock, another cache
    key:
      files: [slipway.lock]
    paths: [.slipway/store/blobs]
  script:
    - slipway doctor
    - slipway lock --check
    - slipway build
    @CHECKS@
    - printf '%s' "$REGISTRY_PASSWORD" | slipway login "${IMAGE%%/*}" --username "$REGISTRY_USER" --password-stdin
    - slipway push ${SIGNING_KEY:+--sign "$SIGNING_KEY"} --builder "$CI_SERVER_URL" @NAME@ "$IMAGE:$CI_COMMIT_SHA"
    - if [ "$CI_COMMIT_BRANCH" = "$CI_DEFAULT_BRANCH" ]; then slipway push @NAME@ "$IMAGE:latest"; fi
  after_script:
    - slipway logout "${IMAGE%%/*}"
)";

constexpr std::string_view kGithub =
    R"(# Builds, tests, pushes and signs the environment at every commit. From `slipway init --ci github`, yours to change.
#
# The runner is one of yours, labelled `slipway`: it has slipway, and root or user namespaces (`slipway doctor` says
# what it lacks). Set in the repository's settings:
#   variable IMAGE              where to push, without a tag: registry.example.com/team/@NAME@
#   variable REGISTRY_USER      may push there; of Harbor a robot account: robot$team+ci
#   secret   REGISTRY_PASSWORD
#   secret   SIGNING_KEY        a private key for `slipway push --sign`; without it nothing is signed
#   secret   COSIGN_PASSWORD    opens the key where it is encrypted
name: @NAME@
on: push
permissions:
  contents: read
jobs:
  slipway:
    runs-on: [self-hosted, slipway]
    env:
      IMAGE: ${{ vars.IMAGE }}
      SLIPWAY_STORE: ${{ github.workspace }}/.slipway/store
      SLIPWAY_STATE: ${{ github.workspace }}/.slipway/state
      DOCKER_CONFIG: ${{ github.workspace }}/.slipway/docker
    steps:
      - uses: actions/checkout@v4
      - uses: actions/cache@v4
        with:                # the locked packages: another lock, another cache
          path: .slipway/store/blobs
          key: slipway-${{ hashFiles('slipway.lock') }}
      - run: slipway doctor
      - run: slipway lock --check
      - run: slipway build
      @CHECKS@
      - name: push and sign
        env:
          REGISTRY_USER: ${{ vars.REGISTRY_USER }}
          REGISTRY_PASSWORD: ${{ secrets.REGISTRY_PASSWORD }}
          SIGNING_KEY: ${{ secrets.SIGNING_KEY }}
          COSIGN_PASSWORD: ${{ secrets.COSIGN_PASSWORD }}
          COMMIT: ${{ github.sha }}
          DEFAULT: ${{ github.ref_name == github.event.repository.default_branch }}
        run: |
          umask 077
          key="$RUNNER_TEMP/signing.key"
          trap 'rm -f "$key"; slipway logout "${IMAGE%%/*}"' EXIT
          printf '%s\n' "$SIGNING_KEY" > "$key"
          printf '%s' "$REGISTRY_PASSWORD" | slipway login "${IMAGE%%/*}" --username "$REGISTRY_USER" --password-stdin
          slipway push ${SIGNING_KEY:+--sign "$key"} --builder "$GITHUB_SERVER_URL" @NAME@ "$IMAGE:$COMMIT"
          if [ "$DEFAULT" = true ]; then slipway push @NAME@ "$IMAGE:latest"; fi
)";

constexpr std::string_view kJenkins =
    R"(// Builds, tests, pushes and signs the environment at every commit. From `slipway init --ci jenkins`, yours to change.
//
// The agent, labelled `slipway`, has slipway, and root or user namespaces (`slipway doctor` says what it lacks). Set
// IMAGE where Jenkins keeps variables: where to push, without a tag (registry.example.com/team/@NAME@); and make these
// credentials:
//   registry       user and password: who may push there; of Harbor a robot account: robot$team+ci
//   signing-key    secret file: a private key for `slipway push --sign`
//   signing-password  secret text: opens the key; anything where it is not encrypted
pipeline {
  agent { label 'slipway' }
  options { disableConcurrentBuilds() }
  environment {
    // The agent's disk is the cache: what a lock names is kept there by digest, whichever lock names it.
    SLIPWAY_STORE = "${env.HOME}/.cache/slipway-ci"
    SLIPWAY_STATE = "${env.WORKSPACE}/.slipway/state"
    DOCKER_CONFIG = "${env.WORKSPACE}/.slipway/docker"
  }
  stages {
    stage('check') {
      steps {
        sh 'slipway doctor'
        sh 'slipway lock --check'
      }
    }
    stage('build') {
      steps {
        sh 'slipway build'
      }
    }
    stage('test') {
      steps {
        @CHECKS@
      }
    }
    stage('push and sign') {
      steps {
        withCredentials([
          usernamePassword(credentialsId: 'registry', usernameVariable: 'REGISTRY_USER', passwordVariable: 'REGISTRY_PASSWORD'),
          file(credentialsId: 'signing-key', variable: 'SIGNING_KEY'),
          string(credentialsId: 'signing-password', variable: 'COSIGN_PASSWORD')
        ]) {
          sh '''
            set +x  # Jenkins shows each command with what it is given
            trap 'slipway logout "${IMAGE%%/*}"' EXIT
            printf '%s' "$REGISTRY_PASSWORD" | slipway login "${IMAGE%%/*}" --username "$REGISTRY_USER" --password-stdin
            slipway push --sign "$SIGNING_KEY" --builder "$JENKINS_URL" @NAME@ "$IMAGE:$GIT_COMMIT"
            if [ "$BRANCH_IS_PRIMARY" = true ]; then slipway push @NAME@ "$IMAGE:latest"; fi
          '''
        }
      }
    }
  }
}
)";

std::string replaced(std::string text, std::string_view mark, const std::string& by) {
  for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + by.size())) {
    text.replace(at, mark.size(), by);
  }
  return text;
}

/// @param line  how a check is written there, with one {} for its command line
template <class Line>
std::string with_checks(std::string text, const std::vector<std::string>& checks, Line&& line) {
  constexpr std::string_view kMark = "@CHECKS@";
  const std::size_t at = text.find(kMark);
  const std::size_t begin = text.rfind('\n', at) + 1;
  const std::string indent = text.substr(begin, at - begin);
  std::string lines;
  for (const std::string& check : checks) {
    lines += (lines.empty() ? "" : "\n" + indent) + line("slipway run -- " + check);
  }
  return text.replace(at, kMark.size(), lines);
}

bool has_python(const fs::path& source) {
  std::error_code none;
  if (fs::is_regular_file(source, none)) {
    return source.extension() == ".py";
  }
  for (fs::recursive_directory_iterator it(source, none), end; !none && it != end; it.increment(none)) {
    if (it->path().extension() == ".py") {
      return true;
    }
  }
  return false;
}

/// Where the project's Python lies inside, relative to the folder that commands start in.
std::string python_places(const Spec& spec) {
  std::vector<std::string> places;
  for (const FileMapping& file : spec.files) {
    const bool plain = file.target.find_first_not_of(kPlain) == std::string::npos;  // it goes into YAML and a shell
    if (plain && file.target.starts_with(kWorkspace) && has_python(spec.folder / file.source)) {
      places.push_back(file.target.substr(kWorkspace.size()));
    }
  }
  return join(places, " ");
}

}  // namespace

std::vector<std::string> ci_names() { return {"gitlab", "github", "jenkins"}; }

std::vector<std::string> ci_checks(const Spec& spec) {
  const auto asks_for = [&](const char* package) {
    return std::ranges::any_of(spec.requirements,
                               [&](const Requirement& r) { return to_lower(requirement_name(r.text)) == package; });
  };
  const std::string places = python_places(spec);
  std::vector<std::string> checks;
  if (!places.empty() && asks_for("flake8")) {
    checks.push_back("flake8 " + places);
  }
  if (!places.empty() && asks_for("black")) {
    checks.push_back("black --check " + places);
  }
  if (checks.empty()) {
    checks.push_back(spec.python.empty() ? "true" : "python --version");
  }
  return checks;
}

CiFile ci_file(const std::string& ci, const Spec& spec) {
  const std::vector<std::string> checks = ci_checks(spec);
  const auto made = [&](std::string_view text, auto&& line) {
    return replaced(with_checks(std::string(text), checks, line), "@NAME@", spec.name);
  };
  if (ci == "gitlab") {
    return {".gitlab-ci.yml", made(kGitlab, [](const std::string& c) { return "- " + c; })};
  }
  if (ci == "github") {
    return {".github/workflows/slipway.yml", made(kGithub, [](const std::string& c) { return "- run: " + c; })};
  }
  if (ci == "jenkins") {
    return {"Jenkinsfile", made(kJenkins, [](const std::string& c) { return "sh '" + c + "'"; })};
  }
  throw Error(ErrorKind::Usage, "there is no file for a CI called `{}`", printable(ci))
      .add_hint("there are: " + join(ci_names(), ", "));
}

}  // namespace slip::spec

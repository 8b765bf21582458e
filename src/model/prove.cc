#include "model/prove.h"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "codec/sha256.h"
#include "core/count.h"
#include "core/error.h"
#include "core/text.h"
#include "launch/child.h"
#include "model/requests.h"
#include "os/file.h"
#include "os/process.h"

namespace slip::model {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::string_view kFacts = "runtime-facts";
constexpr std::chrono::seconds kPatience{300};  // large models take their time to load

launch::LaunchPlan plan_of(const std::string& name, bool several, const fs::path& root, std::vector<std::string> argv) {
  launch::LaunchPlan plan;
  plan.name = name;
  plan.root = root;
  plan.argv = std::move(argv);
  plan.env = model_env(name, several);
  plan.uid = launch::InnerId{kUserId};
  plan.gid = launch::InnerId{kUserId};
  plan.hostname = "model";
  plan.new_session = true;
  return plan;
}

/// A file that a started program writes to.
class LogFile {
 public:
  explicit LogFile(const fs::path& folder) : file_(folder / "log") {}
  [[nodiscard]] int fd() const { return file_.fd().get(); }
  [[nodiscard]] std::string text() const { return os::read_file(file_.temp_path()); }

 private:
  os::AtomicFile file_;
};

void add_last_lines(Error& error, const std::string& log) {
  const auto lines = split(trim(log), '\n');
  for (std::size_t i = lines.size() > 8 ? lines.size() - 8 : 0; i < lines.size(); ++i) {
    error.add_cause(printable(lines[i]));
  }
}

/// What the server says of itself when it does not serve.
[[noreturn]] void does_not_serve(const SavedModel& model, const std::string& log) {
  Error error(ErrorKind::Invalid, "model `{}` version {} does not load in the image", model.name, model.version);
  add_last_lines(error, log);
  throw error.add_hint("try it in the environment that it was trained in: `tf.saved_model.load(folder)`");
}

class Server {
 public:
  Server(const SavedModel& model, bool several, const fs::path& root, const std::vector<std::string>& ask,
         const fs::path& scratch, lock::Context& context)
      : model_(model), several_(several), ask_(ask), log_(scratch), child_(start(root, context)) {}

  std::vector<std::pair<int, std::string>> ask(const std::vector<Json>& requests) {
    os::Command command;
    command.argv = ask_;
    command.argv.push_back(std::to_string(child_.pid()));
    command.argv.push_back(std::to_string(kRestPort));
    for (const Json& request : requests) {
      command.input += request.dump() + "\n";
    }
    command.output_limit = std::size_t{1} << 30;
    command.timeout = std::chrono::minutes(5);
    std::vector<std::pair<int, std::string>> answers;
    const std::string out = os::run_checked(command);
    for (const std::string_view line : split(trim(out), '\n')) {
      const Json answer = Json::parse(line);
      answers.emplace_back(answer.at(0), answer.at(1));
    }
    return answers;
  }

  void await_ready() {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (ask({Json::array({"GET", "/readyz", ""})}).at(0).first != 200) {
      const std::string log = log_.text();
      if (log.find("\"event\":\"exit\"") != std::string::npos ||
          log.find("\"event\":\"failed\"") != std::string::npos || std::chrono::steady_clock::now() > end) {
        does_not_serve(model_, log);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }

  /// Stops it in order and says whether it ended well.
  bool stop() {
    child_.kill(SIGTERM);
    return child_.wait().ok();
  }

 private:
  launch::RunningChild start(const fs::path& root, lock::Context& context) {
    launch::LaunchPlan plan = plan_of(model_.name, several_, root, {image::kInitPath});
    plan.env["SLIPWAY_BIND"] = "127.0.0.1";
    plan.direct = true;
    launch::ChildOptions options;
    options.id = context.id;
    options.stdio = {-1, log_.fd(), log_.fd()};
    return launch::RunningChild::start(plan, options);
  }

  const SavedModel& model_;
  bool several_;
  std::vector<std::string> ask_;
  LogFile log_;
  launch::RunningChild child_;
};

std::string short_answer(const std::string& body) {
  const auto words = split_words(body);
  const std::string one_line = join({words.begin(), words.end()}, " ");
  return printable(one_line.size() > 80 ? one_line.substr(0, 80) + "…" : one_line);
}

struct Asked {
  std::string version;  ///< empty: the newest
  std::string verb;
  std::string signature;
  std::string body;
  bool made_up;
  bool features;  ///< made up with the features that the graph parses
};

/// A refusal of a made-up request proves nothing against the model; one of the user's own does, and so does a crash.
Finding judge(const Asked& asked, int status, const std::string& body) {
  const std::string id =
      format("{} {}{}", asked.verb, asked.signature, asked.version.empty() ? "" : " of version " + asked.version);
  const std::string title = "it answers a request";
  if (status == 200) {
    return fine(id, title, short_answer(body));
  }
  if (asked.made_up && status >= 400 && status < 500) {
    const std::string own =
        "one of your own in assets.extra/tf_serving_warmup_requests is asked whenever the model "
        "is loaded";
    return excepted(
        id, title, short_answer(body), "an answer",
        asked.verb == "predict"
            ? "the request was made up from the signature; give one of your own with `--request FILE`"
        : asked.features
            ? "the request was a tf.Example with made-up values of the features that the graph parses; " + own
            : "the request was a tf.Example without features, as the graph does not say which it parses; " + own);
  }
  return amiss(id, title, format("{} {}", status, short_answer(body)), "an answer",
               "try the request in the environment that the model was trained in");
}

}  // namespace

RuntimeFacts facts_of(const ShipPlan& plan, const fs::path& root, lock::Context& context) {
  const std::string key = image::key(plan.layers.at(1).recipe).hex() + " " + image::key(plan.layers.at(2).recipe).hex();
  if (const auto known = context.store.record(kFacts, key)) {
    return parse_facts(*known);
  }
  const os::TempDir scratch = context.store.temp_dir("facts-");
  const LogFile out(scratch.path());
  const launch::LaunchResult ran =
      launch::run_native(plan_of("runtime", false, root, {"/usr/bin/slipway-serve", "--describe_runtime"}), context.id,
                         {-1, out.fd(), out.fd()}, context.events);
  if (!ran.status.ok()) {
    Error error(ErrorKind::Unsupported, "start slipway-serve out of the image: {}", ran.status.text());
    add_last_lines(error, out.text());
    throw error;
  }
  const std::string text = out.text();
  RuntimeFacts facts = parse_facts(text);
  context.store.set_record(kFacts, key, text);
  return facts;
}

Proof prove(const std::vector<SavedModel>& versions, const fs::path& root, const std::vector<std::string>& requests,
            const std::vector<std::string>& ask, lock::Context& context) {
  Task task(context.events, "Checking", "the image by asking it");
  const os::TempDir scratch = context.store.temp_dir("proof-");
  Proof proof;
  const SavedModel& model = versions.back();
  Server server(model, versions.size() > 1, root, ask, scratch.path(), context);
  server.await_ready();
  const bool warmed = std::any_of(versions.begin(), versions.end(), [](const SavedModel& one) {
    return fs::exists(one.folder / "assets.extra/tf_serving_warmup_requests");
  });
  proof.findings.push_back(
      fine("load", "the model loads and serves", warmed ? "ready, its own warm-up requests have run" : "ready"));

  std::vector<Asked> asked;
  for (const SavedModel& one : versions) {
    const std::string version = &one == &model ? std::string() : one.version;
    for (const auto& [name, signature] : one.graph.signatures) {
      const auto parsed = one.graph.parsed.find(name);
      if (const auto request =
              request_for(name, signature, parsed == one.graph.parsed.end() ? ParsedInputs() : parsed->second)) {
        asked.push_back({version, request->verb, name, request->body, true, request->features});
      } else if (version.empty()) {
        proof.findings.push_back(excepted("predict " + name, "it answers a request", "not asked", "an answer",
                                          "no request can be made up for its inputs; give one with `--request FILE`"));
      }
    }
  }
  for (const std::string& body : requests) {
    const Json json = Json::parse(body, nullptr, false);
    asked.push_back({"", "predict",
                     json.is_object() ? json.value("signature_name", std::string(serving::kDefaultSignature)) : "?",
                     body, false, false});
  }
  std::vector<Json> lines;
  for (const Asked& one : asked) {
    const std::string version = one.version.empty() ? model.version : one.version;
    lines.push_back(
        Json::array({"POST", format("/v1/models/{}/versions/{}:{}", model.name, version, one.verb), one.body}));
  }
  const auto answers = lines.empty() ? std::vector<std::pair<int, std::string>>() : server.ask(lines);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto& [status, body] = answers.at(i);
    proof.findings.push_back(judge(asked[i], status, body));
    if (status == 200 && asked[i].version.empty() && asked[i].verb == "predict") {
      proof.exchanges.push_back({asked[i].signature, asked[i].body, body});
    }
  }
  const bool well = server.stop();
  proof.findings.push_back(well ? fine("stop", "it stops when told to", "status 0")
                                : amiss("stop", "it stops when told to", "it had to be killed", "status 0", ""));
  task.succeed();
  return proof;
}

}  // namespace slip::model

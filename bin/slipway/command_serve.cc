#include <unistd.h>

#include <cerrno>

#include "command.h"
#include "core/error.h"
#include "model/saved_model.h"
#include "options.h"
#include "session.h"
#include "tensorflow.h"

namespace slip::cli {
namespace {

namespace fs = std::filesystem;

/// slipway-serve lies beside slipway, as built and as installed.
fs::path find_server() {
  const fs::path path = fs::read_symlink("/proc/self/exe").parent_path() / "slipway-serve";
  if (!fs::exists(path)) {
    throw Error(ErrorKind::NotFound, "`{}`, which serves models, is not beside slipway", path.string())
        .add_hint("install slipway and slipway-serve into the same folder (`make install` does)");
  }
  return path;
}

class Serve final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Serves a SavedModel from the working tree, over REST and gRPC on this machine alone, until it is interrupted. "
        "A folder of versions is watched: a new one takes over without a lost request. It runs slipway-serve with "
        "TensorFlow 2.9's own libraries, which are fetched once; flags of slipway-serve may follow behind `--`.");
    o.arg("FOLDER", folder_, "a SavedModel, or a folder of numbered versions").required().file();
    o.value("name", "NAME", name_, "name of the model in URLs").fallback("the folder's");
    o.value("port", 'p', "N", rest_port_, "port of REST").fallback("8501");
    o.value("grpc-port", "N", grpc_port_, "port of gRPC").fallback("8500");
    o.flag("any-ports", any_ports_, "take free ports; the output names them");
    o.flag("offline", offline_, "use only what the store holds");
    o.rest("FLAGS", flags_, "flags for slipway-serve");
    o.example("slipway serve ./saved_model", "serve it as `saved_model` at http://127.0.0.1:8501");
    o.example("slipway serve ./models/half --name half -- --enable_batching", "serve versions, requests run together");
  }

  int run(Session& s) override {
    const fs::path folder = fs::absolute(folder_).lexically_normal();
    const model::SavedModel model = model::open_saved_model(folder, name_);
    const std::string& name = model.name;
    const fs::path server = find_server();
    const fs::path tensorflow = find_tensorflow(s, model.graph.tensorflow, offline_);
    std::vector<std::string> argv = {server.string(),
                                     "--model_name=" + name,
                                     "--model_base_path=" + folder.string(),
                                     "--tensorflow=" + tensorflow.string(),
                                     "--address=127.0.0.1",
                                     "--log_format=text"};
    if (any_ports_) {
      argv.emplace_back("--any_ports");
    } else {
      argv.push_back("--rest_api_port=" + std::to_string(rest_port_));
      argv.push_back("--port=" + std::to_string(grpc_port_));
      s.say(format("Starting `{}`: http://127.0.0.1:{}/v1/models/{}:predict and gRPC at 127.0.0.1:{}", name, rest_port_,
                   name, grpc_port_));
    }
    argv.insert(argv.end(), flags_.begin(), flags_.end());
    s.close_store();
    return become(argv);
  }

 private:
  /// Puts slipway-serve in this process's place, so that signals and its exit status are its own.
  static int become(const std::vector<std::string>& argv) {
    std::vector<char*> words;
    for (const std::string& word : argv) {
      words.push_back(const_cast<char*>(word.c_str()));
    }
    words.push_back(nullptr);
    ::execv(words[0], words.data());
    throw Error(ErrorKind::Unavailable, "run `{}`: {}", argv[0], errno_text(errno));
  }

  std::string folder_;
  std::string name_;
  unsigned rest_port_ = 8501;
  unsigned grpc_port_ = 8500;
  bool any_ports_ = false;
  bool offline_ = false;
  std::vector<std::string> flags_;
};

}  // namespace

std::unique_ptr<Command> make_serve() { return std::make_unique<Serve>(); }

}  // namespace slip::cli

#include "command.h"
#include "core/error.h"
#include "options.h"
#include "registry/credentials.h"
#include "session.h"

namespace slip::cli {
namespace {

class Logout final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Forgets user and password of a registry, in docker's config.json and with the credential helper it names.");
    o.arg("HOST", host_, "the registry, with its port where it has one").required();
    o.example("slipway logout registry.example.com", "forget this registry's password");
    o.example("slipway logout localhost:5000", "with a port");
  }

  int run(Session& s) override {
    const bool had = registry::erase_credential(registry::credential_files(), host_);
    s.say(had ? format("Removed the credentials of {}", host_)
              : format("Removed nothing: {} was not logged in to", host_));
    return 0;
  }

 private:
  std::string host_;
};

}  // namespace

std::unique_ptr<Command> make_logout() { return std::make_unique<Logout>(); }

}  // namespace slip::cli

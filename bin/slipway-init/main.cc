// slipway-init: PID 1 of every image. docs/reference/services-json.md says what it does.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "init/control.h"
#include "init/supervisor.h"

namespace slip::init {
namespace {

constexpr char kDefaultFile[] = "/etc/slipway/services.json";
constexpr char kUsage_[] =
    "Usage: slipway-init [--services FILE] [--with-services] [-- COMMAND...]\n"
    "       slipway-init [--services FILE] --health\n"
    "\n"
    "Without COMMAND, starts the services of FILE (/etc/slipway/services.json) and keeps them up.\n"
    "With COMMAND, runs it instead and passes its status on; --with-services starts the services beside it.\n"
    "--health asks the slipway-init that runs here: prints its services, 0 when all are well, else 1.\n";

void say(Text a, Text b = {}, Text c = {}, Text d = {}) {
  char line[1024];
  Writer out(line, sizeof line - 1);
  out.text("slipway-init: ").text(a).text(b).text(c).text(d).text("\n");
  (void)!::write(2, out.written().data, out.written().size);
}

struct Words {
  const char* file = kDefaultFile;
  bool with_services = false;
  bool health = false;
  char** command = nullptr;
};

/// False when the words were wrong; that is told.
bool read_words(int argc, char** argv, Words& words) {
  for (int i = 1; i < argc; ++i) {
    const Text word = argv[i];
    if (word == "--") {
      words.command = i + 1 < argc ? argv + i + 1 : nullptr;
      return true;
    }
    if (word == "--with-services") {
      words.with_services = true;
    } else if (word == "--health") {
      words.health = true;
    } else if (word == "--services" && i + 1 < argc) {
      words.file = argv[++i];
    } else if (word[0] != '-' && !word.empty()) {
      words.command = argv + i;  // as images have it: ENTRYPOINT is us, CMD the command
      return true;
    } else {
      say(word == "--services" ? Text("--services needs a FILE") : Text("no such option: "),
          word == "--services" ? Text() : word);
      (void)!::write(2, kUsage_, sizeof kUsage_ - 1);
      return false;
    }
  }
  return true;
}

/// The file as text in a static buffer; its status when there is none.
int read_file(const char* path, Text& text) {
  static char buffer[kMaxFile + 1];
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const int error = errno;
    say("cannot read `", path, "`: ", strerror(error));
    if (error == ENOENT) {
      say("give a command behind `--`, or a list of services with --services");
    }
    return kNoConfig;
  }
  size_t size = 0;
  ssize_t got = 0;
  while (size < sizeof buffer && (got = ::read(fd, buffer + size, sizeof buffer - size)) > 0) {
    size += static_cast<size_t>(got);
  }
  const int error = errno;
  ::close(fd);
  if (got < 0) {
    say("cannot read `", path, "`: ", strerror(error));
    return kNoConfig;
  }
  text = {buffer, size};
  return 0;
}

int read_config(const char* path, Config& config) {
  Text text;
  if (const int status = read_file(path, text); status != 0) {
    return status;
  }
  Failure failure;
  if (parse_config(text, [](const char* name) -> const char* { return ::getenv(name); }, config, failure)) {
    return 0;
  }
  char place[64] = {};
  Writer out(place, sizeof place - 1);
  if (failure.line > 0) {
    out.text(":").number(failure.line).text(":").number(failure.column);
  }
  say(path, place, ": ", failure.reason);
  return kBadConfig;
}

int check_health(const Config& config) {
  if (config.control == nullptr) {
    say("--health needs `control` in the list of services");
    return 1;
  }
  errno = 0;
  if (ask_health(config.control)) {
    return 0;
  }
  if (errno != 0) {
    say("nobody answers on `", config.control, "`: ", strerror(errno));
  }
  return 1;
}

int run(int argc, char** argv) {
  Words words;
  if (!read_words(argc, argv, words)) {
    return kUsage;
  }
  static Config config;
  static Supervisor supervisor;
  Plan plan;
  plan.command = words.command;
  if (words.command == nullptr || words.with_services || words.health) {
    if (const int status = read_config(words.file, config); status != 0) {
      return status;
    }
    plan.config = &config;
  }
  if (words.health) {
    return check_health(config);
  }
  plan.inherited = take_signals();
  return supervisor.run(plan);
}

}  // namespace
}  // namespace slip::init

int main(int argc, char** argv) { return slip::init::run(argc, argv); }

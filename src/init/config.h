#pragma once

#include "init/text.h"

namespace slip::init {

constexpr unsigned kMaxServices = 64;
constexpr unsigned kMaxArgs = 128;
constexpr unsigned kMaxEnv = 128;
constexpr unsigned kMaxRestarts = 100;
constexpr size_t kMaxFile = size_t{256} * 1024;
constexpr uint64_t kMaxMs = 24ull * 3600 * 1000;

/// When a service that ended is started again.
enum class Policy : uint8_t { Always, OnFailure, Never };

struct Restart {
  Policy policy = Policy::Always;
  unsigned max = 5;  ///< restarts within the window; one more and the service has failed
  uint64_t window_ms = 60'000;
  uint64_t base_ms = 100;  ///< wait before restart n of a row: base * 2^n, at most cap, give or take a fifth
  uint64_t cap_ms = 5'000;
};

struct Stop {
  int signal = 15;            ///< SIGTERM
  uint64_t grace_ms = 5'000;  ///< then SIGKILL
};

/// How a service tells that those after it may start.
struct Ready {
  enum class Kind : uint8_t { Started, Tcp, Unix, File, Notify };
  Kind kind = Kind::Started;
  const char* path = "";  ///< Unix, File
  uint32_t address = 0;   ///< Tcp: IPv4, host byte order
  uint16_t port = 0;
};

/// One service; every pointer leads into the arena of its Config. Its lists are zero where the Config is static or made
/// with (), which the parser relies on.
struct Service {
  const char* name = nullptr;
  const char* argv[kMaxArgs + 1];  ///< ends with nullptr
  unsigned argc = 0;
  const char* env[kMaxEnv + 1];  ///< "NAME=VALUE", added to ours
  unsigned env_count = 0;
  const char* cwd = nullptr;  ///< nullptr: ours
  uint64_t after = 0;         ///< bit i: service i must be ready first
  Restart restart;
  Stop stop;
  Ready ready;
  bool critical = true;             ///< when it has failed, everything stops
  const char* when_file = nullptr;  ///< started only if this exists
};

struct Config {
  Service services[kMaxServices];
  unsigned count = 0;
  const char* control = nullptr;  ///< path of the control socket
  char arena[2 * kMaxFile];       ///< the strings; static, so untouched pages cost nothing
  size_t used = 0;
};

/// Where and why a file was refused. `line` and `column` count from 1, in bytes; 0: not about a place.
struct Failure {
  unsigned line = 0;
  unsigned column = 0;
  char reason[256] = "";
};

/// Looks a variable up; nullptr when it is not set.
using Getenv = const char* (*)(const char* name);

/// Parses services.json (RFC 8259, UTF-8) into `config`, which must be new. `${NAME}` and `${NAME:-default}` in argv,
/// ready and control are replaced. Unknown and repeated keys, wrong types, unknown names and circles in `after` are
/// refused.
/// @return true, or false with `failure` filled
bool parse_config(Text json, Getenv getenv, Config& config, Failure& failure);

/// SIGTERM of "TERM" or "SIGTERM"; 0 when there is no such name. And back.
int signal_number(Text name);
const char* signal_name(int number);

}  // namespace slip::init

#include "init/config.h"

#include <signal.h>

#include "init/json.h"

namespace slip::init {
namespace {

struct SignalName {
  const char* name;
  int number;
};
constexpr SignalName kSignals[] = {
    {"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"KILL", SIGKILL}, {"USR1", SIGUSR1},   {"USR2", SIGUSR2},
    {"ALRM", SIGALRM}, {"TERM", SIGTERM}, {"CONT", SIGCONT}, {"STOP", SIGSTOP}, {"WINCH", SIGWINCH}, {"PWR", SIGPWR},
    {"ABRT", SIGABRT}, {"SEGV", SIGSEGV}, {"PIPE", SIGPIPE}, {"BUS", SIGBUS},   {"FPE", SIGFPE},     {"ILL", SIGILL},
    {"TRAP", SIGTRAP}, {"SYS", SIGSYS},   {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ},
};

bool is_name(Text name) {
  for (size_t i = 0; i < name.size; ++i) {
    const char c = name[i];
    const bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (!ok) {
      return false;
    }
  }
  return !name.empty() && name.size <= 64;
}

bool is_variable(Text name) {
  for (size_t i = 0; i < name.size; ++i) {
    const char c = name[i];
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (i > 0 && c >= '0' && c <= '9'))) {
      return false;
    }
  }
  return !name.empty();
}

/// "127.0.0.1:8888" into its numbers.
bool parse_address(Text text, Ready& ready) {
  uint32_t parts[5] = {};
  unsigned part = 0;
  unsigned digits = 0;
  for (size_t i = 0; i < text.size; ++i) {
    if (text[i] >= '0' && text[i] <= '9' && digits < 5) {
      parts[part] = parts[part] * 10 + static_cast<uint32_t>(text[i] - '0');
      ++digits;
    } else if (digits > 0 && part < 4 && text[i] == (part == 3 ? ':' : '.')) {
      ++part;
      digits = 0;
    } else {
      return false;
    }
  }
  for (unsigned i = 0; i < 4; ++i) {
    if (parts[i] > 255) {
      return false;
    }
  }
  ready.address = (parts[0] << 24) | (parts[1] << 16) | (parts[2] << 8) | parts[3];
  ready.port = static_cast<uint16_t>(parts[4]);
  return part == 4 && digits > 0 && parts[4] > 0 && parts[4] <= 65535;
}

/// Names in `after` are looked up when all services are known.
struct Wish {
  unsigned service;
  Text name;
  size_t place;
};

class Parser {
 public:
  Parser(Text json, Getenv getenv, Config& config)
      : in_(json, config.arena, sizeof config.arena / 2), getenv_(getenv), config_(config), extra_(config.arena) {
    extra_ += sizeof config.arena / 2;
    left_ = sizeof config.arena / 2;
  }

  void parse() {
    unsigned seen = 0;
    in_.open('{');
    for (Text key; in_.next_key(key);) {
      if (key == "services" && once(seen, 0)) {
        services();
      } else if (key == "control" && once(seen, 1)) {
        config_.control = expanded();
      } else {
        in_.fail("no such key", key);
      }
    }
    in_.end();
    config_.used = in_.arena_used();
    link();
  }

  [[nodiscard]] bool failed() const { return in_.failed(); }
  [[nodiscard]] const char* reason() const { return in_.reason(); }
  [[nodiscard]] size_t place() const { return late_place_ != kNowhere ? late_place_ : in_.place(); }

 private:
  bool once(unsigned& seen, unsigned bit) {
    if ((seen & (1u << bit)) != 0) {
      in_.fail("the key is given twice");
      return false;
    }
    seen |= 1u << bit;
    return true;
  }

  char* take(size_t size) {
    if (size > left_) {
      in_.fail("the file holds too much text");
      return nullptr;
    }
    char* taken = extra_;
    extra_ += size;
    left_ -= size;
    return taken;
  }

  const char* copy(Text text) {
    char* at = take(text.size + 1);
    if (at == nullptr) {
      return "";
    }
    memcpy(at, text.data, text.size);
    at[text.size] = '\0';
    return at;
  }

  /// A string with ${NAME} and ${NAME:-default} replaced from the environment.
  const char* expanded() {
    Text raw;
    in_.string(&raw);
    char* out = take(0);
    Writer writer(extra_, left_ > 0 ? left_ - 1 : 0);
    for (size_t at = 0; at < raw.size && !in_.failed();) {
      if (raw[at] != '$' || at + 1 == raw.size || raw[at + 1] != '{') {
        writer.text({raw.data + at, 1});
        ++at;
        continue;
      }
      at = variable(raw, at + 2, writer);
    }
    if (writer.full() || in_.failed() || take(writer.written().size + 1) == nullptr) {
      in_.fail("the file holds too much text");
      return "";
    }
    out[writer.written().size] = '\0';
    return out;
  }

  size_t variable(Text raw, size_t at, Writer& out) {
    size_t close = at;
    while (close < raw.size && raw[close] != '}') {
      ++close;
    }
    size_t name_end = at;
    while (name_end < close && raw[name_end] != ':') {
      ++name_end;
    }
    const Text name{raw.data + at, name_end - at};
    const bool has_default = name_end + 1 < close && raw[name_end + 1] == '-';
    if (close == raw.size || !is_variable(name) || (name_end < close && !has_default)) {
      in_.fail("`${NAME}` or `${NAME:-default}` is expected in", raw);
      return raw.size;
    }
    char zero_ended[128];
    if (name.size >= sizeof zero_ended) {
      in_.fail("the name of the variable is too long", name);
      return raw.size;
    }
    memcpy(zero_ended, name.data, name.size);
    zero_ended[name.size] = '\0';
    const char* value = getenv_(zero_ended);
    if (value != nullptr) {
      out.text(value);
    } else if (has_default) {
      out.text({raw.data + name_end + 2, close - name_end - 2});
    } else {
      in_.fail("the environment does not set", name);
    }
    return close + 1;
  }

  void services() {
    in_.open('[');
    while (in_.next_item()) {
      if (config_.count == kMaxServices) {
        in_.fail("there may be 64 services");
        return;
      }
      service(config_.services[config_.count]);
      ++config_.count;
    }
  }

  void service(Service& s) {
    unsigned seen = 0;
    in_.open('{');
    const size_t place = in_.place();
    for (Text key; in_.next_key(key);) {
      if (key == "name" && once(seen, 0)) {
        name(s);
      } else if (key == "argv" && once(seen, 1)) {
        argv(s);
      } else if (key == "env" && once(seen, 2)) {
        environment(s);
      } else if (key == "cwd" && once(seen, 3)) {
        s.cwd = in_.string();
      } else if (key == "after" && once(seen, 4)) {
        after();
      } else if (key == "restart" && once(seen, 5)) {
        restart(s.restart);
      } else if (key == "stop" && once(seen, 6)) {
        stop(s.stop);
      } else if (key == "ready" && once(seen, 7)) {
        ready(s.ready);
      } else if (key == "critical" && once(seen, 8)) {
        s.critical = in_.boolean();
      } else if (key == "when_file" && once(seen, 9)) {
        s.when_file = in_.string();
      } else {
        in_.fail("a service has no key", key);
      }
    }
    if (!in_.failed() && (s.name == nullptr || s.argc == 0)) {
      late_place_ = place;
      in_.fail(s.name == nullptr ? "a service needs `name`" : "a service needs `argv`");
    }
  }

  void name(Service& s) {
    Text text;
    s.name = in_.string(&text);
    if (!in_.failed() && !is_name(text)) {
      in_.fail("a name has up to 64 letters, digits, `-` and `_`, not", text);
    }
    for (unsigned i = 0; i < config_.count; ++i) {
      if (Text(config_.services[i].name) == text) {
        in_.fail("two services are named", text);
      }
    }
  }

  void argv(Service& s) {
    in_.open('[');
    while (in_.next_item()) {
      if (s.argc == kMaxArgs) {
        in_.fail("there may be 128 arguments");
        return;
      }
      s.argv[s.argc++] = expanded();
    }
    if (!in_.failed() && (s.argc == 0 || s.argv[0][0] == '\0')) {
      in_.fail("argv needs a program");
    }
  }

  void environment(Service& s) {
    in_.open('{');
    for (Text key; in_.next_key(key);) {
      if (s.env_count == kMaxEnv) {
        in_.fail("there may be 128 variables");
        return;
      }
      if (!is_variable(key)) {
        in_.fail("not the name of a variable:", key);
        return;
      }
      Text value;
      in_.string(&value);
      char* at = take(key.size + value.size + 2);
      if (at == nullptr) {
        return;
      }
      Writer out(at, key.size + value.size + 1);
      out.text(key).text("=").text(value);
      at[key.size + value.size + 1] = '\0';
      s.env[s.env_count++] = at;
    }
  }

  void after() {
    in_.open('[');
    while (in_.next_item()) {
      Text name;
      in_.string(&name);
      if (wishes_ == kMaxWishes) {
        in_.fail("there are too many names in `after`");
        return;
      }
      wish_[wishes_++] = {config_.count, name, in_.place()};
    }
  }

  void restart(Restart& r) {
    unsigned seen = 0;
    in_.open('{');
    for (Text key; in_.next_key(key);) {
      if (key == "policy" && once(seen, 0)) {
        r.policy = policy();
      } else if (key == "max" && once(seen, 1)) {
        r.max = static_cast<unsigned>(in_.number(kMaxRestarts));
      } else if (key == "window_ms" && once(seen, 2)) {
        r.window_ms = in_.number(kMaxMs);
      } else if (key == "base_ms" && once(seen, 3)) {
        r.base_ms = in_.number(kMaxMs);
      } else if (key == "cap_ms" && once(seen, 4)) {
        r.cap_ms = in_.number(kMaxMs);
      } else {
        in_.fail("`restart` has no key", key);
      }
    }
  }

  Policy policy() {
    Text word;
    in_.string(&word);
    if (word == "on-failure") {
      return Policy::OnFailure;
    }
    if (word == "never") {
      return Policy::Never;
    }
    if (!(word == "always")) {
      in_.fail("always, on-failure or never is expected, not", word);
    }
    return Policy::Always;
  }

  void stop(Stop& s) {
    unsigned seen = 0;
    in_.open('{');
    for (Text key; in_.next_key(key);) {
      if (key == "signal" && once(seen, 0)) {
        Text word;
        in_.string(&word);
        s.signal = signal_number(word);
        if (s.signal == 0) {
          in_.fail("no such signal:", word);
        }
      } else if (key == "grace_ms" && once(seen, 1)) {
        s.grace_ms = in_.number(kMaxMs);
      } else {
        in_.fail("`stop` has no key", key);
      }
    }
  }

  void ready(Ready& r) {
    using Kind = Ready::Kind;
    in_.open('{');
    for (Text key; in_.next_key(key);) {
      if (r.kind != Kind::Started) {
        in_.fail("`ready` has one key, not also", key);
      } else if (key == "tcp") {
        r.kind = Kind::Tcp;
        const char* address = expanded();
        if (!in_.failed() && !parse_address(address, r)) {
          in_.fail("ADDRESS:PORT is expected, as in 127.0.0.1:8888, not", address);
        }
      } else if (key == "unix" || key == "file") {
        r.kind = key == "unix" ? Kind::Unix : Kind::File;
        r.path = expanded();
      } else if (key == "notify") {
        r.kind = in_.boolean() ? Kind::Notify : Kind::Started;
      } else {
        in_.fail("`ready` has no key", key);
      }
    }
  }

  /// Turns names in `after` into bits, and refuses circles.
  void link() {
    for (unsigned w = 0; w < wishes_ && !in_.failed(); ++w) {
      unsigned found = config_.count;
      for (unsigned i = 0; i < config_.count; ++i) {
        found = wish_[w].name == config_.services[i].name ? i : found;
      }
      if (found == config_.count || found == wish_[w].service) {
        late_place_ = wish_[w].place;
        in_.fail(found == config_.count ? "there is no service" : "a service cannot wait for itself:", wish_[w].name);
        return;
      }
      config_.services[wish_[w].service].after |= uint64_t{1} << found;
    }
    uint64_t done = 0;
    for (unsigned round = 0; round < config_.count; ++round) {
      for (unsigned i = 0; i < config_.count; ++i) {
        done |= (config_.services[i].after & ~done) == 0 ? uint64_t{1} << i : 0;
      }
    }
    for (unsigned w = 0; w < wishes_ && !in_.failed(); ++w) {
      if ((done >> wish_[w].service & 1) == 0) {
        late_place_ = wish_[w].place;
        in_.fail("services wait for each other in a circle, one of them is", config_.services[wish_[w].service].name);
      }
    }
  }

  static constexpr unsigned kMaxWishes = 256;
  JsonReader in_;
  Getenv getenv_;
  Config& config_;
  char* extra_;
  size_t left_ = 0;
  Wish wish_[kMaxWishes];
  unsigned wishes_ = 0;
  static constexpr size_t kNowhere = ~size_t{0};
  size_t late_place_ = kNowhere;  ///< of a failure that was seen behind its place
};

void locate(Text json, size_t place, Failure& failure) {
  failure.line = 1;
  failure.column = 1;
  for (size_t i = 0; i < place && i < json.size; ++i) {
    ++failure.column;
    if (json[i] == '\n') {
      ++failure.line;
      failure.column = 1;
    }
  }
}

}  // namespace

bool parse_config(Text json, Getenv getenv, Config& config, Failure& failure) {
  if (json.size > kMaxFile) {
    Writer(failure.reason, sizeof failure.reason - 1).text("the file is larger than 256 KiB");
    return false;
  }
  Parser parser(json, getenv, config);
  parser.parse();
  if (!parser.failed()) {
    return true;
  }
  Writer(failure.reason, sizeof failure.reason - 1).text(parser.reason());
  locate(json, parser.place(), failure);
  return false;
}

int signal_number(Text name) {
  if (name.size > 3 && Text(name.data, 3) == "SIG") {
    name = {name.data + 3, name.size - 3};
  }
  for (const SignalName& known : kSignals) {
    if (name == known.name) {
      return known.number;
    }
  }
  return 0;
}

const char* signal_name(int number) {
  for (const SignalName& known : kSignals) {
    if (known.number == number) {
      return known.name;
    }
  }
  return "";
}

}  // namespace slip::init

#include "options.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <set>

#include "core/error.h"
#include "core/suggest.h"
#include "core/text.h"

namespace slip::cli {
namespace {

std::string typed(const Option& o) { return "--" + o.name; }

/// The one option that may be meant by a name; searched in the command's own and in the global ones.
class Known {
 public:
  Known(const Options& own, const Options& globals) : all_{&own, &globals}, json_(own.takes_json()) {}

  [[nodiscard]] const Option* by_name(std::string_view name) const {
    return find([&](const Option& o) { return o.name == name; });
  }
  [[nodiscard]] const Option* by_letter(char letter) const {
    return find([&](const Option& o) { return o.letter == letter; });
  }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const Options* options : all_) {
      for (const Option& o : options->options()) {
        if (usable(o)) {
          names.push_back(o.name);
        }
      }
    }
    return names;
  }

 private:
  [[nodiscard]] bool usable(const Option& o) const {
    return (o.kind == Option::Kind::Flag || o.kind == Option::Kind::Value) && (json_ || o.name != "json");
  }
  template <class Wanted>
  [[nodiscard]] const Option* find(Wanted wanted) const {
    for (const Options* options : all_) {
      for (const Option& o : options->options()) {
        if (usable(o) && wanted(o)) {
          return &o;
        }
      }
    }
    return nullptr;
  }
  std::vector<const Options*> all_;
  bool json_;
};

void check_allowed(const Option& o, const std::string& shown, const std::string& value) {
  if (o.allowed.empty() || std::find(o.allowed.begin(), o.allowed.end(), value) != o.allowed.end()) {
    return;
  }
  Error error(ErrorKind::Usage, "`{}` wants one of {}, not `{}`", shown, join(o.allowed, ", "), printable(value));
  if (const auto near = nearest(value, o.allowed)) {
    error.add_hint(format("did you mean `{}`?", *near));
  }
  throw error;
}

/// Walks over one command line; throws at the first word that cannot be.
class Parser {
 public:
  Parser(const std::vector<std::string>& words, std::string_view command, const Options& own, const Options& globals)
      : words_(words),
        own_(own),
        globals_(globals),
        known_(own, globals),
        shown_(command.empty() ? "slipway" : "slipway " + std::string(command)) {
    for (const Option& o : own.options()) {
      if (o.kind == Option::Kind::Argument || o.kind == Option::Kind::Rest) {
        positional_.push_back(&o);
      }
    }
  }

  void run() {
    try {
      while (at_ < words_.size()) {
        word(words_[at_]);
      }
    } catch (const Error&) {
      if (!help_follows()) {
        throw;
      }
    }
    if (help_) {
      return;
    }
    environment();
    for (const Option* o : missing()) {
      const bool argument = o->kind == Option::Kind::Argument || o->kind == Option::Kind::Rest;
      throw Error(ErrorKind::Usage, "`{}` needs {}", shown_,
                  argument ? o->name : format("`{} {}`", typed(*o), o->placeholder))
          .add_hint(format("run `{} --help`", shown_));
    }
  }

 private:
  void word(const std::string& w) {
    ++at_;
    if (only_positional_) {
      positional(w);
    } else if (w == "--") {
      only_positional_ = true;
      begin_rest();
    } else if (w.starts_with("--")) {
      long_option(w);
    } else if (w.size() > 1 && w[0] == '-' &&
               !(w[1] >= '0' && w[1] <= '9' && known_.by_letter(w[1]) == nullptr && next_ < positional_.size())) {
      letters(w);
    } else {
      positional(w);
    }
  }

  /// What stands behind `--` is the other command line, also where an argument of ours could have stood before it.
  void begin_rest() {
    for (std::size_t i = next_; i < positional_.size(); ++i) {
      next_ = positional_[i]->kind == Option::Kind::Rest ? i : next_;
    }
  }

  void long_option(const std::string& w) {
    const std::size_t equals = w.find('=');
    const std::string name = w.substr(2, equals == std::string::npos ? std::string::npos : equals - 2);
    const Option* o = known_.by_name(name);
    if (o == nullptr) {
      throw unknown(w.substr(0, equals), nearest(name, known_.names()));
    }
    if (o->kind == Option::Kind::Flag) {
      if (equals != std::string::npos) {
        throw Error(ErrorKind::Usage, "`{}` takes no value", typed(*o))
            .add_hint(format("leave `{}` out", printable(w.substr(equals))));
      }
      give(*o, typed(*o), "");
      return;
    }
    give(*o, typed(*o), equals != std::string::npos ? w.substr(equals + 1) : next_value(*o));
  }

  void letters(const std::string& w) {
    for (std::size_t i = 1; i < w.size(); ++i) {
      const Option* o = known_.by_letter(w[i]);
      if (o == nullptr) {
        throw unknown(i == 1 && w.size() > 2 ? w : format("-{}", w[i]),
                      i == 1 ? nearest(w.substr(1), known_.names()) : std::nullopt);
      }
      if (o->kind == Option::Kind::Flag) {
        give(*o, format("-{}", w[i]), "");
        continue;
      }
      give(*o, typed(*o), i + 1 < w.size() ? w.substr(i + 1 + (w[i + 1] == '=' ? 1 : 0)) : next_value(*o));
      return;
    }
  }

  std::string next_value(const Option& o) {
    const auto number = [](const std::string& w) { return w.size() > 1 && w[0] == '-' && w[1] >= '0' && w[1] <= '9'; };
    if (at_ >= words_.size() || (words_[at_].size() > 1 && words_[at_][0] == '-' && !number(words_[at_]))) {
      throw Error(ErrorKind::Usage, "`{}` needs a value", typed(o))
          .add_hint(format("write `{} {}`", typed(o), o.placeholder));
    }
    return words_[at_++];
  }

  void positional(const std::string& w) {
    if (next_ >= positional_.size()) {
      Error error(ErrorKind::Usage, "`{}` takes {}, so `{}` is one word too many", shown_,
                  positional_.empty() ? "no arguments"
                                      : format("{} argument{}", positional_.size(), positional_.size() == 1 ? "" : "s"),
                  printable(w));
      throw error.add_hint(format("run `{} --help`", shown_));
    }
    const Option& o = *positional_[next_];
    give(o, o.name, w);
    if (o.kind == Option::Kind::Rest) {
      // Somebody else's command line: its options are not ours.
      while (at_ < words_.size()) {
        give(o, o.name, words_[at_++]);
      }
    } else if (!o.repeats) {
      ++next_;
    }
  }

  void give(const Option& o, const std::string& shown, const std::string& value) {
    if (!given_.insert(&o).second && !o.repeats && o.kind != Option::Kind::Flag) {
      throw Error(ErrorKind::Usage, "`{}` is given twice", shown);
    }
    if (o.kind != Option::Kind::Flag) {
      check_allowed(o, shown, value);
    }
    help_ = help_ || o.name == "help";
    with_usage(shown, o, value);
  }
  static void with_usage(const std::string& shown, const Option& o, const std::string& value) {
    try {
      o.take(value);
    } catch (Error& e) {
      throw Error(e.kind(), "`{}` {}", shown, e.what());
    }
  }

  void environment() {
    for (const Options* options : {&own_, &globals_}) {
      for (const Option& o : options->options()) {
        if (o.env_name.empty() || given_.contains(&o)) {
          continue;
        }
        const char* value = std::getenv(o.env_name.c_str());
        if (value == nullptr || *value == '\0' || (o.kind == Option::Kind::Flag && std::string_view(value) == "0")) {
          continue;
        }
        check_allowed(o, o.env_name, value);
        with_usage(o.env_name, o, value);
        given_.insert(&o);
      }
    }
  }

  [[nodiscard]] std::vector<const Option*> missing() const {
    std::vector<const Option*> out;
    for (const Option& o : own_.options()) {
      if (o.is_required && !given_.contains(&o)) {
        out.push_back(&o);
      }
    }
    return out;
  }

  /// Whether --help stands among the words not yet read; then it is answered, whatever was wrong before it.
  bool help_follows() {
    for (std::size_t i = at_; i < words_.size() && words_[i] != "--" && !only_positional_; ++i) {
      if (words_[i] == "--help" || words_[i] == "-h") {
        give(*known_.by_name("help"), "--help", "");
        return true;
      }
    }
    return help_;
  }

  [[nodiscard]] Error unknown(const std::string& w, const std::optional<std::string>& near) const {
    Error error(ErrorKind::Usage, "`{}` has no option `{}`", shown_, printable(w));
    error.add_hint(near ? format("a similar option exists: `--{}`", *near)
                        : format("run `{} --help` to see them all", shown_));
    return error;
  }

  const std::vector<std::string>& words_;
  const Options& own_;
  const Options& globals_;
  Known known_;
  std::string shown_;
  std::vector<const Option*> positional_;
  std::size_t at_ = 0;
  std::size_t next_ = 0;
  std::set<const Option*> given_;
  bool only_positional_ = false;
  bool help_ = false;
};

Option make(Option::Kind kind, std::string name, char letter, std::string placeholder, std::string doc) {
  Option o;
  o.kind = kind;
  o.name = std::move(name);
  o.letter = letter;
  o.placeholder = std::move(placeholder);
  o.doc = std::move(doc);
  return o;
}

}  // namespace

Option& Options::add(Option option) {
  options_.push_back(std::move(option));
  return options_.back();
}

Option& Options::arg(std::string name, std::string& into, std::string doc) {
  Option& o = add(make(Option::Kind::Argument, std::move(name), 0, "", std::move(doc)));
  o.take = [&into](const std::string& v) { into = v; };
  return o;
}

Option& Options::args(std::string name, std::vector<std::string>& into, std::string doc) {
  Option& o = add(make(Option::Kind::Argument, std::move(name), 0, "", std::move(doc)));
  o.repeats = true;
  o.take = [&into](const std::string& v) { into.push_back(v); };
  return o;
}

Option& Options::rest(std::string name, std::vector<std::string>& into, std::string doc) {
  Option& o = args(std::move(name), into, std::move(doc));
  o.kind = Option::Kind::Rest;
  return o;
}

Option& Options::flag(std::string name, char letter, bool& into, std::string doc) {
  Option& o = add(make(Option::Kind::Flag, std::move(name), letter, "", std::move(doc)));
  o.take = [&into](const std::string&) { into = true; };
  return o;
}

Option& Options::count(std::string name, char letter, int& into, std::string doc) {
  Option& o = add(make(Option::Kind::Flag, std::move(name), letter, "", std::move(doc)));
  o.repeats = true;
  o.take = [&into](const std::string&) { ++into; };
  return o;
}

Option& Options::value(std::string name, char letter, std::string placeholder, std::string& into, std::string doc) {
  Option& o = add(make(Option::Kind::Value, std::move(name), letter, std::move(placeholder), std::move(doc)));
  o.take = [&into](const std::string& v) { into = v; };
  return o;
}

Option& Options::value(std::string name, char letter, std::string placeholder, std::vector<std::string>& into,
                       std::string doc) {
  Option& o = add(make(Option::Kind::Value, std::move(name), letter, std::move(placeholder), std::move(doc)));
  o.repeats = true;
  o.take = [&into](const std::string& v) { into.push_back(v); };
  return o;
}

Option& Options::value(std::string name, char letter, std::string placeholder, unsigned& into, std::string doc) {
  Option& o = add(make(Option::Kind::Value, std::move(name), letter, std::move(placeholder), std::move(doc)));
  o.take = [&into](const std::string& v) {
    unsigned number = 0;
    const auto [end, error] = std::from_chars(v.data(), v.data() + v.size(), number);
    if (error != std::errc{} || end != v.data() + v.size()) {
      throw Error(ErrorKind::Usage, "wants a whole number from 0 on, not `{}`", printable(v));
    }
    into = number;
  };
  return o;
}

void Globals::declare(Options& o) {
  o.count("quiet", 'q', quiet, "no progress and notes; twice: nothing but the exit status");
  o.count("verbose", 'v', verbose, "say what is being done; twice: in detail");
  o.value("color", "WHEN", color, "colours").choices({"auto", "always", "never"}).fallback("auto").env("SLIPWAY_COLOR");
  o.flag("no-progress", no_progress, "no progress, only what is left at the end").env("SLIPWAY_NO_PROGRESS");
  o.flag("json", json, "the answer as one JSON record");
  o.flag("help", 'h', help, "show this help");
  o.flag("version", 'V', version, "show the version");
}

void parse_words(const std::vector<std::string>& words, std::string_view command, const Options& options,
                 const Options& globals) {
  Parser(words, command, options, globals).run();
}

}  // namespace slip::cli

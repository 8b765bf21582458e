#include <algorithm>
#include <array>
#include <set>

#include "config/discover.h"
#include "core/debian_release.h"
#include "core/text.h"

namespace slip::config {
namespace {

/// One entry of a sources file.
struct Entry {
  std::vector<std::string> types;
  std::vector<std::string> uris;
  std::vector<std::string> suites;
  std::vector<std::string> components;
  std::string signed_by;
  bool enabled = true;
};

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (const std::string_view word : split_words(text)) {
    words.emplace_back(word);
  }
  return words;
}

void set_field(Entry& entry, const std::string& name, const std::string& value) {
  if (name == "types") {
    entry.types = words_of(value);
  } else if (name == "uris") {
    entry.uris = words_of(value);
  } else if (name == "suites") {
    entry.suites = words_of(value);
  } else if (name == "components") {
    entry.components = words_of(value);
  } else if (name == "signed-by") {
    entry.signed_by = value;
  } else if (name == "enabled") {
    const std::string word = to_lower(trim(value));
    entry.enabled = word != "no" && word != "false" && word != "0" && word != "off" && word != "without";
  }
}

std::vector<Entry> parse_deb822(std::string_view text) {
  std::vector<Entry> entries;
  std::map<std::string, std::string> fields;
  std::string last;
  const auto flush = [&] {
    if (!fields.empty()) {
      Entry entry;
      for (const auto& [name, value] : fields) {
        set_field(entry, name, value);
      }
      entries.push_back(std::move(entry));
      fields.clear();
      last.clear();
    }
  };
  for (const std::string_view line : split(text, '\n')) {
    if (trim(line).empty()) {
      flush();
    } else if (line.front() == '#') {
      continue;
    } else if (line.front() == ' ' || line.front() == '\t') {
      fields[last] += "\n" + std::string(trim(line));
    } else if (const std::size_t colon = line.find(':'); colon != std::string_view::npos) {
      last = to_lower(trim(line.substr(0, colon)));
      fields[last] = trim(line.substr(colon + 1));
    }
  }
  flush();
  return entries;
}

/// "deb [signed-by=/x arch=amd64] URI SUITE COMPONENT…"
std::optional<Entry> parse_one_line(std::string_view line) {
  line = trim(line.substr(0, line.find('#')));
  Entry entry;
  if (const std::size_t open = line.find('['); open != std::string_view::npos) {
    const std::size_t close = line.find(']', open);
    if (close == std::string_view::npos) {
      return std::nullopt;
    }
    for (const std::string& option : words_of(line.substr(open + 1, close - open - 1))) {
      constexpr std::string_view kSigned = "signed-by=";
      if (option.compare(0, kSigned.size(), kSigned) == 0) {
        entry.signed_by = option.substr(kSigned.size());
      }
    }
    auto words = words_of(line.substr(close + 1));
    words.insert(words.begin(), std::string(trim(line.substr(0, open))));
    line = {};
    entry.types = std::move(words);
  } else {
    entry.types = words_of(line);
  }
  std::vector<std::string> words = std::move(entry.types);
  if (words.size() < 4) {
    return std::nullopt;
  }
  entry.types = {words[0]};
  entry.uris = {words[1]};
  entry.suites = {words[2]};
  entry.components.assign(words.begin() + 3, words.end());
  return entry;
}

bool is_codename(std::string_view suite) {
  static constexpr std::array kOthers = {"stretch", "buster", "forky", "duke",
                                         "sid"};  // the machine's, never an image's
  return debian_release(suite) != nullptr || std::find(kOthers.begin(), kOthers.end(), suite) != kOthers.end();
}

bool is_rolling(std::string_view suite) {
  static constexpr std::array kNames = {"oldoldstable", "oldstable", "stable", "testing", "unstable"};
  return std::find(kNames.begin(), kNames.end(), suite) != kNames.end();
}

struct SuiteKind {
  std::string alias;     ///< "" when it is none of Debian's, or one that slipway has no use for
  bool rolling = false;  ///< "stable" and the like, which many foreign repositories call their suites too
};

SuiteKind kind_of_suite(std::string_view suite) {
  const auto known = [](std::string_view base) { return is_codename(base) || is_rolling(base); };
  const auto with_suffix = [&](std::string_view suffix) {
    return suite.size() > suffix.size() && suite.substr(suite.size() - suffix.size()) == suffix &&
           known(suite.substr(0, suite.size() - suffix.size()));
  };
  for (const std::string_view suffix : {"-security", "/updates"}) {
    if (with_suffix(suffix)) {
      return {"debian-security", is_rolling(suite.substr(0, suite.size() - suffix.size()))};
    }
  }
  if (with_suffix("-updates")) {
    return {"debian", is_rolling(suite.substr(0, suite.size() - std::string_view("-updates").size()))};
  }
  return known(suite) ? SuiteKind{"debian", is_rolling(suite)} : SuiteKind{};
}

bool all_debian_components(const std::vector<std::string>& components) {
  static const std::set<std::string> kKnown = {"main", "contrib", "non-free", "non-free-firmware"};
  return !components.empty() && std::find(components.begin(), components.end(), "main") != components.end() &&
         std::all_of(components.begin(), components.end(), [](const auto& c) { return kKnown.count(c) != 0; });
}

/// What apt last saw at this place: "Debian", another origin, or "" when it has no copy (images drop them).
std::string origin_in_lists(const Host& host, const std::string& uri, const std::string& suite) {
  std::string name = uri.substr(uri.find("://") + 3) + "/dists/" + suite;
  if (const std::size_t at = name.find('@'); at != std::string::npos && at < name.find('/')) {
    name.erase(0, at + 1);
  }
  std::replace(name.begin(), name.end(), '/', '_');
  const auto text = host_file(host, "var/lib/apt/lists/" + name + "_InRelease");
  if (!text) {
    return {};
  }
  for (const std::string_view line : split(*text, '\n')) {
    constexpr std::string_view kOrigin = "Origin:";
    if (line.substr(0, kOrigin.size()) == kOrigin) {
      return std::string(trim(line.substr(kOrigin.size())));
    }
  }
  return {};
}

bool is_debians_own(const Host& host, const Entry& entry, const std::string& uri, const std::string& suite,
                    bool rolling) {
  if (const std::string origin = origin_in_lists(host, uri, suite); !origin.empty()) {
    return origin == "Debian";
  }
  // A repository with a key of its own is somebody else's, whatever it calls its suites.
  if (!entry.signed_by.empty() && entry.signed_by.find("BEGIN PGP") == std::string::npos) {
    return entry.signed_by.find("debian-archive") != std::string::npos;
  }
  return !rolling || to_lower(uri).find("debian") != std::string::npos;
}

/// `mirror+file:/path` names a list of URLs, best first (cloud images have it).
/// @source apt-transport-mirror(1)
std::vector<std::string> expand_uri(const Host& host, const std::string& uri) {
  constexpr std::string_view kMirror = "mirror+file:";
  if (uri.compare(0, kMirror.size(), kMirror) != 0) {
    return {uri};
  }
  std::vector<std::string> urls;
  const std::string path = uri.substr(uri.find_first_not_of('/', kMirror.size()));
  const std::string text = host_file(host, path).value_or("");
  for (const std::string_view line : split(text, '\n')) {
    const auto words = split_words(line.substr(0, line.find('#')));
    if (!words.empty()) {
      urls.emplace_back(words.front());
    }
  }
  return urls;
}

void add_once(std::vector<std::string>& list, std::string value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) {
    list.push_back(std::move(value));
  }
}

void add_entry(const Host& host, const Entry& entry, std::map<std::string, std::vector<std::string>>& out) {
  const bool binary = std::find(entry.types.begin(), entry.types.end(), "deb") != entry.types.end();
  if (!entry.enabled || !binary || !all_debian_components(entry.components)) {
    return;
  }
  for (const std::string& listed : entry.uris) {
    for (const std::string& uri : expand_uri(host, listed)) {
      for (const std::string& suite : entry.suites) {
        const SuiteKind kind = kind_of_suite(suite);
        const std::string url = normal_url(uri);
        if (!kind.alias.empty() && is_web_url(url) && is_debians_own(host, entry, url, suite, kind.rolling)) {
          add_once(out[kind.alias], url);
        }
      }
    }
  }
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

std::map<std::string, std::vector<std::string>> parse_apt_sources(const Host& host, std::string_view text,
                                                                  bool deb822) {
  std::map<std::string, std::vector<std::string>> found;
  if (deb822) {
    for (const Entry& entry : parse_deb822(text)) {
      add_entry(host, entry, found);
    }
    return found;
  }
  for (const std::string_view line : split(text, '\n')) {
    if (const auto entry = parse_one_line(line)) {
      add_entry(host, *entry, found);
    }
  }
  return found;
}

std::map<std::string, Found> apt_sources(const Host& host) {
  std::vector<std::string> files = {"etc/apt/sources.list"};
  for (const std::string& name : host_list(host, "etc/apt/sources.list.d")) {
    if (ends_with(name, ".list") || ends_with(name, ".sources")) {
      files.push_back("etc/apt/sources.list.d/" + name);
    }
  }
  std::map<std::string, Found> all;
  for (const std::string& file : files) {
    const auto text = host_file(host, file);
    if (!text) {
      continue;
    }
    for (const auto& [alias, urls] : parse_apt_sources(host, *text, ends_with(file, ".sources"))) {
      Found& found = all[alias];
      for (const std::string& url : urls) {
        add_once(found.values, url);
      }
      if (found.origin.empty()) {
        found.origin = format("apt (/{})", file);
      }
    }
  }
  return all;
}

}  // namespace slip::config

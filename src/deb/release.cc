#include "deb/release.h"

#include <ctime>

#include <algorithm>
#include <array>

#include "codec/compress.h"
#include "core/error.h"
#include "core/suggest.h"
#include "core/text.h"
#include "core/time.h"
#include "deb/control.h"
#include "os/process.h"

namespace slip::deb {
namespace {

constexpr const char* kKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
constexpr std::uint64_t kMaxInRelease = 4u << 20;
constexpr std::uint64_t kMaxPackages = 512u << 20;

}  // namespace

const DebianRelease& known_release(const std::string& release) {
  if (const DebianRelease* known = debian_release(release)) {
    return *known;
  }
  const std::vector<std::string> names = debian_release_names();
  Error error(ErrorKind::NotFound, "`{}` is no Debian release that slipway knows", printable(release));
  if (const auto near = nearest(release, names)) {
    error.add_hint("did you mean `" + *near + "`?");
  } else {
    error.add_hint("known releases: " + join(names, ", "));
  }
  throw error;
}

std::vector<Suite> suites_of(const std::string& release, const std::set<std::string>& more) {
  known_release(release);
  std::vector<std::string> components = {"main"};
  std::ranges::copy_if(more, std::back_inserter(components), [](const std::string& c) { return c != "main"; });
  return {{"debian", release, components},
          {"debian", release + "-updates", components},
          {"debian-security", release + "-security", components}};
}

std::vector<std::string> base_requests(const std::string& release, bool with_python) {
  const DebianRelease& known = known_release(release);
  std::vector<std::string> names = {"ca-certificates", "netbase", "tzdata"};
  if (with_python) {
    names.emplace_back("libstdc++6");  // the one library that manylinux wheels expect and Python itself does not need
    names.emplace_back("python3");
    names.push_back(format("python{}", known.python));
    if (known.distutils) {
      names.emplace_back("python3-distutils");
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<std::int64_t> parse_date(std::string_view text) {
  const std::vector<std::string_view> words = split_words(text);
  if (words.size() != 6 || (words[5] != "UTC" && words[5] != "+0000" && words[5] != "GMT")) {
    return std::nullopt;
  }
  static constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto month = std::find(kMonths.begin(), kMonths.end(), words[2]);
  const auto number = [](std::string_view digits, int most) -> std::optional<int> {
    int value = 0;
    if (digits.empty() || digits.size() > 4) {
      return std::nullopt;
    }
    for (const char c : digits) {
      if (c < '0' || c > '9') {
        return std::nullopt;
      }
      value = value * 10 + (c - '0');
    }
    return value <= most ? std::optional<int>(value) : std::nullopt;
  };
  const std::vector<std::string_view> clock = split(words[4], ':');
  const auto day = number(words[1], 31);
  const auto year = number(words[3], 9999);
  if (month == kMonths.end() || !day || !year || clock.size() != 3) {
    return std::nullopt;
  }
  const auto hour = number(clock[0], 23);
  const auto minute = number(clock[1], 59);
  const auto second = number(clock[2], 60);
  if (!hour || !minute || !second) {
    return std::nullopt;
  }
  std::tm tm{};
  tm.tm_year = *year - 1900;
  tm.tm_mon = static_cast<int>(month - kMonths.begin());
  tm.tm_mday = *day;
  tm.tm_hour = *hour;
  tm.tm_min = *minute;
  tm.tm_sec = *second;
  return ::timegm(&tm);
}

namespace {

ReleaseFile::Entry parse_entry(std::string_view line, const std::string& name, std::string& path) {
  const std::vector<std::string_view> words = split_words(line);
  const auto digest = words.size() == 3 ? Digest::parse(words[0]) : std::nullopt;
  ReleaseFile::Entry entry;
  const bool number = digest && !words[1].empty() && words[1].size() < 16 &&
                      words[1].find_first_not_of("0123456789") == std::string_view::npos;
  if (!number) {
    throw Error(ErrorKind::Invalid, "{}: `{}` is no line of the SHA256 list", name, printable(line.substr(0, 200)));
  }
  entry.sha256 = *digest;
  entry.size = std::stoull(std::string(words[1]));
  path = words[2];
  return entry;
}

}  // namespace

ReleaseFile parse_release(std::string_view text, const std::string& name) {
  ControlReader reader(text, name);
  Paragraph paragraph;
  if (!reader.next(paragraph)) {
    throw Error(ErrorKind::Invalid, "{}: it is empty", name);
  }
  ReleaseFile release;
  const auto date = parse_date(paragraph.get("Date"));
  if (!date) {
    throw Error(ErrorKind::Invalid, "{}: `{}` is no Date", name, printable(paragraph.get("Date")));
  }
  release.date = *date;
  if (paragraph.has("Valid-Until")) {
    release.valid_until = parse_date(paragraph.get("Valid-Until"));
    if (!release.valid_until) {
      throw Error(ErrorKind::Invalid, "{}: `{}` is no Valid-Until", name, printable(paragraph.get("Valid-Until")));
    }
  }
  release.codename = paragraph.get("Codename");
  release.by_hash = paragraph.get("Acquire-By-Hash") == "yes";
  for (const std::string_view line : split(paragraph.get("SHA256"), '\n')) {
    if (trim(line).empty()) {
      continue;
    }
    std::string path;
    const ReleaseFile::Entry entry = parse_entry(line, name, path);
    release.files.emplace(std::move(path), entry);
  }
  if (release.files.empty()) {
    throw Error(ErrorKind::Invalid, "{}: it has no SHA256 list", name);
  }
  return release;
}

namespace {

/// gpgv checks signatures, but a file could hold more than what was signed: text before, after, or a second message.
void require_one_message(const std::string& text, const std::string& name) {
  std::size_t messages = 0;
  std::size_t signatures = 0;
  std::string_view last;
  bool first = true;
  bool good = true;
  for (std::string_view line : split(text, '\n')) {
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    if (first) {
      good = line == "-----BEGIN PGP SIGNED MESSAGE-----";
      first = false;
    }
    messages += line == "-----BEGIN PGP SIGNED MESSAGE-----" ? 1 : 0;
    signatures += line == "-----BEGIN PGP SIGNATURE-----" ? 1 : 0;
    if (!trim(line).empty()) {
      last = line;
    }
  }
  if (!good || messages != 1 || signatures != 1 || last != "-----END PGP SIGNATURE-----") {
    throw Error(ErrorKind::Denied, "`{}` is not one signed message", name);
  }
}

struct Signatures {
  bool good = false;
  bool bad = false;
  std::string told;  ///< what gpgv said of the ones that are not good
};

Signatures read_status(std::string_view status) {
  Signatures found;
  bool good = false;
  for (const std::string_view line : split(status, '\n')) {
    const std::vector<std::string_view> words = split_words(line);
    if (words.size() < 2 || words[0] != "[GNUPG:]") {
      continue;
    }
    if (words[1] == "GOODSIG") {
      good = true;
    } else if (words[1] == "VALIDSIG") {
      found.good = found.good || good;
    } else if (words[1] == "NEWSIG") {
      good = false;
    } else if (words[1] == "BADSIG") {
      found.bad = true;
      found.told = "a signature does not match the text";
    } else if (words[1] == "EXPKEYSIG" || words[1] == "REVKEYSIG" || words[1] == "EXPSIG" || words[1] == "NO_PUBKEY") {
      found.told = printable(line.substr(9));
    }
  }
  return found;
}

}  // namespace

std::string verified_cleartext(const std::string& inrelease, const std::string& name, const store::Store& store) {
  require_one_message(inrelease, name);
  if (!std::filesystem::exists(kKeyring)) {
    Error error(ErrorKind::NotFound, "check the signature of `{}`: no keyring `{}`", name, kKeyring);
    error.add_hint("install the package debian-archive-keyring");
    throw error;
  }
  const os::TempDir folder = store.temp_dir("gpgv-");
  const std::filesystem::path signed_file = folder.path() / "InRelease";
  const std::filesystem::path clear_file = folder.path() / "Release";
  os::write_file(signed_file, inrelease, 0600);
  os::Command command;
  command.argv = {"gpgv",   "--homedir", folder.path().string(), "--status-fd",       "1", "--keyring",
                  kKeyring, "--output",  clear_file.string(),    signed_file.string()};
  command.env = {{"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"LC_ALL", "C"}};
  command.timeout = std::chrono::seconds(60);
  os::CommandResult result;
  try {
    result = os::run_command(command);
  } catch (Error& error) {
    if (error.kind() == ErrorKind::NotFound) {
      error.add_hint("install the package gpgv");
    }
    error.add_context(format("check the signature of `{}`", name));
    throw;
  }
  const Signatures signatures = read_status(result.out);
  if (!signatures.good || signatures.bad) {
    Error error(ErrorKind::Denied, "`{}` carries no good signature of the Debian archive", name);
    if (!signatures.told.empty()) {
      error.add_cause(signatures.told);
    }
    error.add_hint("update the package debian-archive-keyring, or set another mirror in config.toml");
    throw error;
  }
  return os::read_file(clear_file, kMaxInRelease);
}

namespace {

std::string get_inrelease(const Suite& suite, const config::Config& config, http::Client& client, std::string& url) {
  std::optional<Error> failure;
  for (const std::string& base : config::require_debian(config, suite.alias)) {
    url = base + "/dists/" + suite.name + "/InRelease";
    try {
      http::Response response = client.get(url, {}, kMaxInRelease);
      if (response.status == 200) {
        return std::move(response.body);
      }
      failure = http::status_error(response);
    } catch (const Error& error) {
      failure = error;
    }
  }
  Error error = failure ? *failure : Error(ErrorKind::NotFound, "`{}` names no mirror", suite.alias);
  if (error.kind() == ErrorKind::NotFound) {
    error.add_hint("old suites move to an archive: add its address to `sources." + suite.alias + "` in config.toml");
  }
  throw error;
}

}  // namespace

ReleaseFile fetch_release(const Suite& suite, std::int64_t now, const config::Config& config, http::Client& client,
                          const store::Store& store) {
  return with_context(
      [&] { return format("read the Release file of {}", suite.name); },
      [&] {
        std::string url;
        const std::string inrelease = get_inrelease(suite, config, client, url);
        const std::string name = http::redact(url);
        ReleaseFile release = parse_release(verified_cleartext(inrelease, name, store), name);
        // A good signature of another suite must not pass for this one.
        if (!release.codename.empty() && release.codename != suite.name) {
          throw Error(ErrorKind::Denied, "`{}` is signed for `{}`, not for `{}`", name, printable(release.codename),
                      suite.name);
        }
        if (release.valid_until && *release.valid_until < now) {
          Error error(ErrorKind::Invalid, "`{}` expired at {}", name, rfc3339(*release.valid_until));
          error.add_hint("the mirror is stale, or this machine's clock is wrong (it says " + rfc3339(now) + ")");
          throw error;
        }
        return release;
      });
}

std::string fetch_packages(const Suite& suite, const std::string& component, const ReleaseFile& release,
                           const config::Config& config, http::Client& client, store::Store& store) {
  const std::string folder = component + "/binary-amd64/";
  const std::string path = folder + "Packages.xz";
  const auto listed = release.files.find(path);
  if (listed == release.files.end()) {
    throw Error(ErrorKind::NotFound, "the Release file of {} lists no `{}`", suite.name, path)
        .add_hint(format("use a mirror of `{}` that carries the component `{}`", suite.alias, component));
  }
  const ReleaseFile::Entry& entry = listed->second;
  if (!store.has_blob(entry.sha256)) {
    http::Download job;
    for (const std::string& base : config::require_debian(config, suite.alias)) {
      const std::string dists = base + "/dists/" + suite.name + "/";
      if (release.by_hash) {
        job.urls.push_back(dists + folder + "by-hash/SHA256/" + entry.sha256.hex());
      }
      job.urls.push_back(dists + path);
    }
    job.target = store.partial_path(entry.sha256);
    job.size = entry.size;
    job.sha256 = entry.sha256;
    job.label = suite.name + " " + component;
    client.download({&job, 1});
    store.adopt_blob(job.target, entry.sha256);
  }
  const std::string packed = store.read_blob(entry.sha256);
  MemorySource memory(as_bytes(packed));
  const std::unique_ptr<Source> plain = codec::open_compressed(memory, suite.name + "/" + path);
  std::string text;
  std::array<std::uint8_t, 64 * 1024> block{};
  while (const std::size_t count = plain->read(block)) {
    if (text.size() + count > kMaxPackages) {
      throw Error(ErrorKind::Invalid, "`{}` of {} is larger than {}", path, suite.name, human_size(kMaxPackages));
    }
    text.append(reinterpret_cast<const char*>(block.data()), count);
  }
  return text;
}

}  // namespace slip::deb

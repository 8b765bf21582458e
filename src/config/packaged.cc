#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "config/discover.h"
#include "core/text.h"

namespace slip::config {
namespace {

constexpr std::size_t kMostEntry = 1U << 20;

/// Reads numbers of `Bytes` bytes, little endian; the caller has checked the length.
template <std::size_t Bytes>
std::size_t number_at(std::string_view text, std::size_t at) {
  std::size_t value = 0;
  for (std::size_t i = 0; i < Bytes; ++i) {
    value |= static_cast<std::size_t>(static_cast<unsigned char>(text[at + i])) << (8 * i);
  }
  return value;
}

std::optional<std::string> inflate_raw(std::string_view packed, std::size_t size) {
  if (size > kMostEntry) {
    return std::nullopt;
  }
  std::string out(size, '\0');
  z_stream stream{};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) {
    return std::nullopt;
  }
  const int result = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  return result == Z_STREAM_END && stream.avail_out == 0 ? std::optional(out) : std::nullopt;
}

/// The bytes of the entry whose central record starts at `at`. @source PKWARE APPNOTE 4.3.7, 4.3.12
std::optional<std::string> entry_bytes(std::string_view zip, std::size_t at) {
  constexpr std::size_t kLocalHeader = 30;
  constexpr std::size_t kStored = 0;
  constexpr std::size_t kDeflated = 8;
  const std::size_t method = number_at<2>(zip, at + 10);
  const std::size_t packed = number_at<4>(zip, at + 20);
  const std::size_t size = number_at<4>(zip, at + 24);
  const std::size_t local = number_at<4>(zip, at + 42);
  if (local > zip.size() || zip.size() - local < kLocalHeader) {
    return std::nullopt;
  }
  const std::size_t data = local + kLocalHeader + number_at<2>(zip, local + 26) + number_at<2>(zip, local + 28);
  if (data > zip.size() || zip.size() - data < packed) {
    return std::nullopt;
  }
  const std::string_view bytes = zip.substr(data, packed);
  if (method == kStored && packed <= kMostEntry) {
    return std::string(bytes);
  }
  return method == kDeflated ? inflate_raw(bytes, size) : std::nullopt;
}

void add_from_template(const Host& host, std::map<std::string, Found>& found) {
  constexpr const char* kFile = "usr/share/python-apt/templates/Debian.info";
  std::string suite;
  // A paragraph's base URL may be that of a suite with any code name: "{series}" stands for it in newer releases.
  const std::string text = host_file(host, kFile).value_or("");
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
      continue;
    }
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trim(line.substr(colon + 1));
    if (name == "Suite") {
      suite = value;
    } else if (name == "BaseURI" && !suite.empty()) {
      const bool security = suite.find("-security") != std::string::npos || suite.find("/updates") != std::string::npos;
      Found& one = found[security ? "debian-security" : "debian"];
      if (one.values.empty() && is_web_url(value)) {
        one = {{normal_url(value)}, format("python-apt-common (/{})", kFile)};
      }
    }
  }
}

void add_from_examples(const Host& host, std::map<std::string, Found>& found) {
  for (const char* file : {"usr/share/doc/apt/examples/debian.sources", "usr/share/doc/apt/examples/sources.list"}) {
    const bool deb822 = std::string_view(file).find(".sources") != std::string_view::npos;
    for (auto& [alias, urls] : parse_apt_sources(host, host_file(host, file).value_or(""), deb822)) {
      if (found[alias].values.empty()) {
        found[alias] = {std::move(urls), format("apt's example (/{})", file)};
      }
    }
  }
}

/// The folders in which a `pip` on PATH may keep its modules.
std::vector<std::string> pip_folders(const Host& host) {
  std::vector<std::string> folders = {"usr/lib/python3/dist-packages"};
  const std::string path = host_env(host, "PATH");
  for (const std::string_view folder : split(path, ':')) {
    const std::filesystem::path bin(folder);
    if (folder.empty() || !host_has(host, bin / "pip")) {
      continue;
    }
    const std::filesystem::path lib = bin.parent_path() / "lib";
    for (const std::string& name : host_list(host, lib)) {
      if (name.compare(0, 7, "python3") == 0) {
        folders.push_back((lib / name / "site-packages").string());
      }
    }
  }
  return folders;
}

}  // namespace

std::map<std::string, Found> packaged_debian(const Host& host) {
  std::map<std::string, Found> found;
  add_from_template(host, found);
  add_from_examples(host, found);
  return found;
}

std::string index_in_pip_source(std::string_view source) {
  // PyPI = PackageIndex("URL", file_storage_domain="…")
  for (std::size_t at = source.find("PyPI = PackageIndex("); at != std::string_view::npos;
       at = source.find("PyPI = PackageIndex(", at + 1)) {
    if (at != 0 && source[at - 1] != '\n') {
      continue;  // the tail of another name
    }
    const std::size_t open = source.find_first_of("\"'", at);
    const std::size_t close = open == std::string_view::npos ? open : source.find(source[open], open + 1);
    if (close != std::string_view::npos) {
      const std::string url = normal_url(source.substr(open + 1, close - open - 1));
      return is_web_url(url) ? url + "/simple" : "";
    }
  }
  return {};
}

std::optional<std::string> zip_entry(std::string_view zip, std::string_view name) {
  constexpr std::size_t kEnd = 22;
  constexpr std::size_t kRecord = 46;
  const std::size_t end = zip.rfind("PK\x05\x06");
  if (end == std::string_view::npos || zip.size() - end < kEnd) {
    return std::nullopt;
  }
  std::size_t at = number_at<4>(zip, end + 16);
  for (std::size_t left = number_at<2>(zip, end + 10); left > 0; --left) {
    if (at > zip.size() || zip.size() - at < kRecord || zip.substr(at, 4) != "PK\x01\x02") {
      return std::nullopt;
    }
    const std::size_t length = number_at<2>(zip, at + 28);
    if (zip.size() - at - kRecord >= length && zip.substr(at + kRecord, length) == name) {
      return entry_bytes(zip, at);
    }
    at += kRecord + length + number_at<2>(zip, at + 30) + number_at<2>(zip, at + 32);
  }
  return std::nullopt;
}

Found packaged_index(const Host& host) {
  constexpr const char* kModule = "pip/_internal/models/index.py";
  for (const std::string& folder : pip_folders(host)) {
    const std::string file = folder + "/" + kModule;
    if (std::string url = index_in_pip_source(host_file(host, file).value_or("")); !url.empty()) {
      return {{url}, format("pip's own default ({}{})", file.front() == '/' ? "" : "/", file)};
    }
  }
  constexpr const char* kWheels = "usr/share/python-wheels";
  for (const std::string& name : host_list(host, kWheels)) {
    if (name.compare(0, 4, "pip-") != 0) {
      continue;
    }
    const std::string file = format("{}/{}", kWheels, name);
    const auto source = zip_entry(host_file(host, file).value_or(""), kModule);
    if (std::string url = index_in_pip_source(source.value_or("")); !url.empty()) {
      return {{url}, format("pip's own default (/{})", file)};
    }
  }
  return {};
}

}  // namespace slip::config

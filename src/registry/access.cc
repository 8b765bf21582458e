#include "registry/access.h"

#include <algorithm>

#include "core/error.h"
#include "http/url.h"
#include "os/file.h"

namespace slip::registry {
namespace {

namespace fs = std::filesystem;

bool is_loopback(const std::string& host) {
  const std::string name = http::split_url("https://" + host).host;
  return name == "localhost" || name.starts_with("127.") || name == "[::1]";
}

fs::path own_folder(const config::Config& config, const std::string& host) {
  return config.dirs.config.parent_path() / "certs.d" / host;
}

/// Files of a folder with this ending, sorted.
std::vector<fs::path> files_with(const fs::path& folder, const char* ending) {
  std::vector<fs::path> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    if (entry.path().extension() == ending) {
      found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

void look_into(const fs::path& folder, Access& access) {
  if (access.ca_file.empty()) {
    if (const auto found = files_with(folder, ".crt"); !found.empty()) {
      access.ca_file = found.front().string();
    }
  }
  if (access.cert_file.empty()) {
    for (const fs::path& cert : files_with(folder, ".cert")) {
      if (const fs::path key = fs::path(cert).replace_extension(".key"); fs::exists(key)) {
        access.cert_file = cert.string();
        access.key_file = key.string();
        return;
      }
    }
  }
}

void keep(const std::string& from, const fs::path& to, std::string_view mark, unsigned mode) {
  if (from.empty()) {
    return;
  }
  const std::string text = os::read_file(from, 4u << 20);
  if (text.find(mark) == std::string::npos) {
    throw Error(ErrorKind::Invalid, "`{}` holds no `{}` in PEM form", from, mark);
  }
  os::make_dirs(to.parent_path(), 0755);
  os::write_file(to, text, mode);
}

}  // namespace

Access access_of(const config::Config& config, const std::string& host) {
  Access access;
  access.host = host;
  access.loopback = is_loopback(host);
  if (const auto found = config.registries.find(host); found != config.registries.end()) {
    access.plain_http = found->second.plain_http;
    access.ca_file = found->second.ca_file;
    access.cert_file = found->second.cert_file;
    access.key_file = found->second.key_file.empty() ? found->second.cert_file : found->second.key_file;
  }
  for (const fs::path& folder :
       {own_folder(config, host), fs::path("/etc/containers/certs.d") / host, fs::path("/etc/docker/certs.d") / host}) {
    look_into(folder, access);
  }
  return access;
}

void keep_certificates(const config::Config& config, const std::string& host, const std::string& ca_file,
                       const std::string& cert_file, const std::string& key_file) {
  const fs::path folder = own_folder(config, host);
  keep(ca_file, folder / "ca.crt", "-----BEGIN CERTIFICATE-----", 0644);
  keep(cert_file, folder / "client.cert", "-----BEGIN CERTIFICATE-----", 0644);
  keep(key_file, folder / "client.key", "PRIVATE KEY-----", 0600);
}

http::Options options_for(const Access& access, http::Options base) {
  if (!access.ca_file.empty()) {
    base.ca_file = access.ca_file;
  }
  base.cert_file = access.cert_file;
  base.key_file = access.key_file;
  base.trust_hint = format(
      "an unknown CA signed it: run `slipway login {} --ca FILE` with your organisation's PEM file", access.host);
  base.name_hint = "check the spelling of the registry's name, the network and its DNS";
  base.bytes_hint =
      "the registry or a proxy on the way gives other bytes than the manifest names: try again later, and tell whoever "
      "runs it";
  return base;
}

}  // namespace slip::registry

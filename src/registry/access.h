#pragma once

#include <string>

#include "config/config.h"
#include "http/client.h"

namespace slip::registry {

/// How one registry is reached.
struct Access {
  std::string host;         ///< "registry.example.com", "localhost:5000"
  bool loopback = false;    ///< this machine: http:// is spoken where it does not speak TLS
  bool plain_http = false;  ///< http:// was configured
  std::string ca_file;      ///< beside the system's; empty: those only
  std::string cert_file;
  std::string key_file;
};

/// config.toml first; then ca.crt, client.cert and client.key (or any *.crt, *.cert with its *.key) in certs.d/HOST
/// beside config.toml, in /etc/containers and in /etc/docker.
Access access_of(const config::Config& config, const std::string& host);

/// Keeps copies of CA, certificate and key for `host` in certs.d beside config.toml, so that later commands find them.
/// Empty paths are left as they are. @throws Error Invalid when a file holds no PEM of its kind
void keep_certificates(const config::Config& config, const std::string& host, const std::string& ca_file,
                       const std::string& cert_file, const std::string& key_file);

/// `base` with what `access` says, and with hints that suit a registry.
http::Options options_for(const Access& access, http::Options base);

}  // namespace slip::registry

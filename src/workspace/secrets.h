#pragma once

#include <string>
#include <string_view>

namespace slip::workspace {

/// 48 hexadecimal digits from the kernel.
std::string random_token();

/// An Ed25519 key pair as OpenSSH keeps it.
/// @source OpenSSH PROTOCOL.key (openssh-key-v1), RFC 8709
struct SshKey {
  std::string private_key;  ///< text of the file, without a passphrase
  std::string public_line;  ///< "ssh-ed25519 AAAA… comment\n"
};
SshKey make_ssh_key(std::string_view comment);

/// "argon2:$argon2id$…": what Jupyter compares passwords with, at Jupyter's own cost (10 MiB, 10 rounds, 8 lanes).
std::string hash_password(std::string_view password);

}  // namespace slip::workspace

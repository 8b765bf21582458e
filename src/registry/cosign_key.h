#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace slip::registry {

/// True for a key file of cosign's own: PEM "ENCRYPTED SIGSTORE PRIVATE KEY", or "ENCRYPTED COSIGN PRIVATE KEY" as
/// older ones wrote.
bool is_cosign_key(std::string_view text);

/// The PKCS #8 document (DER) in such a file: JSON that names scrypt's parameters, around a NaCl secretbox.
/// @param name  the file, for messages
/// @throws Error Invalid: it is malformed, or asks for more memory than anybody's does; Denied: another password
/// @source cosign pkg/cosign/keys.go; go-securesystemslib encrypted/encrypted.go; RFC 7914
std::string open_cosign_key(std::string_view text, const std::string& name,
                            const std::function<std::string()>& password);

}  // namespace slip::registry

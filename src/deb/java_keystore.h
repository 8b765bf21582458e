#pragma once

#include <string>
#include <string_view>

namespace slip::deb {

/// The key store of certificates that ca-certificates-java writes (/etc/ssl/certs/java/cacerts, format JKS, password
/// "changeit"), with every entry's time set to 1970 and the entries in the order of their aliases: the same bytes for
/// the same certificates. `name` stands in errors.
/// @throws Error Unsupported when it holds keys or is of another format or password; Invalid when it is damaged
/// @source OpenJDK sun.security.provider.JavaKeyStore: magic, version, entries, then SHA-1 over password, a salt and
/// all of it
std::string normalised_keystore(std::string_view bytes, std::string_view name);

}  // namespace slip::deb

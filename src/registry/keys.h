#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace slip::registry {

/// A public key that signatures are checked with: ECDSA on P-256 with SHA-256.
class PublicKey {
 public:
  /// @param text  PEM "PUBLIC KEY"
  /// @throws Error Invalid: it is none, or of another kind
  static PublicKey parse(std::string_view text, const std::string& name);
  static PublicKey load(const std::filesystem::path& file);

  /// True when `signature` (DER) is this key's over the bytes. Malformed ones are just wrong.
  [[nodiscard]] bool verify(std::string_view bytes, std::string_view signature) const;
  /// Base64 of the SHA-256 of its DER form: how a bundle names it.
  [[nodiscard]] std::string hint() const;
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  friend class PrivateKey;
  PublicKey(std::shared_ptr<void> key, std::string name) : key_(std::move(key)), name_(std::move(name)) {}
  std::shared_ptr<void> key_;  ///< an EVP_PKEY
  std::string name_;           ///< its file, for messages
};

/// The key that images are signed with.
class PrivateKey {
 public:
  /// @param text  PEM "PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", or cosign's "ENCRYPTED SIGSTORE PRIVATE
  /// KEY"
  /// @param password  asked when the key is encrypted
  /// @throws Error Invalid: it is no such key; Denied: the password does not open it
  static PrivateKey parse(std::string_view text, const std::string& name, const std::function<std::string()>& password);
  static PrivateKey load(const std::filesystem::path& file, const std::function<std::string()>& password);

  /// A signature over the bytes, DER.
  [[nodiscard]] std::string sign(std::string_view bytes) const;
  [[nodiscard]] const PublicKey& public_key() const noexcept { return public_; }

 private:
  explicit PrivateKey(PublicKey key) : public_(std::move(key)) {}
  PublicKey public_;  ///< its EVP_PKEY has the private part too
};

}  // namespace slip::registry

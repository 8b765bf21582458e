#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/digest.h"
#include "registry/keys.h"

/// What is signed, and in which envelope: the two forms that cosign knows. Pure.
namespace slip::registry {

inline constexpr std::string_view kSimpleSigning = "application/vnd.dev.cosign.simplesigning.v1+json";
inline constexpr std::string_view kSignatureAnnotation = "dev.cosignproject.cosign/signature";
inline constexpr std::string_view kBundle = "application/vnd.dev.sigstore.bundle.v0.3+json";
inline constexpr std::string_view kSignPredicate = "https://sigstore.dev/cosign/sign/v1";

/// The document that a signature in tag form is over.
/// @param name  the image without its tag: "registry.example.com/team/app"
/// @source containers/image docs/containers-signature.5 "JSON data format"
std::string simple_payload(const std::string& name, const Digest& image);
/// The image that such a document is about; nullopt when it is no such document.
std::optional<Digest> image_of_payload(std::string_view payload);

/// A bundle: an in-toto statement about the image in a DSSE envelope, signed.
/// @source sigstore bundle v0.3; in-toto attestation v1; DSSE v1 protocol.md
std::string make_bundle(const PrivateKey& key, const Digest& image);
/// The image that a bundle signs when it is signed by `key`; nullopt for everything else: malformed, another key,
/// another predicate.
std::optional<Digest> image_of_bundle(std::string_view bundle, const PublicKey& key);

/// The bytes a DSSE signature is over.
std::string pre_authentication(std::string_view type, std::string_view body);

}  // namespace slip::registry

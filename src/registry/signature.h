#pragma once

#include <optional>
#include <string>
#include <vector>

#include "registry/keys.h"
#include "registry/remote.h"

namespace slip::registry {

/// Signs an image that the repository has, in both forms that cosign knows: the tag "sha256-HEX.sig" and a bundle among
/// its referrers. A form that this key has signed already is left alone.
/// @param size, media_type  of the image's manifest
void sign_image(Remote& remote, const std::string& repository, const Digest& image, std::uint64_t size,
                const std::string& media_type, const PrivateKey& key);

/// Requires a signature of one of `keys` over one of `images` (the index that a tag names, the manifest in it), in
/// either form. What another key signed, and what is signed but about another image, counts as nothing.
/// @return the key
/// @throws Error Denied, saying what was found instead
const PublicKey& verify_image(Remote& remote, const std::string& repository, const std::vector<Digest>& images,
                              const std::vector<PublicKey>& keys);

}  // namespace slip::registry

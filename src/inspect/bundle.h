#pragma once

#include <filesystem>
#include <string>

#include "image/build.h"
#include "inspect/subject.h"
#include "lock/context.h"
#include "oci/reference.h"

/// A bundle: an OCI archive with an image, and beside it every file that its lock names, so that a machine without a
/// network can build it again. The inputs are an artifact whose subject is the image: tools that know nothing of it see
/// an archive with one image.
namespace slip::inspect {

inline constexpr const char* kInputsType = "application/vnd.dev.slipway.inputs.v1";

struct BundleResult {
  std::size_t inputs = 0;
  std::uint64_t size = 0;  ///< bytes of the archive
};

/// Writes the bundle of an image that carries its lock; inputs that are not in the store are fetched. The bytes depend
/// on image and name alone.
BundleResult write_bundle(const Subject& subject, const std::filesystem::path& file, const oci::Reference& name,
                          lock::Context& context);

/// Takes the inputs of a bundle into the store (each held against its digest) and makes the image from them: nothing
/// of the bundled image's layers is used but the project's files. Tags it.
/// @param tag  empty: the name it has in the bundle
/// @throws Error Invalid: the archive is no bundle; Conflict: the image came out otherwise
image::BuildResult build_bundle(const std::filesystem::path& file, const std::string& tag, lock::Context& context);

}  // namespace slip::inspect

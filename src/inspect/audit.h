#pragma once

#include <string>
#include <vector>

#include "core/events.h"
#include "core/finding.h"
#include "inspect/fixes.h"
#include "inspect/subject.h"
#include "inspect/tree.h"

/// Checks an image against the security list: what its configuration says and what lies in its tree.
/// @source CIS Docker Benchmark 1.6 (C…), dockle's lists (DKL…), practice of Jupyter (JS…) and OpenSSH (SSH…)
namespace slip::inspect {

struct ImageAudit {
  std::vector<Finding> findings;  ///< in a fixed order
  FixReport fixes;
};

/// All checks of an image. Reads every layer once. @param now  seconds since 1970
ImageAudit audit_image(const Subject& subject, std::int64_t now, lock::Context& context);

/// A file that looks like a secret.
struct Secret {
  std::string path;
  std::size_t layer = 0;
  std::string what;  ///< "a private key", "a password for package indexes"
};

/// What an image's content was looked through for; kept apart so that tests can feed it.
class SecretScan {
 public:
  /// To be called with every small regular file of every layer.
  void look(std::size_t layer, const codec::TarEntry& entry, std::string_view content);
  [[nodiscard]] const std::vector<Secret>& found() const noexcept { return found_; }

 private:
  std::vector<Secret> found_;
};

/// What `text` (the value of a variable, label or argument) seems to hold; empty: nothing that is secret.
std::string secret_in(std::string_view name, std::string_view text);

/// True for what `slipway ship` makes: a model with its server, and nothing to work in.
bool is_model(const oci::ImageConfig& config);

// The parts of audit_image(), each over what it needs.
std::vector<Finding> audit_config(const Subject& subject);
std::vector<Finding> audit_tree(const Subject& subject, const Tree& tree, const std::vector<Secret>& secrets);
std::vector<Finding> audit_services(const Subject& subject, const Tree& tree);
std::vector<Finding> audit_origin(const Subject& subject, const Tree& tree);
/// Which files audit_tree() and its kin read the content of.
bool audit_reads(const codec::TarEntry& entry);

}  // namespace slip::inspect

#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace slip::spec {

/// Patterns of a .slipwayignore: one a line, as gitignore has them.
///
///   # comment        blank lines are skipped; `\#` and `\!` are literal
///   *.tmp            without a slash (but at the end): a name at any depth
///   /build           with one: relative to the folder of the file
///   cache/           only folders (and so all inside)
///   a/**/b  **/x  y/**    any number of folders
///   ? [a-z] [!a]     one byte, never a slash
///   !keep.tmp        takes back; the last pattern that matches decides. Nothing inside an ignored folder comes back.
///
/// `.slipwayignore`, `.git` and slipway's own locks and specs are not special: list them where they are unwanted.
/// @source gitignore(5) "PATTERN FORMAT"
class IgnoreRules {
 public:
  static IgnoreRules parse(std::string_view text);
  /// Of FOLDER/.slipwayignore; no rules where there is none.
  static IgnoreRules load(const std::filesystem::path& folder);

  /// Whether a path (relative to the folder, "a/b", "./a/b") is left out. A caller that walks a tree and does not
  /// descend into ignored folders gets gitignore's meaning; asked for a deep path at once, its parents are looked at
  /// too.
  [[nodiscard]] bool ignored(std::string_view path, bool is_folder) const;
  [[nodiscard]] bool empty() const noexcept { return rules_.empty(); }

 private:
  struct Rule {
    std::string pattern;
    bool anchored = false;
    bool folders_only = false;
    bool negated = false;
  };
  [[nodiscard]] bool decide(std::string_view path, bool is_folder) const;
  std::vector<Rule> rules_;
};

/// Whether `text` as a whole matches a glob in which `*`, `?` and `[…]` never match a slash and `**` between slashes
/// any number of folders.
bool glob_match(std::string_view pattern, std::string_view text);

}  // namespace slip::spec

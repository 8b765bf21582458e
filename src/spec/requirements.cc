#include "spec/requirements.h"

#include <algorithm>
#include <array>

#include "core/digest.h"
#include "core/text.h"
#include "os/file.h"
#include "spec/pep508.h"

namespace slip::spec {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileLimit = 1U << 20;
constexpr std::size_t kNested = 16;  // files that take in files
constexpr std::size_t kRequirements = 10'000;

/// A logical line: continuation lines joined, with the place of every joined part.
struct Line {
  std::string text;
  int number = 0;  ///< of its first physical line
  std::size_t indent = 0;
};

std::string_view without_comment(std::string_view line) {
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '#' && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t')) {
      return line.substr(0, i);
    }
  }
  return line;
}

/// pip's rules: a backslash at the end joins lines, unless the line is a comment; comments start at a blank or the
/// line's start.
std::vector<Line> logical_lines(std::string_view text) {
  std::vector<Line> lines;
  if (text.starts_with("\xEF\xBB\xBF")) {
    text.remove_prefix(3);
  }
  Line open;
  int number = 0;
  for (std::string_view physical : split(text, '\n')) {
    ++number;
    if (physical.ends_with('\r')) {
      physical.remove_suffix(1);
    }
    if (open.number == 0) {
      open.number = number;
    }
    const bool comment = trim(physical).starts_with('#');
    if (!comment && physical.ends_with('\\')) {
      open.text += physical.substr(0, physical.size() - 1);
      continue;
    }
    open.text += comment ? "" : std::string(physical);
    lines.push_back(std::move(open));
    open = {};
  }
  if (open.number != 0) {
    lines.push_back(std::move(open));
  }
  for (Line& line : lines) {
    const std::string kept(without_comment(line.text));
    line.indent = std::min(kept.find_first_not_of(" \t"), kept.size());
    line.text = std::string(trim(kept));
  }
  std::erase_if(lines, [](const Line& line) { return line.text.empty(); });
  return lines;
}

struct Refusal {
  std::string_view option;
  std::string_view message;
  std::string_view hint;
};
constexpr std::string_view kWhere = "where packages come from is this host's matter, not the project's";
constexpr std::string_view kConfig = "set it in slipway's configuration: `slipway config` shows where it stands";
constexpr std::array kRefused = {
    Refusal{"-c", "constraint files are not read",
            "write the pins of the constraint file as requirements; the lock pins everything else"},
    Refusal{"--constraint", "constraint files are not read",
            "write the pins of the constraint file as requirements; the lock pins everything else"},
    Refusal{"-e", "an editable install cannot be locked",
            "map the project's folder with `files`, and mount it while you work on it"},
    Refusal{"--editable", "an editable install cannot be locked",
            "map the project's folder with `files`, and mount it while you work on it"},
    Refusal{"-i", kWhere, kConfig},
    Refusal{"--index-url", kWhere, kConfig},
    Refusal{"--extra-index-url", kWhere, kConfig},
    Refusal{"--no-index", kWhere, kConfig},
    Refusal{"-f", kWhere, kConfig},
    Refusal{"--find-links", kWhere, kConfig},
    Refusal{"--trusted-host", kWhere, kConfig},
};

std::string first_word(std::string_view text) { return std::string(text.substr(0, text.find_first_of(" \t="))); }

/// The file behind `-r FILE`, `-rFILE`, `--requirement FILE`, `--requirement=FILE`; nullopt: it is another line.
std::optional<std::string> included_file(std::string_view text) {
  for (const std::string_view option : {"--requirement", "-r"}) {
    if (!text.starts_with(option)) {
      continue;
    }
    std::string_view rest = text.substr(option.size());
    if (option == "--requirement" && !rest.empty() && rest[0] != '=' && rest[0] != ' ' && rest[0] != '\t') {
      continue;
    }
    if (rest.starts_with('=')) {
      rest.remove_prefix(1);
    }
    return std::string(trim(rest));
  }
  return std::nullopt;
}

/// Reads files that take in files; remembers which ones are open.
class Reader {
 public:
  explicit Reader(fs::path folder) : folder_(std::move(folder)) {}

  RequirementsFile read(const std::string& file, const SourceText* named, const Place& place) {
    RequirementsFile result;
    file_into(result, file, named, place);
    return result;
  }

 private:
  void file_into(RequirementsFile& result, const std::string& file, const SourceText* named, const Place& place) {
    const std::string shown = fs::path(file).lexically_normal().string();
    if (file.empty()) {
      throw refuse(named, place, 1, "expected the path of a requirements file");
    }
    if (open_.size() >= kNested) {
      throw refuse(named, place, file.size(),
                   format("requirements files take each other in more than {} deep", kNested));
    }
    if (!open_.insert(shown).second) {
      throw refuse(named, place, file.size(), format("`{}` takes itself in", shown));
    }
    const fs::path path = fs::path(file).is_absolute() ? fs::path(file) : folder_ / file;
    const auto text = fs::is_directory(path) ? std::nullopt : os::read_file_if_any(path, kFileLimit);
    if (!text) {
      Error error = refuse(named, place, file.size(), format("there is no file `{}`", shown));
      error.add_hint("paths are relative to the file that names them");
      throw error;
    }
    const SourceText source{shown, *text};
    if (path.filename() == "pyproject.toml") {
      RequirementsFile read = read_pyproject(source);
      result.requirements.insert(result.requirements.end(), read.requirements.begin(), read.requirements.end());
      result.requires_python = read.requires_python;
      result.requires_python_place = read.requires_python_place;
    } else {
      lines_into(result, source);
    }
    open_.erase(shown);
  }

  void lines_into(RequirementsFile& result, const SourceText& source) {
    for (const Line& line : logical_lines(source.text)) {
      const Place place = source.place(line.number, static_cast<int>(line.indent) + 1);
      if (const auto file = included_file(line.text)) {
        const fs::path base = fs::path(source.file).parent_path();
        file_into(result, fs::path(*file).is_absolute() ? *file : (base / *file).string(), &source, place);
        continue;
      }
      if (line.text == "--require-hashes") {
        continue;  // the lock holds a hash for every file anyway
      }
      result.requirements.push_back(read_requirement(source, place, line.text));
      if (result.requirements.size() > kRequirements) {
        throw error_at(source, place, 1, format("more than {} requirements", kRequirements));
      }
    }
  }

  static Error refuse(const SourceText* named, const Place& place, std::size_t length, const std::string& message) {
    if (named == nullptr) {
      return Error(ErrorKind::NotFound, "{}", message);
    }
    return error_at(*named, place, length, message);
  }

  fs::path folder_;
  std::set<std::string> open_;
};

std::string read_hash(const SourceText& source, const Place& place, std::string_view option) {
  const std::string_view value = option.substr(std::string_view("--hash").size());
  const std::string_view hash = value.starts_with('=') ? value.substr(1) : std::string_view();
  if (!hash.starts_with("sha256:") || !Digest::parse(hash)) {
    throw error_at(source, place, 1,
                   format("`{}` is not `--hash=sha256:` and 64 hexadecimal digits", printable(option)))
        .add_hint("`pip hash FILE` and `pip-compile --generate-hashes` write this form");
  }
  return std::string(hash);
}

}  // namespace

Requirement read_requirement(const SourceText& source, const Place& place, std::string_view text) {
  const std::string word = first_word(text);
  if (const auto refusal =
          std::find_if(kRefused.begin(), kRefused.end(), [&](const Refusal& r) { return r.option == word; });
      refusal != kRefused.end()) {
    throw error_at(source, place, text.size(), format("`{}`: {}", word, refusal->message))
        .add_hint(std::string(refusal->hint));
  }
  if (word.starts_with('-')) {
    throw error_at(source, place, word.size(),
                   format("the option `{}` is not read in a list of requirements", printable(word)));
  }
  Requirement requirement;
  requirement.place = place;
  const std::size_t options = std::min(text.find(" --"), text.find("\t--"));
  requirement.text = std::string(trim(text.substr(0, options)));
  if (const auto fault = requirement_fault(requirement.text)) {
    Place at = place;
    at.column += static_cast<int>(fault->at);
    Error error = error_at(source, at, fault->length, fault->message);
    if (!fault->hint.empty()) {
      error.add_hint(fault->hint);
    }
    throw error;
  }
  if (options != std::string_view::npos) {
    for (const std::string_view option : split_words(text.substr(options))) {
      if (!option.starts_with("--hash")) {
        throw error_at(source, place, text.size(),
                       format("the option `{}` is not read behind a requirement", printable(option)));
      }
      requirement.hashes.push_back(read_hash(source, place, option));
    }
  }
  return requirement;
}

RequirementsFile read_requirements(const fs::path& folder, const std::string& file, const SourceText* named,
                                   const Place& place) {
  return Reader(folder).read(file, named, place);
}

}  // namespace slip::spec

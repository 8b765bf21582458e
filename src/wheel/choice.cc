#include "wheel/choice.h"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <tuple>

#include "codec/json.h"
#include "codec/sha256.h"
#include "core/error.h"
#include "core/text.h"
#include "core/time.h"
#include "wheel/name.h"
#include "wheel/tags.h"

namespace slip::wheel {
namespace {

constexpr const char* kChosen = "index-file-2";  // to be raised with the rules of choice

bool in_time(const IndexFile& file, const std::string& exclude_newer) {
  const auto uploaded = parse_rfc3339(file.upload_time);
  const auto limit = parse_rfc3339(exclude_newer);
  return !uploaded || !limit || *uploaded < *limit;
}

void check_hashes(const File& file, const std::vector<std::string>& hashes) {
  if (!hashes.empty() && std::none_of(hashes.begin(), hashes.end(),
                                      [&](const std::string& h) { return Digest::parse(h) == file.sha256; })) {
    throw Error(ErrorKind::Conflict, "`{}` has SHA-256 {}, which is not among the hashes that are required for {}",
                file.file, file.sha256.hex(), file.name)
        .add_hint("add that hash to the requirement, or drop its `--hash` options");
  }
}

/// A size that the index does not give comes from the downloaded file.
void complete_size(File& file, http::Client& client, store::Store& store) {
  if (file.size != 0) {
    return;
  }
  if (!store.has_blob(file.sha256)) {
    http::Download job;
    job.urls = {file.url};
    job.target = store.partial_path(file.sha256);
    job.sha256 = file.sha256;
    job.label = file.name + " " + file.version;
    client.download({&job, 1});
    store.adopt_blob(job.target, file.sha256);
  }
  file.size = std::filesystem::file_size(store.blob_path(file.sha256));
}

/// What was chosen before, kept in the store. A choice is settled once the time up to which uploads count has passed.
class Choices {
 public:
  Choices(const std::string& alias, const Target& target, const std::string& exclude_newer,
          const config::Config& config, store::Store& store)
      : store_(store) {
    const auto limit = parse_rfc3339(exclude_newer);
    settled_ = limit && *limit <= std::time(nullptr);
    question_ = join(config::require_python(config, alias), " ") + "\n" + target.python + " " + target.glibc + " " +
                exclude_newer + "\n";
  }

  [[nodiscard]] std::optional<File> find(const Wanted& wanted) const {
    const auto text = settled_ ? store_.record(kChosen, key(wanted)) : std::nullopt;
    if (!text) {
      return std::nullopt;
    }
    const codec::Json json = codec::parse_json(*text, "a record of the store");
    File file;
    file.name = wanted.name;
    file.version = wanted.version;
    file.file = json.at("file");
    file.size = json.at("size");
    file.sha256 = Digest::from(json.at("sha256").get<std::string>());
    file.sdist = json.at("sdist");
    file.url = json.at("url");
    return file;
  }

  void keep(const Wanted& wanted, const File& file) {
    if (settled_) {
      store_.set_record(kChosen, key(wanted),
                        codec::dump_canonical({{"file", file.file},
                                               {"size", file.size},
                                               {"sha256", file.sha256.hex()},
                                               {"sdist", file.sdist},
                                               {"url", file.url}}));
    }
  }

 private:
  [[nodiscard]] std::string key(const Wanted& wanted) const {
    return codec::sha256(question_ + wanted.name + "==" + wanted.version).hex();
  }
  store::Store& store_;
  std::string question_;
  bool settled_ = false;
};

}  // namespace

File choose_file(const Wanted& wanted, const std::vector<IndexFile>& offered, const Target& target,
                 const std::string& exclude_newer) {
  const TagTarget tags = tag_target(target.python, target.glibc);
  const IndexFile* best = nullptr;
  const IndexFile* sdist = nullptr;
  unsigned best_rank = 0;
  std::pair<std::uint64_t, std::string> best_build;
  for (const IndexFile& file : offered) {
    if (!in_time(file, exclude_newer)) {
      continue;
    }
    if (const auto wheel = parse_wheel_name(file.file)) {
      if (wheel->name != wanted.name || !same_version(wheel->version, wanted.version)) {
        continue;
      }
      const auto rank = tag_rank(*wheel, tags);
      // A higher build tag first, as installers do; of what is left any, but for everybody the same.
      const bool better =
          rank && (best == nullptr || *rank < best_rank ||
                   (*rank == best_rank && std::tie(wheel->build, file.file) > std::tie(best_build, best->file)));
      if (better) {
        best = &file;
        best_rank = *rank;
        best_build = wheel->build;
      }
    } else if (const auto source = parse_sdist_name(file.file)) {
      if (source->name == wanted.name && same_version(source->version, wanted.version) &&
          (sdist == nullptr || file.file.ends_with(".tar.gz"))) {
        sdist = &file;
      }
    }
  }
  const IndexFile* chosen = best != nullptr ? best : sdist;
  if (chosen == nullptr) {
    throw Error(ErrorKind::NotFound, "{} {} was resolved, but the index offers no file of it for Python {} on x86_64",
                wanted.name, wanted.version, target.python);
  }
  if (!chosen->sha256) {
    throw Error(ErrorKind::Unsupported, "the index names no SHA-256 for `{}`, so it cannot be locked", chosen->file)
        .add_hint("use an index that gives hashes (PEP 503 `#sha256=`)");
  }
  File file;
  file.name = wanted.name;
  file.version = wanted.version;
  file.file = chosen->file;
  file.size = chosen->size.value_or(0);
  file.sha256 = *chosen->sha256;
  file.sdist = best == nullptr;
  file.url = chosen->url;
  return file;
}

std::vector<File> choose_files(const std::vector<Wanted>& wanted, const std::string& alias, const Target& target,
                               const std::string& exclude_newer, const config::Config& config, http::Client& client,
                               store::Store& store) {
  Choices choices(alias, target, exclude_newer, config, store);
  std::vector<std::optional<File>> known;
  std::vector<std::string> unknown;
  for (const Wanted& one : wanted) {
    known.push_back(choices.find(one));
    if (!known.back()) {
      unknown.push_back(one.name);
    }
  }
  const auto pages = fetch_index(unknown, alias, config, client);
  std::vector<File> files;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!known[i]) {
      const auto page = pages.find(wanted[i].name);
      known[i] =
          choose_file(wanted[i], page == pages.end() ? std::vector<IndexFile>{} : page->second, target, exclude_newer);
      complete_size(*known[i], client, store);
      choices.keep(wanted[i], *known[i]);
    }
    check_hashes(*known[i], wanted[i].hashes);
    files.push_back(*std::move(known[i]));
  }
  return files;
}

}  // namespace slip::wheel

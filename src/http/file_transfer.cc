#include "http/file_transfer.h"

#include <algorithm>
#include <charconv>

#include "core/text.h"
#include "os/file.h"

namespace slip::http {
namespace {

/// A try that brought this much was worth it: it does not count as a failed one.
constexpr std::uint64_t kRealGain = 1U << 20;
constexpr std::uint64_t kProgressStep = 256U << 10;
constexpr Millis kLockPoll{100};

struct ContentRange {
  std::uint64_t first = 0;
  std::optional<std::uint64_t> total;
};

/// "bytes 5-9/10", "bytes 5-9/*". @source RFC 9110 section 14.4
std::optional<ContentRange> parse_content_range(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  if (text.substr(0, kUnit.size()) != kUnit) {
    return std::nullopt;
  }
  const char* end = text.data() + text.size();
  ContentRange range;
  const auto first = std::from_chars(text.data() + kUnit.size(), end, range.first);
  const std::size_t slash = text.find('/');
  if (first.ec != std::errc() || slash == std::string_view::npos) {
    return std::nullopt;
  }
  std::uint64_t total = 0;
  if (std::from_chars(text.data() + slash + 1, end, total).ec == std::errc()) {
    range.total = total;
  }
  return range;
}

/// What If-Range may carry: a weak ETag does not promise the same bytes.
std::string validator_of(const Head& head) {
  const std::string etag = head.field("etag");
  return !etag.empty() && etag.front() == '"' ? etag : head.field("last-modified");
}

}  // namespace

FileTransfer::FileTransfer(const Options& options, Backoff& backoff, Events& events, TaskId parent, Together& together,
                           const Download& file)
    : options_(options),
      backoff_(backoff),
      events_(events),
      parent_(parent),
      together_(together),
      file_(file),
      part_path_(file.target.string() + ".part"),
      want_(file.size) {
  SLIP_CHECK(!file.urls.empty());
}

FileTransfer::~FileTransfer() {
  if (part_ && part_->size() == 0) {
    part_->remove();
  }
}

Step FileTransfer::next() {
  if (done_) {
    return {};
  }
  if (!part_) {
    if (!open_part()) {
      waited_ = true;
      return {Step::Kind::Wait, {}, kLockPoll};
    }
    if (waited_ && finished_by_other()) {
      part_->remove();
      part_.reset();
      return {};
    }
    task_ = std::make_unique<Task>(events_, "Downloading", file_.label, parent_);
    if (file_.size && part_->size() == *file_.size) {
      complete();  // an earlier run ended between the last byte and the rename
      if (done_) {
        return {};
      }
    }
    tell_progress(true);
  }
  asked_from_ = part_->size();
  return ask();
}

bool FileTransfer::open_part() {
  // Without a digest nothing would tell whether an earlier run's bytes belong to today's file.
  part_ = PartFile::try_open(part_path_, file_.sha256.has_value(), file_.size);
  mixed_ = part_ && part_->size() > 0;
  return part_.has_value();
}

bool FileTransfer::finished_by_other() {
  if (!file_.sha256 || !std::filesystem::exists(file_.target)) {
    return false;
  }
  const os::Fd fd = os::open_read(file_.target);
  os::FdSource source(fd.get(), file_.target.string());
  codec::HashSink hash;
  copy_all(source, hash);
  return hash.finish() == *file_.sha256;
}

Step FileTransfer::ask() const {
  Step step{Step::Kind::Ask, {file_.urls[mirror_], {}, false}, {}};
  if (file_.headers) {
    step.request.headers = file_.headers();
  }
  if (part_->size() > 0) {
    step.request.headers["Range"] = format("bytes={}-", part_->size());
    if (!file_.sha256) {
      step.request.headers["If-Range"] = validator_;
    }
  }
  return step;
}

bool FileTransfer::begin(const Head& head) {
  body_ = head.status == 200 || head.status == 206;
  refreshed_ = refreshed_ && !body_;
  bad_range_ = false;
  wrong_size_.reset();
  if (!body_) {
    return true;
  }
  std::optional<std::uint64_t> total = head.length();
  if (head.status == 206) {
    const auto range = parse_content_range(head.field("content-range"));
    bad_range_ = !range || range->first != part_->size();
    if (bad_range_) {
      return false;
    }
    total = range->total;
  } else if (part_->size() > 0) {
    restart();  // the server ignores ranges, or the file changed
    asked_from_ = 0;
  }
  if (file_.size && total && *total != *file_.size) {
    wrong_size_ = total;
    return false;
  }
  if (!file_.size) {
    want_ = total;
  }
  validator_ = validator_of(head);
  return true;
}

bool FileTransfer::bytes(ByteView bytes) {
  if (!body_) {
    return true;  // an error page: let it pass, so that the connection can be used again
  }
  if (file_.size && part_->size() + bytes.size() > *file_.size) {
    wrong_size_ = part_->size() + bytes.size();
    return false;
  }
  part_->append(bytes);
  tell_progress(false);
  return true;
}

Millis FileTransfer::end(const Outcome& outcome) {
  place_ = place_of(outcome);
  if (wrong_size_) {
    return wrong_bytes(corrupt("size", format("{} bytes", *file_.size), format("{} bytes", *wrong_size_)), place_);
  }
  if (bad_range_ || outcome.head.status == 416) {
    restart();
    return take_failure(
        {Error(ErrorKind::Unavailable, "the server answered another range than the one asked for"), true, {}}, place_);
  }
  if (outcome.curl_code != 0) {
    if (part_->size() >= asked_from_ + kRealGain) {
      failed_ = 0;
    }
    Failure failure = transport_failure(options_, outcome, part_->size(), want_);
    if (!file_.sha256 && validator_.empty()) {
      restart();  // nothing to tell the server which file the bytes at hand are of
    }
    return take_failure(std::move(failure), place_);
  }
  if (outcome.head.status == 401 && file_.on_unauthorized && !refreshed_) {
    refreshed_ = true;  // once in a row: a server that is never content must not be asked for ever
    if (file_.on_unauthorized({401, outcome.head.headers, {}, outcome.effective_url})) {
      return Millis{0};
    }
  }
  if (!body_) {
    return take_failure(status_failure(outcome.head.status, outcome.head, options_.bytes_hint.empty()), place_);
  }
  if (want_ && part_->size() < *want_) {
    return take_failure(
        {Error(ErrorKind::Unavailable, "the answer ended early: {}", got_text(part_->size(), want_)), true, {}},
        place_);
  }
  return complete();
}

Millis FileTransfer::complete() {
  if (file_.sha256) {
    const Digest actual = part_->digest();
    if (actual != *file_.sha256) {
      return wrong_bytes(corrupt("digest", file_.sha256->text(), actual.text()), place_);
    }
  }
  part_->commit(file_.target);
  tell_progress(true);
  part_.reset();
  task_->succeed();
  task_.reset();
  done_ = true;
  return Millis{0};
}

Millis FileTransfer::take_failure(Failure failure, const std::string& place) {
  if (failure.again && ++failed_ < options_.attempts) {
    return backoff_.pause(failed_, failure.retry_after);
  }
  return next_mirror(failure.error, place);
}

Millis FileTransfer::wrong_bytes(Error error, const std::string& place) {
  const bool own_fault = mixed_;
  restart();
  if (own_fault) {
    return Millis{0};  // what an earlier run left may be to blame: once more from the start
  }
  error.add_hint(!options_.bytes_hint.empty()
                     ? options_.bytes_hint
                     : "the server or a proxy on the way gives other bytes than the lock names: try again later or "
                       "name another mirror under `sources` in config.toml");
  ++wrong_;
  constexpr unsigned kMostWrong = 2;
  if (wrong_ >= kMostWrong) {
    tried_.push_back(error.add_context(place));
    give_up();
  }
  return next_mirror(error, place);
}

Millis FileTransfer::next_mirror(const Error& error, const std::string& place) {
  tried_.push_back(Error(error).add_context(place));
  if (++mirror_ >= file_.urls.size()) {
    give_up();
  }
  failed_ = 0;
  if (file_.sha256) {
    mixed_ = part_->size() > 0;
  } else {
    restart();
  }
  return Millis{0};
}

Error FileTransfer::corrupt(std::string what, std::string expected, std::string actual) const {
  Error error(ErrorKind::Corrupt, "the {} differs", what);
  error.add_cause("expected " + expected);
  error.add_cause("actual   " + actual);
  return error;
}

void FileTransfer::give_up() {
  // The kind that says most: wrong bytes, then a cause that may pass, then whatever the last mirror said.
  const auto has = [&](ErrorKind kind) {
    return std::any_of(tried_.begin(), tried_.end(), [&](const Error& e) { return e.kind() == kind; });
  };
  const ErrorKind kind = has(ErrorKind::Corrupt)       ? ErrorKind::Corrupt
                         : has(ErrorKind::Unavailable) ? ErrorKind::Unavailable
                                                       : tried_.back().kind();
  Error error(kind, "download `{}`", file_.label.empty() ? file_.target.filename().string() : file_.label);
  for (const Error& one : tried_) {
    if (tried_.size() == 1) {
      for (const std::string& frame : one.chain()) {
        error.add_cause(frame);
      }
    } else {
      error.add_cause(one.joined());
    }
    for (const std::string& hint : one.hints()) {
      error.add_hint(hint);
    }
  }
  throw error;
}

void FileTransfer::restart() {
  part_->restart();
  validator_.clear();
  mixed_ = false;
  told_ = 0;
  tell_progress(true);
}

void FileTransfer::tell_progress(bool always) {
  if (task_ && (always || part_->size() >= told_ + kProgressStep)) {
    told_ = part_->size();
    task_->progress(told_, want_.value_or(0));
    together_.moved(counted_, told_);
    counted_ = told_;
  }
}

}  // namespace slip::http

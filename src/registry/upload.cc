#include "registry/upload.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "core/text.h"
#include "http/url.h"
#include "registry/blob_reader.h"

namespace slip::registry {
namespace {

/// A try that brought this much was worth it: it does not count as a failed one.
constexpr std::uint64_t kRealGain = 1u << 20;

std::string field(const http::Response& response, const char* name) {
  const auto found = response.headers.find(name);
  return found == response.headers.end() ? std::string() : found->second;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty() ? std::optional(value)
                                                                                   : std::nullopt;
}

/// Bytes that "0-1233" stands for; "0-0" is what some say for none, so it is one byte at most in doubt.
std::optional<std::uint64_t> end_of_range(std::string_view text) {
  if (text.starts_with("bytes=")) {
    text.remove_prefix(6);
  }
  const std::size_t dash = text.find('-');
  const auto last = dash == std::string_view::npos ? std::nullopt : number(text.substr(dash + 1));
  return last ? std::optional(*last + 1) : std::nullopt;
}

class Upload {
 public:
  Upload(Remote& remote, const std::string& repository, const oci::LayerSource& blob, const UploadRules& rules,
         const std::function<void(std::uint64_t)>& progress)
      : remote_(remote), repository_(repository), blob_(blob), rules_(rules), progress_(progress) {}

  Uploaded run(const std::vector<std::string>& mount_from) {
    if (present()) {
      return done(Arrival::Present);
    }
    for (const std::string& from : mount_from) {
      if (mount(from)) {
        return done(Arrival::Mounted);
      }
      if (!location_.empty()) {
        break;  // the registry opened an upload instead, and would again
      }
    }
    if (location_.empty()) {
      begin();
    }
    send_all();
    return done(Arrival::Uploaded);
  }

 private:
  [[nodiscard]] const Digest& digest() const { return blob_.descriptor.digest; }
  [[nodiscard]] std::uint64_t size() const { return blob_.descriptor.size; }
  [[nodiscard]] std::string doing() const {
    return format("upload {} to `{}/{}`", digest().brief(), remote_.host(), repository_);
  }

  Uploaded done(Arrival arrival) {
    progress_(size());
    return {arrival, sent_};
  }

  bool present() {
    Ask ask;
    ask.method = "HEAD";
    ask.target = format("/v2/{}/blobs/{}", repository_, digest().text());
    ask.scope = push_scope(repository_);
    const http::Response answer = remote_.ask(ask);
    if (answer.status == 401 || answer.status == 403) {
      throw remote_.refusal(answer, doing());
    }
    return answer.status == 200;
  }

  bool mount(const std::string& from) {
    Ask ask;
    ask.method = "POST";
    ask.target =
        format("/v2/{}/blobs/uploads/?mount={}&from={}", repository_, digest().text(), http::url_encoded(from));
    ask.scope = push_scope(repository_) + " " + pull_scope(from);
    const http::Attempt attempt = remote_.ask_once(ask);
    if (attempt.error || attempt.response.status == 201) {
      return !attempt.error;
    }
    if (attempt.response.status == 202) {
      take_location(attempt.response);
    }
    return false;
  }

  void begin() {
    Ask ask;
    ask.method = "POST";
    ask.target = format("/v2/{}/blobs/uploads/", repository_);
    ask.scope = push_scope(repository_);
    const http::Response answer = remote_.ask(ask);
    if (answer.status != 202) {
      throw remote_.refusal(answer, doing());
    }
    take_location(answer);
    offset_ = 0;
  }

  void take_location(const http::Response& answer) {
    const std::string location = field(answer, "location");
    if (location.empty()) {
      throw Error(ErrorKind::Unsupported, "`{}` names no place for the rest of the upload", remote_.host())
          .add_context(doing());
    }
    std::string to = http::resolve_url(answer.url, location);
    if (answer.url.starts_with("https://") && to.starts_with("http://") &&
        http::split_url(to).host == http::split_url(answer.url).host) {
      to.insert(4, "s");  // a proxy ends TLS, and the registry does not know
    }
    location_ = to;
    if (const auto least = number(field(answer, "oci-chunk-min-length"))) {
      least_chunk_ = std::min<std::uint64_t>(*least, 1u << 30);
    }
  }

  [[nodiscard]] std::string closing() const {
    return location_ + (location_.find('?') == std::string::npos ? "?" : "&") + "digest=" + digest().text();
  }

  /// One PATCH or PUT of `count` bytes from offset_ on, or the closing PUT without any.
  http::Attempt send(const char* method, const std::string& target, std::uint64_t count) {
    Ask ask;
    ask.method = method;
    ask.target = target;
    ask.scope = push_scope(repository_);
    if (count > 0) {
      if (!reader_) {
        reader_ = BlobReader::of(blob_);
      }
      ask.headers["Content-Type"] = "application/octet-stream";
      if (ask.method == "PATCH") {
        ask.headers["Content-Range"] = format("{}-{}", offset_, offset_ + count - 1);
      }
      ask.body = [&, count] {
        return std::make_unique<PartBody>(*reader_, offset_, count, [&](std::uint64_t at) {
          sent_ += at > last_sent_ ? at - last_sent_ : 0;
          last_sent_ = at;
          progress_(at);
        });
      };
      last_sent_ = offset_;
    }
    return remote_.ask_once(ask);
  }

  void send_all() {
    while (true) {
      const bool whole = offset_ == 0 && size() <= std::max(rules_.whole, least_chunk_);
      const std::uint64_t left = size() - offset_;
      const std::uint64_t count = whole ? left : std::min(left, std::max(rules_.chunk, least_chunk_));
      const bool last = whole || count == 0;
      const http::Attempt attempt = last ? send("PUT", closing(), count) : send("PATCH", location_, count);
      const int status = attempt.response.status;
      if (!attempt.error && last && (status == 201 || status == 204)) {
        return;
      }
      if (!attempt.error && !last && (status == 202 || status == 201 || status == 204)) {
        advance(attempt.response, count);
        continue;
      }
      if (recover(attempt, last)) {
        return;
      }
    }
  }

  void advance(const http::Response& answer, std::uint64_t count) {
    const std::uint64_t before = offset_;
    take_location(answer);
    const auto end = end_of_range(field(answer, "range"));
    offset_ = end && *end <= before + count ? *end : before + count;
    note_gain(before);
  }

  void note_gain(std::uint64_t before) {
    if (offset_ >= before + kRealGain || offset_ == size()) {
      failed_ = 0;
    }
  }

  /// What a try that did not succeed means. True when the blob is there all the same.
  bool recover(const http::Attempt& attempt, bool last) {
    const int status = attempt.response.status;
    const bool lost = !attempt.error && (status == 404 || status == 416 || (status == 400 && !last));
    const bool wrong = !attempt.error && status == 400 && last;
    if (!attempt.again && !lost && !wrong) {
      if (attempt.error) {
        throw Error(*attempt.error).add_context(doing());
      }
      throw remote_.refusal(attempt.response, doing());
    }
    if (wrong && ++wrong_ > 1) {
      Error error = remote_.refusal(attempt.response, doing());
      throw error.add_hint("if the registry says that the digest differs, look for damage here: `slipway gc --verify`");
    }
    if (status != 401 && ++failed_ >= remote_.attempts()) {
      if (attempt.error) {
        throw Error(*attempt.error).add_context(doing());
      }
      throw remote_.refusal(attempt.response, doing());
    }
    if (status != 401) {
      remote_.pause(failed_, attempt.retry_after);
    } else if (++refused_ > 20) {
      throw remote_.refusal(attempt.response, doing());
    }
    if (last && attempt.error && present()) {
      return true;  // it arrived, only the answer did not
    }
    if (wrong || !ask_offset()) {
      if (!wrong && sent_ > 0) {
        remote_.events().info("{} has forgotten how far {} came: that blob is sent again from its start",
                              remote_.host(), digest().brief());
      }
      begin();
    }
    return false;
  }

  /// How far the registry came. False when it has forgotten.
  bool ask_offset() {
    Ask ask;
    ask.target = location_;
    ask.scope = push_scope(repository_);
    const http::Response answer = remote_.ask(ask);
    if (answer.status != 204 && answer.status != 202 && answer.status != 200) {
      return false;
    }
    const std::uint64_t before = offset_;
    const auto end = end_of_range(field(answer, "range"));
    if (!end || *end > size() || *end == 1) {  // "0-0" may mean nothing or one byte
      return false;
    }
    if (!field(answer, "location").empty()) {
      take_location(answer);
    }
    offset_ = *end;
    note_gain(before);
    return true;
  }

  Remote& remote_;
  const std::string& repository_;
  const oci::LayerSource& blob_;
  const UploadRules& rules_;
  const std::function<void(std::uint64_t)>& progress_;
  std::unique_ptr<BlobReader> reader_;
  std::string location_;
  std::uint64_t offset_ = 0;  ///< bytes the registry has
  std::uint64_t least_chunk_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t last_sent_ = 0;
  unsigned failed_ = 0;   ///< tries in a row that brought nothing
  unsigned refused_ = 0;  ///< tokens that had to be renewed in the middle
  unsigned wrong_ = 0;    ///< times the registry did not like what it got
};

}  // namespace

Uploaded upload_blob(Remote& remote, const std::string& repository, const oci::LayerSource& blob,
                     const std::vector<std::string>& mount_from, const UploadRules& rules,
                     const std::function<void(std::uint64_t)>& progress) {
  return Upload(remote, repository, blob, rules, progress).run(mount_from);
}

}  // namespace slip::registry

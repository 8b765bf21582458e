#include "http/engine.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <deque>
#include <list>
#include <mutex>

#include "core/error.h"
#include "core/text.h"
#include "http/url.h"

namespace slip::http {
namespace {

using Clock = std::chrono::steady_clock;

std::string env_or_empty(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::string environment_proxy(const std::string& scheme) {
  // As curl: HTTP_PROXY in upper case is not read, a CGI server sets it from a request header.
  std::string value = env_or_empty((scheme + "_proxy").c_str());
  if (value.empty() && scheme == "https") {
    value = env_or_empty("HTTPS_PROXY");
  }
  if (value.empty()) {
    value = env_or_empty("all_proxy");
  }
  return value.empty() ? env_or_empty("ALL_PROXY") : value;
}

void start_curl_once() {
  static std::once_flag flag;
  std::call_once(flag, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

void check_header(const std::string& name, const std::string& value) {
  if ((name + value).find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
    throw Error(ErrorKind::Invalid, "line break in the request header `{}`", printable(name));
  }
}

template <class T>
T info(CURL* easy, CURLINFO what) {
  T value{};
  curl_easy_getinfo(easy, what, &value);
  return value;
}

}  // namespace

std::string ca_file_of(const Options& options) {
  if (!options.ca_file.empty()) {
    return options.ca_file;
  }
  for (const char* name : {"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"}) {
    if (std::string value = env_or_empty(name); !value.empty()) {
      return value;
    }
  }
  return {};
}

std::string configured_proxy(const Options& options, std::string_view url) {
  const std::string scheme = split_url(url).scheme;
  return environment_proxy(scheme).empty() ? (scheme == "https" ? options.https_proxy : options.http_proxy) : "";
}

std::string proxy_in_use(const Options& options, std::string_view url) {
  const std::string configured = configured_proxy(options, url);
  return redact(configured.empty() ? environment_proxy(split_url(url).scheme) : configured);
}

std::string Head::field(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string() : found->second;
}

std::optional<std::uint64_t> Head::length() const {
  const std::string text = field("content-length");
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

/// One running request.
struct Engine::Slot {
  Transfer* transfer = nullptr;
  CURL* easy = nullptr;
  curl_slist* fields = nullptr;
  Request request;
  Head head;
  std::uint64_t received = 0;
  bool head_given = false;
  std::exception_ptr thrown;
  char detail[CURL_ERROR_SIZE] = {};
  std::shared_ptr<PeerCertificates> certificates = std::make_shared<PeerCertificates>();

  Slot() = default;
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  ~Slot() {
    curl_slist_free_all(fields);
    curl_easy_cleanup(easy);
  }

  /// Exceptions must not pass through curl's C frames.
  template <class Body>
  bool guarded(Body&& body) noexcept {
    try {
      return body();
    } catch (...) {
      thrown = std::current_exception();
      return false;
    }
  }

  bool give_head() {
    if (head_given) {
      return true;
    }
    head_given = true;
    return guarded([&] { return transfer->begin(head); });
  }

  static std::size_t on_bytes(char* data, std::size_t one, std::size_t count, void* self) {
    auto& slot = *static_cast<Slot*>(self);
    const std::size_t size = one * count;
    const bool more = slot.give_head() && slot.guarded([&] {
      slot.received += size;
      return slot.transfer->bytes({reinterpret_cast<const std::uint8_t*>(data), size});
    });
    return more ? size : CURL_WRITEFUNC_ERROR;
  }

  static std::size_t on_wanted(char* data, std::size_t one, std::size_t count, void* self) {
    auto& slot = *static_cast<Slot*>(self);
    std::size_t filled = 0;
    const bool fine = slot.guarded([&] {
      filled = slot.request.body->read({reinterpret_cast<std::uint8_t*>(data), one * count});
      return true;
    });
    return fine ? filled : CURL_READFUNC_ABORT;
  }

  static std::size_t on_field(char* data, std::size_t one, std::size_t count, void* self) {
    auto& slot = *static_cast<Slot*>(self);
    const std::size_t size = one * count;
    return slot.guarded([&] {
      slot.take_field({data, size});
      return true;
    })
               ? size
               : 0;
  }

  void take_field(std::string_view line) {
    if (line.substr(0, 5) == "HTTP/") {
      head = Head{};  // a redirect's or an interim answer's fields are of no interest any more
      const std::size_t blank = line.find(' ');
      if (blank != std::string_view::npos) {
        const std::string_view code = line.substr(blank + 1, 3);
        std::from_chars(code.data(), code.data() + code.size(), head.status);
      }
      return;
    }
    const std::size_t colon = line.find(':');
    constexpr std::size_t kMostFields = 200;
    if (colon == std::string_view::npos || head.headers.size() > kMostFields) {
      return;
    }
    std::string& value = head.headers[to_lower(trim(line.substr(0, colon)))];
    value += (value.empty() ? "" : ", ") + std::string(trim(line.substr(colon + 1)));
  }
};

struct Engine::Impl {
  explicit Impl(const Options& options_in) : options(options_in), ca_file(ca_file_of(options_in)) {
    start_curl_once();
    multi = curl_multi_init();
    SLIP_CHECK(multi != nullptr);
    const long parallel = std::max(1L, static_cast<long>(options.parallel));
    curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, parallel);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, parallel * 2);
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_MULTIPLEX));
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { curl_multi_cleanup(multi); }

  void prepare(Slot& slot, bool share_connections) const;
  static void set_method(Slot& slot);
  void set_trust(Slot& slot) const;
  Outcome outcome_of(const Slot& slot, int code) const;

  const Options& options;
  std::string ca_file;
  CURLM* multi = nullptr;
};

void Engine::Impl::set_trust(Slot& slot) const {
  CURL* easy = slot.easy;
  const bool tls = split_url(slot.request.url).scheme == "https";
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, tls ? "https" : "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, slot.request.follow ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 10L);
  curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  note_certificates(easy, slot.certificates);
  if (!ca_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file.c_str());
  }
  if (!options.cert_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_SSLCERT, options.cert_file.c_str());
    curl_easy_setopt(easy, CURLOPT_SSLKEY, options.key_file.c_str());
  }
  if (const std::string proxy = configured_proxy(options, slot.request.url); !proxy.empty()) {
    curl_easy_setopt(easy, CURLOPT_PROXY, proxy.c_str());
  }
  if (!options.no_proxy.empty()) {
    curl_easy_setopt(easy, CURLOPT_NOPROXY, options.no_proxy.c_str());
  }
}

void Engine::Impl::set_method(Slot& slot) {
  const Request& request = slot.request;
  CURL* easy = slot.easy;
  if (request.method == "GET") {
    return;
  }
  if (request.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    return;
  }
  if (request.body != nullptr) {
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 512L << 10);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body->size()));
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, &Slot::on_wanted);
    curl_easy_setopt(easy, CURLOPT_READDATA, &slot);
    slot.fields = curl_slist_append(slot.fields, "Expect:");  // a second of waiting where nobody answers it
  } else if (request.method != "DELETE") {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, 0L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
    slot.fields = curl_slist_append(slot.fields, "Content-Type:");  // curl would call it a form
  }
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

void Engine::Impl::prepare(Slot& slot, bool share_connections) const {
  slot.easy = curl_easy_init();
  SLIP_CHECK(slot.easy != nullptr);
  CURL* easy = slot.easy;
  curl_easy_setopt(easy, CURLOPT_URL, slot.request.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PRIVATE, &slot);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, slot.detail);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, options.user_agent.c_str());
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L << 10);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  // HTTP/2 is offered under TLS only; without it, waiting for a shared connection would serialise the requests.
  const bool may_share = share_connections && split_url(slot.request.url).scheme == "https";
  curl_easy_setopt(easy, CURLOPT_PIPEWAIT, may_share ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, static_cast<long>(options.connect_timeout_s));
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, static_cast<long>(options.stall_timeout_s));
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Slot::on_bytes);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &slot);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Slot::on_field);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &slot);
  if (slot.request.compressed) {
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  }
  set_method(slot);
  for (const auto& [name, value] : slot.request.headers) {
    check_header(name, value);
    slot.fields = curl_slist_append(slot.fields, (name + ": " + value).c_str());
  }
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, slot.fields);
  set_trust(slot);
}

Outcome Engine::Impl::outcome_of(const Slot& slot, int code) const {
  Outcome out;
  out.curl_code = code;
  out.head = slot.head;
  out.url = slot.request.url;
  const char* effective = info<const char*>(slot.easy, CURLINFO_EFFECTIVE_URL);
  out.effective_url = effective != nullptr ? effective : slot.request.url;
  out.detail = slot.detail[0] != '\0' ? slot.detail : curl_easy_strerror(static_cast<CURLcode>(code));
  out.received = slot.received;
  out.announced = slot.head.length();
  out.redirects = info<long>(slot.easy, CURLINFO_REDIRECT_COUNT);
  out.connect_status = info<long>(slot.easy, CURLINFO_HTTP_CONNECTCODE);
  out.verify_result = info<long>(slot.easy, CURLINFO_SSL_VERIFYRESULT);
  out.certificates = *slot.certificates;
  out.os_error = static_cast<int>(info<long>(slot.easy, CURLINFO_OS_ERRNO));
  out.connected = info<curl_off_t>(slot.easy, CURLINFO_CONNECT_TIME_T) > 0;
  return out;
}

/// One call of Engine::run(); its destructor takes what still runs off the multi handle.
struct Engine::Run {
  Impl& impl;
  bool share_connections;
  std::deque<Transfer*> ready;
  std::vector<std::pair<Clock::time_point, Transfer*>> waiting;
  std::list<std::unique_ptr<Slot>> active;

  Run(Impl& impl_in, bool share) : impl(impl_in), share_connections(share) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run() {
    for (const auto& slot : active) {
      curl_multi_remove_handle(impl.multi, slot->easy);
    }
  }

  void wake() {
    const auto now = Clock::now();
    const auto due = std::partition(waiting.begin(), waiting.end(), [&](const auto& w) { return w.first > now; });
    for (auto it = due; it != waiting.end(); ++it) {
      ready.push_front(it->second);  // what was begun goes before what was not
    }
    waiting.erase(due, waiting.end());
  }

  void park(Transfer* transfer, Millis pause) {
    if (impl.options.on_pause && pause > Millis{0}) {
      pause = impl.options.on_pause(pause);
    }
    if (pause <= Millis{0}) {
      ready.push_front(transfer);
    } else {
      waiting.emplace_back(Clock::now() + pause, transfer);
    }
  }

  void start_more() {
    const std::size_t most = std::max(1U, impl.options.parallel);
    while (!ready.empty() && active.size() < most) {
      Transfer* transfer = ready.front();
      ready.pop_front();
      Step step = transfer->next();
      if (step.kind == Step::Kind::Wait) {
        waiting.emplace_back(Clock::now() + std::max(step.pause, Millis{1}), transfer);
      } else if (step.kind == Step::Kind::Ask) {
        auto slot = std::make_unique<Slot>();
        slot->transfer = transfer;
        slot->request = std::move(step.request);
        impl.prepare(*slot, share_connections);
        curl_multi_add_handle(impl.multi, slot->easy);
        active.push_back(std::move(slot));
      }
    }
  }

  void finish(CURL* easy, CURLcode code) {
    const auto it = std::find_if(active.begin(), active.end(), [&](const auto& slot) { return slot->easy == easy; });
    SLIP_CHECK(it != active.end());
    const std::unique_ptr<Slot> slot = std::move(*it);
    active.erase(it);
    curl_multi_remove_handle(impl.multi, easy);
    if (code == CURLE_OK && !slot->give_head()) {
      code = CURLE_WRITE_ERROR;  // an empty body, and the transfer does not want this head
    }
    if (slot->thrown) {
      std::rethrow_exception(slot->thrown);
    }
    Transfer* transfer = slot->transfer;
    park(transfer, transfer->end(impl.outcome_of(*slot, code)));
  }

  int poll_limit() const {
    constexpr int kLongestPoll = 1000;
    if (waiting.empty()) {
      return kLongestPoll;
    }
    const auto first = std::min_element(waiting.begin(), waiting.end());
    const auto left = std::chrono::duration_cast<Millis>(first->first - Clock::now()).count() + 1;
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, kLongestPoll));
  }

  void loop() {
    while (!ready.empty() || !waiting.empty() || !active.empty()) {
      wake();
      start_more();
      int running = 0;
      curl_multi_perform(impl.multi, &running);
      int left = 0;
      bool ended = false;
      while (const CURLMsg* message = curl_multi_info_read(impl.multi, &left)) {
        if (message->msg == CURLMSG_DONE) {
          ended = true;
          finish(message->easy_handle, message->data.result);
        }
      }
      if (!ended && (!active.empty() || !waiting.empty())) {
        curl_multi_poll(impl.multi, nullptr, 0, poll_limit(), nullptr);
      }
    }
  }
};

Engine::Engine(const Options& options) : impl_(std::make_unique<Impl>(options)) {}
Engine::~Engine() = default;

void Engine::run(std::span<const std::unique_ptr<Transfer>> transfers, bool share_connections) {
  Run run(*impl_, share_connections);
  for (const auto& transfer : transfers) {
    run.ready.push_back(transfer.get());
  }
  run.loop();
}

}  // namespace slip::http

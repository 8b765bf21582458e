#include "http/failure.h"

#include <curl/curl.h>

#include <cerrno>
#include <ctime>

#include "core/text.h"
#include "http/url.h"

namespace slip::http {
namespace {

// X509_V_ERR_… (OpenSSL x509_vfy.h), as CURLINFO_SSL_VERIFYRESULT reports them.
constexpr long kCertificateNotYetValid = 9;
constexpr long kCertificateExpired = 10;
constexpr long kUnspecified = 1;  // curl's initial value: the chain is fine, the name was compared afterwards

const char* reason_phrase(int status) {
  switch (status) {
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 407: return "Proxy Authentication Required";
    case 408: return "Request Timeout";
    case 410: return "Gone";
    case 416: return "Range Not Satisfiable";
    case 429: return "Too Many Requests";
    case 500: return "Internal Server Error";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    default: return "";
  }
}

ErrorKind kind_of_status(int status) {
  switch (status) {
    case 401:
    case 403:
    case 407: return ErrorKind::Denied;
    case 404:
    case 410: return ErrorKind::NotFound;
    default: return ErrorKind::Unavailable;
  }
}

std::string status_hint(int status) {
  switch (status) {
    case 401: return "put credentials into the source's URL in config.toml, or log in where it is a registry";
    case 403: return "the server refuses this address or these credentials: check `sources` in config.toml";
    case 404:
    case 410:
      return "the server no longer has it: run `slipway lock`, or add a mirror that keeps old files to `sources`";
    case 407: return "put the proxy's user and password into `https_proxy`";
    case 429: return "lower `http.parallel` in config.toml, or try again later";
    default:
      return status >= 500 ? "the fault is the server's: try again later, or add another mirror to `sources`" : "";
  }
}

std::string host_and_port(const std::string& url) {
  const UrlParts parts = split_url(url);
  return printable(parts.port.empty() ? parts.host : parts.host + ":" + parts.port);
}

void hint_at_proxy(Error& error, const Options& options, const std::string& url) {
  if (const std::string proxy = proxy_in_use(options, url); !proxy.empty()) {
    error.add_hint(
        format("requests may go through the proxy `{}`: check `http_proxy`, `https_proxy` and `no_proxy`", proxy));
  }
}

Failure unreachable(const Options& options, const Outcome& out) {
  const int code = out.curl_code;
  const std::string host = host_and_port(out.effective_url);
  if (code == CURLE_COULDNT_RESOLVE_PROXY) {
    Error error(ErrorKind::Unavailable, "the proxy's name does not resolve: {}", printable(out.detail));
    hint_at_proxy(error, options, out.effective_url);
    return {std::move(error), false, {}};
  }
  if (code == CURLE_COULDNT_RESOLVE_HOST) {
    Error error(ErrorKind::Unavailable, "the name `{}` does not resolve", printable(split_url(out.effective_url).host));
    error.add_hint(!options.name_hint.empty()
                       ? options.name_hint
                       : "check the network and its DNS, or name a mirror that this host reaches under `sources` in "
                         "config.toml");
    return {std::move(error), true, {}};
  }
  if (code == CURLE_PROXY || out.connect_status >= 400) {
    Error error(ErrorKind::Unavailable, "the proxy lets nothing through to `{}`: {}", host, printable(out.detail));
    hint_at_proxy(error, options, out.effective_url);
    return {std::move(error), out.connect_status >= 500, {}};
  }
  const std::string refused = "connection refused by `" + host + "`";
  Error error(ErrorKind::Unavailable, "{}",
              out.os_error == ECONNREFUSED ? refused : "no connection to `" + host + "`: " + printable(out.detail));
  error.add_hint("check that the server runs and that no firewall is in between");
  hint_at_proxy(error, options, out.effective_url);
  return {std::move(error), true, {}};
}

Failure untrusted(const Options& options, const Outcome& out) {
  const std::string host = host_and_port(out.effective_url);
  const std::string ca_file = ca_file_of(options);
  if (out.curl_code == CURLE_SSL_CACERT_BADFILE) {
    Error error(ErrorKind::Invalid, "the CA file `{}` cannot be used: {}", ca_file, printable(out.detail));
    error.add_hint("set `http.ca_file` in config.toml to a PEM bundle that exists, or install ca-certificates");
    return {std::move(error), false, {}};
  }
  Error error(ErrorKind::Unavailable, "the certificate of `{}` is not trusted: {}", host, printable(out.detail));
  if (!out.certificates.own.subject.empty()) {
    error.add_cause("the certificate it shows: " + text_of(out.certificates.own));
  }
  if (!out.certificates.failed.subject.empty()) {
    error.add_cause("the one in its chain that is not accepted: " + text_of(out.certificates.failed));
  }
  if (out.verify_result == kCertificateExpired || out.verify_result == kCertificateNotYetValid) {
    error.add_hint("check this machine's clock; else the server needs a new certificate");
  } else if (out.verify_result > kUnspecified && !options.trust_hint.empty()) {
    error.add_hint(options.trust_hint);
  } else if (out.verify_result > kUnspecified) {
    error.add_hint(
        format("an unknown CA signed it: set `http.ca_file` in config.toml to your organisation's PEM bundle "
               "(now: {})",
               ca_file.empty() ? "the system's" : "`" + ca_file + "`"));
  } else {
    error.add_hint("the certificate names another host: check the URL");
  }
  return {std::move(error), false, {}};
}

Failure timed_out(const Options& options, const Outcome& out, std::uint64_t done, std::optional<std::uint64_t> want) {
  if (!out.connected) {
    Error error(ErrorKind::Unavailable, "no connection to `{}` within {}s", host_and_port(out.effective_url),
                options.connect_timeout_s);
    error.add_hint("check that the server runs and that no firewall is in between");
    hint_at_proxy(error, options, out.effective_url);
    return {std::move(error), true, {}};
  }
  Error error(ErrorKind::Unavailable, "the transfer stalled: no data for {}s, {}", options.stall_timeout_s,
              got_text(done, want));
  error.add_hint("run the command again: a download goes on where it stopped");
  return {std::move(error), true, {}};
}

Failure broken(const Outcome& out, std::uint64_t done, std::optional<std::uint64_t> want) {
  Error error(ErrorKind::Unavailable, "the connection broke: {} ({})", got_text(done, want), printable(out.detail));
  error.add_hint("run the command again: a download goes on where it stopped");
  return {std::move(error), true, {}};
}

}  // namespace

std::string got_text(std::uint64_t done, std::optional<std::uint64_t> want) {
  return want ? format("got {} of {} bytes", done, *want) : format("got {} bytes", done);
}

std::string place_of(const Outcome& outcome) {
  const std::string asked = redact(outcome.url);
  const std::string answered = redact(outcome.effective_url);
  return outcome.redirects == 0 || asked == answered ? "`" + asked + "`"
                                                     : format("`{}` (redirected to `{}`)", asked, answered);
}

Failure status_failure(int status, const Head& head, bool advise) {
  const std::string phrase = reason_phrase(status);
  Error error(kind_of_status(status), "the server answered {}{}", status, phrase.empty() ? "" : " " + phrase);
  if (const std::string hint = advise ? status_hint(status) : std::string(); !hint.empty()) {
    error.add_hint(hint);
  }
  const auto after = parse_retry_after(head.field("retry-after"), std::time(nullptr));
  const bool too_long = after && *after > kLongestRetryAfter;
  if (too_long) {
    error.add_hint(
        format("the server asks to come back in {}", human_seconds(static_cast<double>(after->count()) / 1e3)));
  }
  return {std::move(error), worth_retrying(status) && !too_long, after};
}

Failure transport_failure(const Options& options, const Outcome& out, std::uint64_t done,
                          std::optional<std::uint64_t> want) {
  if (out.connect_status >= 400) {
    return unreachable(options, out);
  }
  switch (out.curl_code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY: return unreachable(options, out);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR: return untrusted(options, out);
    case CURLE_OPERATION_TIMEDOUT: return timed_out(options, out, done, want);
    case CURLE_TOO_MANY_REDIRECTS:
      return {Error(ErrorKind::Unavailable, "more than 10 redirects, the last one to `{}`", redact(out.effective_url)),
              false,
              {}};
    case CURLE_URL_MALFORMAT:
      return {Error(ErrorKind::Invalid, "this is no URL: {}", printable(out.detail)), false, {}};
    case CURLE_UNSUPPORTED_PROTOCOL: {
      Error error(ErrorKind::Unavailable, "{}",
                  split_url(out.url).scheme == "https" || split_url(out.url).scheme == "http"
                      ? "a redirect leaves http and https, or goes from https to http: not followed"
                      : "`" + printable(split_url(out.url).scheme) + "` is neither http nor https");
      error.add_hint("check the URL under `sources` in config.toml");
      return {std::move(error), false, {}};
    }
    default: return broken(out, done, want);
  }
}

Error status_error(const Response& response) {
  Head head;
  head.headers = response.headers;
  Error error = status_failure(response.status, head).error;
  error.add_context(format("GET `{}`", redact(response.url)));
  return error;
}

}  // namespace slip::http

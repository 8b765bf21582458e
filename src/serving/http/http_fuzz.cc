// HTTP requests: the same bytes give the same request, in whatever pieces they arrive.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "serving/http/http.h"

namespace {

using slip::serving::HttpLimits;
using slip::serving::HttpParser;

/// The first request and how reading it ended.
std::string outcome(const std::string& bytes, std::size_t piece) {
  HttpParser parser(HttpLimits{4096, 16, 4096});
  std::string input;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    input.append(bytes, at, piece);
    auto step = parser.feed(input);
    while (step == HttpParser::Step::Continue) {
      step = parser.feed(input);
    }
    if (step == HttpParser::Step::Malformed) {
      return "malformed";
    }
    if (step == HttpParser::Step::Complete) {
      return parser.request().method + " " + parser.request().target + " " + parser.request().body;
    }
  }
  return "incomplete";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = outcome(bytes, size == 0 ? 1 : size);
  // Limits may be noticed earlier or later; a request that was read must be the same one.
  const std::string pieces = outcome(bytes, 1);
  if (whole != pieces && whole != "malformed" && pieces != "malformed") {
    std::abort();
  }
  return 0;
}

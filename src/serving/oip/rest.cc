#include "serving/oip/rest.h"

#include <algorithm>
#include <charconv>

#include "core/format.h"
#include "core/text.h"
#include "serving/base/request_metrics.h"
#include "serving/json/out.h"
#include "serving/oip/json.h"

namespace slip::serving {
namespace {

constexpr std::string_view kHeaderLength = "inference-header-content-length";

/// Triton's codes: fewer than TensorFlow Serving's.
int oip_status(Code code) noexcept {
  switch (http_status(code)) {
    case 401: return 401;
    case 404: return 404;
    case 429:
    case 503: return 503;
    case 500: return 500;
    case 501: return 501;
    case 504: return 504;
    default: return 400;
  }
}

HttpResponse oip_error(const Failure& failure) {
  HttpResponse response;
  response.status = oip_status(failure.code);
  response.body = "{\"error\":";
  append_json_string(response.body, failure.message);
  response.body += "}";
  return response;
}

HttpResponse oip_page(std::string body, int status = 200) {
  HttpResponse response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

/// `NAME[/versions/N]` at the front of a path below /v2/models; what is left stays in `path`.
Result<ModelSpec> take_model(std::vector<std::string_view>& path) {
  ModelSpec spec;
  spec.name = percent_decode(path[0]);
  path.erase(path.begin());
  if (path.size() < 2 || path[0] != "versions") {
    return spec;
  }
  const std::string_view text = path[1];
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < 0) {
    return invalid("failed to parse the version '" + printable(text) + "' of model '" + printable(spec.name) + "'");
  }
  spec.version = number;
  path.erase(path.begin(), path.begin() + 2);
  return spec;
}

void append_side(std::string& out, const char* key, const std::vector<Port>& ports) {
  out += std::string(",\"") + key + "\":[";
  bool first = true;
  for (const Port& port : ports) {
    out += first ? "{\"name\":" : ",{\"name\":";
    first = false;
    append_json_string(out, port.name);
    const std::string_view type = oip_name_of(port.info.type);
    out += ",\"datatype\":\"" + std::string(type.empty() ? "UNKNOWN" : type) +
           "\",\"shape\":" + to_string(oip_shape_of(port.info)) + "}";
  }
  out += "]";
}

void append_config_side(std::string& out, const char* key, const std::vector<Port>& ports) {
  out += std::string(",\"") + key + "\":[";
  for (const Port& port : ports) {
    out += out.back() == '[' ? "{\"name\":" : ",{\"name\":";
    append_json_string(out, port.name);
    out += ",\"data_type\":\"" + std::string(oip_config_type_of(port.info.type).name) +
           "\",\"dims\":" + to_string(oip_shape_of(port.info)) + "}";
  }
  out += "]";
}

std::string duration(const Statistics::Total& total) {
  return format(R"({{"count":{},"ns":{}}})", total.count, total.ns);
}

/// Nothing is measured of what copies inputs and outputs, and there is no cache: these were counted 0 times.
void append_statistics(std::string& out, const Servable& servable) {
  const Statistics::Snapshot now = servable.statistics.snapshot();
  const std::string none = duration({});
  out += "{\"name\":";
  append_json_string(out, servable.name);
  out += format(R"(,"version":"{}","last_inference":{},"inference_count":{},"execution_count":{},"inference_stats":{{)",
                servable.version, now.last_request_ms, now.inferences, now.executions);
  out += format(R"("success":{},"fail":{},"queue":{},"compute_input":{},"compute_infer":{},"compute_output":{},)",
                duration(now.success), duration(now.fail), duration(now.queue), none, duration(now.compute), none);
  out += R"("cache_hit":)" + none + R"(,"cache_miss":)" + none + R"(},"batch_stats":[)";
  for (const auto& [rows, total] : now.batches) {
    out += out.back() == '[' ? "" : ",";
    out += format(R"({{"batch_size":{},"compute_input":{},"compute_infer":{},"compute_output":{}}})", rows, none,
                  duration(total), none);
  }
  out += "]}";
}

}  // namespace

/// What one request carries from its start to its answer.
struct OipRest::Call {
  ServableRef servable;
  HttpResponder respond;
  Clock::time_point start;
};

OipRest::OipRest(OipRestOptions options, Manager& manager, Executor& executor, Metrics& metrics)
    : options_(std::move(options)), manager_(manager), executor_(executor), metrics_(metrics) {}

void OipRest::handle(HttpRequest& request, HttpResponder respond) {
  std::string_view rest = request.path().substr(3);  // behind "/v2"
  while (rest.ends_with('/')) {
    rest.remove_suffix(1);
  }
  std::vector<std::string_view> path;
  if (!rest.empty()) {
    path = split(rest.substr(1), '/');
  }
  if (request.method == "GET") {
    get(path, respond);
  } else if (request.method == "POST") {
    post(path, request, std::move(respond));
  } else {
    respond(oip_page("{\"error\":\"method not allowed\"}", 405));
  }
}

void OipRest::get(const std::vector<std::string_view>& path, const HttpResponder& respond) const {
  if (path.size() == 2 && path[0] == "health" && (path[1] == "live" || path[1] == "ready")) {
    const bool ready = !draining_ && manager_.ready();
    respond(path[1] == "live" ? oip_page("{\"live\":true}")
                              : oip_page(ready ? "{\"ready\":true,\"live\":true}" : "{\"ready\":false,\"live\":true}",
                                         ready ? 200 : 503));
    return;
  }
  auto body = page(path);
  respond(body ? oip_page(std::move(*body)) : oip_error(body.error()));
}

Result<std::string> OipRest::page(const std::vector<std::string_view>& path) const {
  if (path.empty()) {
    return server_metadata();
  }
  if (path[0] == "models" && path.size() == 1) {
    return "{\"models\":" + index() + "}";
  }
  if (path[0] == "models" && path.size() == 2 && path[1] == "stats") {
    return statistics({});
  }
  if (path[0] == "models") {
    std::vector<std::string_view> left(path.begin() + 1, path.end());
    const auto spec = take_model(left);
    if (!spec) {
      return tl::unexpected(spec.error());
    }
    if (left.empty()) {
      return model_metadata(*spec);
    }
    if (left.size() == 1 && left[0] == "config") {
      return model_config(*spec);
    }
    if (left.size() == 1 && left[0] == "stats") {
      return statistics(*spec);
    }
    if (left.size() == 1 && left[0] == "ready") {
      if (!manager_.find(*spec)) {
        const auto names = manager_.names();
        return std::ranges::find(names, spec->name) == names.end()
                   ? Result<std::string>(tl::unexpected(oip_missing(*spec)))
                   : fail(Code::Unavailable, "model '" + spec->name + "' is not ready");
      }
      std::string body = "{\"name\":";
      append_json_string(body, spec->name);
      return body + ",\"ready\":true}";
    }
  }
  return fail(Code::NotFound, "no such page");
}

std::string OipRest::server_metadata() const {
  std::string body = R"({"name":"slipway-serve","version":)";
  append_json_string(body, options_.version);
  body += ",\"extensions\":[";
  for (const std::string_view extension : kOipExtensions) {
    body += body.back() == '[' ? "\"" : ",\"";
    body += extension;
    body += "\"";
  }
  return body + "]}";
}

/// Every model with its versions and their state.
std::string OipRest::index() const {
  std::string body = "[";
  for (const std::string& name : manager_.names()) {
    const auto versions = manager_.status(name, std::nullopt);
    for (const VersionStatus& version : versions ? *versions : std::vector<VersionStatus>{}) {
      body += body.size() > 1 ? ",{\"name\":" : "{\"name\":";
      append_json_string(body, name);
      const bool ready = version.state == VersionState::Available;
      body += ",\"version\":\"" + std::to_string(version.version) + "\",\"state\":\"" +
              (ready ? "READY" : (version.state == VersionState::Loading ? "LOADING" : "UNAVAILABLE")) +
              "\",\"reason\":";
      append_json_string(body, version.failure.message);
      body += "}";
    }
  }
  return body + "]";
}

Result<std::string> OipRest::model_metadata(const ModelSpec& spec) const {
  const auto servable = manager_.find(spec);
  if (!servable) {
    return tl::unexpected(oip_missing(spec));
  }
  std::string body = "{\"name\":";
  append_json_string(body, spec.name);
  body += ",\"versions\":[";
  const auto versions = manager_.status(spec.name, std::nullopt);
  for (const VersionStatus& version : versions ? *versions : std::vector<VersionStatus>{}) {
    if (version.state == VersionState::Available) {
      body += body.back() == '[' ? "\"" : ",\"";
      body += std::to_string(version.version) + "\"";
    }
  }
  body += "],\"platform\":\"" + std::string(kOipPlatform) + "\"";
  const Method* method = (*servable)->model->method({});
  append_side(body, "inputs", method == nullptr ? std::vector<Port>{} : method->inputs);
  append_side(body, "outputs", method == nullptr ? std::vector<Port>{} : method->outputs);
  return body + "}";
}

/// Triton's ModelConfig, as far as it says something about a SavedModel. @source triton model_config.proto
Result<std::string> OipRest::model_config(const ModelSpec& spec) const {
  const auto servable = manager_.find(spec);
  if (!servable) {
    return tl::unexpected(oip_missing(spec));
  }
  std::string body = "{\"name\":";
  append_json_string(body, spec.name);
  body += ",\"platform\":\"" + std::string(kOipPlatform) + "\",\"backend\":\"tensorflow\",\"max_batch_size\":0";
  const Method* method = (*servable)->model->method({});
  append_config_side(body, "input", method == nullptr ? std::vector<Port>{} : method->inputs);
  append_config_side(body, "output", method == nullptr ? std::vector<Port>{} : method->outputs);
  return body + "}";
}

Result<std::string> OipRest::statistics(const ModelSpec& spec) const {
  const auto servables = oip_counted(manager_, spec);
  if (!servables) {
    return tl::unexpected(servables.error());
  }
  std::string body = R"({"model_stats":[)";
  for (const ServableRef& servable : *servables) {
    body += body.back() == '[' ? "" : ",";
    append_statistics(body, *servable);
  }
  return body + "]}";
}

void OipRest::post(const std::vector<std::string_view>& path, HttpRequest& request, HttpResponder respond) {
  if (path.size() == 2 && path[0] == "repository" && path[1] == "index") {
    respond(oip_page(index()));
    return;
  }
  if (path.size() == 4 && path[0] == "repository" && path[1] == "models") {
    respond(oip_error({Code::Unavailable,
                       "explicit model load / unload is not allowed: what is served follows the "
                       "model folders and the model config file"}));
    return;
  }
  if (path.size() >= 3 && path[0] == "models" && path.back() == "infer") {
    std::vector<std::string_view> left(path.begin() + 1, path.end() - 1);
    const auto spec = take_model(left);
    if (!spec) {
      respond(oip_error(spec.error()));
      return;
    }
    if (left.empty()) {
      infer(*spec, request, std::move(respond));
      return;
    }
  }
  respond(oip_error({Code::NotFound, "no such page"}));
}

/// How much of the body is JSON text: all of it without the header; nullopt: the header is malformed.
std::optional<std::size_t> json_bytes_of(const HttpRequest& request) {
  const std::string_view text = request.header(kHeaderLength);
  if (text.empty()) {
    return request.body.size();
  }
  std::size_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (error != std::errc{} || end != text.data() + text.size() || size > request.body.size()) {
    return std::nullopt;
  }
  return size;
}

void OipRest::infer(const ModelSpec& spec, const HttpRequest& request, HttpResponder respond) {
  const auto start = Clock::now();
  auto servable = manager_.find(spec);
  if (!servable) {
    note_request(metrics_, spec.name, servable.error().code, "infer", "REST", start);
    respond(oip_error(oip_missing(spec)));
    return;
  }
  Call call{std::move(*servable), std::move(respond), start};
  const auto json_bytes = json_bytes_of(request);
  if (!json_bytes) {
    return conclude(call, invalid("Inference-Header-Content-Length does not fit the body"));
  }
  auto parsed = *json_bytes == 0 && !request.body.empty()
                    ? read_oip_raw_body(*call.servable, request.body)
                    : read_oip_json(call.servable->model->api(), request.body, *json_bytes);
  if (!parsed) {
    return conclude(call, tl::unexpected(parsed.error()));
  }
  RunCall run{call.servable, nullptr, {}, {}, start + options_.timeout};
  const auto plan = plan_oip(*parsed, run);
  if (!plan) {
    return conclude(call, tl::unexpected(plan.error()));
  }
  executor_.run(std::move(run),
                [this, call = std::move(call), plan = *plan,
                 asked = std::make_shared<OipRequest>(std::move(*parsed))](Result<std::vector<Tensor>> outputs) {
                  const auto answer = outputs ? write_oip_json(*call.servable, *asked, plan, *outputs)
                                              : Result<OipAnswer>(tl::unexpected(outputs.error()));
                  conclude(call, answer.map([](const OipAnswer& got) {
                    HttpResponse response;
                    if (got.json_bytes != got.body.size()) {
                      response.content_type = "application/octet-stream";
                      response.headers.emplace_back("Inference-Header-Content-Length", std::to_string(got.json_bytes));
                    }
                    response.body = got.body;
                    return response;
                  }));
                });
}

void OipRest::conclude(const Call& call, Result<HttpResponse> response) {
  note_request(metrics_, call.servable->name, response ? Code::Ok : response.error().code, "infer", "REST", call.start);
  call.respond(response ? std::move(*response) : oip_error(response.error()));
}

}  // namespace slip::serving

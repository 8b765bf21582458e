#include "serving/tfs/rest.h"

#include <algorithm>

#include "core/text.h"
#include "serving/base/request_metrics.h"
#include "serving/http/gzip.h"
#include "serving/json/out.h"
#include "serving/tfs/example.h"
#include "serving/tfs/predict_json.h"

namespace slip::serving {
namespace {

HttpResponse error_response(const Failure& failure) {
  HttpResponse response;
  response.status = http_status(failure.code);
  response.body = error_json(failure.message);
  return response;
}

HttpResponse not_found(std::string_view path) {
  HttpResponse response;
  response.status = 404;
  response.content_type = "text/html";
  response.body =
      "<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1><p>No such page on this server: ";
  for (const char c : printable(path)) {
    response.body += c == '<' ? "&lt;" : (c == '&' ? "&amp;" : std::string(1, c));
  }
  response.body += "</p></body></html>\n";
  return response;
}

/// What a kubelet or a load balancer asks, which have no token.
bool is_health(const HttpRequest& request) {
  const std::string_view path = request.path();
  return request.method == "GET" &&
         (path == "/healthz" || path == "/livez" || path == "/readyz" || path.starts_with("/v2/health/"));
}

HttpResponse text_response(int status, std::string body) {
  HttpResponse response;
  response.status = status;
  response.content_type = "text/plain; charset=utf-8";
  response.body = std::move(body);
  return response;
}

}  // namespace

/// What one inference request carries from its start to its answer.
struct RestService::Call {
  ServableRef servable;
  HttpResponder respond;
  Clock::time_point start;
  Deadline deadline;
  const char* api;
};

RestService::RestService(RestOptions options, const Credentials& credentials, Manager& manager, Executor& executor,
                         Metrics& metrics, Log& log)
    : options_(std::move(options)),
      credentials_(credentials),
      manager_(manager),
      executor_(executor),
      metrics_(metrics),
      log_(log),
      oip_({options_.timeout, options_.version}, manager, executor, metrics) {}

void RestService::handle(HttpRequest&& request, HttpResponder respond) {
  if (options_.access_log) {
    respond = logged(request, std::move(respond));
  }
  if (!is_health(request) && request.method != "OPTIONS" && !credentials_.allows(request.header("authorization"))) {
    HttpResponse response = error_response({Code::Unauthenticated, "a valid bearer token is needed"});
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
    respond(std::move(response));
    return;
  }
  if (options_.cors) {
    if (request.method == "OPTIONS") {
      respond(preflight(request));
      return;
    }
    respond = [respond](HttpResponse response) {
      response.headers.emplace_back("Access-Control-Allow-Origin", "*");
      respond(std::move(response));
    };
  }
  if (request.header("content-encoding") == "gzip") {
    auto inflated = inflate_gzip(request.body, options_.inflated_bytes);
    if (!inflated) {
      respond(error_response(inflated.error()));
      return;
    }
    request.body = std::move(*inflated);
  }
  route(request, std::move(respond));
}

HttpResponder RestService::logged(const HttpRequest& request, HttpResponder respond) {
  return [this, respond, method = request.method, target = std::string(request.path()), size = request.body.size(),
          start = Clock::now()](HttpResponse response) {
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count();
    log_.info("request", {{"method", method},
                          {"path", printable(target)},
                          {"status", std::int64_t{response.status}},
                          {"in_bytes", static_cast<std::int64_t>(size)},
                          {"out_bytes", static_cast<std::int64_t>(response.body.size())},
                          {"us", std::int64_t{us}}});
    respond(std::move(response));
  };
}

HttpResponse RestService::preflight(const HttpRequest& request) const {
  const std::string_view origin = request.header("origin");
  HttpResponse response;
  response.content_type = "text/plain";
  response.status = origin.starts_with("http://") || origin.starts_with("https://") ? 200 : 400;
  if (response.status == 200) {
    response.headers = {{"Access-Control-Allow-Origin", "*"},
                        {"Access-Control-Allow-Methods", "POST, GET"},
                        {"Access-Control-Allow-Headers", "Content-Type"}};
  }
  return response;
}

bool RestService::plain_page(std::string_view path, HttpResponse& response) const {
  if (path == "/healthz" || path == "/livez") {
    response = text_response(200, "ok\n");
  } else if (path == "/readyz") {
    const bool ready = !draining_ && manager_.ready();
    response = text_response(ready ? 200 : 503, ready ? "ok\n" : (draining_ ? "draining\n" : "loading\n"));
  } else if (path == "/") {
    response.body = R"({"status":"alive"})";  // KServe's v1 protocol asks so whether a server lives
  } else if (path == "/metrics" || (!options_.metrics_path.empty() && path == options_.metrics_path)) {
    response = text_response(200, metrics_.text());
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  } else {
    return false;
  }
  return true;
}

void RestService::route(HttpRequest& request, HttpResponder respond) {
  HttpResponse page;
  if (request.method == "GET" && plain_page(request.path(), page)) {
    respond(std::move(page));
    return;
  }
  if (request.path() == "/v2" || request.path().starts_with("/v2/")) {
    oip_.handle(request, std::move(respond));
    return;
  }
  if (to_lower(request.path().substr(0, 4)) != "/v1/") {
    respond(not_found(request.path()));
    return;
  }
  const auto path = read_rest_path(request.method, request.path());
  if (!path) {
    respond(error_response(path.error()));
    return;
  }
  if (path->action != RestPath::Action::Status && path->action != RestPath::Action::Metadata) {
    infer(*path, request.body, std::move(respond));
    return;
  }
  const bool status = path->action == RestPath::Action::Status;
  const bool kserve = options_.kserve_v1 && status && !path->spec.version && path->spec.label.empty();
  const auto body = kserve   ? kserve_status_json(path->spec.name)
                    : status ? status_json(path->spec)
                             : metadata_json(path->spec);
  if (!body) {
    respond(error_response(body.error()));
    return;
  }
  HttpResponse response;
  response.body = *body;
  respond(std::move(response));
}

void RestService::infer(const RestPath& path, std::string_view body, HttpResponder respond) {
  auto servable = manager_.find(path.spec);
  const auto start = Clock::now();
  const char* api = path.action == RestPath::Action::Predict
                        ? "predict"
                        : (path.action == RestPath::Action::Classify ? "classify" : "regress");
  if (!servable) {
    note_request(metrics_, path.spec.name, servable.error().code, api, "REST", start);
    respond(error_response(servable.error()));
    return;
  }
  Call call{std::move(*servable), std::move(respond), start, start + options_.timeout, api};
  if (path.action == RestPath::Action::Predict) {
    predict(std::move(call), body);
  } else {
    examples(std::move(call), body, path.action);
  }
}

void RestService::predict(Call call, std::string_view body) {
  auto parsed = read_predict_json(*call.servable->model, body);
  if (!parsed) {
    conclude(call, tl::unexpected(parsed.error()));
    return;
  }
  RunCall run{call.servable, parsed->method, std::move(parsed->inputs), {}, call.deadline};
  const JsonForm form = parsed->form;
  executor_.run(std::move(run),
                [this, call = std::move(call), method = parsed->method, form](Result<std::vector<Tensor>> outputs) {
                  conclude(call, outputs ? write_predict_json(*method, *outputs, form)
                                         : Result<std::string>(tl::unexpected(outputs.error())));
                });
}

void RestService::examples(Call call, std::string_view body, RestPath::Action action) {
  const bool classify = action == RestPath::Action::Classify;
  const Model& model = *call.servable->model;
  auto parsed = read_examples_json(body);
  if (!parsed) {
    conclude(call, tl::unexpected(parsed.error()));
    return;
  }
  const auto method = example_method(model, parsed->signature, classify ? kClassifyMethod : kRegressMethod);
  if (!method) {
    conclude(call, tl::unexpected(method.error()));
    return;
  }
  RunCall run{call.servable, *method, {}, {}, call.deadline, classify ? "Classify" : "Regress"};
  note_examples(metrics_, call.servable->name, parsed->examples.size());
  run.inputs.push_back(example_tensor(model.api(), parsed->examples));
  const std::size_t count = parsed->examples.size();
  executor_.run(std::move(run),
                [this, call = std::move(call), method = *method, classify, count](Result<std::vector<Tensor>> outputs) {
                  const auto text = [&]() -> Result<std::string> {
                    if (!outputs) {
                      return tl::unexpected(outputs.error());
                    }
                    return classify ? to_classifications(*method, *outputs, count).map(write_classifications_json)
                                    : to_regressions(*method, *outputs, count).map(write_regressions_json);
                  };
                  conclude(call, text());
                });
}

void RestService::conclude(const Call& call, Result<std::string> body) {
  const std::string& model = call.servable->name;
  const Code code = body ? Code::Ok : body.error().code;
  note_request(metrics_, model, code, call.api, "REST", call.start);
  if (!body) {
    call.respond(error_response(body.error()));
    return;
  }
  HttpResponse response;
  response.body = std::move(*body);
  call.respond(std::move(response));
}

}  // namespace slip::serving

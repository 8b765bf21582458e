#include "registry/envelope.h"

#include <nlohmann/json.hpp>

#include "codec/base64.h"
#include "codec/json.h"
#include "core/error.h"
#include "core/format.h"

namespace slip::registry {
namespace {

using codec::Json;

constexpr std::string_view kType = "cosign container image signature";
constexpr std::string_view kInToto = "application/vnd.in-toto+json";
constexpr std::string_view kStatement = "https://in-toto.io/Statement/v1";

/// A member of nested objects as text; empty when anything on the way is missing or of another type.
std::string text_at(const Json& json, std::initializer_list<const char*> path) {
  const Json* at = &json;
  for (const char* key : path) {
    if (!at->is_object() || !at->contains(key)) {
      return {};
    }
    at = &at->at(key);
  }
  return at->is_string() ? at->get<std::string>() : std::string();
}

/// Foreign text that may be anything; a discarded value where it is no JSON within the usual limits.
Json parse(std::string_view text) {
  try {
    return codec::parse_json(text, "signature", {1u << 20, 32});
  } catch (const Error&) {
    return Json(nullptr);
  }
}

std::optional<Digest> digest_of_statement(const std::string& body) {
  const Json statement = parse(body);
  if (text_at(statement, {"_type"}) != kStatement || text_at(statement, {"predicateType"}) != kSignPredicate ||
      !statement.contains("subject") || !statement.at("subject").is_array() || statement.at("subject").size() != 1) {
    return std::nullopt;
  }
  return Digest::parse("sha256:" + text_at(statement.at("subject")[0], {"digest", "sha256"}));
}

}  // namespace

std::string simple_payload(const std::string& name, const Digest& image) {
  const Json payload = {{"critical",
                         {{"identity", {{"docker-reference", name}}},
                          {"image", {{"docker-manifest-digest", image.text()}}},
                          {"type", std::string(kType)}}},
                        {"optional", {{"creator", "slipway"}}}};
  return codec::dump_canonical(payload);
}

std::optional<Digest> image_of_payload(std::string_view payload) {
  const Json json = parse(payload);
  if (text_at(json, {"critical", "type"}) != kType) {
    return std::nullopt;
  }
  const std::string digest = text_at(json, {"critical", "image", "docker-manifest-digest"});
  return digest.starts_with("sha256:") ? Digest::parse(digest) : std::nullopt;
}

std::string pre_authentication(std::string_view type, std::string_view body) {
  return format("DSSEv1 {} {} {} {}", type.size(), type, body.size(), body);
}

std::string make_bundle(const PrivateKey& key, const Digest& image) {
  Json subject = Json::array();
  subject.push_back({{"digest", {{"sha256", image.hex()}}}});
  const Json statement = {{"_type", std::string(kStatement)},
                          {"subject", subject},
                          {"predicateType", std::string(kSignPredicate)},
                          {"predicate", Json::object()}};
  const std::string body = codec::dump_canonical(statement);
  Json signatures = Json::array();
  signatures.push_back({{"sig", codec::base64(key.sign(pre_authentication(kInToto, body)))}});
  const Json bundle = {
      {"mediaType", std::string(kBundle)},
      {"verificationMaterial", {{"publicKey", {{"hint", key.public_key().hint()}}}}},
      {"dsseEnvelope",
       {{"payload", codec::base64(body)}, {"payloadType", std::string(kInToto)}, {"signatures", signatures}}}};
  return codec::dump_canonical(bundle);
}

std::optional<Digest> image_of_bundle(std::string_view bundle, const PublicKey& key) {
  const Json json = parse(bundle);
  const auto body = codec::unbase64(text_at(json, {"dsseEnvelope", "payload"}));
  if (!body || !text_at(json, {"mediaType"}).starts_with("application/vnd.dev.sigstore.bundle") ||
      text_at(json, {"dsseEnvelope", "payloadType"}) != kInToto) {
    return std::nullopt;
  }
  const Json& signatures = json.at("dsseEnvelope").value("signatures", Json::array());
  if (!signatures.is_array() || signatures.size() > 16) {
    return std::nullopt;
  }
  const std::string signed_bytes = pre_authentication(kInToto, *body);
  for (const Json& one : signatures) {
    const auto signature = codec::unbase64(text_at(one, {"sig"}));
    if (signature && key.verify(signed_bytes, *signature)) {
      return digest_of_statement(*body);
    }
  }
  return std::nullopt;
}

}  // namespace slip::registry

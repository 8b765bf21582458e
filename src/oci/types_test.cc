#include "oci/types.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "oci/media_types.h"

namespace slip::oci {
namespace {

const std::string kDigest = "sha256:" + std::string(64, '1');

Manifest sample_manifest() {
  Manifest m;
  m.media_type = media::kManifest;
  m.config = {std::string(media::kConfig), Digest::from(kDigest), 7, {}, {}, ""};
  m.layers = {{std::string(media::kLayerGzip), Digest::from(kDigest), 9, {{"b", "2"}, {"a", "1"}}, {}, ""}};
  m.annotations = {{"org.opencontainers.image.created", "2022-05-16T00:00:00Z"}};
  return m;
}

ImageConfig sample_config() {
  ImageConfig c;
  c.created = "2022-05-16T00:00:00Z";
  c.user = "1000:1000";
  c.exposed_ports = {"8888/tcp", "22/tcp"};
  c.env = {"PATH=/usr/bin", "X=\xc3\xa4\"\\\n"};
  c.entrypoint = {"/sbin/slipway-init"};
  c.cmd = {"bash"};
  c.volumes = {"/workspace"};
  c.working_dir = "/workspace";
  c.labels = {{"k", "v"}};
  c.stop_signal = "SIGTERM";
  c.healthcheck = {{"CMD", "/bin/true"}, 30'000'000'000, 1, 2, 3};
  c.diff_ids = {Digest::from(kDigest)};
  c.history = {{"2022-05-16T00:00:00Z", "debs", "", "", false}, {"", "env", "", "c", true}};
  return c;
}

std::string message_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& e) {
    return e.joined();
  }
  return "no error";
}

TEST(Types, DocumentsHaveOneForm) {
  EXPECT_EQ(
      to_json(sample_manifest()),
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
      R"("config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":")" +
          kDigest +
          R"(","size":7},)"
          R"("layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":")" +
          kDigest +
          R"(","size":9,"annotations":{"a":"1","b":"2"}}],"annotations":{"org.opencontainers.image.created":"2022-05-16T00:00:00Z"}})");
  EXPECT_EQ(
      to_json(sample_config()),
      R"({"created":"2022-05-16T00:00:00Z","architecture":"amd64","os":"linux","config":{"User":"1000:1000",)"
      R"("ExposedPorts":{"22/tcp":{},"8888/tcp":{}},"Env":["PATH=/usr/bin","X=)"
      "\xc3\xa4"
      R"(\"\\\n"],)"
      R"("Entrypoint":["/sbin/slipway-init"],"Cmd":["bash"],"Volumes":{"/workspace":{}},"WorkingDir":"/workspace",)"
      R"("Labels":{"k":"v"},"StopSignal":"SIGTERM",)"
      R"("Healthcheck":{"Test":["CMD","/bin/true"],"Interval":30000000000,"Timeout":1,"StartPeriod":2,"Retries":3}},"rootfs":{"type":"layers","diff_ids":[")" +
          kDigest +
          R"("]},"history":[{"created":"2022-05-16T00:00:00Z","created_by":"debs"},{"created_by":"env","comment":"c","empty_layer":true}]})");
}

TEST(Types, ReadingGivesBackWhatWasWritten) {
  EXPECT_EQ(parse_manifest(to_json(sample_manifest())), sample_manifest());
  EXPECT_EQ(parse_image_config(to_json(sample_config())), sample_config());
  EXPECT_EQ(parse_image_config(to_json(ImageConfig{})), ImageConfig{});
  Index index;
  index.media_type = media::kIndex;
  index.manifests = {sample_manifest().config};
  index.manifests[0].platform = Platform{"arm64", "linux", "v8"};
  index.manifests[0].artifact_type = "application/x";
  index.subject = sample_manifest().config;
  EXPECT_EQ(parse_index(to_json(index)), index);
  EXPECT_EQ(parse_descriptor(to_json(index.manifests[0])), index.manifests[0]);
}

TEST(Types, ForeignDocumentsAreReadWithTheirSurplusAndNulls) {
  const ImageConfig c = parse_image_config(
      R"({"architecture":"amd64","os":"linux","docker_version":"20","config":{"Hostname":"x","Cmd":null,"Env":["A=b"],"OnBuild":null},)"
      R"("rootfs":{"type":"layers","diff_ids":[]}})");
  EXPECT_EQ(c.env, (std::vector<std::string>{"A=b"}));
  EXPECT_TRUE(c.cmd.empty());
}

TEST(Types, WrongDocumentsAreRefusedWithTheirPlace) {
  const std::string good = to_json(sample_manifest());
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    return at == std::string::npos ? std::string("nothing replaced") : text.replace(at, from.size(), to);
  };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {with("\"size\":9", "\"size\":-1"), "`manifest.layers[0].size` must be a size"},
      {with("\"size\":9", "\"size\":9.0"), "size` must be"},
      {with("\"size\":7", "\"size\":\"7\""), "`manifest.config.size`"},
      {with("sha256:1", "sha256:X"), "must be a digest"},
      {with("sha256:", ""), "must be a digest"},
      {with("\"schemaVersion\":2", "\"schemaVersion\":1"), "must be 2"},
      {with("\"layers\":[", "\"manifests\":["), "index of several images"},
      {with("\"schemaVersion\":2", "\"schemaVersion\":2,\"schemaVersion\":2"), "stands twice"},
      {with("\"a\":\"1\"", "\"a\":1"), "an object of strings"},
      {"[]", "must be an object"},
      {good + "x", "not valid JSON"},
      {std::string(40, '[') + std::string(40, ']'), "nested"},
      {std::string(kMaxDocument + 1, ' '), "more than"},
  };
  for (const auto& [json, wanted] : cases) {
    EXPECT_NE(message_of([&] { (void)parse_manifest(json); }).find(wanted), std::string::npos)
        << json.substr(0, 300) << "\n"
        << message_of([&] { (void)parse_manifest(json); });
  }
  EXPECT_NE(message_of([&] { (void)parse_index(good); }).find("manifest of one image"), std::string::npos);
}

}  // namespace
}  // namespace slip::oci

#include "model/checks.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "model/runtime.h"
#include "model/variables.h"
#include "os/file.h"

namespace slip::model {
namespace {

namespace fs = std::filesystem;

const fs::path kModels = fs::path(SLIP_SOURCE_DIR) / "tests/serving/models";

/// A copy of one of the tests' models that may be damaged.
class Damaged {
 public:
  explicit Damaged(const std::string& model) : dir_(fs::temp_directory_path(), "model-test-") {
    fs::copy(kModels / model, dir_.path() / "m", fs::copy_options::recursive);
  }
  [[nodiscard]] fs::path path(const std::string& name) const { return dir_.path() / "m" / name; }
  [[nodiscard]] std::vector<Finding> check(const RuntimeFacts& runtime) const {
    return check_model(open_saved_model(dir_.path() / "m", ""), runtime);
  }

 private:
  os::TempDir dir_;
};

/// A runtime that has what the model uses.
RuntimeFacts runtime_for(const std::string& model) {
  const MetaGraph graph = open_saved_model(kModels / model, "").graph;
  return {"2.9.0", graph.versions.producer, graph.operations};
}

std::string failed(const std::vector<Finding>& findings) {
  std::string ids;
  for (const Finding& f : findings) {
    ids += f.ok ? "" : f.id + ": " + f.found + "\n";
  }
  return ids;
}

TEST(Model, EveryModelOfTheTestsCanBeServed) {
  for (const char* model : {"half_plus_two", "half_plus_two_tf2", "counter", "lookup", "mixed", "batch"}) {
    EXPECT_EQ(failed(Damaged(model).check(runtime_for(model))), "") << model;
  }
}

TEST(Model, TheNewestVersionIsTaken) {
  const SavedModel model = open_saved_model(kModels / "half_plus_two_tf2", "");
  EXPECT_EQ(model.name, "half_plus_two_tf2");
  EXPECT_EQ(model.version, "2");
  EXPECT_EQ(model.older, std::vector<std::string>{"1"});
  EXPECT_EQ(open_saved_model(kModels / "half_plus_two_tf2/1", "").version, "1");
  EXPECT_EQ(text_of(model.graph.signatures.at("serving_default").inputs.begin()->second), "float?");
  EXPECT_THROW(open_saved_model(kModels / "half_plus_two_tf2", "a/b"), Error);
}

TEST(Model, AnUnknownOperationIsNamed) {
  RuntimeFacts runtime = runtime_for("lookup");
  runtime.operations.erase("HashTableV2");
  EXPECT_EQ(failed(Damaged("lookup").check(runtime)), "operations: HashTableV2\n");
}

TEST(Model, ANewerGraphIsRefused) {
  RuntimeFacts runtime = runtime_for("counter");
  --runtime.graph_version;
  EXPECT_TRUE(failed(Damaged("counter").check(runtime)).starts_with("graph: it has graph version "));
}

TEST(Model, MissingFilesAreFound) {
  const RuntimeFacts runtime = runtime_for("lookup");
  const RuntimeFacts counter = runtime_for("counter");
  const Damaged gone("counter");
  fs::remove(gone.path("1/variables/variables.index"));
  EXPECT_EQ(failed(gone.check(counter)), "variables: there is no variables/variables.index\n");
  const Damaged no_shard("counter");
  fs::remove(no_shard.path("1/variables/variables.data-00000-of-00001"));
  EXPECT_EQ(failed(no_shard.check(counter)), "variables: variables/variables.data-00000-of-00001 is missing\n");
  const Damaged cut("counter");
  fs::resize_file(cut.path("1/variables/variables.data-00000-of-00001"), 3);
  EXPECT_EQ(failed(cut.check(counter)), "variables: variables/variables.data-00000-of-00001 has 3 bytes\n");

  const Damaged no_asset("lookup");
  fs::remove(no_asset.path("1/assets/vocabulary.txt"));
  EXPECT_EQ(failed(no_asset.check(runtime)), "assets: assets/vocabulary.txt is missing\n");
}

TEST(Model, ARefusalSaysWhyAndWhatNext) {
  RuntimeFacts runtime = runtime_for("lookup");
  runtime.operations.clear();
  const SavedModel model = open_saved_model(kModels / "lookup", "");
  try {
    refuse_unless_ok(model, check_model(model, runtime));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Unsupported);
    EXPECT_NE(e.joined().find("and"), std::string::npos);
    EXPECT_EQ(e.hints().size(), 1u);
  }
}

TEST(Model, TheRuntimeLockComesBackAsItWas) {
  const lock::Lock runtime = parse_runtime(kRuntimeLock, "runtime.lock", Digest{});
  EXPECT_EQ(parse_runtime(runtime_text(runtime), "again", Digest{}), runtime);
  EXPECT_EQ(with_tensorflow(runtime, "2.9.3").wheels.size(), 1u);
  EXPECT_THROW(with_tensorflow(runtime, "2.13.0"), Error);
}

}  // namespace
}  // namespace slip::model

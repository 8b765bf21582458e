#include "serving/tfs/rest_path.h"

#include <gtest/gtest.h>

namespace slip::serving {
namespace {

TEST(RestPathTest, NamesAreDecodedAfterTheMatch) {
  const auto path = read_rest_path("POST", "/v1/models/modelname%21%23%24%2F%3A/labels/latest%21%5D:predict");
  ASSERT_TRUE(path);
  EXPECT_EQ(path->spec.name, "modelname!#$/:");
  EXPECT_EQ(path->spec.label, "latest!]");
  EXPECT_EQ(path->action, RestPath::Action::Predict);
  EXPECT_EQ(read_rest_path("GET", "/V1/Models/m/Versions/007/metadata")->spec.version, 7);
  EXPECT_EQ(read_rest_path("GET", "/v1/models")->spec.name, "");
}

TEST(RestPathTest, MalformedPaths) {
  for (const char* path : {"/v1/foo", "/v1/models/", "/v1/models/m/versions/1/labels/x", "/v1/models/m/versions/x",
                           "/v1/models/m/", "/v1/models/m:predict", "/v1/models/m/metadata/x"}) {
    const auto read = read_rest_path("GET", path);
    ASSERT_FALSE(read) << path;
    EXPECT_EQ(read.error().message, std::string("Malformed request: GET ") + path);
  }
  EXPECT_FALSE(read_rest_path("POST", "/v1/models/m"));
  EXPECT_FALSE(read_rest_path("POST", "/v1/models/m:explain"));
  EXPECT_FALSE(read_rest_path("DELETE", "/v1/models/m"));
  EXPECT_EQ(read_rest_path("GET", "/v1/models/m/versions/99999999999999999999").error().message,
            "Failed to convert version: 99999999999999999999 to numeric.");
}

}  // namespace
}  // namespace slip::serving

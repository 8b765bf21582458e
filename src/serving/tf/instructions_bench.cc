// One JSON body read into tensor memory, or one tensor written as JSON; run it under callgrind with two counts, and the
// difference is what a value costs: serving_instructions read|write VALUES
#include <cstdio>
#include <cstdlib>
#include <string>

#include "serving/json/out.h"
#include "serving/json/scan.h"
#include "serving/tf/fake_api.h"
#include "serving/tf/json_tensor.h"

namespace {

using namespace slip::serving;

float value_of(int i) { return static_cast<float>(i % 1000) + static_cast<float>(i % 7919) / 8192.0f; }

/// Lists of three, as the pixels of an image.
std::string body_of(int count) {
  JsonOut out;
  out.single_line(true);
  out.begin_array();
  for (int i = 0; i < count; i += 3) {
    out.begin_array();
    const float pixel[] = {value_of(i), value_of(i + 1), value_of(i + 2)};
    out.decimals(pixel, 3);
    out.end_array();
  }
  out.end_array();
  return out.take();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc == 3 ? argv[1] : "";
  if (what != "read" && what != "write" && what != "neither") {
    std::fputs("usage: serving_instructions read|write|neither VALUES\n", stderr);
    return 2;
  }
  const int count = std::atoi(argv[2]) / 3 * 3;
  // "neither" makes the body as "read" does, so that the difference of the two is the reading alone.
  const std::string body = body_of(count);
  if (what == "read") {
    JsonScanner scanner(body);
    TensorBuilder builder(test::fake_tensorflow(), DataType::Float);
    builder.reserve(body.size() / 4 + 16);
    Shape shape;
    DenseReader reader(scanner);
    if (!reader.read(builder, shape) || builder.count() != static_cast<std::size_t>(count)) {
      return 1;
    }
  } else if (what == "write") {
    std::printf("%zu\n", body_of(count).size());
  }
  return 0;
}

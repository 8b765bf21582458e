#pragma once

#include <string>

#include "serving/base/status.h"
#include "serving/json/scan.h"
#include "serving/tf/tensor.h"

namespace slip::serving {

/// Reads one JSON value, a scalar or nested lists of scalars, straight into tensor memory.
///
/// The shape comes from the first element at each level; everything else must agree with it. Rules and texts are
/// those of TensorFlow Serving 2.9 (util/json_tensor.cc).
class DenseReader {
 public:
  /// What becomes of numbers beyond an 8 or 16 bit type: TensorFlow Serving checks them against int32 and lets them
  /// wrap; the other protocol refuses them.
  enum class Narrow { Wrap, MustFit };

  explicit DenseReader(JsonScanner& scanner, Narrow narrow = Narrow::Wrap) noexcept
      : scanner_(scanner), narrow_(narrow) {}

  /// Appends the value at the scanner to `into`. False: failure() tells why, unless the scanner failed itself.
  /// @param shape  receives the value's shape
  bool read(TensorBuilder& into, Shape& shape);
  [[nodiscard]] const Failure& failure() const noexcept { return failure_; }

 private:
  bool value(std::size_t level);
  bool list(std::size_t level);
  bool leaf(std::size_t level);
  bool elements(std::int64_t& count);
  template <class T>
  bool decimals(std::int64_t& count);
  bool short_rows(std::size_t level, std::int64_t& count);
  template <class T>
  bool short_rows(std::int64_t& count);
  template <class Push>
  bool number(Push&& push);
  bool list_too_deep();
  bool scalar();
  bool text();
  bool type_error(const char* start);
  bool reject(std::string message, Code code = Code::InvalidArgument);

  JsonScanner& scanner_;
  Narrow narrow_;
  TensorBuilder* into_ = nullptr;
  Shape* shape_ = nullptr;
  bool rank_known_ = false;
  int misses_ = 0;  ///< lists in a row that short_rows() left
  std::string scratch_;
  Failure failure_;
};

/// At an object: whether it is `{"b64": "…"}`. Leaves the scanner where it is.
bool at_base64_object(JsonScanner& scanner);

}  // namespace slip::serving

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace slip::serving {

/// Element types by their number in TensorFlow's types.proto; any other number may occur in foreign bytes.
enum class DataType : int {
  Invalid = 0,
  Float = 1,
  Double = 2,
  Int32 = 3,
  UInt8 = 4,
  Int16 = 5,
  Int8 = 6,
  String = 7,
  Complex64 = 8,
  Int64 = 9,
  Bool = 10,
  BFloat16 = 14,
  UInt16 = 17,
  Complex128 = 18,
  Half = 19,
  Resource = 20,
  Variant = 21,
  UInt32 = 22,
  UInt64 = 23,
};

/// "float", "int64": as TensorFlow's error texts spell it.
const char* name_of(DataType type) noexcept;
/// "DT_FLOAT": as protocol buffers in JSON spell it.
const char* proto_name_of(DataType type) noexcept;
/// Bytes of one element of plain data; 0 for strings and for types that are no plain data.
std::size_t size_of(DataType type) noexcept;

/// Sizes from the outermost dimension in; in a signature -1 is any size.
using Shape = std::vector<std::int64_t>;

/// "[2,3]".
std::string to_string(const Shape& shape);
/// Number of elements; -1 when a dimension is negative or the product leaves int64.
std::int64_t element_count(const Shape& shape) noexcept;

}  // namespace slip::serving

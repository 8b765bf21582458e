#include "serving/tf/json_tensor.h"

#include <limits>

namespace slip::serving {
namespace {

const char* type_of_json(char first) noexcept {
  switch (first) {
    case '{': return "Object";
    case '[': return "Array";
    case '"': return "String";
    case 't': return "True";
    case 'f': return "False";
    case 'n': return "Null";
    default: return "Number";
  }
}

bool fits_int32(const JsonNumber& n) noexcept {
  return n.fits_int64() && n.as_int64() >= std::numeric_limits<std::int32_t>::min() &&
         n.as_int64() <= std::numeric_limits<std::int32_t>::max();
}

template <class T>
bool within(std::int64_t value) noexcept {
  return value >= std::numeric_limits<T>::min() && value <= std::numeric_limits<T>::max();
}

bool fits_type(std::int64_t value, DataType type) noexcept {
  switch (static_cast<int>(type)) {
    case static_cast<int>(DataType::Int16): return within<std::int16_t>(value);
    case static_cast<int>(DataType::Int8): return within<std::int8_t>(value);
    case static_cast<int>(DataType::UInt8): return within<std::uint8_t>(value);
    case static_cast<int>(DataType::UInt16): return within<std::uint16_t>(value);
    default: return true;
  }
}

/// Appends `n` as an element of the builder's type; false when it does not fit.
bool push_number(TensorBuilder& into, const JsonNumber& n, DenseReader::Narrow narrow) {
  switch (static_cast<int>(into.type())) {
    case static_cast<int>(DataType::Float): into.push(static_cast<float>(n.value)); return true;
    case static_cast<int>(DataType::Double): into.push(n.value); return true;
    case static_cast<int>(DataType::Int64):
      if (n.fits_int64()) {
        into.push(n.as_int64());
      }
      return n.fits_int64();
    case static_cast<int>(DataType::UInt64):
      if (n.fits_uint64()) {
        into.push(n.magnitude);
      }
      return n.fits_uint64();
    case static_cast<int>(DataType::UInt32):
      if (n.fits_uint64() && n.magnitude <= std::numeric_limits<std::uint32_t>::max()) {
        into.push(static_cast<std::uint32_t>(n.magnitude));
        return true;
      }
      return false;
    default: break;
  }
  if (!fits_int32(n)) {
    return false;
  }
  if (narrow == DenseReader::Narrow::MustFit && !fits_type(n.as_int64(), into.type())) {
    return false;
  }
  switch (static_cast<int>(into.type())) {
    case static_cast<int>(DataType::Int32): into.push(static_cast<std::int32_t>(n.as_int64())); return true;
    case static_cast<int>(DataType::Int16): into.push(static_cast<std::int16_t>(n.as_int64())); return true;
    case static_cast<int>(DataType::Int8): into.push(static_cast<std::int8_t>(n.as_int64())); return true;
    case static_cast<int>(DataType::UInt8): into.push(static_cast<std::uint8_t>(n.as_int64())); return true;
    case static_cast<int>(DataType::UInt16): into.push(static_cast<std::uint16_t>(n.as_int64())); return true;
    default: return false;
  }
}

bool is_numeric(DataType type) noexcept {
  switch (static_cast<int>(type)) {
    case static_cast<int>(DataType::Float):
    case static_cast<int>(DataType::Double):
    case static_cast<int>(DataType::Int32):
    case static_cast<int>(DataType::UInt8):
    case static_cast<int>(DataType::UInt16):
    case static_cast<int>(DataType::Int16):
    case static_cast<int>(DataType::Int8):
    case static_cast<int>(DataType::Int64):
    case static_cast<int>(DataType::UInt32):
    case static_cast<int>(DataType::UInt64): return true;
    default: return false;
  }
}

bool starts_number(char c) noexcept { return (c >= '0' && c <= '9') || c == '-' || c == 'N' || c == 'I'; }

}  // namespace

bool at_base64_object(JsonScanner& scanner) {
  JsonScanner ahead = scanner;
  std::string name;
  std::string scratch;
  std::string_view text;
  if (ahead.peek() != '{' || !ahead.open() || ahead.peek() != '"' || !ahead.key(name) || name != "b64") {
    return false;
  }
  return ahead.peek() == '"' && ahead.string(text, scratch) && ahead.peek() == '}';
}

bool DenseReader::reject(std::string message, Code code) {
  failure_ = {code, std::move(message)};
  return false;
}

bool DenseReader::read(TensorBuilder& into, Shape& shape) {
  into_ = &into;
  shape_ = &shape;
  rank_known_ = false;
  shape.clear();
  return value(0);
}

bool DenseReader::value(std::size_t level) {
  if (scanner_.peek() == '[') {
    return list(level);
  }
  return leaf(level) && scalar();
}

bool DenseReader::leaf(std::size_t level) {
  if (!rank_known_) {
    rank_known_ = true;
    return true;
  }
  if (level == shape_->size()) {
    return true;
  }
  const char* start = scanner_.position();
  if (!scanner_.skip_value()) {
    return false;
  }
  return reject("JSON Value: " + excerpt(scanner_.since(start)) + " found at incorrect level: " +
                std::to_string(level + 1) + " in the JSON DOM. Expected at level: " + std::to_string(shape_->size()));
}

bool DenseReader::list(std::size_t level) {
  if (rank_known_ && level >= shape_->size()) {
    return reject("Encountered list at unexpected level: " + std::to_string(level) + " expected < " +
                  std::to_string(shape_->size()));
  }
  if (!scanner_.open()) {
    return false;
  }
  const bool first = shape_->size() == level;
  if (first) {
    shape_->push_back(-1);
  }
  std::int64_t count = 0;
  if (scanner_.peek() == ']') {
    scanner_.close();
    rank_known_ = true;
  } else if (scanner_.peek() != '[' && level + 1 == shape_->size()) {
    rank_known_ = true;
    if (!elements(count)) {
      return false;
    }
  } else {
    do {
      if (short_rows(level + 1, count)) {
        continue;
      }
      if (!value(level + 1)) {
        return false;
      }
      ++count;
    } while (scanner_.next_element());
    if (scanner_.failed()) {
      return false;
    }
  }
  std::int64_t& size = (*shape_)[level];
  if (size == -1) {
    size = count;
  }
  if (size != count) {
    return reject("Encountered list at unexpected size: " + std::to_string(count) +
                  " at level: " + std::to_string(level) + " expected size: " + std::to_string(size));
  }
  return true;
}

bool DenseReader::list_too_deep() {
  return reject("Encountered list at unexpected level: " + std::to_string(shape_->size()) + " expected < " +
                std::to_string(shape_->size()));
}

/// The scalars of an innermost list, up to and with its bracket.
bool DenseReader::elements(std::int64_t& count) {
  const DataType type = into_->type();
  if (type == DataType::Float) {
    return decimals<float>(count);
  }
  if (type == DataType::Double) {
    return decimals<double>(count);
  }
  const bool numeric = is_numeric(type);
  do {
    if (!numeric && scanner_.peek() == '[') {
      return list_too_deep();
    }
    if (!(numeric ? number([&](const JsonNumber& n) { return push_number(*into_, n, narrow_); }) : scalar())) {
      return false;
    }
    ++count;
  } while (scanner_.next_element());
  return !scanner_.failed();
}

template <class T>
bool DenseReader::decimals(std::int64_t& count) {
  const auto push = [&](const JsonNumber& n) {
    into_->push(static_cast<T>(n.value));
    ++count;
    return true;
  };
  do {
    const auto room = into_->room<T>();
    bool behind = false;
    const std::size_t read = scanner_.plain_decimals(room.data(), room.size(), behind);
    into_->took(read);
    count += static_cast<std::int64_t>(read);
    if (!behind && !number(push)) {
      return false;
    }
  } while (scanner_.next_element());
  return !scanner_.failed();
}

/// The quick way through short innermost lists: reads the next ones for as long as they are like those before them and
/// hold plain decimals. True: behind one of them, next_element() is due. False: before an element that value() reads.
bool DenseReader::short_rows(std::size_t level, std::int64_t& count) {
  constexpr std::int64_t kLongest = 16;  // a longer one has little to gain, and is read twice when it ends otherwise
  constexpr int kMisses = 4;             // after which such lists are not expected any more
  if (!rank_known_ || level + 1 != shape_->size() || shape_->back() > kLongest || misses_ == kMisses) {
    return false;
  }
  switch (static_cast<int>(into_->type())) {
    case static_cast<int>(DataType::Float): return short_rows<float>(count);
    case static_cast<int>(DataType::Double): return short_rows<double>(count);
    default: return false;
  }
}

template <class T>
bool DenseReader::short_rows(std::int64_t& count) {
  const auto size = static_cast<std::size_t>(shape_->back());
  while (true) {
    const auto room = into_->room<T>();
    if (room.size() < size || !scanner_.short_row(room.data(), size)) {
      ++misses_;
      return false;
    }
    misses_ = 0;
    into_->took(size);
    ++count;
    if (scanner_.peek() != ',') {
      return true;
    }
    scanner_.step();
  }
}

/// One element of a list of numbers.
template <class Push>
bool DenseReader::number(Push&& push) {
  const char c = scanner_.peek();
  const char* start = scanner_.position();
  if (!starts_number(c)) {
    return c == '[' ? list_too_deep() : type_error(start);
  }
  JsonNumber n;
  return scanner_.number(n) && (push(n) || type_error(start));
}

bool DenseReader::scalar() {
  const char c = scanner_.peek();
  const char* start = scanner_.position();
  const DataType type = into_->type();
  if (is_numeric(type)) {
    JsonNumber n;
    if (!starts_number(c)) {
      return type_error(start);
    }
    return scanner_.number(n) && (push_number(*into_, n, narrow_) || type_error(start));
  }
  if (type == DataType::Bool) {
    if (c != 't' && c != 'f') {
      return type_error(start);
    }
    if (scanner_.literal() == '\0') {
      return scanner_.fail("Invalid value.");
    }
    into_->push(c == 't');
    return true;
  }
  if (type == DataType::String) {
    return text();
  }
  if (!scanner_.skip_value()) {
    return false;
  }
  return reject("Conversion of JSON Value: " + excerpt(scanner_.since(start)) + " to type: " + name_of(type),
                Code::Unimplemented);
}

bool DenseReader::text() {
  const char* start = scanner_.position();
  std::string_view value;
  if (scanner_.peek() == '"') {
    if (!scanner_.string(value, scratch_)) {
      return false;
    }
    into_->push_text(value);
    return true;
  }
  if (scanner_.peek() != '{') {
    return type_error(start);
  }
  if (!at_base64_object(scanner_)) {
    if (!scanner_.skip_value()) {
      return false;
    }
    return reject("JSON Value: " + excerpt(scanner_.since(start)) + " not formatted correctly for base64 data");
  }
  std::string name;
  std::string decoded;
  scanner_.open();
  scanner_.key(name);
  scanner_.peek();
  scanner_.string(value, scratch_);
  if (!decode_base64(value, decoded)) {
    return reject("Unable to base64 decode");
  }
  into_->push_text(decoded);
  return !scanner_.next_member() && !scanner_.failed();
}

/// Reports the value that began at `start`; one that is no JSON either is the scanner's error.
bool DenseReader::type_error(const char* start) {
  scanner_.rewind(start);
  const char first = scanner_.peek();
  if (!scanner_.skip_value()) {
    return false;
  }
  return reject("JSON Value: " + excerpt(scanner_.since(start)) + " Type: " + type_of_json(first) +
                " is not of expected type: " + name_of(into_->type()));
}

}  // namespace slip::serving

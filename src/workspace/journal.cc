#include "workspace/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "core/format.h"
#include "os/file.h"

namespace slip::workspace {
namespace {

constexpr std::uint64_t kFull = 8 << 20;
constexpr int kKept = 4;

std::filesystem::path file_name(const std::filesystem::path& folder, int age) {
  return folder / (age == 0 ? std::string("current.jsonl") : format("current.jsonl.{}", age));
}

void split_lines(std::string& rest, std::string_view bytes, const std::function<void(std::string_view)>& each) {
  rest.append(bytes);
  std::size_t begin = 0;
  for (std::size_t end = rest.find('\n'); end != std::string::npos; end = rest.find('\n', begin)) {
    each(std::string_view(rest).substr(begin, end - begin));
    begin = end + 1;
  }
  rest.erase(0, begin);
}

}  // namespace

std::optional<LogLine> line_of(std::string_view record) {
  const auto json = nlohmann::json::parse(record, nullptr, false);
  if (!json.is_object()) {
    return std::nullopt;
  }
  LogLine line{json.value("ts", ""), json.value("service", "slipway-init"), json.value("stream", "event"),
               json.value("line", "")};
  if (line.stream == "event") {
    line.text = json.value("event", "");
    for (const auto& [key, value] : json.items()) {
      if (key != "ts" && key != "event" && key != "service") {
        line.text += format(" {}={}", key, value.is_string() ? value.get<std::string>() : value.dump());
      }
    }
  }
  return line;
}

Journal::Journal(std::filesystem::path folder) : folder_(std::move(folder)) { open(); }

void Journal::open() {
  file_ = os::Fd(::open(file_name(folder_, 0).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  struct stat st{};
  size_ = file_.valid() && ::fstat(file_.get(), &st) == 0 ? static_cast<std::uint64_t>(st.st_size) : 0;
}

void Journal::rotate() {
  for (int age = kKept; age > 0; --age) {
    ::rename(file_name(folder_, age - 1).c_str(), file_name(folder_, age).c_str());
  }
  open();
}

void Journal::write_line(std::string_view line) {
  const std::string whole = std::string(line) + "\n";
  if (::write(file_.get(), whole.data(), whole.size()) > 0) {
    size_ += whole.size();
  }
  if (size_ > kFull) {
    rotate();
  }
}

void Journal::append(std::string_view bytes, const std::function<void(std::string_view)>& each) {
  split_lines(rest_, bytes, [&](std::string_view line) {
    each(line);
    write_line(line);
  });
}

void JournalReader::drain(const std::function<void(std::string_view)>& each) {
  char buffer[65536];
  ssize_t n = 0;
  while (file_.valid() && (n = ::read(file_.get(), buffer, sizeof buffer)) > 0) {
    split_lines(rest_, {buffer, static_cast<std::size_t>(n)}, each);
  }
}

void JournalReader::read(const std::function<void(std::string_view)>& each) {
  if (!started_) {
    started_ = true;
    for (int age = kKept; age > 0; --age) {
      file_ = os::Fd(::open(file_name(folder_, age).c_str(), O_RDONLY | O_CLOEXEC));
      drain(each);
    }
    file_.reset();
  }
  drain(each);
  struct stat ours{};
  struct stat current{};
  const bool moved = ::stat(file_name(folder_, 0).c_str(), &current) == 0 &&
                     (!file_.valid() || ::fstat(file_.get(), &ours) != 0 || ours.st_ino != current.st_ino);
  if (moved) {
    drain(each);  // what was written between the last read and the rename
    file_ = os::Fd(::open(file_name(folder_, 0).c_str(), O_RDONLY | O_CLOEXEC));
    drain(each);
  }
}

}  // namespace slip::workspace

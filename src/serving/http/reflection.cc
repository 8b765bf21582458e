#include "serving/http/reflection.h"

#include <algorithm>

#include "serving/base/status.h"
#include "serving/proto/wire.h"

namespace slip::serving {
namespace {

using Type = WireReader::Type;

/// A FileDescriptorSet. @source google/protobuf/descriptor.proto
constexpr unsigned char kDescriptors[] = {
#include "descriptors.inc"
};

/// Field 1 of a descriptor: its name.
std::string name_in(std::string_view descriptor) {
  WireReader r(descriptor);
  while (r.next()) {
    if (r.is(1, Type::Bytes)) {
      return std::string(r.bytes());
    }
  }
  return {};
}

WireWriter error_response(Code code, std::string_view text) {
  WireWriter error;
  error.varint(1, static_cast<std::uint64_t>(code));
  error.bytes(2, text);
  return error;
}

}  // namespace

Reflection::Reflection() {
  WireReader set({reinterpret_cast<const char*>(kDescriptors), sizeof kDescriptors});
  while (set.next()) {
    if (set.is(1, Type::Bytes)) {
      add(set.bytes());
    }
  }
  std::ranges::sort(services_);
}

/// FileDescriptorProto{name=1, package=2, dependency=3, message_type=4, enum_type=5, service=6{name=1, method=2}}
void Reflection::add(std::string_view descriptor) {
  const std::string file = name_in(descriptor);
  File& entry = files_[file];
  entry.descriptor = descriptor;
  std::string package;
  WireReader r(descriptor);
  while (r.next()) {
    if (r.is(2, Type::Bytes)) {
      package = std::string(r.bytes()) + ".";
    } else if (r.is(3, Type::Bytes)) {
      entry.needs.emplace_back(r.bytes());
    }
  }
  WireReader again(descriptor);
  while (again.next()) {
    if (again.is(4, Type::Bytes)) {
      add_message(package, again.bytes(), file);
    } else if (again.is(5, Type::Bytes)) {
      symbols_[package + name_in(again.bytes())] = file;
    } else if (again.is(6, Type::Bytes)) {
      const std::string service = package + name_in(again.bytes());
      services_.push_back(service);
      symbols_[service] = file;
      WireReader methods(again.bytes());
      while (methods.next()) {
        if (methods.is(2, Type::Bytes)) {
          symbols_[service + "." + name_in(methods.bytes())] = file;
        }
      }
    }
  }
}

/// DescriptorProto{name=1, nested_type=3, enum_type=4}
void Reflection::add_message(const std::string& scope, std::string_view descriptor, const std::string& file) {
  const std::string name = scope + name_in(descriptor);
  symbols_[name] = file;
  WireReader r(descriptor);
  while (r.next()) {
    if (r.is(3, Type::Bytes)) {
      add_message(name + ".", r.bytes(), file);
    } else if (r.is(4, Type::Bytes)) {
      symbols_[name + "." + name_in(r.bytes())] = file;
    }
  }
}

/// A file and all that it needs, each once.
void Reflection::collect(const std::string& name, std::vector<std::string>& names) const {
  const auto file = files_.find(name);
  if (file == files_.end() || std::ranges::find(names, name) != names.end()) {
    return;
  }
  names.push_back(name);
  for (const std::string& needed : file->second.needs) {
    collect(needed, names);
  }
}

std::string Reflection::answer(std::string_view request) const {
  std::string host;
  WireWriter content;
  std::uint32_t field = 7;
  content = error_response(Code::InvalidArgument, "the request asks for nothing");
  const auto describe = [&](const std::string* file) {
    if (file == nullptr) {
      content = error_response(Code::NotFound, "not found");
      field = 7;
      return;
    }
    std::vector<std::string> names;
    collect(*file, names);
    content = {};
    for (const std::string& name : names) {
      content.bytes(1, files_.find(name)->second.descriptor);
    }
    field = 4;
  };
  WireReader r(request);
  while (r.next()) {
    if (r.is(1, Type::Bytes)) {
      host = r.bytes();
    } else if (r.is(3, Type::Bytes)) {
      const auto file = files_.find(r.bytes());
      describe(file == files_.end() ? nullptr : &file->first);
    } else if (r.is(4, Type::Bytes)) {
      const auto symbol = symbols_.find(r.bytes());
      describe(symbol == symbols_.end() ? nullptr : &symbol->second);
    } else if (r.is(5, Type::Bytes)) {
      describe(nullptr);  // proto3 messages have no extensions
    } else if (r.is(6, Type::Bytes)) {
      content = {};
      content.bytes(1, r.bytes());
      field = 5;
    } else if (r.is(7, Type::Bytes)) {
      content = {};
      for (const std::string& name : services_) {
        WireWriter service;
        service.bytes(1, name);
        content.message(1, service);
      }
      field = 6;
    }
  }
  WireWriter response;
  if (!host.empty()) {
    response.bytes(1, host);
  }
  response.bytes(2, request);
  response.message(field, content);
  return response.take();
}

}  // namespace slip::serving

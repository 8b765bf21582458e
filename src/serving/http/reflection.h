#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace slip::serving {

/// Answers grpc.reflection: which services there are and what their messages look like, so that tools such as grpcurl
/// can ask them. The descriptions are src/serving/proto/*.proto, compiled into the program.
/// @source grpc/doc/server-reflection.md, grpc.reflection.v1 and v1alpha, which differ in name alone
class Reflection {
 public:
  static bool is_method(std::string_view path) noexcept {
    return path == "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo" ||
           path == "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
  }

  Reflection();
  /// A ServerReflectionResponse to a ServerReflectionRequest; what is not there is an answer too.
  [[nodiscard]] std::string answer(std::string_view request) const;

 private:
  struct File {
    std::string_view descriptor;  ///< FileDescriptorProto
    std::vector<std::string> needs;
  };
  void add(std::string_view descriptor);
  void add_message(const std::string& scope, std::string_view descriptor, const std::string& file);
  void collect(const std::string& name, std::vector<std::string>& names) const;

  std::map<std::string, File, std::less<>> files_;
  std::map<std::string, std::string, std::less<>> symbols_;  ///< full name of what can be asked for → its file
  std::vector<std::string> services_;
};

}  // namespace slip::serving

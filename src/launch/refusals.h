#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// The deny list of workspaces, `run` and the build's sandbox as a value: one table, rendered as a BPF program
/// (filter.cc) and as the seccomp section of an OCI bundle (bundle.cc). Everything that is not in it is allowed.
namespace slip::launch {

/// Refused when (argument & mask) == value.
struct Condition {
  unsigned argument = 0;  ///< 0–5
  std::uint64_t mask = 0;
  std::uint64_t value = 0;
};

/// One refused call; all its conditions must hold.
struct Refusal {
  std::string name;  ///< as libseccomp knows it; calls that an architecture lacks are left out there
  int number = -1;   ///< in place of a name: calls younger than the libraries that compile filters
  int err = 0;       ///< what the caller gets
  std::vector<Condition> conditions;
};

/// @param refuse_set_id  see workspace_filter()
std::vector<Refusal> workspace_refusals(bool refuse_set_id);

}  // namespace slip::launch

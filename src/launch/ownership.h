#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "launch/child.h"
#include "os/fd.h"

/// Emulated ownership for a namespace that has one id only: chown and set*id succeed, and stat answers as if they had.
///
/// What a file was given is recorded on the file itself, as the extended attribute kOwnerRecord ("UID GID"), so it
/// follows renames, hard links and the overlay's copy-up. A file without a record belongs to 0:0, which is what the
/// kernel says inside anyway. Symbolic links cannot carry attributes; theirs stand in a table.
/// Virtual credentials are kept per process and inherited from the parent. Not emulated: denial of access to virtual
/// users other than root, ownership of files they create, device nodes.
/// A layer's owners are right only when the whole stat family answers truly. @source seccomp_unotify(2)
namespace slip::launch {

inline constexpr const char* kOwnerRecord = "user.slipway.own";

struct Owner {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  bool operator==(const Owner&) const = default;
};

/// "42 8" ↔ Owner; nullopt for anything else.
std::string to_record(const Owner& owner);
std::optional<Owner> parse_record(std::string_view text);
/// The record of an open file (O_PATH will do); nullopt when it has none.
std::optional<Owner> read_record(int fd);
/// Records the owner on the file, also where its mode forbids its owner to write. False: errno says why.
bool write_record(int fd, const Owner& owner);

/// Which calls are trapped; the rest is as in workspace_filter().
std::vector<sock_filter> ownership_filter();

/// Answers the trapped calls of one process tree, on a thread of its own.
class OwnershipSupervisor {
 public:
  using LinkOwners = std::map<std::string, Owner>;  ///< path inside without leading "/" → owner of a symbolic link

  /// @param links  shared with earlier and later runs over the same tree; written by the thread until stop()
  OwnershipSupervisor(os::Fd listener, LinkOwners& links);
  ~OwnershipSupervisor();
  OwnershipSupervisor(const OwnershipSupervisor&) = delete;
  OwnershipSupervisor& operator=(const OwnershipSupervisor&) = delete;
  /// Returns when the thread has ended.
  void stop();
  /// How many calls were answered.
  [[nodiscard]] std::uint64_t answered() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::thread thread_;
};

}  // namespace slip::launch

#pragma once

#include "init/config.h"
#include "init/output.h"
#include "init/probe.h"
#include "init/process.h"

namespace slip::init {

/// Our own exit status, where it is not the command's.
enum Status : int {
  kStopped = 0,        ///< told to stop, or every service has ended well
  kServiceFailed = 1,  ///< every service has ended, one of them badly
  kUsage = 64,
  kBadConfig = 65,
  kNoConfig = 66,
  kNoSystem = 71,  ///< the kernel refused what we cannot do without
  kGaveUp = 72,    ///< a critical service has spent its restarts
};

enum class State : uint8_t {
  Waiting,   ///< for services before it
  Starting,  ///< forked, its program does not run yet
  Running,   ///< not ready yet
  Ready,
  Backoff,   ///< ended, starts again later
  Stopping,  ///< has its stop signal
  Held,      ///< stopped by order
  Skipped,   ///< its when_file is not there
  Done,      ///< ended, and that was it
  Failed,    ///< its restarts are spent
};
const char* state_name(State state);
/// It has a process.
bool is_active(State state);

/// A service and how it fares. Times are milliseconds of CLOCK_MONOTONIC.
struct Unit {
  const Service* service = nullptr;
  State state = State::Waiting;
  pid_t pid = -1;
  int exec_fd = -1;
  uint64_t since = 0;                  ///< of the state
  uint64_t launched = 0;               ///< the last time
  uint64_t due = 0;                    ///< when to do the next thing: start again, ask again, kill; 0: nothing
  unsigned row = 0;                    ///< restarts without a quiet window in between
  unsigned restarts = 0;               ///< in all
  uint64_t recent[kMaxRestarts] = {};  ///< times of restarts, a ring
  bool killed = false;                 ///< of Stopping: SIGKILL was sent
  bool again = false;                  ///< of Stopping: start it again afterwards
  bool ended_badly = false;
  unsigned asked = 0;  ///< probes since it runs
  Probe probe;
  NotifySocket notify;
};

struct Plan {
  Config* config = nullptr;  ///< nullptr: no services
  char** command = nullptr;  ///< nullptr: none
  Inherited inherited;
};

/// Runs the plan until everything has ended. One object a process. @return the exit status
class Supervisor {
 public:
  int run(const Plan& plan);

  // For the control socket (control.cc).
  [[nodiscard]] Unit* find(Text name);
  void order_stop(Unit& unit, bool again);
  void order_start(Unit& unit);
  [[nodiscard]] unsigned count() const { return count_; }
  [[nodiscard]] const Unit& unit(unsigned at) const { return units_[at]; }
  [[nodiscard]] uint64_t now() const { return now_; }
  /// Where the control socket listens; nullptr: nowhere.
  [[nodiscard]] const char* control_path() const { return control_path_; }

 private:
  enum class Phase : uint8_t { Run, StopServices, StopRest, End };
  struct Stream {
    int fd = -1;
    LineSplitter lines;
  };
  static constexpr unsigned kStreams = 4 * kMaxServices;  ///< two a service, and some that daemons still hold

  bool set_up(const Plan& plan);
  void loop();
  [[nodiscard]] int timeout() const;
  void tick();
  void tick_unit(Unit& unit);
  void tick_rest();

  bool start_command();
  void start_due();
  void start(Unit& unit);
  [[nodiscard]] bool is_ready(unsigned at) const;
  void program_runs(Unit& unit);
  void ask(Unit& unit);
  void set_state(Unit& unit, State state);
  void set_ready(Unit& unit);

  void reap();
  void ended(Unit& unit, const siginfo_t& info);
  void restart_or_give_up(Unit& unit, bool badly);
  void command_ended(const siginfo_t& info);
  void check_stopped();

  void take_signals();
  void forward(int signal, bool from_terminal);
  void begin_stop(int status, const char* reason, Text detail = {});
  void stop_services();
  void send_stop(Unit& unit);
  void begin_rest();

  void add_stream(int fd, const char* service, const char* name);
  void read_streams();
  bool read_stream(Stream& stream);
  void watch_output();
  void tell_dropped();

  void watch(int fd, uint64_t tag);
  void event(const char* name, const Unit* unit, const char* key = nullptr, uint64_t number = 0, Text reason = {});
  [[nodiscard]] int last_words();
  void wait_for_reader();
  [[nodiscard]] bool drain_streams();

  Unit units_[kMaxServices];
  unsigned count_ = 0;
  Stream streams_[kStreams];
  Output output_;
  Inherited inherited_;
  char** command_ = nullptr;
  pid_t command_pid_ = -1;
  int command_status_ = -1;
  bool command_group_ = false;
  bool log_ = false;  ///< there are services: what happens is said
  Phase phase_ = Phase::Run;
  int status_ = kStopped;
  char reason_[256] = "";
  uint64_t now_ = 0;
  uint64_t rest_since_ = 0;
  uint64_t rest_due_ = 0;
  uint64_t rest_grace_ = 5'000;
  bool rest_hung_up_ = false;
  bool rest_killed_ = false;
  int epoll_ = -1;
  int streams_epoll_ = -1;
  int signals_ = -1;
  int control_ = -1;
  const char* control_path_ = nullptr;
  uint64_t paused_ = 0;  ///< since when streams are not read, because nobody reads ours; 0: they are read
  bool dropping_ = false;
  bool output_watched_ = false;
};

}  // namespace slip::init

#include "store/db.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "core/error.h"
#include "os/fd.h"

namespace slip::store {
namespace {

ErrorKind kind_of(int code, int err) {
  if ((code & 0xff) == SQLITE_FULL || err == ENOSPC || err == EDQUOT) {
    return ErrorKind::NoSpace;
  }
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return ErrorKind::Corrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return ErrorKind::Unavailable;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN: return ErrorKind::Denied;
    default: return ErrorKind::Internal;
  }
}

[[noreturn]] void fail(sqlite3* db, int code) {
  const int err = db != nullptr ? ::sqlite3_system_errno(db) : 0;
  const char* file = db != nullptr ? ::sqlite3_db_filename(db, "main") : nullptr;
  const ErrorKind kind = kind_of(code, err);
  Error error(kind, "use the index `{}`", file != nullptr ? file : "index.db");
  error.add_cause(db != nullptr ? ::sqlite3_errmsg(db) : ::sqlite3_errstr(code));
  if (kind == ErrorKind::NoSpace) {
    error.add_hint("free some disk space, or point SLIPWAY_STORE at another disk");
  } else if (kind == ErrorKind::Corrupt) {
    error.add_hint("move the index away: image names are lost with it, downloads and layers are not");
  } else if (kind == ErrorKind::Unavailable) {
    error.add_hint("another slipway holds the index; try again when it has ended");
  }
  throw error;
}

void check(sqlite3* db, int code) {
  if (code != SQLITE_OK) {
    fail(db, code);
  }
}

/// SQLite does not wait for the other process when two of them turn a newborn index to WAL at once, whatever busy
/// time-out is set: we wait. The mode stays as it was on file systems that cannot.
void turn_on_wal(sqlite3* db) {
  constexpr int kTries = 3000;
  for (int tries = 1;; ++tries) {
    const int code = ::sqlite3_exec(db, "PRAGMA journal_mode = WAL", nullptr, nullptr, nullptr);
    if ((code & 0xff) != SQLITE_BUSY || tries == kTries) {
      check(db, code);
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

/// Makes the file if it is not there: SQLite gives its side files the mode of the database, so that one mode decides.
/// Never opens one that is there: closing any descriptor of it would take away the locks (fcntl's) that SQLite holds on
/// it in this process, and the next process to close it would delete the log that this one still writes to.
void make_file(const std::filesystem::path& file) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
  const os::SysRet made = os::call([](const char* p) { return ::open(p, kFlags, 0600); }, file.c_str());
  if (made) {
    os::Fd(static_cast<int>(made.value)).close_checked(file.string());
  } else if (made.err != EEXIST) {
    throw os::sys_error(made.err, format("make the index `{}`", file.string()));
  }
}

}  // namespace

Stmt::Stmt(sqlite3* db, std::string_view sql) {
  check(db, ::sqlite3_prepare_v2(db, sql.data(), static_cast<int>(sql.size()), &stmt_, nullptr));
}

Stmt::~Stmt() { ::sqlite3_finalize(stmt_); }

Stmt& Stmt::bind(int index, std::string_view text) {
  // A blob keeps every byte; an empty one must still be a value, which a null pointer would not be.
  const char* at = text.data() != nullptr ? text.data() : "";
  check(::sqlite3_db_handle(stmt_), ::sqlite3_bind_blob64(stmt_, index, at, text.size(), SQLITE_TRANSIENT));
  return *this;
}

Stmt& Stmt::bind(int index, std::int64_t number) {
  check(::sqlite3_db_handle(stmt_), ::sqlite3_bind_int64(stmt_, index, number));
  return *this;
}

bool Stmt::step() {
  const int code = ::sqlite3_step(stmt_);
  if (code != SQLITE_ROW && code != SQLITE_DONE) {
    fail(::sqlite3_db_handle(stmt_), code);
  }
  return code == SQLITE_ROW;
}

void Stmt::run() {
  while (step()) {
  }
}

void Stmt::reset() { (void)::sqlite3_reset(stmt_); }  // repeats the error that step() has already thrown

std::string Stmt::text(int column) const {
  const void* at = ::sqlite3_column_blob(stmt_, column);
  const int size = ::sqlite3_column_bytes(stmt_, column);
  return at == nullptr ? std::string() : std::string(static_cast<const char*>(at), static_cast<std::size_t>(size));
}

std::int64_t Stmt::number(int column) const { return ::sqlite3_column_int64(stmt_, column); }

Db::Db(const std::filesystem::path& file) {
  make_file(file);
  const int code = ::sqlite3_open_v2(file.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  try {
    check(db_, code);
    (void)::sqlite3_extended_result_codes(db_, 1);
    check(db_, ::sqlite3_busy_timeout(db_, 30'000));
    turn_on_wal(db_);
    exec("PRAGMA synchronous = NORMAL");
  } catch (const Error&) {
    (void)::sqlite3_close_v2(db_);
    throw;
  }
}

Db::~Db() { (void)::sqlite3_close_v2(db_); }

void Db::exec(const char* sql) const {
  const int code = ::sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  check(db_, code);
}

std::int64_t Db::changes() const { return ::sqlite3_changes64(db_); }

Tx::~Tx() {
  if (open_) {
    try {
      db_.exec("ROLLBACK");
    } catch (const Error&) {
      // SQLite has rolled back by itself (full disk), or will when the connection closes.
    }
  }
}

}  // namespace slip::store

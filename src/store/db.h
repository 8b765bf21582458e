#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace slip::store {

/// One prepared statement. Parameters are numbered from 1, columns from 0.
class Stmt {
 public:
  Stmt(sqlite3* db, std::string_view sql);
  Stmt(Stmt&& other) noexcept : stmt_(other.stmt_) { other.stmt_ = nullptr; }
  Stmt& operator=(Stmt&&) = delete;
  Stmt(const Stmt&) = delete;
  Stmt& operator=(const Stmt&) = delete;
  ~Stmt();

  /// The bytes are copied.
  Stmt& bind(int index, std::string_view text);
  Stmt& bind(int index, std::int64_t number);
  /// True while there is a row; throws what SQLite reports.
  bool step();
  /// For statements without rows.
  void run();
  /// Ready to be bound and run again.
  void reset();
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] std::int64_t number(int column) const;

 private:
  sqlite3_stmt* stmt_ = nullptr;
};

/// One SQLite connection: WAL, a busy timeout of 30 s, foreign bytes only through bound parameters.
/// Not for use by two threads at once.
/// @throws Error NoSpace: the disk is full; Corrupt: the file is no or a damaged database; Unavailable: locked too long
class Db {
 public:
  /// Opens the file, making it when missing (mode 0600).
  explicit Db(const std::filesystem::path& file);
  Db(const Db&) = delete;
  Db& operator=(const Db&) = delete;
  ~Db();

  [[nodiscard]] Stmt prepare(std::string_view sql) const { return {db_, sql}; }
  /// Runs statements without parameters or results.
  void exec(const char* sql) const;
  /// Rows that the last statement changed.
  [[nodiscard]] std::int64_t changes() const;

 private:
  sqlite3* db_ = nullptr;
};

/// A write transaction; rolled back unless commit() was called.
class Tx {
 public:
  explicit Tx(const Db& db) : db_(db) { db_.exec("BEGIN IMMEDIATE"); }
  Tx(const Tx&) = delete;
  Tx& operator=(const Tx&) = delete;
  ~Tx();
  void commit() {
    db_.exec("COMMIT");
    open_ = false;
  }

 private:
  const Db& db_;
  bool open_ = true;
};

}  // namespace slip::store

#include <ctime>

#include "core/error.h"
#include "store/state.h"

namespace slip::store {
namespace {

constexpr std::int64_t kSchema = 1;
constexpr const char* kTables = R"(
  CREATE TABLE records (bucket BLOB NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, used INTEGER NOT NULL,
                        PRIMARY KEY (bucket, key)) WITHOUT ROWID;
  CREATE TABLE tags (reference BLOB PRIMARY KEY, manifest BLOB NOT NULL, built INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE used (kind BLOB NOT NULL, name BLOB NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;
  PRAGMA user_version = 1;
)";
constexpr std::int64_t kDay = 86'400;

std::string letter(Used kind) { return {static_cast<char>(kind)}; }

std::int64_t version_of(const Db& db) {
  Stmt version = db.prepare("PRAGMA user_version");
  version.step();
  return version.number(0);
}

}  // namespace

void Store::State::open_index() {
  db.emplace(root / "index.db");
  if (version_of(*db) == kSchema) {
    return;
  }
  Tx tx(*db);  // two processes may open a new store at once: the second finds the tables
  const std::int64_t found = version_of(*db);
  if (found > kSchema) {
    throw Error(ErrorKind::Unsupported, "open the store `{}`: its index has version {}, this slipway knows {}",
                root.string(), found, kSchema)
        .add_hint("use the newer slipway that made it, or point SLIPWAY_STORE at another folder");
  }
  if (found == 0) {
    db->exec(kTables);
  }
  tx.commit();
}

void Store::State::note_use(Used kind, std::string name) {
  const std::lock_guard hold(mutex);
  uses[{kind, std::move(name)}] = std::time(nullptr);
}

void Store::State::flush_uses() {
  if (uses.empty() && record_uses.empty()) {
    return;
  }
  Tx tx(*db);
  Stmt use = db->prepare("INSERT INTO used VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET at = ?3");
  for (const auto& [what, at] : uses) {
    use.bind(1, letter(what.first)).bind(2, what.second).bind(3, at).run();
    use.reset();
  }
  // A day is exact enough for a record's age, and most reads then write nothing.
  Stmt record = db->prepare("UPDATE records SET used = ?3 WHERE bucket = ?1 AND key = ?2 AND used < ?3 - 86400");
  for (const auto& [what, at] : record_uses) {
    record.bind(1, what.first).bind(2, what.second).bind(3, at).run();
    record.reset();
  }
  tx.commit();
  uses.clear();
  record_uses.clear();
}

std::optional<std::string> Store::record(std::string_view bucket, std::string_view key) const {
  const std::lock_guard hold(state_->mutex);
  Stmt find = state_->db->prepare("SELECT value FROM records WHERE bucket = ?1 AND key = ?2");
  if (!find.bind(1, bucket).bind(2, key).step()) {
    return std::nullopt;
  }
  state_->record_uses[{std::string(bucket), std::string(key)}] = std::time(nullptr);
  return find.text(0);
}

void Store::set_record(std::string_view bucket, std::string_view key, std::string_view value) {
  const std::lock_guard hold(state_->mutex);
  state_->db->prepare("INSERT INTO records VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET value = ?3, used = ?4")
      .bind(1, bucket)
      .bind(2, key)
      .bind(3, value)
      .bind(4, static_cast<std::int64_t>(std::time(nullptr)))
      .run();
}

std::vector<Store::Image> Store::images() const {
  const std::lock_guard hold(state_->mutex);
  std::vector<Image> all;
  Stmt find = state_->db->prepare("SELECT reference, manifest, built FROM tags ORDER BY reference");
  while (find.step()) {
    all.push_back({find.text(0), Digest::from(find.text(1)), find.number(2)});
  }
  return all;
}

std::optional<Digest> Store::resolve(std::string_view reference) const {
  const std::lock_guard hold(state_->mutex);
  Stmt find = state_->db->prepare("SELECT manifest FROM tags WHERE reference = ?1");
  if (!find.bind(1, reference).step()) {
    return std::nullopt;
  }
  return Digest::from(find.text(0));
}

void Store::set_tag(std::string_view reference, const Digest& manifest) {
  const std::lock_guard hold(state_->mutex);
  // A record lost in a power cut costs time, a tag costs the image: only tags wait for the disk.
  state_->db->exec("PRAGMA synchronous = FULL");
  state_->db->prepare("INSERT INTO tags VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET manifest = ?2, built = ?3")
      .bind(1, reference)
      .bind(2, manifest.text())
      .bind(3, static_cast<std::int64_t>(std::time(nullptr)))
      .run();
  state_->db->exec("PRAGMA synchronous = NORMAL");
}

bool Store::remove_tag(std::string_view reference) {
  const std::lock_guard hold(state_->mutex);
  state_->db->prepare("DELETE FROM tags WHERE reference = ?1").bind(1, reference).run();
  return state_->db->changes() > 0;
}

std::optional<std::int64_t> Store::State::last_use(Used kind, const std::string& name) {
  const std::lock_guard hold(mutex);
  if (const auto noted = uses.find({kind, name}); noted != uses.end()) {
    return noted->second;
  }
  Stmt find = db->prepare("SELECT at FROM used WHERE kind = ?1 AND name = ?2");
  if (!find.bind(1, letter(kind)).bind(2, name).step()) {
    return std::nullopt;
  }
  return find.number(0);
}

std::optional<std::int64_t> Store::last_use(const Digest& blob) const {
  return state_->last_use(Used::Blob, blob.hex());
}
std::optional<std::int64_t> Store::last_use(const std::string& tree) const {
  return state_->last_use(Used::Tree, tree);
}

void Store::State::forget(const std::vector<std::pair<Used, std::string>>& gone) {
  const std::lock_guard hold(mutex);
  Tx tx(*db);
  Stmt use = db->prepare("DELETE FROM used WHERE kind = ?1 AND name = ?2");
  for (const auto& what : gone) {
    uses.erase(what);
    use.bind(1, letter(what.first)).bind(2, what.second).run();
    use.reset();
  }
  db->prepare("DELETE FROM records WHERE used < ?1")
      .bind(1, static_cast<std::int64_t>(std::time(nullptr)) - 90 * kDay)
      .run();
  tx.commit();
}

}  // namespace slip::store

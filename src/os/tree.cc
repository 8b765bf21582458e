#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <vector>

#include "os/file.h"

namespace slip::os {
namespace {

void make_one_dir(const fs::path& path, unsigned mode) {
  const SysRet made = call(::mkdir, path.c_str(), static_cast<mode_t>(mode));
  if (made) {
    // mkdir() applies the umask; a path of a folder that we just made needs no O_NOFOLLOW care.
    call(::chmod, path.c_str(), static_cast<mode_t>(mode)).or_throw("set the mode of `{}`", path.string());
    return;
  }
  struct stat st{};
  if (made.err == EEXIST && ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) {
    return;
  }
  throw sys_error(made.err, format("make the folder `{}`", path.string()));
}

/// Opens a folder for listing; one whose mode keeps us out is opened up first.
Fd open_for_removal(int parent, const char* name, const std::string& shown) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  const auto open_it = [&] { return call([&] { return ::openat(parent, name, kFlags); }); };
  SysRet r = open_it();
  if (!r && r.err == EACCES) {
    call(::fchmodat, parent, name, mode_t{0700}, 0).or_throw("open up the folder `{}`", shown);
    r = open_it();
  }
  return Fd(static_cast<int>(r.or_throw("open the folder `{}`", shown)));
}

void remove_entry(int parent, const char* name, const std::string& shown);

/// Removes everything inside the folder `fd` (which it takes over).
void empty_dir(Fd fd, const std::string& shown) {
  struct stat st{};
  if (::fstat(fd.get(), &st) == 0 && (st.st_mode & 0300) != 0300) {
    // Without write and search permission of its owner nothing in it can be removed.
    (void)call(::fchmod, fd.get(), mode_t{0700});
  }
  const int raw = fd.release();
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::fdopendir(raw), ::closedir);
  if (dir == nullptr) {
    Fd again(raw);
    throw sys_error(errno, format("list `{}`", shown));
  }
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(dir.get());
    if (entry == nullptr) {
      if (errno != 0) {
        throw sys_error(errno, format("list `{}`", shown));
      }
      return;
    }
    if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0) {
      remove_entry(::dirfd(dir.get()), entry->d_name, shown + "/" + entry->d_name);
    }
  }
}

void remove_entry(int parent, const char* name, const std::string& shown) {
  const SysRet gone = call(::unlinkat, parent, name, 0);
  if (gone || gone.err == ENOENT) {
    return;
  }
  if (gone.err != EISDIR && gone.err != EPERM) {
    throw sys_error(gone.err, format("remove `{}`", shown));
  }
  struct stat st{};
  if (::fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode)) {
    throw sys_error(gone.err, format("remove `{}`", shown));
  }
  empty_dir(open_for_removal(parent, name, shown), shown);
  const SysRet r = call(::unlinkat, parent, name, AT_REMOVEDIR);
  if (!r && r.err != ENOENT) {
    throw sys_error(r.err, format("remove the folder `{}`", shown));
  }
}

}  // namespace

void make_dirs(const fs::path& path, unsigned mode) {
  std::vector<fs::path> missing;
  for (fs::path p = path; !p.empty(); p = p.parent_path()) {
    struct stat st{};
    if (::stat(p.c_str(), &st) == 0) {
      break;
    }
    if (p.has_filename()) {
      missing.push_back(p);
    }
    if (p == p.parent_path()) {
      break;
    }
  }
  for (auto it = missing.rbegin(); it != missing.rend(); ++it) {
    make_one_dir(*it, mode);
  }
  if (missing.empty() && !path.empty()) {
    make_one_dir(path, mode);  // says so when a file stands there
  }
}

void remove_tree(const fs::path& path) {
  std::string text = path.string();
  while (text.size() > 1 && text.ends_with('/')) {
    text.pop_back();
  }
  SLIP_CHECK(text != "/" && !text.empty());
  remove_entry(AT_FDCWD, text.c_str(), text);
}

}  // namespace slip::os

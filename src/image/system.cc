#include "image/system.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/text.h"
#include "image/plan.h"
#include "os/file.h"

namespace slip::image {
namespace {

using codec::FileType;
using codec::LayerItem;

class Layer {
 public:
  explicit Layer(std::int64_t epoch) : epoch_(epoch) {}

  void folder(const std::string& path, std::uint32_t id = 0, std::uint32_t mode = 0755) {
    LayerItem item;
    item.entry = {path, FileType::Directory, mode, id, id, 0, epoch_, "", 0, 0, {}};
    items_.push_back(std::move(item));
  }
  void file(const std::string& path, std::string text, std::uint32_t mode = 0644, std::uint32_t uid = 0,
            std::uint32_t gid = 0) {
    LayerItem item;
    item.entry = {path, FileType::Regular, mode, uid, gid, text.size(), epoch_, "", 0, 0, {}};
    item.content = codec::InlineContent{std::move(text)};
    items_.push_back(std::move(item));
  }
  void link(const std::string& path, std::string target) {
    LayerItem item;
    item.entry = {path, FileType::Symlink, 0777, 0, 0, 0, epoch_, std::move(target), 0, 0, {}};
    items_.push_back(std::move(item));
  }
  void add(std::vector<LayerItem> items) { std::move(items.begin(), items.end(), std::back_inserter(items_)); }
  std::vector<LayerItem> take() {
    codec::sort_items(items_);
    return std::move(items_);
  }

 private:
  std::int64_t epoch_;
  std::vector<LayerItem> items_;
};

const LayerItem* find(std::span<const std::vector<LayerItem>> lower, const std::string& path) {
  for (auto layer = lower.rbegin(); layer != lower.rend(); ++layer) {
    for (const LayerItem& item : *layer) {
      if (item.entry.path == path && item.entry.type == FileType::Regular) {
        return &item;
      }
    }
  }
  return nullptr;
}

/// Adds a line to a colon-separated account file, or says who has the name or the id already.
std::string with_account(const std::string& text, const std::string& file, const std::string& name,
                         const std::string& id_field, const std::string& line) {
  for (const std::string_view row : split(text, '\n')) {
    const auto fields = split(row, ':');
    if (fields[0] == name || (!id_field.empty() && fields.size() > 2 && fields[2] == id_field)) {
      Error error(ErrorKind::Conflict, "the workspace user `{}` cannot be made: /{} already has `{}`", name, file, row);
      error.add_hint("choose another name with `user:` in slipway.yaml");
      throw error;
    }
  }
  return text + line + "\n";
}

/// Without the group `tty`: where only one id is mapped, programs that find it give terminals to an id that is not
/// there, and every login on a terminal dies.
std::string without_tty(const std::string& text) {
  std::string kept;
  for (const std::string_view row : split(text, '\n')) {
    if (!row.empty() && !row.starts_with("tty:")) {
      kept.append(row).append("\n");
    }
  }
  return kept;
}

void add_accounts(Layer& out, const SystemRecipe& recipe, std::span<const std::vector<LayerItem>> lower) {
  const std::string id = std::to_string(kUserId);
  const std::string days = std::to_string(recipe.epoch / 86400);
  struct Account {
    const char* file;
    std::string id_field;
    std::string line;
  };
  const std::vector<Account> accounts = {
      {"etc/passwd", id, format("{}:x:{}:{}::/home/{}:/bin/bash", recipe.user, id, id, recipe.user)},
      {"etc/group", id, format("{}:x:{}:", recipe.user, id)},
      {"etc/shadow", "", format("{}:*:{}:0:99999:7:::", recipe.user, days)},
      {"etc/gshadow", "", format("{}:!::", recipe.user)},
  };
  for (const Account& account : accounts) {
    const LayerItem* below = find(lower, account.file);
    if (below == nullptr && account.id_field.empty()) {
      continue;  // without the package passwd there are no shadow files
    }
    if (below == nullptr) {
      throw Error(ErrorKind::Internal, "the configured system has no /{}", account.file);
    }
    out.file(account.file,
             with_account(without_tty(content_of(*below)), account.file, recipe.user, account.id_field, account.line),
             below->entry.mode, below->entry.uid, below->entry.gid);
  }
}

void add_home(Layer& out, const SystemRecipe& recipe, std::span<const std::vector<LayerItem>> lower) {
  const std::string home = "home/" + recipe.user;
  out.folder("home");
  out.folder(home, kUserId);
  for (const char* name : {".bash_logout", ".bashrc", ".profile"}) {
    if (const LayerItem* skel = find(lower, format("etc/skel/{}", name))) {
      out.file(home + "/" + name, content_of(*skel), 0644, kUserId, kUserId);
    }
  }
  out.folder("workspace", kUserId);
}

void add_login_environment(Layer& out, const SystemRecipe& recipe) {
  // Login shells start from /etc/profile, which forgets the image's PATH; this puts the prefix back in front.
  out.folder("etc/profile.d");
  out.file("etc/profile.d/slipway.sh", format("PATH=\"{}/bin:$PATH\"\nexport PATH\n", recipe.prefix));
}

/// Bash reads /etc/bash.bashrc in every session over SSH, also for a single command. They begin where the project is,
/// as everything else in a workspace does. In front, because Debian's file returns early when nobody types.
void add_session_folder(Layer& out, std::span<const std::vector<LayerItem>> lower) {
  const LayerItem* below = find(lower, "etc/bash.bashrc");
  if (below == nullptr) {
    return;
  }
  out.file("etc/bash.bashrc",
           R"(if [ -n "${SSH_CONNECTION-}" ] && [ "${SHLVL:-1}" -le 1 ] && [ "$PWD" = "${HOME-}" ]; then
  case ${BASH_EXECUTION_STRING-} in
    'rsync --server'* | 'scp '*) ;; # copies start in the home, as with sftp
    *) cd /workspace ;;
  esac
fi
)" + content_of(*below));
}

/// Links in the first folder that the loader looks into without any configuration: no cache to be made anew, no
/// variable that a session could lose. What a Debian package has put there stays.
void add_library_links(Layer& out, std::span<const std::string> libraries,
                       std::span<const std::vector<LayerItem>> lower) {
  if (libraries.empty()) {
    return;
  }
  const std::string folder = "usr/lib/x86_64-linux-gnu";
  for (const char* path : {"usr", "usr/lib", folder.c_str()}) {
    out.folder(path);
  }
  for (const std::string& library : libraries) {
    const std::string path = folder + library.substr(library.rfind('/'));
    const bool taken = std::ranges::any_of(lower, [&](const std::vector<LayerItem>& layer) {
      return std::ranges::any_of(layer, [&](const LayerItem& item) { return item.entry.path == path; });
    });
    if (!taken) {
      out.link(path, "/" + library);
    }
  }
}

}  // namespace

std::string content_of(const LayerItem& item) {
  if (const auto* text = std::get_if<codec::InlineContent>(&item.content)) {
    return text->bytes;
  }
  if (const auto* file = std::get_if<codec::FileContent>(&item.content)) {
    return os::read_file(file->path);
  }
  if (const auto* spliced = std::get_if<codec::SplicedContent>(&item.content)) {
    return os::read_file(spliced->plain);
  }
  return {};
}

std::vector<LayerItem> texts_items(const TextsRecipe& recipe) {
  Layer out(recipe.epoch);
  std::set<std::string> folders;
  for (const TextsRecipe::File& f : recipe.files) {
    for (std::size_t slash = f.path.find('/'); slash != std::string::npos; slash = f.path.find('/', slash + 1)) {
      if (folders.insert(f.path.substr(0, slash)).second) {
        out.folder(f.path.substr(0, slash));
      }
    }
    out.file(f.path, f.text, f.mode);
  }
  return out.take();
}

std::vector<LayerItem> system_items(const SystemRecipe& recipe, std::span<const std::vector<LayerItem>> lower,
                                    const wheel::Target& target, std::span<const std::string> libraries) {
  Layer out(recipe.epoch);
  out.folder("etc");
  add_accounts(out, recipe, lower);
  add_home(out, recipe, lower);
  add_session_folder(out, lower);
  if (!recipe.python.empty()) {
    add_login_environment(out, recipe);
    out.add(wheel::venv_skeleton(target));
  }
  add_library_links(out, libraries, lower);
  return out.take();
}

}  // namespace slip::image

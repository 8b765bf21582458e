#include "image/services.h"

#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "core/format.h"

namespace slip::image {
namespace {

using codec::Json;

/// Sourced by both start scripts: $keys, and $private, a folder of our own that can be written to. Under an engine with
/// a read-only root and any uid that may be no more than /dev/shm.
constexpr const char* kCommon =
    R"text(# For the start scripts of services: sets keys, private, and a HOME that can be written to.
umask 077
keys=${SLIPWAY_KEYS:-/run/slipway/keys}
uid=$(id -u)
private=
for base in /run/slipway "${XDG_RUNTIME_DIR:-/run/slipway}" /tmp /dev/shm; do
  mkdir -p "$base/private-$uid" 2>/dev/null || continue
  [ -O "$base/private-$uid" ] && [ -w "$base/private-$uid" ] && [ ! -L "$base/private-$uid" ] || continue
  private=$base/private-$uid
  chmod 700 "$private"
  break
done
if [ -z "$private" ]; then
  echo "no folder can be written to: mount a tmpfs at /run/slipway, /tmp or /dev/shm" >&2
  exit 1
fi
if [ ! -w "${HOME:-/}" ] || [ "${HOME:-/}" = / ]; then
  HOME=$private/home
  mkdir -p "$HOME"
fi
export HOME
container=$(hostname)
)text";

constexpr const char* kStartJupyter = R"text(#!/bin/sh
# Starts Jupyter with the token of /run/slipway/keys, or with one made here.
set -eu
. /usr/lib/slipway/common.sh
token=$keys/jupyter_token
if [ ! -r "$token" ]; then
  token=$private/jupyter_token
  [ -s "$token" ] || od -An -tx1 -N24 /dev/urandom | tr -d ' \n' >"$token"
  echo "Jupyter's token: docker exec $container cat $token"
fi
export SLIPWAY_JUPYTER_TOKEN_FILE="$token" SLIPWAY_JUPYTER_PASSWORD_FILE="$keys/jupyter_password"
export JUPYTER_RUNTIME_DIR="$private/jupyter"
umask 022
exec jupyter @COMMAND@ --config=/etc/slipway/jupyter_config.py
)text";

constexpr const char* kJupyterConfig =
    R"text(# Jupyter as slipway starts it. The token comes from a file: it is in no argument, variable or log.
import json
import os
import sys

from traitlets.config import Config


def text_of(variable):
    path = os.environ.get(variable, "")
    if not os.access(path, os.R_OK):
        return ""
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


token = text_of("SLIPWAY_JUPYTER_TOKEN_FILE")
if not token:
    raise SystemExit("Jupyter is not started without a token")

c = get_config()  # noqa: F821
# What is set for every server of this environment, which Jupyter itself leaves out when it is given a file.
settings = os.path.join(sys.prefix, "etc/jupyter/jupyter_notebook_config.json")
if os.path.exists(settings):
    with open(settings, encoding="utf-8") as file:
        c.merge(Config(json.load(file)))
for app in (c.NotebookApp, c.ServerApp):
    app.token = token
    app.password = text_of("SLIPWAY_JUPYTER_PASSWORD_FILE")
    app.allow_password_change = False
    app.ip = os.environ.get("SLIPWAY_BIND", "0.0.0.0")
    app.port = @PORT@
    app.port_retries = 0
    app.open_browser = False
    app.quit_button = False
    app.allow_remote_access = os.environ.get("SLIPWAY_JUPYTER_REMOTE", "") == "yes"
c.NotebookApp.show_banner = False
c.NotebookApp.notebook_dir = "/workspace"
c.ServerApp.root_dir = "/workspace"

# What comes with the image is read-only; people begin where they can write.
if not os.access("/workspace", os.W_OK):
    folders = ["projects", *sorted(os.listdir("/workspace"))]
    for folder in (name for name in folders if os.access(os.path.join("/workspace", name), os.W_OK)):
        c.NotebookApp.default_url = f"/tree/{folder}"
        c.LabApp.default_url = f"/lab/tree/{folder}"
        break

if "@COMMAND@" == "lab":
    from jupyter_server.services.contents.filecheckpoints import AsyncFileCheckpoints as FileCheckpoints
else:
    from notebook.services.contents.filecheckpoints import FileCheckpoints


class Checkpoints(FileCheckpoints):
    """Beside the notebook as usual; for one in a read-only folder, below the home."""

    def checkpoint_path(self, checkpoint_id, path):
        folder, name = os.path.split(self._get_os_path(path=path.strip("/")))
        if os.access(folder, os.W_OK):
            return super().checkpoint_path(checkpoint_id, path)
        place = os.path.expanduser("~/.local/share/jupyter/checkpoints") + folder
        os.makedirs(place, exist_ok=True)
        base, extension = os.path.splitext(name)
        return os.path.join(place, f"{base}-{checkpoint_id}{extension}")


c.ContentsManager.checkpoints_class = Checkpoints
)text";

constexpr const char* kStartSsh = R"text(#!/bin/sh
# Starts sshd as whoever we are, with the host key of /run/slipway/keys, or with one made here.
set -eu
. /usr/lib/slipway/common.sh
# Another uid, as engines give with --user (podman adds an account of its own for it): ssh-keygen and sshd must
# find @USER@ all the same.
if [ "$(id -u @USER@ 2>/dev/null)" != "$uid" ]; then
  { echo "@USER@:x:$uid:$(id -g)::$HOME:/bin/bash"; grep -v '^@USER@:' /etc/passwd; } >"$private/passwd"
  export LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_PASSWD="$private/passwd" NSS_WRAPPER_GROUP=/etc/group
fi
host_key=$keys/ssh_host_ed25519_key
if [ ! -O "$host_key" ] || [ "$(stat -c %a "$host_key")" != 600 ]; then
  copy=$private/ssh_host_ed25519_key
  if [ -r "$host_key" ]; then
    cat "$host_key" >"$copy"
  elif [ ! -s "$copy" ]; then
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$copy"
    echo "SSH's host key, made for this container: $(ssh-keygen -l -f "$copy")"
  fi
  host_key=$copy
fi
# sshd starts sessions with an empty environment; the image's and the engine's variables go into its configuration.
{
  cat /etc/slipway/sshd_config
  printf 'SetEnv'
  for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p' | LC_ALL=C sort -u); do
    case $name in
      HOME | HOSTNAME | LOGNAME | MAIL | NOTIFY_SOCKET | OLDPWD | PWD | SHELL | SHLVL | SLIPWAY_* | SSH_* | TERM | USER | _) continue ;;
    esac
    value=$(printenv "$name" | tr '\n' '\001')
    case ${value%?} in
      *'"'* | *"$(printf '\001')"*) echo "\$$name cannot be given to SSH sessions: it holds a quote or a line break" >&2 ;;
      *) printf ' "%s=%s"' "$name" "${value%?}" ;;
    esac
  done
  echo
} >"$private/sshd_config"
umask 022
exec /usr/sbin/sshd -D -e -f "$private/sshd_config" -h "$host_key" \
  -o ListenAddress="${SLIPWAY_BIND:-0.0.0.0}:@PORT@" -o AuthorizedKeysFile="$keys/authorized_keys"
)text";

constexpr const char* kSshdConfig = R"text(# sshd as slipway starts it: one account, keys only, nothing forwarded back.
AllowUsers @USER@
AuthenticationMethods publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitEmptyPasswords no
PermitRootLogin no
UsePAM no
# The keys lie in a mount that is read-only inside; the owners of folders above it are the engine's matter.
StrictModes no
MaxAuthTries 3
LoginGraceTime 20
AllowTcpForwarding local
AllowStreamLocalForwarding local
AllowAgentForwarding no
GatewayPorts no
PermitTunnel no
X11Forwarding no
PermitUserEnvironment no
AcceptEnv LANG LC_*
ClientAliveInterval 60
ClientAliveCountMax 10
PidFile none
PrintLastLog no
PrintMotd no
UseDNS no
KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org
Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com
MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com
Subsystem sftp internal-sftp
)text";

std::string filled(std::string text, std::string_view mark, std::string_view value) {
  for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size())) {
    text.replace(at, mark.size(), value);
  }
  return text;
}

Json service(const char* name, const char* program, int port) {
  return {{"name", name},
          {"argv", Json::array({program})},
          {"cwd", "/workspace"},
          {"ready", {{"tcp", format("127.0.0.1:{}", port)}}}};
}

}  // namespace

std::optional<TextsRecipe> services_recipe(const spec::Spec& spec, std::int64_t epoch) {
  if (!spec.services.jupyter && !spec.services.ssh) {
    return std::nullopt;
  }
  TextsRecipe recipe{epoch, {{"usr/lib/slipway/common.sh", 0644, kCommon}}};
  Json services = Json::array();
  if (spec.services.jupyter) {
    const std::string port = format("{}", kJupyterPort);
    const char* command = spec.services.jupyter->lab ? "lab" : "notebook";
    recipe.files.push_back({"usr/lib/slipway/start-jupyter", 0755, filled(kStartJupyter, "@COMMAND@", command)});
    recipe.files.push_back(
        {"etc/slipway/jupyter_config.py", 0644, filled(filled(kJupyterConfig, "@PORT@", port), "@COMMAND@", command)});
    services.push_back(service("jupyter", "/usr/lib/slipway/start-jupyter", kJupyterPort));
  }
  if (spec.services.ssh) {
    const std::string port = format("{}", kSshPort);
    recipe.files.push_back(
        {"usr/lib/slipway/start-ssh", 0755, filled(filled(kStartSsh, "@PORT@", port), "@USER@", spec.user)});
    recipe.files.push_back({"etc/slipway/sshd_config", 0644, filled(kSshdConfig, "@USER@", spec.user)});
    Json ssh = service("ssh", "/usr/lib/slipway/start-ssh", kSshPort);
    ssh["when_file"] = "/run/slipway/keys/authorized_keys";
    services.push_back(std::move(ssh));
  }
  const Json document = {{"control", "${SLIPWAY_CONTROL:-@slipway-init}"}, {"services", std::move(services)}};
  recipe.files.push_back({std::string(kServicesPath).substr(1), 0644, document.dump(2) + "\n"});
  return recipe;
}

}  // namespace slip::image

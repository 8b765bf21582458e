"""Other engines as a test's own: podman with storage in the test's folder, docker with a daemon of its own. Nothing is left behind.

Mixins for a test case with `cls.shared`, a folder. The image, called `small`, is written as `output` says before `load` is called; `engine` is
the engine's command line then, `enter` leads to where its ports are published.
"""

import json
import os
import pathlib
import subprocess

from workspace import support, wait_for


class Podman:
    tools = ("podman", "runc", "skopeo")
    output = "oci:{}/layout:latest"
    image = "localhost/small:latest"
    enter = []
    # Without CAP_SYS_RESOURCE podman cannot raise what it raises by default.
    limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]

    @classmethod
    def load(cls):
        cls.engine = ["podman", "--root", str(cls.shared / "root"), "--runroot", str(cls.shared / "run"), "--runtime", "runc",
                      "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--events-backend", "none"]
        cls.addClassCleanup(lambda: subprocess.run([*cls.engine, "system", "reset", "--force"], capture_output=True))
        support.checked("skopeo", "--insecure-policy", "copy", f"oci:{cls.shared}/layout:latest",
                        f"containers-storage:[overlay@{cls.shared}/root+{cls.shared}/run]{cls.image}")


class Docker:
    """In a network namespace of its own: the host's bridges and rules stay as they are."""

    tools = ("dockerd", "docker", "iptables", "nsenter")
    output = "docker-archive:{}/small.tar"
    image = "small:latest"
    limits = []

    @classmethod
    def load(cls):
        groups = [path / "docker" for path in pathlib.Path("/sys/fs/cgroup").iterdir() if path.is_dir()]
        cls.addClassCleanup(remove_groups, [group for group in groups if not group.exists()])
        holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up; exec sleep 1000"])
        cls.addClassCleanup(lambda: (holder.kill(), holder.wait()))
        wait_for(lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != os.readlink("/proc/self/ns/net"))
        cls.enter = ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]
        folder = cls.shared / "docker"
        folder.mkdir()
        (folder / "daemon.json").write_text(json.dumps({"data-root": f"{folder}/data", "exec-root": f"{folder}/exec", "pidfile": f"{folder}/pid"}))
        log = open(folder / "log", "wb")
        daemon = subprocess.Popen([*cls.enter, "dockerd", "--config-file", f"{folder}/daemon.json", "-H", f"unix://{folder}/sock"], stdout=log, stderr=log)
        cls.addClassCleanup(lambda: (daemon.terminate(), daemon.wait(timeout=60), log.close()))
        cls.engine = ["docker", "-H", f"unix://{folder}/sock"]
        wait_for(lambda: subprocess.run([*cls.engine, "version"], capture_output=True).returncode == 0, 60)
        support.checked(*cls.engine, "load", "-i", cls.shared / "small.tar")


def remove_groups(groups):
    """dockerd leaves its own behind."""
    for group in groups:
        if group.exists():
            group.rmdir()

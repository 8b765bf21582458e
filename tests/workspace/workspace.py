"""What the tests of workspaces share: one small image with SSH, built once, and looking at what the host has of it."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "images"))

import support  # noqa: E402 (what tests of images have, these need too)

SPEC = """\
name: small
debian: bookworm
apt: [rsync, procps, python3-minimal]
env: {GREETING: "hello there"}
services: {ssh: {}}
mounts: ["./out:/workspace/out:rw", "./data:/data"]
resources: {memory: 512MiB, pids: 200}
"""

# A second service list in the image's place: how workspaces with other services are made for tests.
SERVICES = "files: {./services.json: /etc/slipway/services.json}\n"


def wait_for(what, seconds=20.0):
    """The first true answer of `what`; the test fails when there is none in time."""
    end = time.monotonic() + seconds
    while True:
        answer = what()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def processes_with(text):
    """Host pids whose command line or environment holds `text`."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if text.encode() in (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            pass  # it has ended, or is somebody else's
    return found


def tree_of(pid):
    """A host pid and everything that descends from it."""
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in task.read_text().split():
                found += tree_of(int(child))
        except OSError:
            pass
    return found


def listeners(port):
    """Local addresses, as the kernel writes them, at which the host listens on a port."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            if state == "0A" and int(local.split(":")[1], 16) == port:
                found.add(local.split(":")[0])
    return found


def can_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    except OSError:
        return False


class Case(support.Case):
    """A test with a home of its own and a project that is built; what it starts ends with it."""

    spec = SPEC
    files = {}

    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="slipway-test-"))
        env = support.base_env(cls.shared)
        folder = cls.shared / "project"
        folder.mkdir()
        (folder / "slipway.yaml").write_text(cls.spec)
        for name, text in cls.files.items():
            (folder / name).write_text(text)
        for verb in ("lock", "build"):
            result = support.run(verb, cwd=folder, env=env)
            assert result.status == 0, result

    @classmethod
    def tearDownClass(cls):
        support.remove_tree(cls.shared)

    def setUp(self):
        super().setUp()
        shutil.copytree(self.shared / "project", self.dir / "project")
        self.folder = self.dir / "project"
        (self.folder / "data").mkdir()
        (self.folder / "data/one.txt").write_text("one\n")
        self.state = pathlib.Path(self.env["SLIPWAY_STATE"])
        self.addCleanup(self.end_everything)

    def end_everything(self):
        support.run("down", "--all", cwd=self.dir, env=self.env)
        for pid in processes_with(str(self.state)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def up(self, *args, **more):
        return self.slipway("up", "--json", *args, cwd=self.folder, **more).json()

    def view(self, name="small"):
        return self.slipway("ps", "--json", name, cwd=self.folder).json()[0]

    def service(self, name, workspace="small"):
        return next(s for s in self.view(workspace)["services"] if s["name"] == name)

    def of(self, name="small"):
        return self.state / "workspaces" / name

    def monitor(self, name="small"):
        return json.loads((self.of(name) / "status.json").read_text())["monitor"]

    def ssh(self, *words, name="small", status=0, stdin=None, options=()):
        """The real client, with nothing but the configuration that `up` wrote."""
        done = subprocess.run(["ssh", "-F", str(self.of(name) / "ssh_config"), "-o", "ConnectTimeout=10", *options, name, *words],
                              input=stdin, capture_output=True, timeout=60)
        result = support.Result(done)
        if status is not None:
            self.assertEqual(result.status, status, result)
        return result

    def traces(self, name="small"):
        """What a running workspace has on the host: its ports and its groups."""
        status = json.loads((self.of(name) / "status.json").read_text())
        record = json.loads((self.of(name) / "workspace.json").read_text())
        return list(record["ports"].values()), status["cgroups"]

    def assert_nothing_is_left(self, traces):
        """Of a stopped workspace the host has no process, mount, port or group."""
        ports, groups = traces
        self.assertEqual(processes_with(str(self.state)), [])
        self.assertNotIn(str(self.dir), pathlib.Path("/proc/self/mountinfo").read_text())
        for port in ports:
            self.assertEqual(listeners(port), set(), f"port {port}")
        self.assertEqual([group for group in groups if os.path.exists(group)], [])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


__all__ = ["Case", "SERVICES", "SPEC", "can_connect", "free_port", "json", "listeners", "os", "pathlib", "processes_with", "re", "signal",
           "subprocess", "support", "time", "tree_of", "wait_for"]

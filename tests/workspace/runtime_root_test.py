"""`--runtime runc` and `crun` perform the same launch plan as the native launcher: a probe looks at everything there is to
see inside, and what differs must stand in a short list with its reason. The OCI runtimes are the native launcher's judges.

Root: runc needs two ids. Prints the table of what each launcher gives.
"""

import shutil
import unittest

import workspace
from workspace import json, os, pathlib, processes_with, re, signal, subprocess, support, wait_for

PROBE = pathlib.Path(__file__).with_name("probe.py").read_text()
SPEC = """\
name: small
debian: bookworm
apt: [procps, rsync, python3]
env: {GREETING: "hello there"}
services: {ssh: {}}
mounts: ["./out:/workspace/out:rw", "./data:/data"]
resources: {memory: 512MiB, pids: 200, cpus: 1.5, shm: 32MiB}
"""
LIMITS = {"memory": ("memory.limit_in_bytes", "memory.max"), "pids": ("pids.max", "pids.max"), "cpu": ("cpu.cfs_quota_us", "cpu.max")}

# Rows that differ, each with its reason: (pattern, reason). Whatever else differs fails the test, and so does a line here
# that no row needs any more.
BOTH = [
    (r"mount /run/lock", "a bundle can only mount there; the native launcher makes a folder"),
    (r"mount /(proc|sys)/(acpi|asound|scsi|firmware|devices/virtual/powercap)",
     "a hidden folder is an empty read-only file system in all; the runtimes leave off flags and sizes that change nothing there"),
    (r"call kcmp", "pid 1 of a `run` is not looked into natively; by a runtime it is the image's slipway-init, a process like the others"),
]
DIFFERENCES = {
    "runc": BOTH + [
        (r"[ug]id_map", "runc's first process is root inside before it becomes the user: one more id, nobody's on the host"),
        (r"call set[ug]id\(0\)|chown to 0", "that id exists inside, so it is refused for want of a capability, not of an id"),
        (r"folder /dev/pts", "it belongs to who mounted it: an id that the workspace never is, outside or inside"),
        (r"open /sys/.* for writing", "the file system is read-only rather than its mount: asked before the file's mode"),
    ],
    "crun": BOTH + [
        (r"[ug]id_map", "the one id is mapped twice over, so its number outside differs"),
        (r"/dev/core", "a link to /proc/kcore, which is hidden"),
        (r"mount /dev/(null|zero|full|tty|u?random)", "crun adds nosuid and noexec"),
        (r"mount /proc/(bus|fs|irq|sys|sysrq-trigger|keys|interrupts|timer_list|timer_stats|sched_debug|latency_stats)",
         "read-only in both; crun sets ro and no other flag on hidden files and on read-only parts of proc"),
    ],
}


def rows_of_group(pid):
    """Limits that hold for a process, from the groups it is in."""
    mounts = {}
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        words = line.split()
        dash = words.index("-")
        if words[dash + 1] == "cgroup":
            mounts.update({c: words[4] for c in words[dash + 3].split(",")})
        elif words[dash + 1] == "cgroup2":
            mounts[""] = words[4]
    groups = {c: path for _, names, path in (line.split(":", 2) for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines())
              for c in names.split(",")}
    rows = {}
    for controller, (v1, v2) in LIMITS.items():
        name = controller if controller in mounts else ""
        file = pathlib.Path(mounts.get(name, "/nowhere")) / groups.get(name, "/").lstrip("/") / (v1 if name else v2)
        rows[f"limit {controller}"] = file.read_text().strip() if file.exists() else "none"
    return rows


def namespaces(pid):
    kinds = ("user", "mnt", "pid", "ipc", "uts", "net", "cgroup")
    return {f"namespace {k}": "own" if os.readlink(f"/proc/{pid}/ns/{k}") != os.readlink(f"/proc/self/ns/{k}") else "the host's" for k in kinds}


def gone(group):
    """Removes an empty group."""
    try:
        os.rmdir(group)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True


def compare(test, title, native, other, name):
    """Prints the table and fails for every difference that has no reason."""
    allowed = DIFFERENCES[name]
    needed = set()
    wrong = []
    print(f"\n{title}\n{'':45}  {'native':45}  {name}")
    for row in sorted(native.keys() | other.keys()):
        a, b = native.get(row, "absent"), other.get(row, "absent")
        mark = " "
        if a != b:
            reason = next((i for i, (pattern, _) in enumerate(allowed) if re.fullmatch(pattern, row)), None)
            mark = "!" if reason is None else "*"
            if reason is None:
                wrong.append(f"{row}: native `{a}`, {name} `{b}`")
            else:
                needed.add(reason)
        print(f"{mark}{row:45} {a:45}  {b}")
    for reason in sorted(needed):
        print(f"* {allowed[reason][0]}: {allowed[reason][1]}")
    test.assertEqual(wrong, [])
    return {allowed[i][0] for i in needed}


class Case(workspace.Case):
    spec = SPEC

    @classmethod
    def setUpClass(cls):
        support.skip_unless_root()
        for program in ("runc", "crun"):
            if not support.have(program):
                raise unittest.SkipTest(f"{program} is not installed")
        super().setUpClass()


class Run(Case):
    files = {"probe.py": PROBE}

    def setUp(self):
        super().setUp()
        (self.folder / "out").mkdir(exist_ok=True)

    def probe(self, runtime):
        """What is seen inside a `run`, and what the host sees of it."""
        mark = f"mark-{runtime}-{os.getpid()}"
        command = [support.SLIPWAY, "run", "--runtime", runtime, "--mount", f"{self.folder}/probe.py:/workspace/made/here/probe.py",
                   "--", "python3", "/workspace/made/here/probe.py", "-", mark]
        running = subprocess.Popen(command, cwd=self.folder, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            line = running.stdout.readline()
            self.assertTrue(line, running.stderr.read().decode() if not line else "")
            rows = json.loads(line)
            inside = [p for p in processes_with(mark) if os.readlink(f"/proc/{p}/ns/pid") != os.readlink("/proc/self/ns/pid")
                      and pathlib.Path(f"/proc/{p}/cmdline").read_bytes().startswith(b"python3\0")]
            self.assertEqual(len(inside), 1)
            rows.update(namespaces(inside[0]))
            rows.update(rows_of_group(inside[0]))
            rows["uid on the host"] = pathlib.Path(f"/proc/{inside[0]}/status").read_text().split("Uid:")[1].split()[0]
        finally:
            out, err = running.communicate(timeout=60)
        self.assertEqual((running.returncode, out, err), (0, b"", b""))
        return rows

    def test_the_same_is_seen_inside(self):
        native = self.probe("native")
        for name, reasons in DIFFERENCES.items():
            used = compare(self, f"slipway run: native beside {name}", native, self.probe(name), name)
            self.assertEqual([pattern for pattern, _ in reasons if pattern not in used], [], "differences that are none any more")
        # What agrees must also be what was promised.
        for cap in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(native[cap], "0" * 16)
        self.assertEqual((native["NoNewPrivs"], native["Seccomp"], native["write /"], native["write /data"], native["write /workspace/out"]),
                         ("1", "2", "EROFS", "EROFS", "ok"))
        self.assertTrue(all(native[f"namespace {k}"] == "own" for k in ("user", "mnt", "pid", "ipc", "uts", "net", "cgroup")))
        for made in (self.folder / "out").iterdir():
            self.assertEqual((made.stat().st_uid, made.stat().st_gid), (0, 0), "files belong to the caller")

    def test_streams_status_and_signals(self):
        for runtime in ("native", "runc", "crun"):
            def run(*command, status=0, **more):
                return self.slipway("run", "--runtime", runtime, "--", *command, cwd=self.folder, status=status, **more)

            self.assertEqual(run("cat", stdin=b"through\n").out, "through\n")
            said = run("sh", "-c", "echo out; echo err >&2; exit 7", status=7)
            self.assertEqual((said.out, said.err), ("out\n", "err\n"))
            run("sh", "-c", "kill -9 $$", status=137)
            missing = run("no-such-thing", status=None)
            self.assertNotEqual(missing.status, 0)
            self.assertIn("no-such-thing", missing.err)
            running = subprocess.Popen([support.SLIPWAY, "run", "--runtime", runtime, "--", "sh", "-c",
                                        "trap 'echo told; exit 5' TERM; echo ready; while :; do sleep 0.05; done"],
                                       cwd=self.folder, env=self.env, stdout=subprocess.PIPE)
            self.assertEqual(running.stdout.readline(), b"ready\n")
            running.send_signal(signal.SIGTERM)
            out, _ = running.communicate(timeout=30)
            self.assertEqual((out, running.returncode), (b"told\n", 5), runtime)
            self.assertEqual(self.groups(running.pid), [])
            self.assertEqual(os.stat("/dev/null").st_uid, 0, "the streams keep their owner")

    def test_a_terminal(self):
        for runtime in ("native", "runc", "crun"):
            done = subprocess.run(["script", "-qec", f"{support.SLIPWAY} run --runtime {runtime} -- sh -c 'tty; test -t 0 && test -t 1 && echo both; exit 3'",
                                   "/dev/null"], cwd=self.folder, env={**self.env, "SHELL": "/bin/sh"}, stdin=subprocess.PIPE,
                                  capture_output=True, timeout=60)
            self.assertEqual(done.returncode, 3, done)
            self.assertIn(b"/dev/pts/0\r\n", done.stdout)
            self.assertIn(b"both\r\n", done.stdout)

    def test_killed_nothing_is_left(self):
        for runtime in ("runc", "crun"):
            mark = f"left-{runtime}-{os.getpid()}"
            running = subprocess.Popen([support.SLIPWAY, "run", "--runtime", runtime, "--", "sh", "-c", f"echo ready; sleep 600; : {mark}"],
                                       cwd=self.folder, env=self.env, stdout=subprocess.PIPE)
            self.assertEqual(running.stdout.readline(), b"ready\n")
            running.kill()
            running.wait()
            running.stdout.close()
            wait_for(lambda: not processes_with(mark))
            self.assertNotIn(str(self.dir), pathlib.Path("/proc/self/mountinfo").read_text())
            # Nobody was left to remove the groups, which are empty: one that is not cannot be removed.
            for group in self.groups(running.pid):
                wait_for(lambda: gone(group))

    def test_the_bundle_can_be_printed(self):
        printed = self.slipway("run", "--runtime", "runc", "--plan", "--", "true", cwd=self.folder).json()
        self.assertEqual(printed["ociVersion"], "1.0.2")
        self.assertEqual(printed["process"]["args"], ["/usr/lib/slipway/slipway-init", "--", "true"])
        wrong = self.slipway("run", "--runtime", "rnc", "--", "true", cwd=self.folder, status=2)
        self.assertIn("hint: did you mean `runc`?", wrong.err)

    def test_runc_is_refused_to_an_ordinary_user(self):
        user = support.User()
        self.addCleanup(user.close)
        folder = pathlib.Path(user.home) / "project"
        shutil.copytree(self.folder, folder)
        user.own(user.home)
        refused = support.run("run", "--runtime", "runc", "--", "true", cwd=folder, env=support.base_env(user.home, user.home + "/store"),
                              prefix=user.prefix())
        self.assertEqual(refused.status, 1)
        self.assertIn("hint: use `--runtime crun`", refused.err)

    @staticmethod
    def groups(pid):
        """Folders of the groups that a launcher made."""
        return [str(g) for g in pathlib.Path("/sys/fs/cgroup").rglob(f"slipway-small-{pid}-*")]


class Up(Case):
    """A workspace by a runtime is one like any other."""

    def audit(self):
        """Each check with its answer: those of the image and those of what runs."""
        return [(c["id"], c["title"], c["ok"]) for c in self.slipway("audit", "--offline", "--json", "small", cwd=self.folder, status=None).json()["checks"]]

    def test_it_lives_and_ends_as_any_other(self):
        self.up()
        native = self.audit()
        self.slipway("down", cwd=self.folder)
        for runtime in ("runc", "crun"):
            with self.subTest(runtime):
                first = self.up("--runtime", runtime)
                self.assertEqual(first["state"], "running")
                traces = self.traces()
                self.assertTrue(traces[1], "it has groups")
                self.assertEqual(self.ssh("id -un; hostname; echo $GREETING").out, "dev\nsmall\nhello there\n")
                said = self.slipway("exec", "--", "sh", "-c", "id -un; pwd; grep CapEff /proc/self/status; exit 7", cwd=self.folder, status=7)
                self.assertEqual(said.out, "dev\n/workspace\nCapEff:\t0000000000000000\n")
                self.assertIn("sshd", self.slipway("exec", "--", "ps", "-eo", "comm=", cwd=self.folder).out)
                # The record remembers the runtime.
                again = self.up()
                self.assertEqual((again["outcome"], again["pid"]), ("unchanged", first["pid"]))
                self.ssh("echo made > /workspace/out/made.txt; echo kept > ~/note")
                self.assertEqual((self.folder / "out/made.txt").stat().st_uid, 0)
                self.assertEqual(self.audit(), native)
                before = wait_for(lambda: self.view()["services"] and self.service("ssh"))
                self.slipway("restart", "ssh", cwd=self.folder)
                wait_for(lambda: (s := self.service("ssh"))["state"] == "ready" and s["pid"] != before["pid"], 5)
                view = self.view()
                self.assertEqual((view["limits"]["memory_bytes"], view["limits"]["pids"]), (512 << 20, 200))
                self.assertGreater(view["usage"]["memory_bytes"], 1 << 20)
                self.slipway("down", cwd=self.folder)
                self.assert_nothing_is_left(traces)
        # What one runtime left, the native launcher goes on with.
        self.assertEqual(self.up("--runtime", "native")["state"], "running")
        self.assertEqual(self.ssh("cat ~/note").out, "kept\n")

    def test_killing_the_monitor_ends_all(self):
        for runtime in ("runc", "crun"):
            with self.subTest(runtime):
                first = self.up("--runtime", runtime)
                traces = self.traces()
                os.kill(self.monitor(), signal.SIGKILL)
                wait_for(lambda: not processes_with(str(self.state)))
                view = self.view()
                self.assertEqual((view["state"], view["reason"]), ("failed", "its monitor was killed"))
                again = self.up()
                self.assertEqual((again["state"], again["ssh"]), ("running", first["ssh"]))
                second = self.traces()
                self.slipway("down", cwd=self.folder)
                self.assert_nothing_is_left(traces)
                self.assert_nothing_is_left(second)

    def test_killing_pid_1_ends_the_monitor(self):
        first = self.up("--runtime", "runc")
        traces = self.traces()
        os.kill(first["pid"], signal.SIGKILL)
        wait_for(lambda: not processes_with(str(self.state)))
        self.assertEqual(self.view()["state"], "failed")
        self.assert_nothing_is_left(traces)


class Service(Case):
    """What a service of a workspace sees: slipway-init as pid 1, the kept home, the keys."""

    spec = SPEC.replace("services: {ssh: {}}\n", "") + \
        "files: {./services.json: /etc/slipway/services.json, ./probe.py: /opt/probe.py}\n"
    files = {"probe.py": PROBE, "services.json": json.dumps({"control": "${SLIPWAY_CONTROL:-@slipway-init}", "services": [
        {"name": "probe", "argv": ["/bin/sh", "-c", "sleep 3600 | python3 /opt/probe.py /workspace/out/report.json"],
         "ready": {"file": "/workspace/out/report.json"}}]})}

    def test_the_same_is_seen_by_a_service(self):
        seen = {}
        for runtime in ("native", "runc", "crun"):
            record = self.up("--runtime", runtime)
            report = self.folder / "out/report.json"
            seen[runtime] = json.loads(report.read_text())
            seen[runtime].update(rows_of_group(record["pid"]))
            status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{record['pid']}/status").read_text().splitlines())
            for name in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp"):
                seen[runtime][f"pid 1 {name}"] = status[name].strip()
            self.slipway("down", cwd=self.folder)
            report.unlink()
        for name in DIFFERENCES:
            compare(self, f"slipway up: native beside {name}", seen["native"], seen[name], name)


if __name__ == "__main__":
    support.main()

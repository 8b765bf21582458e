"""up, ps, logs, exec, restart, down: a workspace with SSH from its first start to its end, and what kills leave."""

import random
import socket

import workspace
from workspace import SERVICES, SPEC, can_connect, free_port, json, listeners, os, pathlib, signal, subprocess, support, tree_of, wait_for


class Lifecycle(workspace.Case):
    def test_up_twice_changes_nothing_and_down_leaves_nothing(self):
        first = self.up()
        self.assertEqual((first["name"], first["image"], first["state"], first["outcome"]),
                         ("small", "small:latest", "running", "started"))
        self.assertIsNone(first["jupyter"])
        self.assertEqual(first["ssh"]["host"], "127.0.0.1")
        self.assertEqual([(s["name"], s["state"], s["restarts"]) for s in first["services"]], [("ssh", "ready", 0)])
        init = first["pid"]
        traces = self.traces()
        second = self.up()
        self.assertEqual((second["outcome"], second["pid"], second["ssh"]), ("unchanged", init, first["ssh"]))
        said = self.slipway("down", cwd=self.folder)
        self.assertEqual((said.out, said.err), ("", "Stopped small\n"))
        self.assert_nothing_is_left(traces)
        self.assertEqual(self.view()["state"], "stopped")
        self.assertEqual(self.slipway("down", cwd=self.folder).err, "Stopped small before\n")

    def test_ports_keys_and_home_come_back(self):
        first = self.up()
        self.ssh("echo kept > ~/note")
        key = (self.of() / "keys/ssh_host_ed25519_key.pub").read_text()
        self.slipway("down", cwd=self.folder)
        # What a reboot leaves: files that say it runs, and nothing that does.
        status = json.loads((self.of() / "status.json").read_text())
        (self.of() / "status.json").write_text(json.dumps({**status, "running": True, "monitor": 1, "init": 1}))
        self.assertEqual(self.view()["state"], "failed")
        again = self.up()
        self.assertEqual(again["ssh"], first["ssh"])
        self.assertEqual(self.ssh("cat ~/note").out, "kept\n")
        self.assertEqual((self.of() / "keys/ssh_host_ed25519_key.pub").read_text(), key)

    def test_several_at_once_have_their_own_ports(self):
        one, two = self.up(), self.up("--name", "other")
        self.assertNotEqual(one["ssh"]["port"], two["ssh"]["port"])
        self.assertEqual(self.ssh("hostname").out, "small\n")
        self.assertEqual(self.ssh("hostname", name="other").out, "other\n")
        ambiguous = self.slipway("exec", "--", "true", cwd=self.folder, status=2)
        self.assertIn("hint: other, small", ambiguous.err)
        self.slipway("down", "other", cwd=self.folder)
        self.assertEqual(self.view()["state"], "running")

    def test_a_port_is_had_or_refused(self):
        port = free_port()
        self.assertEqual(self.up("--port", f"ssh={port}")["ssh"]["port"], port)
        self.slipway("down", "--purge", cwd=self.folder)
        with socket.create_server(("127.0.0.1", port)):
            refused = self.slipway("up", "--port", f"ssh={port}", cwd=self.folder, status=1)
            self.assertIn(f"{port}", refused.err)
            self.assertNotEqual(self.up("--name", "small")["ssh"]["port"], port)

    def test_only_loopback_listens(self):
        record = self.up()
        self.assertEqual(listeners(record["ssh"]["port"]), {"0100007F"})
        # And nothing that belongs to the workspace listens on the host under another number.
        sockets = set()
        for pid in tree_of(self.monitor()):
            if os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net"):
                for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                    sockets.add(os.readlink(fd))
        table = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
        table += [line.split() for line in pathlib.Path("/proc/net/tcp6").read_text().splitlines()[1:]]
        ours = {line[1] for line in table if line[3] == "0A" and f"socket:[{line[9]}]" in sockets}
        self.assertEqual(ours, {f"0100007F:{record['ssh']['port']:04X}"} & ours)

    def test_a_change_starts_it_anew(self):
        first = self.up()
        changed = self.up("--env", "GREETING=other")
        self.assertEqual(changed["outcome"], "restarted")
        self.assertNotEqual(changed["pid"], first["pid"])
        self.assertEqual(changed["ssh"], first["ssh"])
        self.assertEqual(self.ssh("echo $GREETING").out, "other\n")

    def test_exec_is_the_same_user_in_the_same_place(self):
        self.up()
        said = self.slipway("exec", "--", "sh", "-c", "id -un; pwd; hostname; echo $GREETING; grep CapEff /proc/self/status; exit 7",
                            cwd=self.folder, status=7)
        self.assertEqual(said.out, "dev\n/workspace\nsmall\nhello there\nCapEff:\t0000000000000000\n")
        seen = self.slipway("exec", "--", "ps", "-eo", "comm=", cwd=self.folder).out.split()
        self.assertIn("sshd", seen)
        self.assertIn("slipway-init", seen)
        self.assertEqual(self.slipway("exec", "--", "no-such-thing", cwd=self.folder, status=127).out, "")

    def test_mounts(self):
        self.up()
        self.ssh("echo made > /workspace/out/made.txt; cat /data/one.txt")
        made = self.folder / "out/made.txt"
        self.assertEqual(made.read_text(), "made\n")
        self.assertEqual((made.stat().st_uid, made.stat().st_gid), (os.geteuid(), os.getegid()))
        refused = self.ssh("touch /data/two", status=1)
        self.assertIn("Read-only file system", refused.err)

    def test_a_killed_service_is_back_and_ps_counts_it(self):
        record = self.up()
        before = self.service("ssh")
        self.slipway("exec", "--", "kill", "-9", str(before["pid"]), cwd=self.folder)
        after = wait_for(lambda: (s := self.service("ssh"))["state"] == "ready" and s["restarts"] == 1 and s, 3)
        self.assertNotEqual(after["pid"], before["pid"])
        self.assertEqual(self.ssh("echo here").out, "here\n")
        self.assertEqual(self.view()["pid"], record["pid"])
        self.slipway("restart", "ssh", cwd=self.folder)
        wait_for(lambda: (s := self.service("ssh"))["state"] == "ready" and s["pid"] != after["pid"], 5)
        wrong = self.slipway("restart", "jupiter", cwd=self.folder, status=1)
        self.assertIn("has no service `jupiter`", wrong.err)
        self.assertIn("hint: it has `ssh`", wrong.err)

    def test_logs(self):
        self.up()
        self.ssh("true")
        text = self.slipway("logs", "--service", "ssh", cwd=self.folder).out
        self.assertIn("Server listening on 127.0.0.1 port 2222", text)
        self.assertIn("Accepted publickey for dev", text)
        for line in self.slipway("logs", "--json", cwd=self.folder).out.splitlines():
            self.assertIn("ts", json.loads(line))
        follower = subprocess.Popen([support.SLIPWAY, "logs", "-f", "small"], env=self.env, stdout=subprocess.PIPE)
        self.slipway("down", cwd=self.folder)
        out, _ = follower.communicate(timeout=30)  # it ends with the workspace
        self.assertIn(b"exit", out.splitlines()[-1])
        self.assertEqual((self.of() / "log/current.jsonl").stat().st_mode & 0o777, 0o600)

    def test_ps_shows_use_against_limits(self):
        self.up()
        view = self.view()
        self.assertEqual(view["limits"]["memory_bytes"], 512 << 20)
        self.assertEqual(view["limits"]["pids"], 200)
        self.assertGreater(view["usage"]["memory_bytes"], 1 << 20)
        self.assertGreaterEqual(view["usage"]["pids"], 2)
        self.assertRegex(self.slipway("ps", cwd=self.folder).out, r"small +running +[\d.]+ MB of 536.9 MB +\d+ of 200 +ssh :\d+")

    def test_systemd_can_start_it(self):
        """What a unit runs: the monitor in the foreground, which says when it is ready and ends well on TERM."""
        port = self.up()["ssh"]["port"]
        self.slipway("down", cwd=self.folder)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.bind(str(self.dir / "notify"))
            told.settimeout(30)
            monitor = subprocess.Popen([support.SLIPWAY, "monitor", "small"], env={**self.env, "NOTIFY_SOCKET": str(self.dir / "notify")})
            self.addCleanup(lambda: (monitor.kill(), monitor.wait()))
            self.assertEqual(told.recv(100), b"READY=1")
        wait_for(lambda: self.view()["state"] == "running" and can_connect(port))
        monitor.terminate()
        self.assertEqual(monitor.wait(timeout=30), 0)
        self.assertEqual(self.view()["state"], "stopped")

    def test_an_image_mounts_folders_of_the_host_only_where_it_may(self):
        self.slipway("build", "--tag", "foreign:1", cwd=self.folder)  # its spec mounts only what is relative to a checkout
        self.assertNotIn("mounted at", self.slipway("up", "--plan", "foreign:1", cwd=self.dir).err)
        spec = (self.folder / "slipway.yaml").read_text()
        (self.folder / "slipway.yaml").write_text(spec.replace("./data:/data", f"{self.folder}/data:/data:rw"))
        self.slipway("lock", cwd=self.folder)
        self.slipway("build", "--tag", "foreign:2", cwd=self.folder)
        said = " ".join(self.slipway("up", "--plan", "foreign:2", cwd=self.dir).err.split())
        what = f"`{self.folder}/data` of this machine mounted at `/data`, writable"
        self.assertIn(f"the image has {what}", said)
        refused = self.slipway("up", "--no-ssh-config", "foreign:2", cwd=self.dir, status=1)
        self.assertIn(what, " ".join(refused.err.split()))
        self.assertIn("--allow-mounts", refused.err)
        self.assertEqual(self.slipway("ps", "--json", cwd=self.dir).json(), [])
        refused = self.slipway("run", "--image", "foreign:2", "--", "true", cwd=self.dir, status=1)
        self.assertIn(what, " ".join(refused.err.split()))
        own = self.dir / "own"
        own.mkdir()
        (own / "mine").write_text("mine\n")
        run = ["run", "--image", "foreign:2"]
        self.assertEqual(self.slipway(*run, "--mount", f"{own}:/data", "--", "cat", "/data/mine", cwd=self.dir).out, "mine\n")
        allowed = self.slipway(*run, "--allow-mounts", "--", "ls", "/data", cwd=self.dir)
        self.assertEqual(allowed.out, "one.txt\n")
        self.assertIn(what, " ".join(allowed.err.split()))

    def test_commands_before_up_and_after_down_say_what_to_do(self):
        nothing = self.slipway("exec", "--", "true", cwd=self.folder, status=1)
        self.assertIn("hint: slipway up", nothing.err)
        self.up()
        self.slipway("down", cwd=self.folder)
        for verb in (["exec", "small", "--", "true"], ["ssh", "small"], ["logs", "-f", "nobody"]):
            self.slipway(*verb, cwd=self.folder, status=1)


class Killed(workspace.Case):
    def test_killing_the_monitor_ends_all_and_up_starts_again(self):
        first = self.up()
        traces = self.traces()
        os.kill(self.monitor(), signal.SIGKILL)
        wait_for(lambda: not can_connect(first["ssh"]["port"]))
        wait_for(lambda: not workspace.processes_with(str(self.state)))
        view = self.view()
        self.assertEqual((view["state"], view["reason"]), ("failed", "its monitor was killed"))
        again = self.up()
        self.assertEqual((again["state"], again["ssh"]), ("running", first["ssh"]))
        self.slipway("down", cwd=self.folder)
        self.assert_nothing_is_left(traces)

    def test_killing_any_process_of_ours_is_survived_or_repaired(self):
        record = self.up()
        for victim in ("forwarder", "gateway"):
            helpers = [pid for pid in tree_of(self.monitor()) if pid not in tree_of(record["pid"]) and pid != self.monitor()]
            self.assertEqual(len(helpers), 2)
            os.kill(helpers[0 if victim == "forwarder" else 1], signal.SIGKILL)
            # Without it the workspace cannot be reached as promised: it is whole again, or `up` makes it so.
            wait_for(lambda: self.up()["state"] == "running" and can_connect(self.view()["ssh"]["port"]), 30)
            wait_for(lambda: self.ssh("echo here", status=None).out == "here\n", 10)
            record = self.view()

    def test_ten_times_up_and_down(self):
        for _ in range(10):
            self.up()
            traces = self.traces()
            self.slipway("down", cwd=self.folder)
            self.assert_nothing_is_left(traces)

    def test_killed_at_any_moment(self):
        """`up` and the monitor killed after a time that differs: the next `up` always succeeds."""
        chance = random.Random(7)
        for _ in range(12):
            starting = subprocess.Popen([support.SLIPWAY, "up"], cwd=self.folder, env=self.env, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
            try:
                starting.wait(timeout=chance.uniform(0.0, 0.6))
            except subprocess.TimeoutExpired:
                pass
            for pid in [starting.pid, *workspace.processes_with(str(self.state))]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            starting.wait()
        self.assertEqual(self.up()["state"], "running")
        traces = self.traces()
        self.assertEqual(self.ssh("echo here").out, "here\n")
        self.slipway("down", cwd=self.folder)
        self.assert_nothing_is_left(traces)


class AsUser(support.Case):
    """The same for somebody who has user namespaces and nothing else, with a store of their own."""

    def test_up_log_in_and_down_root(self):
        support.skip_unless_root()
        user = support.User()
        self.addCleanup(user.close)
        home = pathlib.Path(user.home)
        env = support.base_env(home, home / "store")
        (home / "project/data").mkdir(parents=True)
        (home / "project/slipway.yaml").write_text(SPEC)
        user.own(home)
        here = {"cwd": home / "project", "env": env, "prefix": user.prefix()}
        for verb in ("lock", "build"):
            self.assertEqual((result := support.run(verb, **here)).status, 0, result)
        up = support.run("up", "--json", **here)
        self.addCleanup(support.run, "down", "--all", **here)
        self.assertEqual(up.status, 0, up)
        ssh = ["ssh", "-F", str(home / "state/workspaces/small/ssh_config"), "small", "id -u; touch /workspace/out/made; touch /data/no"]
        done = support.Result(subprocess.run([*user.prefix(), *ssh], env=env, capture_output=True, timeout=60))
        self.assertEqual(done.out, "1000\n")
        self.assertIn("Read-only file system", done.err)
        self.assertEqual((home / "project/out/made").stat().st_uid, user.uid)
        self.assertEqual(listeners(up.json()["ssh"]["port"]), {"0100007F"})
        audited = support.run("audit", "small", **here)
        self.assertEqual(audited.status, 0, audited)
        self.assertEqual(support.run("down", **here).status, 0)
        self.assertEqual(workspace.processes_with(str(home / "state")), [])


class Broken(workspace.Case):
    """A workspace whose one service always fails."""

    spec = SPEC + SERVICES
    files = {"services.json": json.dumps({"control": "${SLIPWAY_CONTROL:-@slipway-init}", "services": [
        {"name": "bad", "argv": ["/bin/sh", "-c", "echo no luck; exit 3"], "critical": True,
         "restart": {"policy": "always", "max": 2, "base_ms": 10, "cap_ms": 20}, "ready": {"file": "/never"}}]})}

    def test_ps_has_the_reason(self):
        failed = self.slipway("up", cwd=self.folder, status=1)
        self.assertIn("error: workspace `small` ended", failed.err)
        self.assertIn("Caused by: no luck", failed.err)
        self.assertIn("hint: slipway logs", failed.err)
        view = self.view()
        self.assertEqual(view["state"], "failed")
        self.assertRegex(view["reason"], r"bad")
        self.assertIn(view["reason"], self.slipway("ps", cwd=self.folder).err)


class Offline(workspace.Case):
    spec = SPEC + "network: none\n"

    def test_there_is_no_way_out(self):
        self.up()
        self.assertEqual(self.ssh("env | grep -ci proxy", status=1).out, "0\n")
        self.assertEqual(self.ssh("cat /proc/net/dev | grep -c :").out, "1\n")
        self.assertEqual(self.slipway("exec", "--", "python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 3128), 2)",
                                      cwd=self.folder, status=1).out, "")


if __name__ == "__main__":
    support.main()

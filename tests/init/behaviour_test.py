"""What small inits and supervisors are held to in their own suites: statuses, signals, terminals, order, readiness, budgets,
orders over the control socket, and messages about wrong files."""

import json
import os
import pathlib
import pty
import select
import signal
import socket
import subprocess
import sys
import time
import unittest

import support
from support import python, shell


class Command(support.Case):
    def test_every_exit_status_is_passed_on(self):
        for status in range(256):
            self.assertEqual(self.command("sh", "-c", f"exit {status}").end(), status)

    def test_death_by_signal_is_128_and_its_number(self):
        for number in support.FATAL:
            self.assertEqual(self.command("sh", "-c", f"ulimit -c 0; kill -{number} $$").end(), 128 + number, number)

    def test_signals_are_forwarded(self):
        ours = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGPIPE}  # the first two reach nobody's handler
        faults = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGSYS}
        for number in sorted(set(signal.valid_signals()) - ours - faults):
            # Blocked before it says so: one that comes between a handler and pause() would be slept through.
            script = ("import signal, sys\n"
                      f"signal.pthread_sigmask(signal.SIG_BLOCK, [{int(number)}])\nsys.stdout.write('up\\n'); sys.stdout.flush()\n"
                      f"sys.exit(42 if signal.sigwait([{int(number)}]) == {int(number)} else 1)")
            running = self.command(sys.executable, "-S", "-c", script)
            self.assertEqual(running.process.stdout.readline(), b"up\n")
            os.kill(running.pid(), number)
            self.assertEqual(running.end(), 42, number)

    def test_the_whole_group_gets_it(self):
        running = self.command("sh", "-c", "sh -c 'trap \"exit 0\" TERM; echo up; while :; do sleep 0.02; done'; exit 9")
        self.assertEqual(running.process.stdout.readline(), b"up\n")
        os.kill(running.pid(), signal.SIGTERM)
        self.assertEqual(running.end(), 128 + signal.SIGTERM)

    def test_mask_and_ignored_signals_are_as_they_were(self):
        script = "import signal; print(sorted(int(s) for s in signal.pthread_sigmask(signal.SIG_BLOCK, [])), signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN)"
        prefix = [sys.executable, "-c", "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2]); "
                  "signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"]
        running = self.command(sys.executable, "-c", script, namespace=prefix)
        self.assertEqual(running.process.stdout.read(), b"[12] True\n")
        self.assertEqual(running.end(), 0)

    def test_stdin_and_stdout_are_the_commands_own(self):
        running = self.command("cat", stdin=subprocess.PIPE)
        out, err = running.process.communicate(b"a\x00b\xff", timeout=20)
        self.assertEqual((out, err, running.process.returncode), (b"a\x00b\xff", b"", 0))

    def test_what_cannot_be_run(self):
        running = self.command("/no/such/program")
        self.assertEqual(running.end(), 127)
        self.assertEqual(running.err, "slipway-init: cannot run `/no/such/program`: No such file or directory\n")
        running = self.command("/etc/passwd")
        self.assertEqual(running.end(), 126)
        self.assertIn("Permission denied", running.err)
        self.assertEqual(self.command("no-such-program-anywhere").end(), 127)

    def test_what_it_left_behind_ends_too(self):
        mark = self.dir / "mark"
        script = f"(trap 'echo told > {mark}; exit' TERM; echo up; while :; do sleep 0.02; done) & sleep 0.3; exit 4"
        running = self.command("sh", "-c", script)
        self.assertEqual(running.process.stdout.readline(), b"up\n")
        self.assertEqual(running.end(), 4)
        self.assertEqual(mark.read_text(), "told\n")

    def test_interrupt_on_a_terminal_arrives_once(self):
        script = ("import os, signal, sys, time\ncount = 0\n"
                  "def more(*_):\n global count\n count += 1\n"
                  "signal.signal(signal.SIGINT, more)\nprint('up', os.isatty(0), flush=True)\n"
                  "end = time.monotonic() + 0.7\n"
                  "while time.monotonic() < end: time.sleep(0.05)\nprint('count', count, flush=True)")
        pid, fd = pty.fork()
        if pid == 0:
            os.execvp(support.NAMESPACE[0], [*support.NAMESPACE, support.INIT, "--", sys.executable, "-S", "-c", script])
        said = self.read_terminal(fd, b"True")
        os.write(fd, b"\x03")
        said += self.read_terminal(fd, b"count")
        os.waitpid(pid, 0)
        os.close(fd)
        self.assertIn(b"count 1", said)

    def read_terminal(self, fd, wanted):
        said = b""
        while wanted not in said or not said.endswith(b"\n"):
            ready, _, _ = select.select([fd], [], [], 20)
            self.assertTrue(ready, said)
            try:
                said += os.read(fd, 4096)
            except OSError:
                break
        return said

    def test_beside_services_when_asked(self):
        config = self.config(shell("a", "echo from a; sleep 1000"))
        running = self.command("sh", "-c", "sleep 0.3; echo from the command; exit 5", words=["--services", str(config), "--with-services"])
        out, err = running.process.communicate(timeout=30)
        self.assertEqual((out, running.process.returncode), (b"from the command\n", 5))
        self.assertIn("from a", [json.loads(line).get("line") for line in err.splitlines()])

    def test_instead_of_services_otherwise(self):
        config = self.config(shell("a", "echo from a"))
        running = self.command("echo", "x", words=["--services", str(config)])
        out, err = running.process.communicate(timeout=30)
        self.assertEqual((out, err), (b"x\n", b""))


class Services(support.Case):
    def events(self, running, name):
        return [record["service"] for record in running.records if record.get("event") == name]

    def test_order_follows_readiness_and_stops_the_other_way_round(self):
        ready = self.dir / "ready"
        running = self.start(shell("c", "exec sleep 1000", after=["b"]), shell("b", "exec sleep 1000", after=["a"]),
                             shell("a", f"sleep 0.3; touch {ready}; exec sleep 1000", ready={"file": str(ready)}))
        running.until(event="ready", service="c")
        self.assertEqual(self.events(running, "started"), ["a", "b", "c"])
        self.assertEqual(running.stop(), 0)
        self.assertEqual(self.events(running, "ended"), ["c", "b", "a"])

    def test_ready_by_tcp_unix_and_notification(self):
        path = self.dir / "socket"
        tcp = "import socket, time; s = socket.create_server(('127.0.0.1', int(__import__('sys').argv[1]))); time.sleep(1000)"
        unix = "import socket, sys, time; time.sleep(0.2); s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); time.sleep(1000)"
        notify = ("import os, socket, time; time.sleep(0.2); s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); "
                  "s.connect('\\0' + os.environ['NOTIFY_SOCKET'][1:]); s.send(b'STATUS=x\\nREADY=1\\n'); time.sleep(1000)")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        services = [python("tcp", tcp, ready={"tcp": "127.0.0.1:${PORT}"}), python("unix", unix, ready={"unix": str(path)}, after=["tcp"]),
                    python("notify", notify, ready={"notify": True}, after=["unix"])]
        services[0]["argv"].append("${PORT}")
        services[1]["argv"].append(str(path))
        running = self.start(*services, env=dict(os.environ, PORT=port))
        running.until(event="ready", service="notify")
        self.assertEqual(self.events(running, "ready"), ["tcp", "unix", "notify"])
        self.assertEqual(running.stop(), 0)

    def test_budget_of_three_is_four_launches(self):
        running = self.start({"name": "a", "argv": ["/no/such/program"], "restart": {"max": 3, "base_ms": 1}})
        self.assertEqual(running.end(), 72)
        reasons = [record["reason"] for record in running.records if record.get("event") == "not started"]
        self.assertEqual(reasons, ["No such file or directory"] * 4)

    def test_every_fatal_signal_restarts(self):
        running = self.start(shell("a", "ulimit -c 0; exec sleep 1000", restart={"max": 50, "base_ms": 1, "cap_ms": 5}))
        for number in support.FATAL:
            pid = running.until(event="started", service="a")["pid"]
            running.until(event="ready")
            inner = self.inner_pid(running, pid)
            os.kill(inner, number)
            self.assertEqual(running.until(event="ended")["signal"], number)
        self.assertEqual(running.stop(), 0)

    def inner_pid(self, running, pid):
        """The pid seen from here of one seen in there."""
        children = pathlib.Path(f"/proc/{running.pid()}/task/{running.pid()}/children")
        for child in children.read_text().split():
            status = pathlib.Path(f"/proc/{child}/status").read_text()
            if status.split("NSpid:")[1].split("\n")[0].split()[-1] == str(pid):
                return int(child)
        raise AssertionError(f"no process {pid}")

    def test_policies(self):
        running = self.start(shell("never", "exit 1", restart={"policy": "never"}, critical=False),
                             shell("once", "exit 0", restart={"policy": "on-failure"}),
                             shell("again", "exit 0", restart={"policy": "always", "max": 2, "base_ms": 1}, critical=False))
        self.assertEqual(running.end(), 1)
        started = self.events(running, "started")
        self.assertEqual([started.count(name) for name in ("never", "once", "again")], [1, 1, 3])

    def test_when_file(self):
        there = self.dir / "there"
        there.touch()
        running = self.start(shell("no", "echo no", when_file=str(self.dir / "missing")),
                             shell("yes", "echo yes", when_file=str(there), after=["no"], restart={"policy": "never"}))
        self.assertEqual(running.end(), 0)
        self.assertEqual(self.events(running, "started"), ["yes"])
        self.assertEqual(self.events(running, "skipped"), ["no"])

    def test_environment_and_folder(self):
        running = self.start(shell("a", "echo $A $B; pwd", env={"A": "own"}, cwd=str(self.dir), restart={"policy": "never"}),
                             env={"PATH": os.environ["PATH"], "A": "outer", "B": "kept"})
        self.assertEqual(running.end(), 0)
        self.assertEqual(running.lines("a"), ["own kept", str(self.dir)])

    def test_hup_reaches_services(self):
        running = self.start(shell("a", "trap 'echo hup' HUP; echo up; while :; do sleep 0.02; done"))
        running.until(line="up")
        os.kill(running.pid(), signal.SIGHUP)
        running.until(line="hup")
        self.assertEqual(running.stop(), 0)

    def test_pipelines_and_text_of_all_kinds(self):
        running = self.start(shell("a", "echo '\u65e5\u672c' | cat | tr -d x", restart={"policy": "never"}))
        self.assertEqual(running.end(), 0)
        self.assertEqual(running.lines("a"), ["\u65e5\u672c"])


class Control(support.Case):
    def ask(self, request):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.dir / "control"))
            client.sendall(request.encode() + b"\n")
            return json.loads(client.makefile().read())

    def test_orders(self):
        running = self.start(shell("a", "exec sleep 1000"), shell("b", "exec sleep 1000", after=["a"]), control=str(self.dir / "control"))
        running.until(event="ready", service="b")
        self.assertEqual((self.dir / "control").stat().st_mode & 0o777, 0o600)
        before = self.ask("status")["services"]
        self.assertEqual([(s["name"], s["state"]) for s in before], [("a", "ready"), ("b", "ready")])
        self.assertEqual(self.ask("restart a"), {"ok": True})
        running.until(event="ended", service="a")
        running.until(event="ready", service="a")
        self.assertNotEqual(self.ask("status")["services"][0]["pid"], before[0]["pid"])
        self.assertEqual(self.ask("stop b"), {"ok": True})
        running.until(event="ended", service="b")
        self.assertEqual(self.ask("status")["services"][1]["state"], "stopped")
        self.assertEqual(self.ask("start b"), {"ok": True})
        running.until(event="ready", service="b")
        self.assertEqual(self.ask("stop x"), {"error": "there is no service x"})
        self.assertEqual(self.ask("dance"), {"error": "no such request: dance"})
        self.assertEqual(running.stop(), 0)
        self.assertFalse((self.dir / "control").exists())

    def test_a_client_that_says_nothing_holds_nobody_up(self):
        running = self.start(shell("a", "exec sleep 1000"), control=str(self.dir / "control"))
        running.until(event="ready", service="a")
        with socket.socket(socket.AF_UNIX) as silent:
            silent.connect(str(self.dir / "control"))
            self.assertEqual(self.ask("status")["services"][0]["state"], "ready")
        self.assertEqual(running.stop(), 0)

    def health(self, running, file):
        done = subprocess.run(["nsenter", f"--net=/proc/{running.pid()}/ns/net", support.INIT, "--services", str(file), "--health"],
                              capture_output=True, text=True, timeout=20)
        return done.returncode, done.stdout, done.stderr

    @unittest.skipIf(os.geteuid() != 0, "entering a network namespace from outside needs root")
    def test_health_over_an_abstract_socket(self):
        name = f"@slipway-test-{os.getpid()}"
        # `b` only behind `a`: both at once, it may end before `a` is ready, and that record is gone when it is waited for.
        running = self.start(shell("a", "exec sleep 1000"), shell("b", "exit 0", after=["a"], restart={"policy": "never"}), control=name)
        running.until(event="ready", service="a")
        running.until(event="ended", service="b")
        file = self.dir / "health.json"
        file.write_text(json.dumps({"services": [], "control": name}))
        status, out, err = self.health(running, file)
        self.assertEqual((status, [s["state"] for s in json.loads(out)["services"]], err), (0, ["ready", "ended"], ""))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("\0" + name[1:])
            client.sendall(b"stop a\n")
            self.assertEqual(client.recv(100), b'{"ok":true}\n')
        running.until(event="ended", service="a")
        status, out, _ = self.health(running, file)
        self.assertEqual((status, json.loads(out)["services"][0]["state"]), (1, "stopped"))
        self.assertEqual(running.stop(), 0)
        done = subprocess.run([support.INIT, "--services", str(file), "--health"], capture_output=True, text=True, timeout=20)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("Connection refused", done.stderr)


class Words(support.Case):
    def refused(self, text, status=65):
        path = self.dir / "services.json"
        path.write_text(text)
        done = subprocess.run([support.INIT, "--services", str(path)], capture_output=True, text=True, timeout=20)
        self.assertEqual((done.returncode, done.stdout), (status, ""), done)
        return done.stderr.replace(str(path), "FILE")

    def test_messages_name_file_and_place(self):
        service = '{"services":[{"name":"a","argv":["x"]%s}]}'
        for text, wanted in (  # `@` marks the place
            (service % ',\n  @"afer":[]', "a service has no key `afer`"),
            (service % ',"after":[@"b"]', "there is no service `b`"),
            (service % ',"stop":{"signal":@"NOPE"}', "no such signal: `NOPE`"),
            (service % ',"ready":{"tcp":@"localhost:1"}', "ADDRESS:PORT is expected, as in 127.0.0.1:8888, not `localhost:1`"),
            (service % ',"restart":{"max":@1000}', "the number is too large"),
            (service % ',"cwd":@1', "a string is expected here"),
            (service % ',@"argv":["y"]', "the key is given twice"),
            ('{"services":[{"name":"a","argv":[@"${NOT_SET_ANYWHERE}"]}]}', "the environment does not set `NOT_SET_ANYWHERE`"),
            ('{"services":[@{"argv":["x"]}]}', "a service needs `name`"),
            ('{"services":[{"name":"a","argv":["x"],"after":[@"b"]},{"name":"b","argv":["x"],"after":["a"]}]}',
             "services wait for each other in a circle, one of them is `a`"),
            ("@" + "[" * 100000, "an object is expected here"),
            ("@", "an object is expected here"),
        ):
            before, _, after = text.partition("@")
            line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
            self.assertEqual(self.refused(before + after), f"slipway-init: FILE:{line}:{column}: {wanted}\n")
        self.assertEqual(self.refused(" " * 300000), "slipway-init: FILE: the file is larger than 256 KiB\n")

    def test_wrong_words(self):
        done = subprocess.run([support.INIT, "--nope"], capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 64)
        self.assertIn("no such option: --nope", done.stderr)
        done = subprocess.run([support.INIT, "--services", "/no/such/file"], capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 66)
        self.assertIn("cannot read `/no/such/file`: No such file or directory", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)

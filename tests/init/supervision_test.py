"""What supervisors are held to in their own suites: budgets that recover, stops at any moment, clients that hang up, daemons that
keep their service's pipes, and whatever bytes come."""

import json
import os
import signal
import socket
import sys
import unittest

import support
from support import python, shell


class Supervision(support.Case):
    def test_a_quiet_window_gives_the_budget_back(self):
        running = self.start(shell("a", "sleep 0.4; exit 1", restart={"max": 1, "window_ms": 200, "base_ms": 1, "cap_ms": 1000}))
        waits = []
        while len(waits) < 4:
            record = running.until(event="restarting")
            waits.append(record["in_ms"])
        self.assertEqual(waits, [1] * 4, "the row starts anew too")
        self.assertEqual(running.stop(), 0)
        self.assertNotIn("failed", [record.get("event") for record in running.records])

    def test_a_missing_folder_and_a_program_that_cannot_run_eat_the_budget(self):
        for service, reason in (({"argv": ["true"], "cwd": "/no/such/folder"}, "No such file or directory"),
                                ({"argv": ["/etc/passwd"]}, "Permission denied")):
            running = self.start({"name": "a", "restart": {"max": 2, "base_ms": 1}, **service})
            self.assertEqual(running.end(), 72)
            self.assertEqual([r["reason"] for r in running.records if r.get("event") == "not started"], [reason] * 3)

    def test_told_to_stop_while_it_waits_for_a_restart(self):
        running = self.start(shell("a", "exit 1", restart={"base_ms": 60000, "cap_ms": 60000}))
        running.until(event="restarting")
        self.assertEqual(running.stop(), 0)
        self.assertEqual(len([r for r in running.records if r.get("event") == "started"]), 1)

    def test_told_to_stop_before_everything_has_started(self):
        running = self.start(shell("a", "exec sleep 1000", ready={"file": str(self.dir / "never")}), shell("b", "exec sleep 1000", after=["a"]))
        running.until(event="started", service="a")
        self.assertEqual(running.stop(), 0)
        self.assertEqual([r["service"] for r in running.records if r.get("event") == "started"], ["a"])

    def test_told_twice_is_told_once(self):
        running = self.start(shell("a", "trap 'echo told; sleep 0.3; exit 0' TERM; echo up; while :; do sleep 0.02; done"))
        running.until(line="up")
        pid = running.pid()
        for _ in range(5):
            os.kill(pid, signal.SIGTERM)
        self.assertEqual(running.end(), 0)
        self.assertEqual(running.lines("a"), ["up", "told"])

    def test_what_a_daemon_writes_afterwards_is_kept(self):
        """It holds the pipes of its service, which has ended, was started again, and has pipes of its own by then."""
        script = "if [ ! -e $1 ]; then touch $1; (setsid sh -c 'sleep 0.5; echo from the daemon' &) ; exit 1; fi; echo second; sleep 1000"
        service = shell("a", script, restart={"base_ms": 1})
        service["argv"] += ["a", str(self.dir / "mark")]
        running = self.start(service)
        running.until(line="second")
        self.assertEqual(running.until(line="from the daemon")["service"], "a")
        self.assertEqual(running.stop(), 0)

    def test_every_byte_comes_through(self):
        script = "import os\nfor byte in range(256): os.write(1, bytes([97, byte, 98, 10]) if byte != 10 else b'')"
        running = self.start(python("a", script, restart={"policy": "never"}))
        self.assertEqual(running.end(), 0)
        expected = ["a" + (chr(byte) if byte < 128 else f"\\x{byte:02x}") + "b" for byte in range(256) if byte != 10]
        self.assertEqual(running.lines("a"), expected)

    def test_clients_that_hang_up_harm_nobody(self):
        path = str(self.dir / "control")
        running = self.start(shell("a", "exec sleep 1000"), control=path)
        running.until(event="ready", service="a")
        for request in (b"status\n", b"status", b"", b"stat", b"x" * 100000, b"\n\n\n", b"\0\xff\n"):
            for _ in range(10):
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(path)
                    try:
                        client.sendall(request)
                    except BrokenPipeError:
                        pass
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.sendall(b"status\n")
            answer = json.loads(client.makefile().read())
        self.assertEqual([(s["name"], s["state"], s["restarts"]) for s in answer["services"]], [("a", "ready", 0)])
        self.assertEqual(running.stop(), 0)

    def test_as_many_services_as_there_may_be(self):
        services = [shell(f"s{n}", "exec sleep 1000", **({"after": [f"s{n - 1}"]} if n % 8 else {})) for n in range(64)]
        running = self.start(*services)
        for _ in services:
            running.until(event="ready")
        self.assertEqual(running.stop(), 0)
        self.assertEqual(len([r for r in running.records if r.get("event") == "ended"]), 64)

    def test_readiness_said_at_once_is_heard(self):
        """The service's first act is to say that it is ready: it may come together with the news that it runs."""
        script = ("import os, socket, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); "
                  "s.sendto(b'READY=1', '\\0' + os.environ['NOTIFY_SOCKET'][1:]); time.sleep(1000)")
        for _ in range(10):
            running = self.start(python("a", script, ready={"notify": True}))
            running.until(event="ready", service="a")
            self.assertEqual(running.stop(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)

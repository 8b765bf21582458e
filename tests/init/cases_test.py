"""The cases that no process manager passes all of: daemons' grace, orphans, crash loops, noise, readers that are gone."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

import support
from support import python, shell

# A daemon as daemons are made: forked twice, in a session of its own. On TERM it needs 200 ms, then says so.
DAEMON = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        def stop(*_):
            time.sleep(0.2)
            open(sys.argv[1], 'w').write('stopped in peace')
            os._exit(0)
        signal.signal(signal.SIGTERM, stop)
        open(sys.argv[1] + '.up', 'w').close()
        time.sleep(1000)
    os._exit(0)
time.sleep(1000)
"""


class Cases(support.Case):
    def test_a1_a_daemon_gets_term_and_its_grace(self):
        mark = self.dir / "mark"
        service = python("a", DAEMON)
        service["argv"].append(str(mark))
        running = self.start(service)
        self.assertTrue(support.wait_for(lambda: pathlib.Path(f"{mark}.up").exists()))
        self.assertEqual(running.stop(), 0)
        self.assertEqual(mark.read_text(), "stopped in peace")

    def test_a1_who_ignores_term_is_killed_after_the_grace(self):
        running = self.start(shell("a", "trap '' TERM; echo up; while :; do sleep 0.05; done", stop={"grace_ms": 300}))
        running.until(service="a", line="up")
        before = time.monotonic()
        self.assertEqual(running.stop(), 0)
        self.assertGreaterEqual(time.monotonic() - before, 0.3)
        self.assertIn("killed", [record.get("event") for record in running.records])

    def test_a2_orphans_leave_no_zombies(self):
        script = ("for i in $(seq 20); do (sh -c 'exit 0' & ) ; done; " + support.ZOMBIES + "; sleep 1000")
        running = self.start(shell("a", script))
        while not running.lines("a"):
            running.next()
        self.assertEqual(running.lines("a"), ["0"])
        self.assertEqual(running.stop(), 0)

    def test_a3_crash_loop_backs_off_and_ends_with_a_reason(self):
        running = self.start(shell("a", "exit 3", restart={"max": 5, "base_ms": 20, "cap_ms": 100}))
        self.assertEqual(running.end(), 72)
        waits = [record["in_ms"] for record in running.records if record.get("event") == "restarting"]
        self.assertEqual(len(waits), 5)  # six launches
        for wait, nominal in zip(waits, (20, 40, 80, 100, 100)):
            self.assertGreaterEqual(wait, nominal - nominal // 5)
            self.assertLessEqual(wait, nominal + nominal // 5)
        self.assertEqual(len([r for r in running.records if r.get("event") == "started"]), 6)
        last = running.records[-1]
        self.assertEqual((last["event"], last["status"], last["reason"]), ("exit", 72, "a critical service has spent its restarts: a"))

    def test_a3_what_is_not_critical_may_fail(self):
        running = self.start(shell("a", "exit 3", critical=False, restart={"max": 1, "base_ms": 1}), shell("b", "sleep 1000"))
        running.until(event="failed", service="a")
        self.assertEqual(running.stop(), 0)

    def test_a4_a5_small_and_quick(self):
        running = self.start({"name": "a", "argv": ["sleep", "1000"]})
        running.until(event="ready", service="a")
        text = pathlib.Path(f"/proc/{running.pid()}/smaps_rollup").read_text()
        pss = int(text.split("\nPss:")[1].split()[0])
        self.assertLess(pss, 1024, "KiB")
        self.assertEqual(running.stop(), 0)
        self.assertLess(os.path.getsize(support.INIT), 1 << 20)
        header = subprocess.run(["readelf", "-l", support.INIT], check=True, capture_output=True).stdout
        self.assertNotIn(b"INTERP", header)
        self.assertNotIn(b"DYNAMIC", header)

    def test_a6_nothing_writable_no_user_no_rights_root(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to mount and to become a user that no file knows")
        script = ("grep -E '^(CapEff|NoNewPrivs|Uid)' /proc/self/status; for f in /x /etc/x /tmp/x /var/x; do touch $f 2>/dev/null && echo wrote $f; done; "
                  "cp /bin/true /run/true; /run/true 2>/dev/null; echo $?; id -un 2>/dev/null || echo nobody knows")
        config = self.config(shell("a", script, restart={"policy": "never"}))
        os.chmod(self.dir, 0o755)
        inner = ["set -e", "mount --rbind / /mnt", "cd /mnt", "mount -t tmpfs -o noexec,mode=1777 none run", "mount -t proc none proc",
                 "mount -t tmpfs -o ro none tmp" if not str(self.dir).startswith("/tmp/") else "true",
                 "mount -o remount,bind,ro /mnt", "exec chroot /mnt setpriv --reuid=54321 --regid=54321 --clear-groups --no-new-privs "
                 f"--bounding-set=-all --inh-caps=-all -- {support.INIT} --services {config}"]
        done = subprocess.run(["unshare", "-pfm", "sh", "-c", "\n".join(inner)], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done)
        lines = [record["line"] for record in map(json.loads, done.stdout.splitlines()) if "line" in record]
        self.assertEqual([line.split()[1] for line in lines[:3]], ["54321", "0000000000000000", "1"])
        self.assertEqual(lines[3:], ["126", "54321", "nobody knows"])

    def test_a7_a_stopped_child_holds_nobody_up(self):
        script = "sh -c 'kill -STOP $$' & for i in $(seq 5); do (sh -c 'exit 0' &); done; " + support.ZOMBIES + "; sleep 1000"
        running = self.start(shell("a", script))
        while not running.lines("a"):
            running.next()
        self.assertEqual(running.lines("a"), ["0"])
        before = time.monotonic()
        self.assertEqual(running.stop(), 0)
        self.assertLess(time.monotonic() - before, 30)

    def test_a7_a_child_in_uninterruptible_sleep_holds_nobody_up(self):
        """A parent whose vforked child has not started its program yet sleeps in state D; the child waits for a FIFO."""
        fifo = self.dir / "fifo"
        os.mkfifo(fifo)
        stuck = ("import os, sys\n"
                 "os.posix_spawn('/bin/true', ['true'], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 3, sys.argv[1], os.O_RDONLY, 0)])")
        script = ("\"$@\" & for i in $(seq 50); do grep -q '^State:.*disk sleep' /proc/$!/status && break; sleep 0.1; done; "
                  "grep -o 'disk sleep' /proc/$!/status; for i in $(seq 5); do (sh -c 'exit 0' &); done; " + support.ZOMBIES + "; sleep 1000")
        service = shell("a", script, stop={"grace_ms": 500})
        service["argv"] += ["sh", sys.executable, "-S", "-c", stuck, str(fifo)]
        running = self.start(service)
        while len(running.lines("a")) < 2:
            running.next()
        self.assertEqual(running.lines("a"), ["disk sleep", "0"])
        self.assertEqual(running.stop(), 0)

    def test_a8_a_reader_that_is_gone_blocks_nobody(self):
        mark = self.dir / "mark"
        running = self.start(shell("a", f"yes | head -c 20000000; echo done > {mark}; sleep 1000"))
        running.next()
        running.process.stdout.close()
        self.assertTrue(support.wait_for(mark.exists, 60))
        os.kill(running.pid(), signal.SIGTERM)
        self.assertEqual(running.process.wait(60), 0)
        running.process.stdout = None

    def test_a8_a_reader_that_sleeps_costs_lines_not_time(self):
        mark = self.dir / "mark"
        running = self.start(shell("a", f"yes | head -c 5000000; echo done > {mark}; sleep 1000"))
        self.assertTrue(support.wait_for(mark.exists, 60))  # nobody has read a byte
        os.kill(running.pid(), signal.SIGTERM)
        self.assertEqual(running.end(), 0)
        dropped = sum(record["lines"] for record in running.records if record.get("event") == "dropped")
        self.assertGreater(dropped, 0)
        self.assertEqual(dropped + len(running.lines("a")), 2_500_000)

    def test_a9_a_reader_that_sleeps_at_the_end_gets_every_line_or_their_number(self):
        """More than ring and pipe hold, and the service is gone: what is left in its pipe waits for the reader."""
        count = 3600
        script = f"import sys\nfor i in range({count}): sys.stdout.write('%07d %s\\n' % (i, 'n' * 70))"
        running = self.start(python("a", script, restart={"policy": "never"}))
        time.sleep(0.5)
        self.assertEqual(running.end(), 0)
        lines = running.lines("a")
        self.assertEqual({len(line) for line in lines}, {78})
        dropped = sum(record["lines"] for record in running.records if record.get("event") == "dropped")
        self.assertEqual(dropped + len(lines), count)

    def test_a9_every_line_is_one_object(self):
        script = "printf 'a\\tb\"q\\\\ \\303\\244 \\377\\001\\n'; head -c 40000 /dev/zero | tr '\\0' x; echo; printf 'no newline'"
        running = self.start(shell("a", script, restart={"policy": "never"}))
        self.assertEqual(running.end(), 0)
        records = [record for record in running.records if "line" in record]
        self.assertEqual(records[0]["line"], 'a\tb"q\\ \u00e4 \\xff\x01')
        long = records[1:-1]
        self.assertEqual([(len(r["line"]), r["partial"]) for r in long], [(16384, True), (16384, True), (7232, False)])
        self.assertEqual((records[-1]["line"], records[-1]["partial"]), ("no newline", False))

    def test_a9_a_character_is_not_split(self):
        running = self.start(shell("a", "printf x; for i in $(seq 6000); do printf '\\342\\202\\254'; done; echo", restart={"policy": "never"}))
        self.assertEqual(running.end(), 0)
        self.assertEqual("".join(running.lines("a")), "x" + "\u20ac" * 6000)

    NOISE = 320_000  # lines of each of four services: 100 MB in all

    def noise(self):
        script = f"import sys\nfor i in range({self.NOISE}): sys.stdout.write('%07d %s\\n' % (i, 'n' * 70))"
        return [python(f"n{n}", script, restart={"policy": "never"}) for n in range(4)]

    def numbers(self, lines):
        """By service, the numbers in the order of their lines, and how many lines are said to be dropped."""
        numbers, dropped = {f"n{n}": [] for n in range(4)}, 0
        for record in map(json.loads, lines):
            if "line" in record:
                self.assertEqual(len(record["line"]), 78)
                numbers[record["service"]].append(int(record["line"][:7]))
            elif record["event"] == "dropped":
                dropped += record["lines"]
        return numbers, dropped

    def test_a9_noise_from_four_services_is_complete(self):
        """To a file, which always keeps up: nothing may be missing, and the order of each service's lines stays."""
        with open(self.dir / "out", "wb") as out:
            running = self.start(*self.noise(), stdout=out)
            self.assertEqual(running.process.wait(280), 0)
        numbers, dropped = self.numbers((self.dir / "out").read_bytes().splitlines())
        self.assertEqual(dropped, 0)
        for each in numbers.values():
            self.assertEqual(each, list(range(self.NOISE)))

    def test_a9_noise_into_a_pipe_is_complete_or_counted(self):
        """A reader on a busy machine may fall behind: what it misses is counted, and nothing is broken or out of order."""
        running = self.start(*self.noise())
        pieces = []  # read first, looked at afterwards
        while piece := os.read(running.process.stdout.fileno(), 1 << 20):
            pieces.append(piece)
        numbers, dropped = self.numbers(b"".join(pieces).splitlines())
        self.assertEqual(running.end(), 0)
        self.assertEqual(sum(map(len, numbers.values())) + dropped, 4 * self.NOISE)
        for each in numbers.values():
            self.assertTrue(all(one < other for one, other in zip(each, each[1:])))

    def test_a10_outside_of_a_namespace_only_descendants_are_signalled(self):
        bystander = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(bystander.wait)
        self.addCleanup(bystander.kill)
        mark = self.dir / "mark"
        service = python("a", DAEMON)
        service["argv"].append(str(mark))
        running = self.start(service, namespace=[])
        self.assertTrue(support.wait_for(lambda: pathlib.Path(f"{mark}.up").exists()))
        running.process.send_signal(signal.SIGTERM)
        self.assertEqual(running.end(), 0)
        self.assertEqual(mark.read_text(), "stopped in peace")
        self.assertIsNone(bystander.poll())


if __name__ == "__main__":
    unittest.main(verbosity=2)

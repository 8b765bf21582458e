"""Running slipway-init as PID 1 of a PID namespace. Standard library only.

Environment: SLIPWAY_INIT, the program under test.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

INIT = os.environ["SLIPWAY_INIT"]
# Every signal that ends a process which does nothing about it.
FATAL = sorted(set(range(1, 32)) - {int(number) for number in (
    signal.SIGCHLD, signal.SIGCONT, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGURG, signal.SIGWINCH)})
# Shell text that prints how many zombies are left: it looks again for a while, as machines may be busy.
ZOMBIES = ("for i in $(seq 100); do left=$(grep -l '^State:.*zombie' /proc/[0-9]*/status 2>/dev/null | wc -l); "
           "[ $left = 0 ] && break; sleep 0.05; done; echo $left")
NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
if os.geteuid() != 0:
    NAMESPACE.insert(1, "--map-root-user")


def default_signals():
    """In a child before exec: who runs the tests in the background may ignore some, and children inherit that."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


class Running:
    """slipway-init with its output, as PID 1 unless `namespace` is another prefix."""

    def __init__(self, words, env=None, namespace=None, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, program=INIT):
        self.started = time.monotonic()
        self.process = subprocess.Popen([*(NAMESPACE if namespace is None else namespace), program, *words], stdin=stdin,
                                        stdout=stdout, stderr=subprocess.PIPE, env=env, preexec_fn=default_signals)
        self.records = []

    def pid(self):
        """Of slipway-init, seen from here."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for child in children.read_text().split():
                if b"slipway-init" in pathlib.Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[0]:
                    return int(child)
            time.sleep(0.005)
        raise AssertionError("slipway-init did not start")

    def next(self):
        """The next record, None at the end. Every line must be one JSON object."""
        line = self.process.stdout.readline()
        if not line:
            return None
        record = json.loads(line)
        assert isinstance(record, dict), line
        self.records.append(record)
        return record

    def until(self, **wanted):
        """Reads until a record has these values."""
        while (record := self.next()) is not None:
            if all(record.get(key) == value for key, value in wanted.items()):
                return record
        raise AssertionError(f"no record with {wanted}: {self.records} {self.process.stderr.read()}")

    def lines(self, service):
        return [record["line"] for record in self.records if record.get("service") == service and "line" in record]

    def stop(self, number=signal.SIGTERM):
        os.kill(self.pid(), number)
        return self.end()

    def end(self, timeout=60):
        """Reads what is left; the exit status."""
        while self.next() is not None:
            pass
        status = self.process.wait(timeout)
        self.err = self.process.stderr.read().decode()
        self.close()
        return status

    def close(self):
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def too_long(*_):
    raise AssertionError("the test waits for something that does not come")


class Case(unittest.TestCase):
    maxDiff = None
    most_s = 120  # a test that waits for ever says where, instead of being killed from outside

    def setUp(self):
        signal.signal(signal.SIGALRM, too_long)
        signal.alarm(self.most_s)
        self.addCleanup(signal.alarm, 0)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="slipway-init-test-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def config(self, *services, **more):
        path = self.dir / "services.json"
        path.write_text(json.dumps({"services": services, **more}))
        return path

    def start(self, *services, words=(), env=None, namespace=None, stdout=subprocess.PIPE, **more):
        running = Running(["--services", str(self.config(*services, **more)), *words], env=env, namespace=namespace, stdout=stdout)
        self.addCleanup(running.close)
        return running

    def command(self, *argv, words=(), **more):
        running = Running([*words, "--", *argv], **more)
        self.addCleanup(running.close)
        return running


def shell(name, script, **more):
    return {"name": name, "argv": ["sh", "-c", script], **more}


def python(name, script, **more):
    return {"name": name, "argv": [sys.executable, "-S", "-c", script], **more}


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False

"""What small inits are held to beside statuses: signals at odd moments, terminals, the death of the caller, orphans of a command."""

import os
import pathlib
import pty
import select
import signal
import subprocess
import sys
import unittest

import support
from support import shell

# Says which of the named signals come, until TERM. It waits with them blocked: one that comes between a handler and the
# next pause() would be handled, and never told of.
COUNTER = """
import os, signal, sys
wanted = {signal.SIGTERM} | {getattr(signal, name) for name in sys.argv[1:]}
signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
os.write(1, b'up\\n')
while True:
    number = signal.sigwait(wanted)
    if number == signal.SIGTERM:
        sys.exit(0)
    os.write(1, (signal.Signals(number).name + '\\n').encode())
"""


class Signals(support.Case):
    def counter(self, *names, **more):
        running = self.command(sys.executable, "-S", "-c", COUNTER, *names, **more)
        self.assertEqual(running.process.stdout.readline(), b"up\n")
        return running

    def test_hup_and_cont_at_once_arrive_once_each(self):
        for _ in range(20):
            running = self.counter("SIGHUP", "SIGCONT")
            os.kill(running.pid(), signal.SIGHUP)
            os.kill(running.pid(), signal.SIGCONT)
            came = [running.process.stdout.readline() for _ in range(2)]
            os.kill(running.pid(), signal.SIGTERM)
            self.assertEqual((sorted(came), running.process.stdout.read()), ([b"SIGCONT\n", b"SIGHUP\n"], b""))
            self.assertEqual(running.end(), 0)

    def test_nothing_comes_by_itself(self):
        running = self.counter("SIGHUP", "SIGCONT", "SIGWINCH", "SIGUSR1", "SIGPIPE", "SIGCHLD")
        os.kill(running.pid(), signal.SIGTERM)
        self.assertEqual(running.process.stdout.read(), b"")
        self.assertEqual(running.end(), 0)

    def on_terminal(self, *argv):
        pid, fd = pty.fork()
        if pid == 0:
            support.default_signals()
            os.execvp(support.NAMESPACE[0], [*support.NAMESPACE, support.INIT, "--", *argv])
        self.addCleanup(os.close, fd)
        return pid, fd

    def read_until(self, fd, wanted):
        said = b""
        while wanted not in said:
            ready, _, _ = select.select([fd], [], [], 20)
            self.assertTrue(ready, said)
            try:
                said += os.read(fd, 4096)
            except OSError:
                self.fail(f"the terminal ended after {said}")
        return said

    def test_nothing_comes_by_itself_on_a_terminal(self):
        pid, fd = self.on_terminal(sys.executable, "-S", "-c", COUNTER, "SIGHUP", "SIGCONT", "SIGWINCH")
        self.read_until(fd, b"up\r\n")
        child = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
        os.kill(int(child), signal.SIGTERM)
        self.assertRaises(OSError, os.read, fd, 1)  # its end, without a word more
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)

    def test_ctrl_z_does_not_stop_what_nobody_could_wake(self):
        script = "import sys\nprint('up', flush=True)\nprint('heard', sys.stdin.readline().strip(), flush=True)"
        pid, fd = self.on_terminal(sys.executable, "-S", "-c", script)
        self.read_until(fd, b"up\r\n")
        os.write(fd, b"\x1a")
        os.write(fd, b"me\n")
        self.assertIn(b"heard me", self.read_until(fd, b"heard me\r\n"))
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)

    def test_the_death_of_the_caller_is_passed_on(self):
        """Who wants a signal when the caller dies sets it before exec, as launchers do; here the caller dies."""
        caller = ("import ctypes, os, signal, sys, time\n"
                  "read, write = os.pipe()\n"
                  "if os.fork() == 0:\n"
                  "  ctypes.CDLL(None).prctl(1, int(signal.SIGUSR1), 0, 0, 0)\n"
                  "  os.set_inheritable(write, True)\n"
                  "  os.execv(sys.argv[2], [*sys.argv[2:-1], sys.argv[-1].replace('FD', str(write))])\n"
                  "os.close(write)\nos.read(read, 1)\n")
        script = "trap 'echo told; exit 3' USR1; echo up; echo x >&FD; while :; do sleep 0.02; done"
        running = self.command("bash", "-c", script, namespace=[sys.executable, "-c", caller, "caller"])
        self.assertEqual(running.process.stdout.read(), b"up\ntold\n")
        self.assertEqual(running.end(), 0)

    def test_folder_environment_and_descriptors_are_the_callers(self):
        read, write = os.pipe()
        os.set_inheritable(write, True)
        process = subprocess.Popen([*support.NAMESPACE, support.INIT, "--", "bash", "-c", f"pwd; echo $A; echo x >&{write}"], cwd=self.dir,
                                   env={"PATH": os.environ["PATH"], "A": "b c"}, stdout=subprocess.PIPE, pass_fds=[write])
        os.close(write)
        out, _ = process.communicate(timeout=20)
        self.assertEqual((out, process.returncode), (f"{self.dir}\nb c\n".encode(), 0))
        self.assertEqual(os.read(read, 9), b"x\n")
        os.close(read)

    def test_the_halt_signal_of_systemd_stops_services(self):
        running = self.start(shell("a", "exec sleep 1000"))
        running.until(event="ready", service="a")
        self.assertEqual(running.stop(37), 0)
        self.assertIn("told by SIGRTMIN+3", [record.get("reason") for record in running.records])

    def test_a_commands_orphans_are_reaped_while_it_runs(self):
        script = "for i in $(seq 20); do (sh -c 'exit 0' &); done; " + support.ZOMBIES
        running = self.command("sh", "-c", script)
        self.assertEqual(running.process.stdout.read().split(), [b"0"])
        self.assertEqual(running.end(), 0)

    def test_a_service_may_want_another_signal(self):
        for name in ("INT", "QUIT", "HUP", "USR1", "USR2", "ALRM", "WINCH"):
            running = self.start(shell("a", f"trap 'echo {name}; exit 0' {name}; trap 'echo TERM; exit 9' TERM; echo up; while :; do sleep 0.02; done",
                                       stop={"signal": name}))
            running.until(line="up")
            self.assertEqual(running.stop(), 0)
            self.assertEqual(running.lines("a"), ["up", name])


if __name__ == "__main__":
    unittest.main(verbosity=2)

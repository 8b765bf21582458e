"""What a person sees while it works: a live line with bytes, rate and remaining time on a terminal, plain lines elsewhere."""

import fcntl
import json
import os
import pathlib
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import tomllib
import unittest

import support

SPEC = "name: progress\ndebian: bookworm\napt: [jq]\n"
LIVE = re.compile(r"Downloading 1 file  \[[#-]{20}\]  \d+(\.\d)? [kM]B / \d+\.\d MB  \d+(\.\d)? [kM]B/s  \d+\.\ds")


def screen_after(said):
    """The rows that a terminal shows in the end, colours left out."""
    rows, row, column = [""], 0, 0
    for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", said):
        if token == "\r":
            column = 0
        elif token == "\n":
            row, column = row + 1, 0
            rows += [""] * (row + 1 - len(rows))
        elif token.startswith("\x1b["):
            if token.endswith("A"):
                row -= int(token[2:-1] or 1)
            elif token.endswith("J"):
                rows[row:] = [rows[row][:column]]
        else:
            rows[row] = rows[row][:column].ljust(column) + token + rows[row][column + len(token):]
            column += len(token)
    return rows


class Progress(support.Case):
    def setUp(self):
        super().setUp()
        self.folder = self.project(SPEC)
        self.slipway("lock", cwd=self.folder)
        self.slipway("build", cwd=self.folder)  # so that the shared store has every download
        self.slow_store()

    def slow_store(self):
        """A store that has every download but the largest, which comes at 1 MB a second from a mirror of our own."""
        debs = tomllib.loads((self.folder / "slipway.lock").read_text())["deb"]
        large = max(debs, key=lambda deb: deb["size"])
        self.assertGreater(large["size"], 2_000_000)
        shared = pathlib.Path(self.env["SLIPWAY_STORE"]) / "blobs/sha256"
        support.seed(self.dir / "store", self.folder / "slipway.lock", self.env["SLIPWAY_STORE"])
        (self.dir / "store/blobs/sha256" / large["sha256"]).unlink()
        mirror = self.dir / "mirror"
        (mirror / large["file"]).parent.mkdir(parents=True)
        support.link_or_copy(shared / large["sha256"], mirror / large["file"])
        faults = self.dir / "faults"
        faults.write_text(json.dumps({"/*": {"rate": 1_000_000}}))
        server = subprocess.Popen([sys.executable, support.SOURCE / "tests/support/mirror.py", mirror, "--faults", faults],
                                  stdout=subprocess.PIPE, text=True, env=dict(os.environ, PYTHONUNBUFFERED="1"))
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        self.addCleanup(server.stdout.close)
        variable = "SLIPWAY_SOURCE_" + large["source"].upper().replace("-", "_")
        self.env = dict(self.env, SLIPWAY_STORE=str(self.dir / "store"), TERM="xterm-256color",
                        **{variable: f"http://127.0.0.1:{int(server.stdout.readline())}"})
        self.env.pop("NO_COLOR")

    def on_terminal(self, *words, columns=100, until=None, status=0):
        """Everything that reaches a terminal of this width; at the sight of `until`, Ctrl-C is typed."""
        ours, theirs = os.openpty()
        self.addCleanup(os.close, ours)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        process = subprocess.Popen([support.SLIPWAY, *words], cwd=self.folder, env=self.env, stdin=theirs, stdout=theirs, stderr=theirs,
                                   start_new_session=True, preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0))
        os.close(theirs)
        said = b""
        while True:
            ready, _, _ = select.select([ours], [], [], support.TIMEOUT)
            self.assertTrue(ready, said)
            try:
                said += os.read(ours, 65536)
            except OSError:
                break
            if until is not None and until in said:
                os.write(ours, b"\x03")
                until = None
        self.assertEqual(process.wait(), status, said)
        return said.decode()

    def test_on_a_terminal(self):
        said = self.on_terminal("build")
        self.assertRegex(said, LIVE)
        # What is drawn is wiped: only whole lines stay.
        plain = [line for line in screen_after(said) if line.strip()]
        self.assertRegex(plain[-2], r"^Built progress:latest in .*: \d+ layers \(\d+ new\), .* compressed, .* unpacked$")
        self.assertRegex(plain[-1], r"^sha256:[0-9a-f]{64}$")
        for line in plain:
            self.assertNotRegex(line, r"\[#|\x1b")

    def test_on_a_narrow_terminal_until_ctrl_c(self):
        said = self.on_terminal("build", columns=40, until=b"/s ", status=130)
        drawn = re.findall(r"\x1b\[J([^\r\x1b]*)", said)
        self.assertTrue(drawn)
        for line in "\n".join(drawn).split("\n"):
            self.assertLess(len(line), 40, line)
        self.assertTrue(said.endswith("\x1b[Jinterrupted; what was finished is kept\r\n"), said)

    def test_elsewhere_there_are_plain_lines(self):
        process = subprocess.Popen([support.SLIPWAY, "build"], cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        lines = []
        for line in process.stderr:
            lines.append(line)
            if b"Downloaded" in line:
                process.send_signal(signal.SIGINT)
        process.stderr.close()
        self.assertEqual((process.stdout.read(), process.wait()), (b"", 130))
        process.stdout.close()
        self.assertRegex(lines[0], rb"^Downloaded 1 file in \d+(\.\d+)?s\n$")
        self.assertNotRegex(b"".join(lines), rb"[\x1b\r]")


if __name__ == "__main__":
    support.main()

#!/usr/bin/env python3
"""slipway-init beside other process managers, in one run: start, memory, restart, crash loop, orphans, stop.

    bench/init.py SLIPWAY_INIT [--runs N] [--json FILE]

Needs root, musl-gcc, and whichever of tini, dumb-init, catatonit, s6, runit and supervisor are installed; the others are left out and named. Each
manager is PID 1 of a PID namespace with one static service. Prints a table in Markdown.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
COLUMNS = ["start ms", "PSS kB", "restart ms", "launches in 10 s", "after a crash loop", "zombies of 20 orphans", "service gets TERM",
           "daemon gets TERM / grace", "stop s"]


class Manager:
    """How a manager is started with one service; `supervises`: it restarts."""

    def __init__(self, name, program, supervises, prepare):
        self.name, self.program, self.supervises, self.prepare = name, program, supervises, prepare


def ours(folder, service):
    restart = {"max": 100, "base_ms": 1, "cap_ms": 1000} if service[1] != "crash" else {"max": 5, "base_ms": 100, "cap_ms": 5000}
    (folder / "services.json").write_text(json.dumps({"services": [{"name": "a", "argv": service, "restart": restart}]}))
    return [ARGS.init, "--services", str(folder / "services.json")]


def s6(folder, service):
    (folder / "scan/a").mkdir(parents=True)
    run = folder / "scan/a/run"
    run.write_text(f"#!/bin/sh\nexec {' '.join(service)}\n")
    run.chmod(0o755)
    return ["s6-svscan", str(folder / "scan")]


def runit(folder, service):
    return ["runsvdir", s6(folder, service)[1]]


def supervisor(folder, service):
    (folder / "s.conf").write_text(f"[supervisord]\nnodaemon=true\nuser=root\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={folder}/pid\n"
                                   f"[program:a]\ncommand={' '.join(service)}\n")
    return ["supervisord", "-c", str(folder / "s.conf")]


MANAGERS = [
    Manager("slipway-init", "true", True, ours),
    Manager("tini -g", "tini", False, lambda folder, service: ["tini", "-g", "--", *service]),
    Manager("dumb-init", "dumb-init", False, lambda folder, service: ["dumb-init", *service]),
    Manager("catatonit", "catatonit", False, lambda folder, service: ["catatonit", "--", *service]),
    Manager("s6-svscan", "s6-svscan", True, s6),
    Manager("runsvdir", "runsvdir", True, runit),
    Manager("supervisord", "supervisord", True, supervisor),
]


class Run:
    """A manager with its service, in a PID namespace."""

    def __init__(self, manager, mode):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="slipway-bench-"))
        self.log = self.folder / "log"
        self.log.touch()
        words = manager.prepare(self.folder, [str(SERVICE), mode, str(self.log)])
        self.began = time.monotonic_ns()
        self.process = subprocess.Popen(["unshare", "-pf", "--kill-child", "--mount-proc", *words], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def times(self, what):
        return [int(line.split()[1]) for line in self.log.read_text().splitlines() if line.split()[0] == what]

    def wait(self, what, count=1, seconds=15):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if len(self.times(what)) >= count:
                return True
            time.sleep(0.002)
        return False

    def inside(self):
        """Pids, seen from here, of everything in the namespace; PID 1 first."""
        todo, found = [self.process.pid], []
        while todo:
            pid = todo.pop(0)
            try:
                kids = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            except OSError:
                continue
            found += map(int, kids)
            todo += map(int, kids)
        return found

    def services(self):
        return [pid for pid in self.inside() if os.path.realpath(f"/proc/{pid}/exe") == str(SERVICE)]

    def end(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def pss(pid):
    try:
        return int(pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().split("\nPss:")[1].split()[0])
    except (OSError, IndexError):
        return 0


def start_and_memory(manager):
    starts, memory = [], []
    for _ in range(ARGS.runs):
        run = Run(manager, "stay")
        if run.wait("start"):
            starts.append((run.times("start")[0] - run.began) / 1e6)
            time.sleep(0.05)
            memory.append(sum(pss(pid) for pid in run.inside() if pid not in run.services()))
        run.end()
    return f"{statistics.median(starts):.1f}", f"{statistics.median(memory):.0f}"


def restart(manager):
    if not manager.supervises:
        return "none"
    run = Run(manager, "stay")
    run.wait("start")
    time.sleep(1.5)
    killed = time.monotonic_ns()
    os.kill(run.services()[0], signal.SIGKILL)
    came = run.wait("start", 2)
    took = (run.times("start")[1] - killed) / 1e6 if came else None
    run.end()
    return f"{took:.1f}" if came else "never"


def crash(manager):
    run = Run(manager, "crash")
    try:
        status = run.process.wait(10)
        after = f"exits {status}"
    except subprocess.TimeoutExpired:
        after = "stays up"
    launches = len(run.times("start"))
    run.end()
    return str(launches), after


def orphans_and_stop(manager):
    run = Run(manager, "orphans")
    run.wait("start")
    time.sleep(1)
    zombies = 0
    for pid in run.inside():
        try:
            zombies += "State:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text()
        except OSError:
            pass
    first = run.inside()[0]
    before = time.monotonic()
    os.kill(first, signal.SIGTERM)
    try:
        run.process.wait(10)
        took = f"{time.monotonic() - before:.2f}"
    except subprocess.TimeoutExpired:
        took = "over 10"
    answer = [str(zombies), "yes" if run.times("term") else "no",
              f"{'yes' if run.times('daemon-term') else 'no'} / {'yes' if run.times('daemon-done') else 'no'}", took]
    run.end()
    return answer


def main():
    global ARGS, SERVICE
    parser = argparse.ArgumentParser()
    parser.add_argument("init")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", type=pathlib.Path)
    ARGS = parser.parse_args()
    rows = {}
    ARGS.init = os.path.abspath(ARGS.init)
    with tempfile.TemporaryDirectory() as folder:
        SERVICE = pathlib.Path(folder) / "service"
        subprocess.run(["musl-gcc", "-O2", "-static", "-o", SERVICE, HERE / "init_service.c"], check=True)
        print(f"{time.strftime('%Y-%m-%d')}, Linux {platform.release()}, {os.cpu_count()} cores, medians of {ARGS.runs} starts\n")
        print(f"| PID 1 | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}")
        for manager in MANAGERS:
            if shutil.which(manager.program) is None:
                print(f"| {manager.name} | not installed |")
                continue
            row = [*start_and_memory(manager), restart(manager), *crash(manager), *orphans_and_stop(manager)]
            rows[manager.name] = dict(zip(COLUMNS, row))
            print(f"| {manager.name} | {' | '.join(row)} |", flush=True)
    if ARGS.json:
        ARGS.json.write_text(json.dumps({"runs": ARGS.runs, "managers": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What locking and building examples/tf29 costs: time, processor, memory, disk and network, and the image's layers.

    bench/build.py SLIPWAY [--example DIR] [--downloads STORE] [--work DIR] [--no-lock] [--json FILE]

Works in a folder of its own with an empty store. --downloads is a store whose downloads are linked into it before the builds, so
that a build's figures hold no download (default: what locking cold and one build have fetched). --no-lock leaves out what needs
the package index. Prints tables in Markdown. CPU and disk are of slipway and everything it started; memory is slipway's own, and
beside it the largest of the programs that it ran (the import check's Python, as a rule).
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from measure import link

HERE = pathlib.Path(__file__).resolve().parent


class Measured:
    """One command: what it cost, and what it answered."""

    def __init__(self, argv, cwd, env):
        began = time.monotonic()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen(argv, cwd=cwd, env=env, stdout=out, stderr=err)
            self.own_kib = 0
            watcher = threading.Thread(target=self.watch, args=(process.pid,))
            watcher.start()
            _, status, used = os.wait4(process.pid, 0)
            self.seconds = time.monotonic() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            watcher.join()
            out.seek(0)
            err.seek(0)
            self.out = out.read().decode()
            if process.returncode != 0:
                sys.exit(f"{' '.join(map(str, argv))}: status {process.returncode}\n{err.read().decode()}")
        self.cpu = used.ru_utime + used.ru_stime
        self.child_kib = used.ru_maxrss
        self.written = used.ru_oublock * 512

    def watch(self, pid):
        try:
            while True:
                self.own_kib = max(self.own_kib, int(pathlib.Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]))
                time.sleep(0.02)
        except (OSError, IndexError):
            pass  # it has ended


class Bench:
    def __init__(self, arguments, work):
        self.slipway = str(pathlib.Path(arguments.slipway).resolve())
        self.work = work
        self.project = work / "project"
        shutil.copytree(arguments.example, self.project, ignore=shutil.ignore_patterns("output"))
        self.rows = []

    def store(self, name):
        return self.work / name

    def run(self, title, store, *words, note=True):
        blobs = self.store(store) / "blobs/sha256"
        before = set(os.listdir(blobs)) if blobs.exists() else set()
        env = dict(os.environ, SLIPWAY_STORE=str(self.store(store)), SLIPWAY_STATE=str(self.work / "state"), NO_COLOR="1")
        done = Measured([self.slipway, *words, "--json"], self.project, env)
        came = sum((blobs / name).stat().st_size for name in set(os.listdir(blobs)) - before if name in self.wanted())
        if note:
            self.rows.append((title, done, came))
            print(f"{title}: {done.seconds:.2f} s", file=sys.stderr)
        return json.loads(done.out)

    def wanted(self):
        """SHA-256 of everything that the lock fetches."""
        text = (self.project / "slipway.lock").read_text() if (self.project / "slipway.lock").exists() else ""
        return {word.split('"')[1] for word in text.split("sha256 = ")[1:]}

    def link(self, store, downloads):
        """The downloads of one store in another, which knows nothing else."""
        there = self.store(store) / "blobs/sha256"
        there.mkdir(parents=True)
        for name in self.wanted():
            source = downloads / "blobs/sha256" / name
            if source.exists():
                try:
                    link(source, there / name)
                except OSError:
                    shutil.copy2(source, there / name)

    def edit(self, path, before, after):
        file = self.project / path
        text = file.read_text()
        if before not in text:
            sys.exit(f"{path} holds no `{before}`")
        file.write_text(text.replace(before, after))


def table(bench):
    lines = ["| | wall s | CPU s | slipway's memory MB | largest program MB | written MB | downloaded MB |", "|---|---|---|---|---|---|---|"]
    for title, done, came in bench.rows:
        lines.append(f"| {title} | {done.seconds:.2f} | {done.cpu:.2f} | {done.own_kib * 1024 / 1e6:.0f} | {done.child_kib * 1024 / 1e6:.0f} "
                     f"| {done.written / 1e6:.0f} | {came / 1e6:.1f} |")
    return lines


def layers(record):
    lines = ["| layer | kind | compressed MB | unpacked MB |", "|---|---|---|---|"]
    for layer in record["layers"]:
        lines.append(f"| {layer['name']} | {layer['kind']} | {layer['size'] / 1e6:.2f} | {layer['size_unpacked'] / 1e6:.2f} |")
    lines.append(f"| all {len(record['layers'])} | | {record['size'] / 1e6:.1f} | {record['size_unpacked'] / 1e6:.1f} |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slipway")
    parser.add_argument("--example", default=str(HERE.parent / "examples/tf29"))
    parser.add_argument("--downloads", type=pathlib.Path)
    parser.add_argument("--work", help="where to work (some 8 GB); default: a temporary folder")
    parser.add_argument("--no-lock", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="slipway-bench-", dir=arguments.work, ignore_cleanup_errors=True) as folder:
        bench = Bench(arguments, pathlib.Path(folder))
        committed = (bench.project / "slipway.lock").read_text()
        if not arguments.no_lock:
            (bench.project / "slipway.lock").unlink()
            bench.run("lock, cold (empty store)", "lock", "lock")
            (bench.project / "slipway.lock").unlink()
            bench.run("lock, warm (the same again)", "lock", "lock")
            (bench.project / "slipway.lock").write_text(committed)
        if arguments.downloads is None:
            bench.run("", "fetch", "build", note=False)
        bench.link("build", arguments.downloads or bench.store("fetch"))
        record = bench.run("build, cold (downloads there)", "build", "build")
        bench.run("build, nothing changed", "build", "build")
        script = next((bench.project / "scripts").iterdir()).relative_to(bench.project)
        (bench.project / script).write_text((bench.project / script).read_text() + "\n# changed\n")
        bench.run("build, one script changed", "build", "build")
        if not arguments.no_lock:
            bench.edit("slipway.yaml", "seaborn==0.12.2", "seaborn==0.12.1")
            bench.run("lock, one pin changed", "build", "lock")
            bench.run("build, one pin changed", "build", "build")
        print(f"Linux {platform.release()}, {os.cpu_count()} cores, load at the start {load:.1f}, {record['digest']}\n")
        print("\n".join(table(bench) + [""] + layers(record)))
        if arguments.json:
            steps = {title: {"wall_s": round(done.seconds, 3), "cpu_s": round(done.cpu, 3), "memory_bytes": done.own_kib * 1024,
                             "largest_program_bytes": done.child_kib * 1024, "written_bytes": done.written, "downloaded_bytes": came}
                     for title, done, came in bench.rows}
            arguments.json.write_text(json.dumps({"digest": record["digest"], "size": record["size"], "size_unpacked": record["size_unpacked"],
                                                  "layers": len(record["layers"]), "steps": steps}, indent=1) + "\n")
        subprocess.run(["chmod", "-R", "u+rwx", folder], check=False)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Runs every benchmark beside its rivals on this machine, keeps the results in bench/results and writes them into the documentation.

    bench/run.py BUILD [--store STORE] [--work DIR] [--only NAME]... [--skip-rival NAME]...

BUILD is a release build. STORE holds, or is given, the downloads of examples/tf29 (default: BUILD/test-store). Needs root, 40 GB of disk, a quiet
machine, and what `tools/install-deps bench` installs. A benchmark that takes more than 45 minutes is ended; docker with pip is the slowest
(`--skip-rival "docker + pip"`). With --only, the other results stay as they were measured.
"""

import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
RESULTS = HERE / "results"
LIMIT = 2700  # seconds that one benchmark may take
ON_DISK = {"rivals", "build", "team"}  # those that write much: on a file system of their own


def said(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def versions(build):
    """What was measured, by name; what is not installed is left out."""
    found = {"slipway": said(build / "out/slipway", "--version").split(" ")[-1], "commit": said("git", "-C", ROOT, "rev-parse", "--short", "HEAD")}
    for name, words in {"docker": ("/usr/bin/docker", "--version"), "buildah": ("buildah", "--version"), "podman": ("podman", "--version"), "runc": ("runc", "--version"),
                        "skopeo": ("skopeo", "--version")}.items():
        number = re.search(r"\d+\.\d+\.\d+", said(*words)) if shutil.which(words[0]) else None
        if number:
            found[name] = number.group()
    python = build / "serving-clients/tensorflow/bin/python"
    for name in ("tensorflow", "fastapi", "uvicorn"):
        number = said(python, "-c", f"import importlib.metadata as m; print(m.version('{name}'))") if python.exists() else ""
        if number:
            found[name] = number
    return found


def machine(build):
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1)) * 1024
    return {"date": time.strftime("%Y-%m-%d", time.gmtime()), "cores": os.cpu_count(), "cpu": cpu.group(1) if cpu else platform.machine(),
            "memory_bytes": memory, "kernel": platform.release().split("-")[0], "versions": versions(build)}


def prepare(build, store):
    """Programs, downloads and the rival server, none of which is measured."""
    targets = ["slipway", "slipway-init", "slipway-serve", "serving_bench", "serving_instructions"]
    subprocess.run(["cmake", "--build", build, "-j", str(os.cpu_count()), "--target", *targets], check=True, stdout=subprocess.DEVNULL)
    store.mkdir(parents=True, exist_ok=True)
    env = dict(os.environ, SLIPWAY_STORE=str(store), SLIPWAY_STATE=str(build / "bench-state"), NO_COLOR="1")
    subprocess.run([build / "out/slipway", "-q", "build"], check=True, cwd=ROOT / "examples/tf29", env=env, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, ROOT / "tests/serving/fetch_tensorflow.py", build / "tf"], check=False, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, ROOT / "tests/serving/fetch_clients.py", build / "serving-clients"], check=False, stdout=subprocess.DEVNULL)
    python = build / "serving-clients/tensorflow/bin/python"
    if python.exists() and not said(python, "-c", "import fastapi, uvicorn; print(1)"):
        subprocess.run([python, "-m", "pip", "install", "-q", "fastapi", "uvicorn[standard]"], check=False)


class Disk:
    """A new ext4 in a file: what is built there pays for nothing that was deleted before, and is on the same kind of disk everywhere."""

    def __init__(self, folder):
        self.file = folder / "disk.img"

    def __enter__(self):
        with open(self.file, "wb") as file:
            file.truncate(40 << 30)
        subprocess.run(["mkfs.ext4", "-q", "-F", self.file], check=True)
        # A short path, however deep the checkout lies: containerd's sockets below it have 107 bytes.
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="slipway-"))
        subprocess.run(["mount", "-o", "loop", self.file, self.place], check=True)
        return self.place

    def __exit__(self, *_):
        subprocess.run(["umount", self.place], check=True)
        self.place.rmdir()
        self.file.unlink()


def measure(words):
    """Runs one benchmark. One that takes too long is asked to end, so that it takes its daemons and mounts with it."""
    process = subprocess.Popen(words, env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1"))
    try:
        if process.wait(LIMIT) != 0:
            raise subprocess.CalledProcessError(process.returncode, words)
    finally:
        process.terminate()
        process.wait()


def run_all(benches, chosen, work, build):
    """The chosen ones in turn, each result into bench/results; what went wrong."""
    failed = []
    for name in chosen:
        began, load = time.monotonic(), os.getloadavg()[0]
        print(f"--- {name}", file=sys.stderr, flush=True)
        target = work / f"{name}.json"
        target.unlink(missing_ok=True)
        words = [sys.executable, *map(str, benches[name]), "--json", str(target)]
        try:
            if name in ON_DISK:
                with Disk(work) as disk:
                    measure([*words, "--work", str(disk)])
            else:
                measure(words)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            failed.append(f"{name}: {error}")
            continue
        record = {"machine": machine(build), "load": round(load, 1), "took_s": round(time.monotonic() - began), **json.loads(target.read_text())}
        (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--store", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path, help="where to work; default: BUILD/bench")
    parser.add_argument("--only", action="append")
    parser.add_argument("--skip-rival", action="append", default=[])
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is mounted and started ends with us
    build = arguments.build.resolve()
    store = (arguments.store or build / "test-store").resolve()
    work = (arguments.work or build / "bench").resolve()
    work.mkdir(parents=True, exist_ok=True)
    slipway = build / "out/slipway"
    skip = [word for name in arguments.skip_rival for word in ("--skip", name)]
    benches = {
        "rivals": [HERE / "rivals.py", slipway, "--downloads", store, *skip],
        "init": [HERE / "init.py", build / "out/slipway-init"],
        "workspace": [HERE / "workspace.py", slipway, "--store", store],
        "registry": [HERE / "registry.py", slipway],
        "team": [HERE / "team.py", slipway, "--store", store],
        "serving": [HERE / "serving.py", build, "--rounds", 5],
        "build": [HERE / "build.py", slipway, "--downloads", store, "--no-lock"],
    }
    chosen = arguments.only or list(benches)
    unknown = set(chosen) - set(benches)
    if unknown:
        sys.exit(f"error: there is no benchmark {', '.join(unknown)}\nhint: {', '.join(benches)}")
    prepare(build, store)
    RESULTS.mkdir(exist_ok=True)
    failed = run_all(benches, chosen, work, build)
    subprocess.run([sys.executable, HERE / "report.py"], check=True)
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()

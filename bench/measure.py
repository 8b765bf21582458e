"""What a command and everything that it starts, daemons included, costs: one control group around all of it (needs root)."""

import os
import pathlib
import shutil
import subprocess
import threading
import time

V1 = pathlib.Path("/sys/fs/cgroup/cpuacct")
V2 = pathlib.Path("/sys/fs/cgroup")


def link(source, target):
    """A file that is to be in two places: copied where they are not on one file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


class Cost:
    def __init__(self, wall, cpu, memory):
        self.wall, self.cpu, self.memory = wall, cpu, memory

    def record(self, **more):
        """As it stands in results: seconds, seconds, bytes."""
        return {"wall_s": round(self.wall, 3), "cpu_s": round(self.cpu, 3), "memory_bytes": self.memory, **more}


class Group:
    """A control group that everything under measurement lives in, with a daemon's containers in `containers`."""

    def __init__(self, name):
        self.v1 = (V1 / "cgroup.procs").exists()
        self.path = (V1 if self.v1 else V2) / name
        self.name = name
        for folder in (self.path, self.path / "programs"):
            folder.mkdir()

    @property
    def containers(self):
        """The parent of a daemon's containers, as `dockerd --cgroup-parent` takes it."""
        return f"/{self.name}/containers"

    def start(self, words, **more):
        """A process in the group."""
        procs = str(self.path / "programs/cgroup.procs")

        def enter():
            with open(procs, "w") as file:
                file.write("0")

        return subprocess.Popen([str(word) for word in words], preexec_fn=enter, **more)

    def cpu(self):
        """Seconds that all of the group have used since it was made, ended processes included."""
        if self.v1:
            return int((self.path / "cpuacct.usage").read_text()) / 1e9
        return int((self.path / "cpu.stat").read_text().split("usage_usec ")[1].split()[0]) / 1e6

    def memory(self):
        """Bytes of anonymous memory of all processes together, at this moment."""
        total = 0
        for procs in self.path.rglob("cgroup.procs"):
            try:
                for pid in procs.read_text().split():
                    total += int(pathlib.Path(f"/proc/{pid}/status").read_text().split("RssAnon:")[1].split()[0]) * 1024
            except (OSError, IndexError):
                pass  # it has ended meanwhile
        return total

    def measure(self, *commands, cwd=None, env=None):
        """Runs commands one after the other in the group. @return their cost together; memory is the most seen in any tenth of a second"""
        stop, peak = threading.Event(), [0]

        def watch():
            while not stop.wait(0.1):
                peak[0] = max(peak[0], self.memory())

        watcher = threading.Thread(target=watch)
        watcher.start()
        began, before = time.monotonic(), self.cpu()
        try:
            for words in commands:
                process = self.start(words, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                said = process.communicate()[0]
                if process.returncode != 0:
                    raise SystemExit(f"{' '.join(map(str, words))}: status {process.returncode}\n{said[-3000:]}")
        finally:
            stop.set()
            watcher.join()
        return Cost(time.monotonic() - began, self.cpu() - before, peak[0])

    def remove(self):
        """Everything that was started has ended: kills what has not, and takes the groups away."""
        for _ in range(100):
            folders = [path.parent for path in self.path.rglob("cgroup.procs")]
            pids = [int(pid) for folder in folders for pid in (folder / "cgroup.procs").read_text().split()]
            if not pids:
                break
            for pid in pids:
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    pass
            time.sleep(0.05)
        # Of version 1, a daemon's runtime has made the same groups in the other hierarchies.
        roots = [hierarchy / self.name for hierarchy in V2.iterdir()] if self.v1 else [self.path]
        for root in filter(pathlib.Path.is_dir, roots):
            for folder in sorted((path for path in (root, *root.rglob("*")) if path.is_dir()), key=lambda p: -len(p.parts)):
                folder.rmdir()

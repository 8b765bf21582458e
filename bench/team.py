#!/usr/bin/env python3
"""The colleague's first minutes: from an empty store to an open notebook, and the bytes on the wire, by `slipway up`, by
`docker pull` and `docker run`, by `podman pull` and `podman run`; then the same after one pin has changed.

    bench/team.py SLIPWAY [--project DIR] [--pin NAME==VERSION] [--runs N] [--store DIR] [--work DIR] [--json FILE]

All three get the same image, gzip layers, from docker-registry on loopback, each into an empty store. The measured part runs in a network
namespace of its own, whose loopback counts the bytes (both directions, with the headers of TCP); containers share that network. docker's daemon
is one of the bench's own, with overlay2 and sixteen downloads at once, which is what slipway has. A notebook is open when Jupyter answers.
Needs root; prints a table in Markdown: medians of wall seconds, and megabytes.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests/registry"))


def parsed():
    parser = argparse.ArgumentParser()
    parser.add_argument("slipway")
    parser.add_argument("--project", default=str(HERE.parent / "examples/tf29"))
    parser.add_argument("--pin", default="seaborn==0.12.1", help="what the change is")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--store", help="where the images are built; default: one that is thrown away")
    parser.add_argument("--work", help="where to work; default: the folder for temporary files")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    return parser.parse_args()


def checked(*words, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, check=False, **more)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, words))}: {done.stderr.decode()[-2000:]}")
    return done.stdout.decode()


def build(args, folder):
    """Both images, in a store that pushes them later; outside, where packages can be had."""
    project = folder / "project"
    shutil.copytree(args.project, project, ignore=shutil.ignore_patterns("output", "projects"))
    env = dict(os.environ, SLIPWAY_STORE=args.store or str(folder / "store"))
    slipway = [os.path.abspath(args.slipway)]
    checked(*slipway, "build", "--tag", "team-bench:1", cwd=project, env=env)
    name = args.pin.split("==")[0]
    spec = project / "slipway.yaml"
    changed, count = re.subn(rf"{re.escape(name)}==[^\s,\]]+", args.pin, spec.read_text())
    if count != 1:
        raise SystemExit(f"{spec} does not pin {name} once")
    spec.write_text(changed)
    checked(*slipway, "lock", "--update", name, cwd=project, env=env)
    checked(*slipway, "build", "--tag", "team-bench:2", cwd=project, env=env)
    return env["SLIPWAY_STORE"]


def wire():
    """Bytes that this network namespace's loopback has seen."""
    return int(re.search(r"lo:\s*(\d+)", pathlib.Path("/proc/self/net/dev").read_text()).group(1))


@contextlib.contextmanager
def measured(into, what):
    """Appends seconds and megabytes on the wire to the row `what`."""
    begin, before = time.monotonic(), wire()
    yield
    seconds, megabytes = time.monotonic() - begin, (wire() - before) / 1e6
    into.setdefault(what, []).append((seconds, megabytes))
    print(f"{', '.join(what)}: {seconds:.1f} s, {megabytes:.1f} MB", file=sys.stderr, flush=True)


def wait_for_notebook(url):
    """The server's answer to somebody without its token is that of an open notebook, too."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + 300
    while time.monotonic() < end:
        try:
            opener.open(url + "/api/status", timeout=10).close()
            return
        except urllib.error.HTTPError as error:
            if error.code in (401, 403):
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"{url} does not answer")


class Slipway:
    def __init__(self, slipway, folder, registry):
        self.program, self.folder, self.registry = slipway, folder, registry
        self.env = dict(os.environ, HOME=str(folder), SLIPWAY_STORE=str(folder / "store"), SLIPWAY_STATE=str(folder / "state"),
                        SLIPWAY_CONFIG=str(folder / "config.toml"), DOCKER_CONFIG=str(folder / "docker-config"))
        folder.mkdir()

    def call(self, *words):
        return checked(self.program, *words, env=self.env, cwd=self.folder)

    def start(self):
        said = json.loads(self.call("up", "--json", "--no-ssh-config", "--name", "bench", f"{self.registry.host}/team/bench:1"))
        wait_for_notebook(said["jupyter"]["url"].split("?")[0].rstrip("/"))

    def pull_changed(self):
        self.call("pull", f"{self.registry.host}/team/bench:2")

    def close(self):
        subprocess.run([self.program, "down", "--purge", "bench"], env=self.env, cwd=self.folder, capture_output=True, check=False)
        checked("rm", "-rf", self.folder)


class Containers:
    """docker or podman: `engine` is its command line."""

    def __init__(self, engine, pull, registry):
        self.engine, self.pull_flags, self.registry = engine, pull, registry

    def start(self):
        name = f"{self.registry.host}/team/bench:1"
        checked(*self.engine, "pull", "--quiet", *self.pull_flags, name)
        limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"] if self.engine[0] == "podman" else []
        checked(*self.engine, "run", "-d", "--name", "bench", "--network", "host", *limits, name)
        wait_for_notebook("http://127.0.0.1:8888")

    def pull_changed(self):
        checked(*self.engine, "pull", "--quiet", *self.pull_flags, f"{self.registry.host}/team/bench:2")

    def close(self):
        names = [f"{self.registry.host}/team/bench:{tag}" for tag in ("1", "2")]
        for words in (["rm", "-f", "bench"], ["rmi", "-f", *names]):
            subprocess.run([*self.engine, *words], capture_output=True, check=False)


def start_docker(folder, stack):
    folder.mkdir()
    (folder / "daemon.json").write_text(json.dumps({
        "data-root": f"{folder}/data", "exec-root": f"{folder}/exec", "pidfile": f"{folder}/pid", "bridge": "none", "iptables": False,
        "storage-driver": "overlay2", "max-concurrent-downloads": 16}))
    groups = [path / "docker" for path in pathlib.Path("/sys/fs/cgroup").iterdir() if path.is_dir()]
    stack.callback(remove_groups, [group for group in groups if not group.exists()])
    log = stack.enter_context(open(folder / "log", "wb"))
    daemon = subprocess.Popen(["dockerd", "--config-file", f"{folder}/daemon.json", "-H", f"unix://{folder}/sock"], stdout=log, stderr=log)
    stack.callback(daemon.wait, 60)
    stack.callback(daemon.terminate)
    engine = ["docker", "-H", f"unix://{folder}/sock"]
    for _ in range(300):
        if subprocess.run([*engine, "version"], capture_output=True, check=False).returncode == 0:
            return engine
        time.sleep(0.2)
    raise SystemExit(f"dockerd does not start: {(folder / 'log').read_text()[-2000:]}")


def remove_groups(groups):
    """dockerd leaves its own behind."""
    for group in groups:
        if group.exists():
            group.rmdir()


def inside(args):
    folder = pathlib.Path(args.inside)
    checked("ip", "link", "set", "lo", "up")
    os.environ["SLIPWAY"] = os.path.abspath(args.slipway)
    import registries
    rows = {}
    with contextlib.ExitStack() as stack:
        registry = registries.Registry(folder / "registry")
        stack.callback(registry.close)
        env = dict(os.environ, SLIPWAY_STORE=args.store, DOCKER_CONFIG=str(folder / "none"))
        for tag, what in (("1", "first"), ("2", "changed")):
            with measured(rows, ("slipway push", what)):
                checked(os.environ["SLIPWAY"], "push", f"team-bench:{tag}", f"{registry.host}/team/bench:{tag}", env=env)
        tools = {}
        if shutil.which("dockerd"):
            tools["docker pull + run"] = lambda n: Containers(docker, [], registry)
            docker = start_docker(folder / "docker", stack)
        if shutil.which("podman"):
            run = stack.enter_context(tempfile.TemporaryDirectory(prefix="slip-"))  # podman takes 50 letters at most
            podman = ["podman", "--root", str(folder / "podman"), "--runroot", run, "--runtime", "runc",
                      "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--events-backend", "none"]
            policy = folder / "policy.json"
            policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
            stack.callback(subprocess.run, [*podman, "system", "reset", "--force"], capture_output=True, check=False)
            tools["podman pull + run"] = lambda n: Containers(podman, ["--tls-verify=false", f"--signature-policy={policy}"], registry)
        tools["slipway up"] = lambda n: Slipway(os.environ["SLIPWAY"], folder / f"colleague{n}", registry)
        for turn in range(args.runs):
            for name, make in tools.items():
                with contextlib.closing(make(turn)) as tool:
                    with measured(rows, (name, "first")):
                        tool.start()
                    with measured(rows, (name, "changed")):
                        tool.pull_changed()
    record = {"runs": args.runs, "pin": args.pin, "ways": {}}
    print(f"load {os.getloadavg()[0]:.1f} at the end, {args.runs} runs\n")
    print("| | | wall s | MB on the wire |\n|---|---|---|---|")
    for (name, what), runs in rows.items():
        seconds, megabytes = (statistics.median(column) for column in zip(*runs))
        record["ways"].setdefault(name, {})[what] = {"wall_s": round(seconds, 2), "wire_bytes": round(megabytes * 1e6), "runs_wall_s": [round(run[0], 2) for run in runs]}
        print(f"| {name} | {what} | {seconds:.1f} | {megabytes:.1f} |")
    if args.json:
        args.json.write_text(json.dumps(record, indent=1) + "\n")


def main():
    args = parsed()
    # Told to end, it takes daemons and containers with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if args.inside:
        inside(args)
        return
    if os.geteuid() != 0:
        sys.exit("needs root, for the network namespace and the engines")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="slipway-bench-", dir=args.work))
    try:
        store = build(args, folder)
        words = [sys.executable, __file__, args.slipway, "--runs", str(args.runs), "--pin", args.pin, "--store", store, "--inside", str(folder)]
        words += ["--json", str(args.json)] if args.json else []
        process = subprocess.Popen(["unshare", "--net", "--mount", *words])  # what an engine leaves mounted goes with it
        try:
            sys.exit(process.wait())
        finally:
            process.terminate()
            process.wait()
    finally:
        subprocess.run(["chmod", "-R", "u+rwx", folder], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(folder, ignore_errors=True)
        if args.store:
            for tag in ("1", "2"):
                subprocess.run([args.slipway, "rm", f"team-bench:{tag}"], env=dict(os.environ, SLIPWAY_STORE=args.store),
                               capture_output=True, check=False)


if __name__ == "__main__":
    main()

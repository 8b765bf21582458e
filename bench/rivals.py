#!/usr/bin/env python3
"""Build and push of examples/tf29 beside docker with pip, docker with uv and buildah with uv, in one run.

    bench/rivals.py SLIPWAY --downloads STORE [--example DIR] [--work DIR] [--skip NAME]... [--json FILE]

Needs root, docker.io (20.10 or newer, with BuildKit), buildah, skopeo and docker-registry; what is missing is left out and named. All
tools get the same wheels, from STORE, over loopback: the rivals from a package index of our own, slipway as its downloads. All push to
a registry on loopback that is empty at the start.

The rivals get what helps them: their base image (Debian packages, Python, pip and uv; slipway makes it) is there and costs them nothing,
neither building nor uploading; sdists come as wheels; uv has a cache mount that is warm and compiles no byte code; buildah compresses
on all cores (that is its way) and has `--timestamp` and `--layers`. slipway's figures hold the base system, its configuration,
byte code and the import check.

Nothing is deleted before the end, and bench/run.py gives a new file system to work on: one without a journal passes over inodes that were just
freed, which whoever comes next would pay for.

Steps: cold (nothing built, everything downloaded), one requirement changed, one script changed, nothing changed. CPU seconds are those of the
tool, its daemons and everything they start, by a control group; memory is the most anonymous memory of all of them together; bytes are
what the registry has more than before.
"""

import argparse
import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import urllib.parse
import urllib.request

from measure import Group, link

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLE = HERE.parent / "examples/tf29"
CHANGED = ("seaborn", "0.12.2", "0.12.1")
BASE_SPEC = """\
name: bench-base
python: "3.9"
requirements: [pip, uv=={uv}]
apt: {apt}
"""
DOCKERFILE = """\
FROM {base}
USER root
COPY requirements.txt /tmp/requirements.txt
RUN {mount}{install}{more}
COPY scripts /workspace/scripts
COPY notebooks /workspace/notebooks
"""
PIP = "/opt/venv/bin/python -m pip install --no-deps --no-cache-dir --disable-pip-version-check --index-url {index} -r /tmp/requirements.txt"
UV = ("/opt/venv/bin/uv pip install --no-deps --python /opt/venv/bin/python --link-mode copy --cache-dir /uv-cache --index-url {index} "
      "-r /tmp/requirements.txt")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def checked(*words, **more):
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, words))}: status {done.returncode}\n{done.stdout[-3000:]}")
    return done.stdout


# --- the wheels that everybody gets -----------------------------------------------------------------------------------------------


class Index:
    """A simple index (PEP 503) of files in a store."""

    def __init__(self, wheels):
        index = self
        self.files = {file: (path, sha256) for _, file, path, sha256 in wheels}
        self.projects = {}
        for name, file, _, _ in wheels:
            self.projects.setdefault(name, []).append(file)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                parts = [urllib.parse.unquote(part) for part in self.path.strip("/").split("/")]
                if parts[0] == "simple" and len(parts) == 2 and parts[1] in index.projects:
                    links = [f'<a href="/files/{urllib.parse.quote(f)}#sha256={index.files[f][1]}">{f}</a>' for f in index.projects[parts[1]]]
                    self.answer("text/html", "\n".join(links).encode())
                elif parts[0] == "files" and parts[-1] in index.files:
                    self.answer("application/octet-stream", path=index.files[parts[-1]][0])
                else:
                    self.send_error(404)

            def answer(self, kind, body=b"", path=None):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(path.stat().st_size if path else len(body)))
                self.end_headers()
                if path:
                    with open(path, "rb") as file:
                        shutil.copyfileobj(file, self.wfile, 1 << 20)
                else:
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/simple"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def wheels_of(lock, store):
    """(name, file name, path, sha256) of every wheel of a lock; of sdists the wheel built from it."""
    found = []
    for wheel in lock["wheel"]:
        built = wheel.get("built") or wheel
        path = store / "blobs/sha256" / built["sha256"]
        if not path.exists():
            raise SystemExit(f"{store} lacks {built['file']}: run `slipway build` in examples/tf29 with this store first")
        found.append((wheel["name"], pathlib.Path(built["file"]).name, path, built["sha256"]))
    return found


# --- a registry -------------------------------------------------------------------------------------------------------------------


class Registry:
    """docker-registry on loopback; knows how many bytes it holds."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.host = f"127.0.0.1:{free_port()}"
        (folder / "config.yml").write_text(f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{self.host}'}}\n"
                                           f"storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}\n")
        self.process = subprocess.Popen(["docker-registry", "serve", str(folder / "config.yml")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://{self.host}/v2/", timeout=5)
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit("docker-registry does not answer")

    def bytes(self):
        return sum(path.stat().st_size for path in (self.folder / "data").rglob("data") if path.is_file())

    def end(self):
        self.process.terminate()
        self.process.wait()


# --- the tools --------------------------------------------------------------------------------------------------------------------


class Slipway:
    name = "slipway"

    def __init__(self, bench):
        self.bench = bench
        self.env = dict(os.environ, SLIPWAY_STORE=str(bench.work / "cold"), SLIPWAY_STATE=str(bench.work / "state"), HOME=str(bench.work / "home"), NO_COLOR="1")
        self.project = bench.work / "project"
        shutil.copytree(bench.example, self.project, ignore=shutil.ignore_patterns("output"))
        blobs = bench.work / "cold/blobs/sha256"
        blobs.mkdir(parents=True)
        lock = (self.project / "slipway.lock").read_text()
        for digest in {part.split('"')[1] for part in lock.split("sha256 = ")[1:]}:
            source = bench.downloads / "blobs/sha256" / digest
            if source.exists():
                link(source, blobs / digest)

    def prepare(self):
        pass

    def change_requirement(self):
        """The new lock is made beforehand, as the rivals get theirs."""
        name, before, after = CHANGED
        spec = self.project / "slipway.yaml"
        spec.write_text(spec.read_text().replace(f"{name}=={before}", f"{name}=={after}"))
        checked(self.bench.slipway, "lock", cwd=self.project, env=self.env)
        for _, _, path, digest in self.bench.wheels[-1:]:
            link(path, self.bench.work / "cold/blobs/sha256" / digest)

    def change_script(self):
        script = next((self.project / "scripts").iterdir())
        script.write_text(script.read_text() + "\n# changed\n")

    def step(self):
        target = f"{self.bench.registry.host}/slipway/tf29:1"
        return self.bench.group.measure([self.bench.slipway, "build"], [self.bench.slipway, "push", self.bench.image, target], cwd=self.project, env=self.env)


class Rival:
    """What docker and buildah have in common: a folder with a Dockerfile."""

    def __init__(self, bench, installer):
        self.bench, self.installer = bench, installer
        self.name = f"{self.tool} + {installer}"
        self.target = f"{bench.registry.host}/{self.tool}-{installer}/tf29:1"
        self.folder = bench.work / f"{self.tool}-{installer}"
        self.folder.mkdir()
        for name in ("scripts", "notebooks"):
            shutil.copytree(bench.example / name, self.folder / name)
        self.requirements(bench.pins)
        install = (PIP if installer == "pip" else UV).format(index=bench.index.url)
        mount = "" if installer == "pip" else "--mount=type=cache,target=/uv-cache "
        words = {"base": self.base(), "mount": mount, "install": install}
        (self.folder / "Dockerfile").write_text(DOCKERFILE.format(**words, more=""))
        (self.folder / "Dockerfile.warm").write_text(DOCKERFILE.format(**words, more=" && touch /opt/warm"))
        self.cold = True

    def requirements(self, pins):
        (self.folder / "requirements.txt").write_text("".join(f"{name}=={version}\n" for name, version in pins))

    def change_requirement(self):
        name, _, after = CHANGED
        self.requirements([(n, after if n == name else v) for n, v in self.bench.pins])

    def change_script(self):
        script = next((self.folder / "scripts").iterdir())
        script.write_text(script.read_text() + "\n# changed\n")

    def step(self):
        flags, self.cold = (["--no-cache"] if self.cold else []), False
        return self.bench.group.measure(self.build(flags), self.push(self.target), cwd=self.folder, env=self.env)

    def prepare(self):
        """Warms uv's cache mount; the index on loopback is pip's. With one file more, so that the layer is another one, which the
        build that is measured cannot find made."""
        if self.installer == "uv":
            self.bench.group.measure(self.build(["--no-cache", "-f", "Dockerfile.warm"]), cwd=self.folder, env=self.env)


class Docker(Rival):
    tool = "docker"

    def __init__(self, bench, installer):
        self.root = bench.work / "docker"
        self.env = dict(os.environ, DOCKER_BUILDKIT="1", DOCKER_HOST=f"unix://{self.root}/socket", DOCKER_CONFIG=str(self.root / "config"))
        if not hasattr(bench, "dockerd"):
            self.start_daemon(bench)
        super().__init__(bench, installer)

    def start_daemon(self, bench):
        self.root.mkdir()
        (self.root / "daemon.json").write_text("{}")
        log = open(self.root / "log", "w")
        bench.dockerd = bench.group.start(
            ["dockerd", "--config-file", self.root / "daemon.json", "--data-root", self.root / "data", "--exec-root", self.root / "exec", "--pidfile", self.root / "pid",
             "-H", f"unix://{self.root}/socket", "--bridge=none", "--iptables=false", "--ip6tables=false", "--cgroup-parent", bench.group.containers],
            stdout=log, stderr=log)
        for _ in range(300):
            if subprocess.run(["/usr/bin/docker", "version"], env=self.env, capture_output=True).returncode == 0:
                break
            if bench.dockerd.poll() is not None:
                raise SystemExit("dockerd does not start:\n" + (self.root / "log").read_text()[-2000:])
            time.sleep(0.1)
        checked("/usr/bin/docker", "load", "-i", bench.base, env=self.env)
        checked("/usr/bin/docker", "tag", "bench-base:latest", f"{bench.registry.host}/docker-base:1", env=self.env)
        checked("/usr/bin/docker", "push", f"{bench.registry.host}/docker-base:1", env=self.env)

    def base(self):
        return "bench-base:latest"

    def build(self, flags):
        return ["/usr/bin/docker", "build", "--network", "host", *flags, "-t", self.target, "."]

    def push(self, target):
        return ["/usr/bin/docker", "push", target]


class Buildah(Rival):
    tool = "buildah"

    def __init__(self, bench, installer):
        self.root = bench.work / "buildah"
        (self.root / "tmp").mkdir(parents=True)
        self.env = dict(os.environ, TMPDIR=str(self.root / "tmp"), XDG_RUNTIME_DIR=str(self.root), HOME=str(bench.work / "home"))
        self.words = ["buildah", "--root", self.root / "root", "--runroot", self.root / "run", "--storage-driver", "overlay"]
        checked(*self.words, "pull", f"docker-archive:{bench.base}", env=self.env)
        super().__init__(bench, installer)
        checked(*self.words, "push", "--tls-verify=false", self.base(), f"{bench.registry.host}/buildah-base:1", env=self.env)

    def base(self):
        return "localhost/bench-base:latest"

    def build(self, flags):
        return [*self.words, "build", "--layers", "--timestamp", "0", "--isolation", "chroot", "--network", "host", "--pull-never", *flags, "-t", self.target, "."]

    def push(self, target):
        return [*self.words, "push", "--tls-verify=false", target]


TOOLS = {"slipway": (Slipway, ()), "docker + pip": (Docker, ("pip",)), "docker + uv": (Docker, ("uv",)), "buildah + uv": (Buildah, ("uv",))}
STEPS = {"cold": None, "one requirement changed": "change_requirement", "one script changed": "change_script", "nothing changed": None}


class Bench:
    def __init__(self, arguments, work):
        self.slipway, self.work = str(pathlib.Path(arguments.slipway).resolve()), work
        self.downloads, self.example = arguments.downloads.resolve(), arguments.example.resolve()
        (work / "home").mkdir()
        self.group = Group(f"slipway-bench-{os.getpid()}")
        self.image = (self.example / "slipway.yaml").read_text().split("name:")[1].split()[0]
        lock = tomllib.loads((self.example / "slipway.lock").read_text())
        self.pins = [(wheel["name"], wheel["version"]) for wheel in lock["wheel"]]
        self.uv = next(tool["version"] for tool in lock["tool"] if tool["name"] == "uv")
        self.wheels = wheels_of(lock, self.downloads)

    def make_base(self):
        """The rivals' base image: Debian packages of examples/tf29, Python, pip and uv; and the wheel of the changed requirement."""
        env = dict(os.environ, SLIPWAY_STORE=str(self.downloads), SLIPWAY_STATE=str(self.work / "state"), HOME=str(self.work / "home"))
        folder = self.work / "base"
        folder.mkdir()
        apt = next(line.split(":", 1)[1].strip() for line in (self.example / "slipway.yaml").read_text().splitlines() if line.startswith("apt:"))
        (folder / "slipway.yaml").write_text(BASE_SPEC.format(uv=self.uv, apt=apt))
        checked(self.slipway, "lock", cwd=folder, env=env)
        self.base = self.work / "base.tar"
        checked(self.slipway, "build", "--output", f"docker-archive:{self.base}", cwd=folder, env=env)
        changed = self.work / "changed"
        shutil.copytree(self.example, changed, ignore=shutil.ignore_patterns("output"))
        spec = changed / "slipway.yaml"
        spec.write_text(spec.read_text().replace(f"{CHANGED[0]}=={CHANGED[1]}", f"{CHANGED[0]}=={CHANGED[2]}"))
        checked(self.slipway, "lock", cwd=changed, env=env)
        lock = tomllib.loads((changed / "slipway.lock").read_text())
        checked(self.slipway, "build", cwd=changed, env=env)
        self.wheels += [wheel for wheel in wheels_of(lock, self.downloads) if wheel[0] == CHANGED[0]]

    def run(self, skipped):
        self.make_base()
        self.index = Index(self.wheels)
        rows = {}
        for name, (kind, words) in TOOLS.items():
            lacking = [program for program in {Docker: ("dockerd", "/usr/bin/docker"), Buildah: ("buildah",)}.get(kind, ()) if not shutil.which(program)]
            if name in skipped or lacking:
                print(f"left out: {name}" + (f", {' and '.join(lacking)} missing" if lacking else ""), file=sys.stderr)
                continue
            self.registry = Registry(self.work / f"registry-{len(rows)}")
            try:
                tool = kind(self, *words)
                tool.prepare()
                rows[name] = {}
                for step, change in STEPS.items():
                    if change:
                        getattr(tool, change)()
                    before = self.registry.bytes()
                    cost = tool.step()
                    rows[name][step] = cost.record(uploaded_bytes=self.registry.bytes() - before)
                    print(f"{name}, {step}: {cost.wall:.1f} s, {cost.cpu:.1f} CPU s", file=sys.stderr)
            finally:
                self.registry.end()
        return rows

    def end(self):
        daemon = getattr(self, "dockerd", None)
        if daemon:
            daemon.terminate()
            daemon.wait(60)
        self.group.remove()
        for line in reversed(pathlib.Path("/proc/self/mounts").read_text().splitlines()):
            place = line.split()[1]
            if place.startswith(str(self.work)):
                subprocess.run(["umount", "-l", place], check=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slipway")
    parser.add_argument("--downloads", type=pathlib.Path, required=True, help="a store that has built examples/tf29")
    parser.add_argument("--example", type=pathlib.Path, default=EXAMPLE, help="a project that pins seaborn, which is what changes")
    parser.add_argument("--work", help="where to work (some 30 GB); default: a temporary folder")
    parser.add_argument("--skip", action="append", default=[], choices=list(TOOLS))
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("error: dockerd and control groups need root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started ends with us
    with tempfile.TemporaryDirectory(prefix="slipway-bench-", dir=arguments.work, ignore_cleanup_errors=True) as folder:
        bench = Bench(arguments, pathlib.Path(folder))
        try:
            rows = bench.run(arguments.skip)
        finally:
            bench.end()
            subprocess.run(["chmod", "-R", "u+rwx", folder], check=False)
    print("| | step | wall s | CPU s | memory MB | uploaded MB |\n|---|---|---|---|---|---|")
    for name, steps in rows.items():
        for step, cost in steps.items():
            print(f"| {name} | {step} | {cost['wall_s']:.2f} | {cost['cpu_s']:.2f} | {cost['memory_bytes'] / 1e6:.0f} | {cost['uploaded_bytes'] / 1e6:.2f} |")
    if arguments.json:
        arguments.json.write_text(json.dumps({"tools": rows, "left_out": [name for name in TOOLS if name not in rows]}, indent=1) + "\n")


if __name__ == "__main__":
    main()

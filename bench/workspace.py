#!/usr/bin/env python3
"""Workspaces beside docker, podman and runc with the same image, in one run: start, Jupyter's answer, memory that we add, the port
forwarder, and the command line's own start.

    bench/workspace.py SLIPWAY [--runs N] [--store DIR] [--json FILE]

Builds a small image with Jupyter (Python 3.9, classic notebook) in the given store, and runs it in turn natively and, where they are installed and we are
root, under podman with runc, docker and runc alone. Prints a table in Markdown; "Jupyter alone" is the same server started by hand inside a running
workspace. docker runs `true` only: its daemon has no network here.
"""

import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

SPEC = """\
name: bench
python: "3.9"
services: {jupyter: {}}
"""
DOCKER = "/usr/bin/docker"
BYTES = 512 << 20
# Listens where the image's sshd would: sends BYTES to who says "b", and answers every other byte with itself.
SERVER = f"""
import socket
def serve(s):
    kind = s.recv(1)
    if kind == b"b":
        block = bytes(1 << 20)
        for _ in range({BYTES >> 20}):
            s.sendall(block)
    while kind and kind != b"b":
        s.sendall(kind)
        kind = s.recv(1)
    s.close()
listener = socket.create_server(("0.0.0.0", 2222))
while True:
    c, _ = listener.accept()
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    serve(c)
"""
FORWARD_SPEC = """\
name: forward
debian: bookworm
apt: [python3-minimal]
services: {ssh: {}}
files: {./services.json: /etc/slipway/services.json}
"""
# Inside: how long the notebook server takes to answer when nothing of ours starts it.
ALONE = """
import subprocess, time, urllib.request, urllib.error
start = time.monotonic()
server = subprocess.Popen(["jupyter", "notebook", "--no-browser", "--port=9999", "--NotebookApp.token=x", "--notebook-dir=/tmp"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
while True:
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open("http://127.0.0.1:9999/api")
        break
    except OSError:
        time.sleep(0.005)
print(time.monotonic() - start)
server.terminate()
server.wait()
"""


def run(*words, cwd=None, status=0):
    done = subprocess.run([str(w) for w in words], cwd=cwd, env=ENV, capture_output=True, text=True)
    if done.returncode != status:
        raise SystemExit(f"{words}: {done.returncode}\n{done.stderr}")
    return done.stdout


def answer_after(start, port):
    """Seconds from `start` until the notebook server at a port of the host answers a request."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() - start < 120:
        try:
            opener.open(f"http://127.0.0.1:{port}/api", timeout=5)
            return time.monotonic() - start
        except urllib.error.HTTPError:
            return time.monotonic() - start
        except OSError:
            time.sleep(0.005)
    raise SystemExit("no answer")


def middle(values):
    return statistics.median(values)


def pss(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1))


def children(pid):
    return [int(c) for f in pathlib.Path(f"/proc/{pid}/task").glob("*/children") for c in f.read_text().split()]


def exec_delay(folder):
    """Milliseconds from clone to the exec of PID 1, seen by strace, which makes it longer; None without strace."""
    if shutil.which("strace") is None:
        return None
    trace = folder / "trace"
    run("strace", "-f", "--seccomp-bpf", "-ttt", "-e", "trace=clone3,execve,unshare", "-o", trace, ARGS.slipway, "run", "--", "true", cwd=folder)
    lines = [line.split(None, 2) for line in trace.read_text().splitlines()]
    clone = next(float(time_) for _, time_, call in lines if call.startswith("clone3("))
    return 1000 * (next(float(time_) for _, time_, call in lines if call.startswith("execve(") and float(time_) > clone) - clone)


def throughput(port):
    """MB/s of one connection, and microseconds of a round trip of one byte."""
    rates = []
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.sendall(b"b")
            start, got, buffer = time.monotonic(), 0, bytearray(1 << 20)
            while got < BYTES:
                n = s.recv_into(buffer)
                if n == 0:
                    raise SystemExit("the connection was cut")
                got += n
            rates.append(BYTES / 1e6 / (time.monotonic() - start))
    trips = []
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(1500):
            start = time.monotonic()
            s.sendall(b"x")
            s.recv(1)
            trips.append(time.monotonic() - start)
    return max(rates), 1e6 * middle(trips)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def bench_native(folder):
    run(ARGS.slipway, "up", "--no-ssh-config", cwd=folder)
    record = json.loads(run(ARGS.slipway, "ps", "--json", "bench", cwd=folder))[0]
    alone = [float(run(ARGS.slipway, "exec", "bench", "--", "python", "-c", ALONE, cwd=folder)) for _ in range(ARGS.runs)]
    status = json.loads((pathlib.Path(ENV["SLIPWAY_STATE"]) / "workspaces/bench/status.json").read_text())
    ours = [status["monitor"], *children(status["monitor"])]
    memory = sum(pss(pid) for pid in ours)
    run(ARGS.slipway, "down", "bench", cwd=folder)
    up = []
    for _ in range(ARGS.runs):
        start = time.monotonic()
        process = subprocess.Popen([ARGS.slipway, "up", "--no-ssh-config"], cwd=folder, env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        up.append(answer_after(start, record["jupyter"]["url"].rsplit(":", 1)[1].strip("/")))
        process.wait()
        run(ARGS.slipway, "down", "bench", cwd=folder)
    true = []
    for _ in range(ARGS.runs * 4):
        start = time.monotonic()
        run(ARGS.slipway, "run", "--", "true", cwd=folder)
        true.append(time.monotonic() - start)
    return {"alone": middle(alone), "up": middle(up), "true": middle(true), "memory": memory * 1024, "exec": exec_delay(folder)}


def timed(words, runs, **more):
    """Median seconds of a command."""
    taken = []
    for _ in range(runs):
        start = time.monotonic()
        run(*words, **more)
        taken.append(time.monotonic() - start)
    return middle(taken)


def bench_podman(folder, scratch):
    if os.geteuid() != 0 or not all(map(shutil.which, ("podman", "runc", "skopeo"))):
        return None
    podman = ["podman", "--root", f"{scratch}/root", "--runroot", f"{scratch}/run", "--runtime", "runc", "--cgroup-manager", "cgroupfs", "--events-backend",
              "none"]
    limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
    run("skopeo", "--insecure-policy", "copy", f"oci:{scratch}/layout:latest", f"containers-storage:[overlay@{scratch}/root+{scratch}/run]localhost/bench:latest")
    try:
        up = []
        for _ in range(ARGS.runs):
            port = free_port()
            start = time.monotonic()
            name = run(*podman, "run", "-d", *limits, "-p", f"127.0.0.1:{port}:8888", "localhost/bench:latest").strip()
            up.append(answer_after(start, port))
            run(*podman, "rm", "-f", "-t", "5", name)
        true = timed([*podman, "run", "--rm", "--network", "none", *limits, "--entrypoint", "/bin/true", "localhost/bench:latest"], ARGS.runs)
        return {"up": middle(up), "true": true}
    finally:
        subprocess.run([*podman, "system", "reset", "--force"], capture_output=True)


def bench_docker(scratch):
    """`docker run true`, by a daemon of our own."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("dockerd", DOCKER, "skopeo"))):
        return None
    folder = scratch / "docker"
    folder.mkdir()
    (folder / "daemon.json").write_text("{}")
    socket_ = f"unix://{folder}/socket"
    with open(folder / "log", "w") as log:
        daemon = subprocess.Popen(["dockerd", "--config-file", folder / "daemon.json", "--data-root", folder / "data", "--exec-root", folder / "exec",
                                   "--pidfile", folder / "pid", "-H", socket_, "--bridge=none", "--iptables=false", "--ip6tables=false"], stdout=log, stderr=log)
    try:
        docker = [DOCKER, "-H", socket_]
        while subprocess.run([*docker, "version"], capture_output=True).returncode != 0:
            if daemon.poll() is not None:
                raise SystemExit("dockerd does not start:\n" + (folder / "log").read_text()[-2000:])
            time.sleep(0.1)
        run("skopeo", "--insecure-policy", "copy", f"oci:{scratch}/layout:latest", f"docker-archive:{folder}/image.tar:bench:latest")
        run(*docker, "load", "-i", folder / "image.tar")
        return {"true": timed([*docker, "run", "--rm", "--network", "none", "--entrypoint", "/bin/true", "bench:latest"], ARGS.runs)}
    finally:
        daemon.terminate()
        daemon.wait()


def bench_runc(scratch):
    """`runc run` of an unpacked bundle, without anything that unpacks, names or watches it."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("runc", "umoci"))):
        return None
    bundle = scratch / "bundle"
    run("umoci", "unpack", "--image", f"{scratch}/layout:latest", bundle)
    config = json.loads((bundle / "config.json").read_text())
    config["process"].update(args=["/bin/true"], terminal=False)
    (bundle / "config.json").write_text(json.dumps(config))
    return {"true": timed(["runc", "--root", scratch / "runc", "run", "--bundle", bundle, f"bench-{os.getpid()}"], ARGS.runs * 4)}


def bench_forwarder(folder):
    services = {"control": "${SLIPWAY_CONTROL:-@slipway-init}",
                "services": [{"name": "ssh", "argv": ["/usr/bin/python3", "-c", SERVER], "ready": {"tcp": "127.0.0.1:2222"}}]}
    folder.mkdir()
    (folder / "services.json").write_text(json.dumps(services))
    (folder / "slipway.yaml").write_text(FORWARD_SPEC)
    run(ARGS.slipway, "lock", cwd=folder)
    port = json.loads(run(ARGS.slipway, "up", "--json", "--no-ssh-config", cwd=folder))["ssh"]["port"]
    through = throughput(port)
    run(ARGS.slipway, "down", "forward", cwd=folder)
    port = free_port()
    server = subprocess.Popen(["python3", "-c", SERVER.replace("0.0.0.0", "127.0.0.1").replace("2222", str(port))])
    time.sleep(0.5)
    direct = throughput(port)
    server.kill()
    server.wait()
    return through, direct


def main():
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="slipway-bench-"))
    ENV.update(SLIPWAY_STATE=str(scratch / "state"), HOME=str(scratch / "home"))
    (scratch / "home").mkdir()
    if ARGS.store:
        ENV["SLIPWAY_STORE"] = ARGS.store
    folder = scratch / "project"
    folder.mkdir()
    try:
        (folder / "slipway.yaml").write_text(SPEC)
        run(ARGS.slipway, "lock", cwd=folder)
        run(ARGS.slipway, "build", cwd=folder)
        ours = bench_native(folder)
        run(ARGS.slipway, "build", "--output", f"oci:{scratch}/layout:latest", cwd=folder)
        others = {"podman + runc": bench_podman(folder, scratch), "docker": bench_docker(scratch), "runc alone": bench_runc(scratch)}
        ours["help"] = timed([ARGS.slipway, "--help"], 50)
        through, direct = bench_forwarder(scratch / "forward")
    finally:
        subprocess.run([ARGS.slipway, "down", "--all"], env=ENV, capture_output=True)
        subprocess.run(["chmod", "-R", "u+rwx", scratch], capture_output=True)
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"Linux {platform.release()}, {os.cpu_count()} cores, medians of {ARGS.runs}; load {os.getloadavg()[0]:.1f}\n")
    print("| | `true` in the image, whole command | until Jupyter answers |\n|---|---|---|")
    for name, found in {"slipway": ours, **others}.items():
        cells = [f"{found[key]:.3f} s" if found and key in found else "–" for key in ("true", "up")]
        print(f"| {name}{'' if found else ' (not installed)'} | {cells[0]} | {cells[1]} |")
    print(f"\nJupyter alone, started by hand inside: {ours['alone']:.2f} s; `up` adds {1000 * (ours['up'] - ours['alone']):.0f} ms.")
    if ours["exec"] is not None:
        print(f"Clone to the exec of PID 1, under strace: {ours['exec']:.1f} ms.")
    print(f"Memory of what we add (monitor, forwarder, gateway, slipway-init; proportional): {ours['memory'] / 1e6:.1f} MB.")
    print(f"`slipway --help`: {1000 * ours['help']:.1f} ms.")
    print(f"Forwarder: {through[0]:.0f} MB/s, {through[1]:.0f} µs a round trip; host loopback alone: {direct[0]:.0f} MB/s, {direct[1]:.0f} µs.")
    if ARGS.json:
        ways = {"slipway": ours, **{name: found for name, found in others.items() if found}}
        ARGS.json.write_text(json.dumps({"runs": ARGS.runs, "ways": ways, "forwarder": dict(zip(("mb_per_s", "round_trip_us"), through)),
                                         "loopback": dict(zip(("mb_per_s", "round_trip_us"), direct))}, indent=1) + "\n")


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("slipway", type=os.path.abspath)
parser.add_argument("--runs", type=int, default=5)
parser.add_argument("--store", default="")
parser.add_argument("--json", type=pathlib.Path)
ARGS = parser.parse_args()
ENV = dict(os.environ, LC_ALL="C.UTF-8", NO_COLOR="1")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started ends with us
main()

#!/usr/bin/env python3
"""slipway-serve beside a FastAPI server and bare TF_SessionRun, in one run on one machine.

    bench/serving.py BUILD [--seconds N] [--rounds N] [--json FILE]

BUILD is a build folder with out/slipway-serve, src/serving/serving_bench and serving_instructions (targets of the same names), tf and
serving-clients (tests make them). Needs wrk, h2load and valgrind; the rival needs fastapi and uvicorn in serving-clients/tensorflow, and
is left out and named where they are missing. Prints tables in Markdown.
"""

import argparse
import http.client
import json
import os
import pathlib
import platform
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("build", type=pathlib.Path)
parser.add_argument("--seconds", type=float, default=5)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--json", type=pathlib.Path)
ARGS = parser.parse_args()
ARGS.build = ARGS.build.resolve()
os.environ["SLIPWAY"] = str(ARGS.build / "out/slipway")
os.environ["SLIP_TF_DIR"] = str(ARGS.build / "tf")
sys.path.insert(0, str(ROOT / "tests/serving"))
import server  # noqa: E402

MODEL = server.MODELS / "half_plus_two_tf2/1"
BODY = '{"instances":[[1.0],[2.0],[5.0]]}'
IMAGE_VALUES = 224 * 224 * 3


def run(*words, **how):
    return subprocess.run(list(map(str, words)), text=True, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **how).stdout


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]


# --- load -----------------------------------------------------------------------------------------------------------------------


def microseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def wrk(port, path, connections, body=None):
    """{p50, p99, rps} by wrk, client included."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if body:
            script.write(f"wrk.method = 'POST'\nwrk.body = '{body}'\nwrk.headers['Content-Type'] = 'application/json'\n")
        script.flush()
        text = run("wrk", "-t1", f"-c{connections}", f"-d{ARGS.seconds:g}s", "--latency", "-s", script.name,
                   f"http://127.0.0.1:{port}{path}")
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    assert not bad, text
    found = {int(q): microseconds(value) for q, value in re.findall(r"^\s+(\d+)%\s+(\S+)$", text, re.M)}
    return {"p50": found[50], "p99": found[99], "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))}


def length_delimited(field, content):
    return bytes([field << 3 | 2, len(content)]) + content


def predict_message():
    """A framed PredictRequest with three floats, by hand."""
    shape = length_delimited(2, b"\x08\x03") + length_delimited(2, b"\x08\x01")
    tensor = b"\x08\x01" + length_delimited(2, shape) + length_delimited(5, struct.pack("<3f", 1, 2, 5))
    message = length_delimited(1, length_delimited(1, b"m")) + length_delimited(2, length_delimited(1, b"x") + length_delimited(2, tensor))
    return b"\0" + struct.pack(">I", len(message)) + message


def h2load(port, connections):
    with tempfile.TemporaryDirectory() as folder:
        body, log = pathlib.Path(folder) / "body", pathlib.Path(folder) / "log"
        body.write_bytes(predict_message())
        text = run("h2load", "-t1", f"-c{connections}", "-m1", f"-D{ARGS.seconds:g}", "--warm-up-time=1", f"-d{body}", f"--log-file={log}",
                   "-Hcontent-type: application/grpc", "-Hte: trailers",
                   f"http://127.0.0.1:{port}/tensorflow.serving.PredictionService/Predict")
        times = [int(line.split()[2]) for line in log.read_text().splitlines() if line.split()[1] == "200"]
    return {"p50": quantile(times, 0.5), "p99": quantile(times, 0.99), "rps": float(re.search(r", ([\d.]+) req/s", text).group(1))}


def session_run():
    """{p50, p99} of TF_SessionRun with three rows, on the calling thread."""
    text = run(ARGS.build / "src/serving/serving_bench", server.TENSORFLOW, MODEL)
    found = re.search(r"TF_SessionRun, 3 rows\s+p50\s+([\d.]+) us\s+p99\s+([\d.]+) us", text)
    return {"p50": float(found.group(1)), "p99": float(found.group(2)), "rps": 1e6 / float(found.group(1))}


# --- servers --------------------------------------------------------------------------------------------------------------------


class FastApi:
    """The rival. uvicorn's workers do not set TCP_NODELAY, which costs one connection 40 ms a request, so that it is measured
    with one worker for one connection and with one per core for 64."""

    def __init__(self, workers):
        self.workers = workers
        self.python = ARGS.build / "serving-clients/tensorflow/bin/python"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def available(self):
        return self.python.exists() and subprocess.run([str(self.python), "-c", "import fastapi, uvicorn"], capture_output=True).returncode == 0

    def __enter__(self):
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [str(self.python), "-m", "uvicorn", "serving_fastapi:app", "--workers", str(self.workers), "--port", str(self.port), "--log-level",
             "error", "--no-access-log"],
            cwd=ROOT / "bench", env={**os.environ, "MODEL": str(MODEL), "TF_ENABLE_ONEDNN_OPTS": "0", "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                connection.request("POST", "/v1/models/m:predict", BODY, {"Content-Type": "application/json"})
                assert connection.getresponse().status == 200
                break
            except OSError:
                time.sleep(0.05)
        self.start_seconds = time.monotonic() - self.began
        time.sleep(3)  # until every worker is there
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def pids(self):
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], text=True, capture_output=True).stdout.split()
        return [self.process.pid, *map(int, found)]


def ours(*flags):
    return server.Server("--model_name=m", f"--model_base_path={MODEL}", *flags)


def memory_kb(pid, name):
    return int(pathlib.Path(f"/proc/{pid}/status").read_text().split(name + ":")[1].split()[0])


# --- what is measured -----------------------------------------------------------------------------------------------------------


def latency():
    """Rounds in turn, so that every server meets the same noise; the median round of each."""
    rows = {}

    def note(name, result):
        rows.setdefault(name, []).append(result)

    def whole_round(s, sleeps):
        note("TF_SessionRun, no server", session_run())
        note("GET /healthz, 1", wrk(s.ports["REST"], "/healthz", 1))
        for connections in (1, 64):
            note(f"REST, {connections}", wrk(s.ports["REST"], "/v1/models/m:predict", connections, BODY))
            note(f"gRPC, {connections}", h2load(s.ports["gRPC"], connections))
        note("REST, 1, --rest_api_busy_poll_micros=0", wrk(sleeps.ports["REST"], "/v1/models/m:predict", 1, BODY))

    rivals = {1: FastApi(1), 64: FastApi(os.cpu_count())}
    with ours() as s, ours("--rest_api_busy_poll_micros=0") as sleeps:
        for _ in range(ARGS.rounds):
            whole_round(s, sleeps)
    if rivals[1].available():
        for connections, rival in rivals.items():
            with rival:
                for _ in range(ARGS.rounds):
                    note(f"FastAPI, {connections}", wrk(rival.port, "/v1/models/m:predict", connections, BODY))
                rows["FastAPI start"] = rival.start_seconds
                rows["FastAPI memory"] = sum(memory_kb(pid, "RssAnon") for pid in rival.pids()) / 1024
    else:
        print("left out: FastAPI, which serving-clients/tensorflow does not have", file=sys.stderr)
    for name, results in rows.items():
        if isinstance(results, list):
            rows[name] = {key: statistics.median(r[key] for r in results) for key in results[0]}
    return rows


def instructions():
    """Instructions per JSON value, read and written, by callgrind."""
    program = ARGS.build / "src/serving/serving_instructions"

    def count(what, values):
        text = run("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, what, values)
        return int(re.search(r"refs:\s+([\d,]+)", text).group(1).replace(",", ""))

    few, many = 3000, 33000
    cost = {what: (count(what, many) - count(what, few)) / (many - few) for what in ("read", "write", "neither")}
    return {"read": cost["read"] - cost["neither"], "write": cost["write"] - cost["neither"]}


def image_body():
    pixels = [round((i * 7919 % 65536) / 65536, 6) for i in range(IMAGE_VALUES)]
    return json.dumps({"inputs": [[pixels[(y * 224 + x) * 3:(y * 224 + x) * 3 + 3] for x in range(224)] for y in range(224)]}, separators=(",", ":"))


def memory():
    """Peak of anonymous memory that one large request adds, and what an idle connection holds."""
    with ours("--rest_api_num_threads=2", "--grpc_max_threads=2") as s:
        body = image_body()
        s.rest("/v1/models/m:predict", BODY)
        before = memory_kb(s.process.pid, "VmRSS")
        pathlib.Path(f"/proc/{s.process.pid}/clear_refs").write_text("5")
        connection = s.connect()
        began = time.monotonic()
        connection.request("POST", "/v1/models/m:predict", body)
        answer = connection.getresponse().read()
        seconds = time.monotonic() - began
        connection.close()
        peak = memory_kb(s.process.pid, "VmHWM") - before
        idle = memory_kb(s.process.pid, "RssAnon")
        open_connections = [s.connect() for _ in range(1000)]
        for c in open_connections:
            c.request("GET", "/healthz")
            c.getresponse().read()
        each = (memory_kb(s.process.pid, "RssAnon") - idle) / 1000
        for c in open_connections:
            c.close()
        return {"body MB": len(body) / 1e6, "answer MB": len(answer) / 1e6, "values MB": IMAGE_VALUES * 4 / 1e6, "peak MB": peak * 1024 / 1e6,
                "seconds": seconds, "connection kB": each, "RssAnon MB": idle / 1024}


def starts():
    """Seconds from exec to ready, and how much of it is TensorFlow's."""
    totals, loads = [], []
    for _ in range(ARGS.rounds):
        began = time.monotonic()
        with ours() as s:
            totals.append(time.monotonic() - began)
    text = run(ARGS.build / "src/serving/serving_bench", server.TENSORFLOW, MODEL)
    loads = [float(ms) for ms in re.findall(r"(?:load TensorFlow|load the model)\s+([\d.]+) ms", text)]
    return {"ready": statistics.median(totals), "tensorflow": sum(loads) / 1000}


def reload():
    """Seconds from a version's rename to its first answer, under load; requests that failed."""
    with tempfile.TemporaryDirectory() as folder:
        base = pathlib.Path(folder) / "m"
        shutil.copytree(MODEL, base / "1")
        with server.Server("--model_name=m", f"--model_base_path={base}", "--file_system_poll_wait_seconds=1") as s:
            stop, counts = threading.Event(), {"good": 0, "failed": 0}

            def client():
                connection = s.connect()
                while not stop.is_set():
                    connection.request("POST", "/v1/models/m:predict", BODY)
                    answer = connection.getresponse()
                    answer.read()
                    counts["good" if answer.status == 200 else "failed"] += 1

            threads = [threading.Thread(target=client) for _ in range(4)]
            for t in threads:
                t.start()
            took = []
            for number in range(2, 2 + ARGS.rounds):
                shutil.copytree(MODEL, pathlib.Path(folder) / "staging")
                (pathlib.Path(folder) / "staging").rename(base / str(number))
                s.wait_for("version available", version=number)
                took += [line["load_ms"] for line in s.lines if line["event"] == "version available" and line["version"] == number]
            stop.set()
            for t in threads:
                t.join()
    return {"load ms": statistics.median(took), **counts}


# --- what is shown --------------------------------------------------------------------------------------------------------------


def main():
    for tool in ("wrk", "h2load", "valgrind"):
        if not shutil.which(tool):
            sys.exit(f"error: `{tool}` is missing\nhint: apt-get install wrk nghttp2-client valgrind")
    rows = latency()
    bare = rows["TF_SessionRun, no server"]["p50"]
    print(f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}; half_plus_two, three values; {ARGS.rounds} rounds of "
          f"{ARGS.seconds:g} s each, in turn; median round; client on the same cores.\n")
    print("| way, connections | p50 µs | above the run | p99 µs | requests/s |\n|---|---|---|---|---|")
    for name, row in rows.items():
        if isinstance(row, dict):
            above = "" if name.startswith(("TF_", "GET")) else f"{row['p50'] - bare:.0f}"
            print(f"| {name} | {row['p50']:.1f} | {above} | {row['p99']:.0f} | {row['rps']:,.0f} |")
    cost, held, start, again = instructions(), memory(), starts(), reload()
    print("\n| what | measured |\n|---|---|")
    print(f"| instructions per JSON value read / written | {cost['read']:.0f} / {cost['write']:.0f} |")
    print(f"| request of 224×224×3 values: {held['body MB']:.1f} MB of JSON, answer {held['answer MB']:.1f} MB | peak memory {held['peak MB']:.1f} MB "
          f"above idle, {1000 * held['seconds']:.0f} ms with the client |")
    print(f"| anonymous memory when idle / per idle connection | {held['RssAnon MB']:.0f} MB / {held['connection kB']:.1f} kB |")
    print(f"| exec to ready | {1000 * start['ready']:.0f} ms, of which TensorFlow's libraries and the model {1000 * start['tensorflow']:.0f} ms |")
    print(f"| a new version under load | loaded in {again['load ms']:.0f} ms; {again['good']:,} requests answered, {again['failed']} failed |")
    if "FastAPI start" in rows:
        print(f"| FastAPI, one worker per core: start / anonymous memory | {rows['FastAPI start']:.1f} s / {rows['FastAPI memory']:.0f} MB |")
    if ARGS.json:
        record = {"seconds": ARGS.seconds, "rounds": ARGS.rounds, "ways": rows, "instructions": cost, "request": held, "start": start, "reload": again}
        ARGS.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()

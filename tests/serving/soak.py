"""Minutes of mixed traffic with reloads, malformed requests and clients that hang up: soak.py SECONDS (not in ctest).

No good request may fail, and anonymous memory must be back within 5 % at the end.
"""

import json
import os
import pathlib
import random
import shutil
import socket
import sys
import tempfile
import threading
import time

import server
from server import MODELS, Server, eventually

server.skip_without_tensorflow()
SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 600
SOURCE = MODELS / "half_plus_two_tf2"
counts = {"good": 0, "malformed": 0, "hung up": 0, "reloads": 0}
failures = []


def good_and_bad(s, stop, seed):
    pick = random.Random(seed)
    connection = s.connect()
    while not stop.is_set():
        if pick.random() < 0.01:
            body = pick.choice(['{"instances":[', "[" * 50000, '{"instances":["x"]}', '{"instances":[[1],[2,3]]}', ""])
            connection.request("POST", "/v1/models/m:predict", body)
            answer = connection.getresponse()
            answer.read()
            counts["malformed"] += 1
            if answer.status != 400:
                failures.append(("malformed", body[:40], answer.status))
            continue
        n = pick.choice([1, 3, 10, 1000])
        values = [pick.randrange(1000) for _ in range(n)]
        connection.request("POST", "/v1/models/m:predict", json.dumps({"instances": values}))
        answer = connection.getresponse()
        text = answer.read()
        counts["good"] += 1
        if answer.status != 200:
            failures.append((answer.status, text[:200]))
        elif json.loads(text)["predictions"] not in ([v / 2 + 2 for v in values], [v / 2 + 3 for v in values]):
            failures.append(("numbers", values[:5], text[:200]))
    connection.close()


def hang_up(s, stop, seed):
    pick = random.Random(seed)
    while not stop.is_set():
        with socket.create_connection(("127.0.0.1", s.ports["REST"])) as raw:
            whole = b'POST /v1/models/m:predict HTTP/1.1\r\nContent-Length: 19\r\n\r\n{"instances":[1.0]}'
            raw.sendall(whole[:pick.randrange(1, len(whole) + 1)])
        counts["hung up"] += 1
        time.sleep(0.01)


def anonymous_kb(s):
    return int(pathlib.Path(f"/proc/{s.process.pid}/status").read_text().split("RssAnon:")[1].split()[0])


with tempfile.TemporaryDirectory() as folder:
    base = pathlib.Path(folder) / "m"
    base.mkdir()
    shutil.copytree(SOURCE / "1", base / "1")
    with Server("--model_name=m", f"--model_base_path={base}") as s:
        stop = threading.Event()
        threads = [threading.Thread(target=good_and_bad, args=(s, stop, i)) for i in range(4)]
        threads.append(threading.Thread(target=hang_up, args=(s, stop, 9)))
        for t in threads:
            t.start()
        end, number, sizes = time.monotonic() + SECONDS, 1, []
        while time.monotonic() < end and not failures:
            number += 1
            staging = pathlib.Path(folder) / "staging"
            shutil.copytree(SOURCE / str(1 + number % 2), staging)
            staging.rename(base / str(number))
            s.wait_for("version available", version=number)
            s.wait_for("version dropped", version=number - 1)
            counts["reloads"] += 1
            sizes.append(anonymous_kb(s))
            time.sleep(max(0, min(5, end - time.monotonic())))
        stop.set()
        for t in threads:
            t.join()
        eventually(lambda: "slipway_serving_connections_rest 1\n" in s.rest("/metrics")[1])
        last, early = anonymous_kb(s), sizes[min(len(sizes) - 1, 5)]
        print(counts, f"RssAnon {early} kB after {min(len(sizes), 6)} reloads, {last} kB at the end")
        assert not failures, failures[:5]
        assert last <= early * 1.05, sizes
        assert s.stop() == 0

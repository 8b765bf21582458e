"""Minutes of mixed traffic with reloads, malformed requests and clients that hang up: soak.py [SECONDS] (not in ctest).

TensorFlow Serving's protocol over REST and gRPC and the Open Inference Protocol over REST; 1 % of the requests are malformed; a new
version every 5 seconds. No good request may fail, and anonymous memory must be back within 5 % at the end.
"""

import json
import pathlib
import random
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time

import server
from server import MODELS, Server, eventually

server.skip_without_tensorflow()
server.continue_in("tensorflow")
import grpc

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 600
SOURCE = MODELS / "half_plus_two_tf2"
PREDICT = "/tensorflow.serving.PredictionService/Predict"
counts = {"REST": 0, "OIP": 0, "gRPC": 0, "malformed": 0, "hung up": 0, "reloads": 0}
lock = threading.Lock()
failures = []


def count(what):
    with lock:
        counts[what] += 1


def judge(kind, values, got, error):
    """A good answer has the numbers of one of the two models."""
    count(kind)
    if error or got not in ([v / 2 + 2 for v in values], [v / 2 + 3 for v in values]):
        failures.append((kind, values[:5], error or got[:5]))


def some_values(pick):
    return [pick.randrange(1000) for _ in range(pick.choice([1, 3, 10, 1000]))]


def rest(s, stop, seed):
    pick = random.Random(seed)
    connection = s.connect()

    def post(path, body):
        connection.request("POST", path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()

    while not stop.is_set():
        if pick.random() < 0.01:
            path = pick.choice(["/v1/models/m:predict", "/v2/models/m/infer"])
            body = pick.choice(['{"instances":[', "[" * 50000, '{"instances":["x"]}', '{"instances":[[1],[2,3]]}', "",
                                '{"inputs":[{"name":"x","shape":[9],"datatype":"FP32","data":[1]}]}'])
            status, text = post(path, body)
            count("malformed")
            if status != 400:
                failures.append(("malformed", body[:40], status))
            continue
        values = some_values(pick)
        if pick.random() < 0.5:
            status, text = post("/v1/models/m:predict", json.dumps({"instances": values}))
            judge("REST", values, json.loads(text).get("predictions"), status != 200 and text[:200])
        else:
            status, text = post("/v2/models/m/infer", json.dumps({"inputs": [
                {"name": "x", "shape": [len(values)], "datatype": "FP32", "data": values}]}))
            judge("OIP", values, status == 200 and json.loads(text)["outputs"][0]["data"], status != 200 and text[:200])
    connection.close()


def field(number, content):
    size, length = b"", len(content)
    while length >= 0x80:
        size += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content


def read_fields(message):
    at, out = 0, []
    def varint():
        nonlocal at
        value = shift = 0
        while True:
            value |= (message[at] & 0x7F) << shift
            shift += 7
            at += 1
            if message[at - 1] < 0x80:
                return value
    while at < len(message):
        tag = varint()
        if tag & 7 == 2:
            size = varint()
            out.append((tag >> 3, message[at:at + size]))
            at += size
        else:
            out.append((tag >> 3, varint()))
    return out


def remote(s, stop, seed):
    pick = random.Random(seed)
    with grpc.insecure_channel(f"127.0.0.1:{s.ports['gRPC']}") as channel:
        call = channel.unary_unary(PREDICT)
        while not stop.is_set():
            if pick.random() < 0.01:
                count("malformed")
                try:
                    call(pick.choice([b"\xff\xff", b"\x0a\x7f", field(1, field(1, b"m")), field(1, b"\x08\x01")]), timeout=30)
                    failures.append(("malformed was answered",))
                except grpc.RpcError as error:
                    if error.code() not in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND):
                        failures.append(("malformed", error.code(), error.details()))
                continue
            values = some_values(pick)
            size = struct.pack("<B", 8) + (bytes([len(values)]) if len(values) < 128 else bytes([len(values) & 0x7F | 0x80, len(values) >> 7]))
            tensor = b"\x08\x01" + field(2, field(2, size)) + field(5, struct.pack(f"<{len(values)}f", *values))
            try:
                answer = call(field(1, field(1, b"m")) + field(2, field(1, b"x") + field(2, tensor)), timeout=30)
                y = dict(read_fields(dict(read_fields(dict(read_fields(answer))[1]))[2]))[5]
                judge("gRPC", values, list(struct.unpack(f"<{len(values)}f", y)), None)
            except grpc.RpcError as error:
                judge("gRPC", values, None, (error.code(), error.details()))


def hang_up(s, stop, seed):
    pick = random.Random(seed)
    http = b'POST /v1/models/m:predict HTTP/1.1\r\nContent-Length: 19\r\n\r\n{"instances":[1.0]}'
    http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" + b"\0\0\6\1\4\0\0\0\1" + b"\x83\x86\x84\x41\x01x"
    while not stop.is_set():
        protocol, whole = pick.choice([("REST", http), ("gRPC", http2)])
        with socket.create_connection(("127.0.0.1", s.ports[protocol])) as raw:
            raw.sendall(whole[:pick.randrange(1, len(whole) + 1)])
        count("hung up")
        time.sleep(0.01)


def anonymous_kb(s):
    return int(pathlib.Path(f"/proc/{s.process.pid}/status").read_text().split("RssAnon:")[1].split()[0])


with tempfile.TemporaryDirectory() as folder:
    base = pathlib.Path(folder) / "m"
    base.mkdir()
    shutil.copytree(SOURCE / "1", base / "1")
    with Server("--model_name=m", f"--model_base_path={base}") as s:
        stop = threading.Event()
        threads = [threading.Thread(target=rest, args=(s, stop, i)) for i in range(3)]
        threads += [threading.Thread(target=remote, args=(s, stop, 10 + i)) for i in range(3)]
        threads.append(threading.Thread(target=hang_up, args=(s, stop, 20)))
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
            shutil.rmtree(base / str(number - 1))
            counts["reloads"] += 1
            sizes.append(anonymous_kb(s))
            time.sleep(max(0, min(5, end - time.monotonic())))
        stop.set()
        for t in threads:
            t.join()
        eventually(lambda: "slipway_serving_connections_rest 1\n" in s.rest("/metrics")[1])
        time.sleep(4)  # nobody asks for anything: what requests have needed goes back to the system
        last, early = anonymous_kb(s), sizes[min(len(sizes) - 1, 5)]
        print(counts, f"RssAnon {early} kB after {min(len(sizes), 6)} reloads, highest {max(sizes)} kB, {last} kB at the end, {len(failures)} failures")
        assert not failures, failures[:5]
        assert last <= early * 1.05, sizes
        assert s.stop() == 0

"""The REST interface of slipway-serve, over real connections with a real TensorFlow."""

import gzip
import json
import socket
import tempfile
import pathlib
import time

import server
from server import MODELS, Server

server.skip_without_tensorflow()

CONFIG = f"""
model_config_list {{
  config {{ name: "half" base_path: "{MODELS}/half_plus_two" version_labels {{ key: "stable" value: 123 }} }}
  config {{ name: "three" base_path: "{MODELS}/half_plus_three" }}
  config {{ name: "counter" base_path: "{MODELS}/counter" }}
  config {{ name: "mixed" base_path: "{MODELS}/mixed" }}
  config {{ name: "lookup" base_path: "{MODELS}/lookup" }}
}}
"""


def with_config(*flags):
    folder = tempfile.TemporaryDirectory()
    path = pathlib.Path(folder.name) / "models.config"
    path.write_text(CONFIG)
    started = Server(f"--model_config_file={path}", *flags)
    started.folder = folder
    return started


def test_cases():
    with with_config() as s:
        for case in json.loads((server.HERE / "rest_cases.json").read_text()):
            status, text = s.rest("/v1/models/" + case["path"], case.get("body"))
            assert status == case["status"], (case["say"], status, text)
            if "text" in case:
                assert text == case["text"], (case["say"], text)
            else:
                assert case["contains"] in text, (case["say"], text)


def test_other_pages():
    with with_config() as s:
        assert s.rest("/healthz") == (200, "ok\n")
        assert s.rest("/readyz") == (200, "ok\n")
        assert s.rest("/v1/foo") == (400, '{\n    "error": "Malformed request: GET /v1/foo"\n}')
        assert s.rest("/other")[0] == 404
        assert s.rest("/monitoring/prometheus/metrics")[0] == 404
        s.rest("/v1/models/half:predict", {"instances": [1.0]})
        s.rest("/v1/models/half:predict", {"instances": ["x"]})
        metrics = s.rest("/metrics")[1]
        assert ':tensorflow:serving:request_count{model_name="half",status="OK"} 1\n' in metrics
        assert ':tensorflow:serving:request_count{model_name="half",status="INVALID_ARGUMENT"} 1\n' in metrics
        assert ':tensorflow:serving:request_latency_count{model_name="half",API="predict",entrypoint="REST"} 1' in metrics
        assert ':tensorflow:serving:runtime_latency_count{model_name="half",API="Predict",runtime="TF1"} 1' in metrics
        s.rest("/v1/models/half:regress", {"signature_name": "regress_x_to_y", "examples": [{"x": 1.0}] * 3})
        metrics = s.rest("/metrics")[1]
        assert ':tensorflow:serving:runtime_latency_count{model_name="half",API="Regress",runtime="TF1"} 1' in metrics
        assert ':tensorflow:serving:request_example_count_total{model="half"} 3' in metrics
        assert ':tensorflow:serving:request_example_counts_bucket{model="half",le="4"} 1' in metrics
        path = f'{MODELS}/half_plus_two/123'
        assert f':tensorflow:cc:saved_model:load_attempt_count{{model_path="{path}",status="success"}} 1' in metrics
        assert f':tensorflow:cc:saved_model:load_latency{{model_path="{path}"}}' in metrics


def test_types_and_state():
    with with_config() as s:
        answer = json.loads(s.rest("/v1/models/mixed:predict", {"inputs": {
            "ids": [[1, 2]], "text": [{"b64": "aGk="}], "flag": [True]}})[1])
        assert answer["outputs"]["joined"] == ["hi:3"] and answer["outputs"]["joined_bytes"] == [{"b64": "aGk6Mw=="}]
        assert json.loads(s.rest("/v1/models/lookup:predict", {"instances": ["beta", "no"]})[1]) == {"predictions": [1, -1]}
        counts = [json.loads(s.rest("/v1/models/counter:predict", {"inputs": {}})[1])["outputs"] for _ in range(3)]
        assert counts == [1.0, 2.0, 3.0], counts


def test_bodies_in_every_framing():
    with with_config() as s:
        body = b'{"instances":[1.0]}'
        assert "2.5" in s.rest("/v1/models/half:predict", gzip.compress(body), headers={"Content-Encoding": "gzip"})[1]
        assert s.rest("/v1/models/half:predict", b"no gzip", headers={"Content-Encoding": "gzip"})[0] == 400
        connection = s.connect()
        connection.request("POST", "/v1/models/half:predict", iter([body[:5], body[5:]]), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})
        assert "2.5" in connection.getresponse().read().decode()
        connection.close()
        with socket.create_connection(("127.0.0.1", s.ports["REST"])) as raw:
            head = b"POST /v1/models/half:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 19\r\n"
            raw.sendall(head + b"Expect: 100-continue\r\n\r\n")
            assert raw.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
            raw.sendall(body + (head + b"\r\n" + body) * 3)
            got = b""
            while got.count(b"2.5") < 4:
                got += raw.recv(4096)
            for byte in head + b"\r\n" + body:
                raw.sendall(bytes([byte]))
            assert b"2.5" in raw.recv(4096)


def test_large_request_and_answer():
    with with_config() as s:
        values = [float(i % 1000) for i in range(300000)]
        answer = json.loads(s.rest("/v1/models/half:predict", {"instances": values})[1])
        assert answer["predictions"] == [v / 2 + 2 for v in values]


def test_hostile_requests():
    with with_config("--max_body_bytes=1000000") as s:
        start = time.monotonic()
        status, text = s.rest("/v1/models/half:predict", "[" * 50000)
        assert status == 400 and "Nested deeper" in text
        status, text = s.rest("/v1/models/half:predict", '{"instances":' + "[" * 50000)
        assert status == 400 and "Nested deeper" in text
        assert time.monotonic() - start < 5
        assert s.rest("/v1/models/half:predict", "x" * 1000001)[0] == 413
        bomb = gzip.compress(b"[" * (200 << 20))
        status, text = s.rest("/v1/models/half:predict", bomb, headers={"Content-Encoding": "gzip"})
        assert status == 400 and "inflates to more than" in text
        with socket.create_connection(("127.0.0.1", s.ports["REST"])) as raw:
            raw.sendall(b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
            assert raw.recv(100).startswith(b"HTTP/1.1 400 ")
        assert s.rest("/healthz")[0] == 200


def test_a_quick_client_is_awaited_and_a_slow_one_lets_the_server_sleep():
    """With a long --rest_api_busy_poll_micros two clients in turn, one that closes, and threads that sleep in the end."""
    def asleep(s):
        tasks = pathlib.Path(f"/proc/{s.process.pid}/task")
        try:
            return all((thread / "stat").read_text().rsplit(")", 1)[1].split()[0] == "S" for thread in tasks.iterdir())
        except OSError:
            return False  # a thread has just ended

    for flags in (["--rest_api_busy_poll_micros=10000"], ["--rest_api_busy_poll_micros=10000", "--rest_api_num_threads=1"], ["--rest_api_busy_poll_micros=0"]):
        with with_config(*flags) as s:
            clients = [s.connect(), s.connect()]
            for i in range(200):
                connection = clients[i % 2 if i > 100 else 0]
                connection.request("POST", "/v1/models/half:predict", f'{{"instances":[{i}.0]}}')
                assert json.loads(connection.getresponse().read())["predictions"] == [i / 2 + 2]
            clients[0].close()
            server.eventually(lambda: asleep(s))
            clients[1].request("GET", "/healthz")
            assert clients[1].getresponse().read() == b"ok\n"
            clients[1].close()


def test_cors_and_monitoring_path():
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "monitoring.config"
        config.write_text('prometheus_config { enable: true, path: "/monitoring/prometheus/metrics" }')
        with with_config("--rest_api_enable_cors_support", f"--monitoring_config_file={config}", "--access_log") as s:
            assert s.rest("/monitoring/prometheus/metrics")[0] == 200
            connection = s.connect()
            connection.request("OPTIONS", "/v1/models/half:predict", headers={"Origin": "http://a.example"})
            answer = connection.getresponse()
            assert answer.status == 200 and answer.getheader("Access-Control-Allow-Methods") == "POST, GET"
            connection.close()
            assert s.rest("/v1/models/half", method="OPTIONS", headers={"Origin": "file://x"})[0] == 400
            s.rest("/v1/models/half:predict", '{"instances":["payload-text"]}')
            s.wait_for("request", path="/v1/models/half:predict", status=400)
            assert "payload-text" not in json.dumps(s.lines)


server.run(globals())

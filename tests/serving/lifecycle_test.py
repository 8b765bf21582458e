"""Versions come and go while slipway-serve answers: policies, labels, configuration, failures, drain."""

import json
import os
import pathlib
import shutil
import socket
import tempfile
import threading
import time

import server
from server import MODELS, Server, eventually

server.skip_without_tensorflow()
SOURCE = MODELS / "half_plus_two_tf2"


def put_version(base, number, source):
    """A version appears whole, as a deployment would put it: by rename."""
    staging = base.parent / f"staging-{number}"
    shutil.copytree(source, staging)
    base.mkdir(exist_ok=True)
    staging.rename(base / str(number))


def answer(s, path="/v1/models/m:predict"):
    status, text = s.rest(path, {"instances": [1.0]})
    return json.loads(text)["predictions"][0] if status == 200 else (status, json.loads(text)["error"])


def states(s):
    status, text = s.rest("/v1/models/m")
    return {v["version"]: v["state"] for v in json.loads(text).get("model_version_status", [])}


def new_version_takes_over_without_a_lost_request(*flags):
    with tempfile.TemporaryDirectory() as folder:
        base = pathlib.Path(folder) / "m"
        put_version(base, 1, SOURCE / "1")
        with Server("--model_name=m", f"--model_base_path={base}", *flags) as s:
            failures, seen, stop = [], set(), threading.Event()

            def client():
                connection = s.connect()
                while not stop.is_set():
                    connection.request("POST", "/v1/models/m:predict", '{"instances":[1.0]}')
                    got = connection.getresponse()
                    text = got.read()
                    if got.status != 200:
                        failures.append((got.status, text))
                    else:
                        seen.add(json.loads(text)["predictions"][0])
                connection.close()

            clients = [threading.Thread(target=client) for _ in range(4)]
            for c in clients:
                c.start()
            for number in range(2, 6):
                put_version(base, number, SOURCE / str(1 + number % 2))
                eventually(lambda: states(s).get(str(number)) == "AVAILABLE")
            eventually(lambda: [v for v, state in states(s).items() if state != "END"] == ["5"])
            stop.set()
            for c in clients:
                c.join()
            assert not failures, failures[:3]
            assert seen == {2.5, 3.5}, seen


def test_new_version_takes_over_without_a_lost_request():
    new_version_takes_over_without_a_lost_request()
    new_version_takes_over_without_a_lost_request("--num_load_threads=3")


def test_a_broken_version_leaves_the_old_one():
    with tempfile.TemporaryDirectory() as folder:
        base = pathlib.Path(folder) / "m"
        put_version(base, 1, SOURCE / "1")
        with Server("--model_name=m", f"--model_base_path={base}", "--max_num_load_retries=2",
                    "--load_retry_interval_micros=10000") as s:
            (base / "2").mkdir()
            (base / "2" / "saved_model.pb").write_bytes(b"\xff broken")
            s.wait_for("version did not load", version=2)
            assert answer(s) == 2.5 and states(s) == {"2": "END", "1": "AVAILABLE"}, states(s)
            # only as many attempts as were asked for
            time.sleep(2.5)
            assert sum(l["event"] == "version did not load" for l in s.lines) <= 3
            put_version(base, 3, SOURCE / "2")
            eventually(lambda: answer(s) == 3.5)


def test_labels_policies_and_configuration_reload():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "models.config"

        def configure(extra, name="m"):
            path.write_text('model_config_list { config { name: "%s" base_path: "%s" %s } }' % (name, SOURCE, extra))

        configure('model_version_policy { specific { versions: 1 versions: 2 } } '
                  'version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 2 }')
        with Server(f"--model_config_file={path}", "--model_config_file_poll_wait_seconds=1") as s:
            eventually(lambda: states(s) == {"2": "AVAILABLE", "1": "AVAILABLE"})
            assert answer(s) == 3.5
            assert answer(s, "/v1/models/m/labels/stable:predict") == 2.5
            assert answer(s, "/v1/models/m/labels/canary:predict") == 3.5
            assert answer(s, "/v1/models/m/versions/1:predict") == 2.5
            # a label may not move to a version that does not serve
            configure('model_version_policy { all {} } version_labels { key: "stable" value: 9 }')
            s.wait_for("model config rejected", reason="Request to assign label to version 9 of model m, which is not "
                                                       "currently available for inference")
            assert answer(s, "/v1/models/m/labels/stable:predict") == 2.5
            path.write_text("model_config_list { nonsense }")
            eventually(lambda: sum(l["event"] == "model config rejected" for l in s.lines) >= 2)
            configure("", name="other")
            eventually(lambda: answer(s, "/v1/models/other:predict") == 3.5)
            assert answer(s) == (404, "Servable not found for request: Latest(m)")


def test_ports_open_early_and_failure_for_good_ends_the_server():
    with tempfile.TemporaryDirectory() as folder:
        base = pathlib.Path(folder) / "m"
        with Server("--model_name=m", f"--model_base_path={base}", wait=False) as s:
            s.wait_for("listening")
            assert s.rest("/healthz")[0] == 200 and s.rest("/readyz") == (503, "loading\n")
            assert answer(s)[0] == 404
            put_version(base, 1, SOURCE / "1")
            eventually(lambda: s.rest("/readyz")[0] == 200)
            assert answer(s) == 2.5
        (base / "1" / "saved_model.pb").write_bytes(b"broken")
        with Server("--model_name=m", f"--model_base_path={base}", "--max_num_load_retries=1",
                    "--load_retry_interval_micros=1000", wait=False) as s:
            assert s.process.wait(30) == 1
            s.wait_for("models failed")


def test_one_saved_model_is_version_1():
    with Server("--model_name=m", f"--model_base_path={SOURCE / '2'}") as s:
        assert states(s) == {"1": "AVAILABLE"} and answer(s) == 3.5


def test_a_version_without_warm_up_requests_runs_on_zeros():
    for flags, first in ([], 1.0), (["--warmup_from_signatures"], 3.0):
        with Server("--model_name=m", f"--model_base_path={MODELS / 'counter'}", *flags) as s:
            assert json.loads(s.rest("/v1/models/m:predict", {"inputs": {}})[1]) == {"outputs": first}
            assert (":tensorflow:serving:model_warmup_latency_count{" in s.rest("/metrics")[1]) == bool(flags)


def test_environment_of_the_official_image():
    env = {"MODEL_BASE_PATH": str(MODELS), "MODEL_NAME": "half_plus_three"}
    with Server(env=env) as s:
        assert answer(s, "/v1/models/half_plus_three:predict") == 3.5


def test_sigterm_answers_what_has_begun():
    with Server("--model_name=m", f"--model_base_path={SOURCE}", "--grace_seconds=10") as s:
        body = b'{"instances":[1.0]}'
        begun = socket.create_connection(("127.0.0.1", s.ports["REST"]))
        begun.sendall(b"POST /v1/models/m:predict HTTP/1.1\r\nContent-Length: %d\r\n\r\n{" % len(body))
        idle = s.connect()
        idle.request("GET", "/healthz")
        idle.getresponse().read()
        time.sleep(0.3)
        s.process.terminate()
        s.wait_for("draining")
        time.sleep(0.2)
        begun.sendall(body[1:])
        got = b""
        while chunk := begun.recv(4096):
            got += chunk
        assert b"3.5" in got and b"Connection: close" in got, got
        assert s.process.wait(10) == 0
        begun.close()
        idle.close()


def test_memory_comes_back_after_reloads():
    with tempfile.TemporaryDirectory() as folder:
        base = pathlib.Path(folder) / "m"
        put_version(base, 1, SOURCE / "1")

        def anonymous_kb():
            text = pathlib.Path(f"/proc/{s.process.pid}/status").read_text()
            return int(text.split("RssAnon:")[1].split()[0])

        with Server("--model_name=m", f"--model_base_path={base}") as s:
            sizes = []
            for number in range(2, 18):
                put_version(base, number, SOURCE / "1")
                eventually(lambda: states(s).get(str(number)) == "AVAILABLE")
                s.wait_for("version dropped", version=number - 1)
                shutil.rmtree(base / str(number - 1))
                answer(s)
                sizes.append(anonymous_kb())
            # the first reloads and requests also fill what the allocator keeps for each thread
            assert sizes[-1] <= sizes[6] * 1.05, sizes
            # and a version that ended long ago is remembered nowhere
            eventually(lambda: len(states(s)) <= 10)
            eventually(lambda: s.rest("/metrics")[1].count(":tensorflow:cc:saved_model:load_attempt_count{") <= 10)


os.environ.pop("MODEL_NAME", None)
server.run(globals())

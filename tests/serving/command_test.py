"""`slipway serve`: a SavedModel of the working tree, served with TensorFlow's libraries from wherever they are."""

import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile

import server
from server import MODELS

server.skip_without_tensorflow()
SLIPWAY = os.environ["SLIPWAY"]
ENV = {**os.environ, "SLIPWAY_TENSORFLOW": str(server.TENSORFLOW), "NO_COLOR": "1"}


def serve(*words, env=ENV, seconds=120):
    """(process, port of REST, lines so far) once it is ready."""
    process = subprocess.Popen([SLIPWAY, "serve", *map(str, words), "--any-ports"], text=True, stderr=subprocess.PIPE, env=env)
    lines, port = [], None
    for line in process.stderr:
        lines.append(line.rstrip())
        found = re.match(r"listening: protocol REST, address 127\.0\.0\.1, port (\d+)", line)
        port = int(found.group(1)) if found else port
        if line == "ready\n":
            return process, port, lines
    raise AssertionError(f"it ended with {process.wait()}: {lines}")


def stop(process, sent=signal.SIGINT):
    process.send_signal(sent)
    rest = process.stderr.read()
    process.stderr.close()
    return process.wait(30), rest


def ask(port, name):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", f"/v1/models/{name}:predict", '{"instances":[1.0]}')
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return json.loads(text)


def test_a_folder_of_versions_and_a_saved_model():
    for folder, name in ((MODELS / "half_plus_two_tf2", "half_plus_two_tf2"), (MODELS / "half_plus_two_tf2/2/", "half_plus_two_tf2")):
        process, port, lines = serve(folder)
        assert ask(port, name) == {"predictions": [3.5]}
        status, rest = stop(process)
        assert status == 0 and "stopped: all_requests_answered yes" in rest, (status, rest)


def test_names_and_flags_behind_the_dashes():
    process, port, lines = serve(MODELS / "half_plus_three", "--name", "three")
    assert ask(port, "three") == {"predictions": [3.5]}
    assert stop(process, signal.SIGTERM)[0] == 0
    command = [SLIPWAY, "serve", str(MODELS / "half_plus_three"), "--", "--no_such_flag"]
    ran = subprocess.run(command, text=True, capture_output=True, env=ENV)
    assert ran.returncode == 2 and "error: unknown flag --no_such_flag" in ran.stderr, ran


def test_what_is_no_model():
    with tempfile.TemporaryDirectory() as folder:
        ran = subprocess.run([SLIPWAY, "serve", folder], text=True, capture_output=True, env=ENV)
        assert ran.returncode == 1 and "is no SavedModel and holds no numbered version of one" in ran.stderr, ran
        assert "hint: name the folder" in ran.stderr
        ran = subprocess.run([SLIPWAY, "serve", str(MODELS / "half_plus_three")], text=True, capture_output=True,
                             env={**ENV, "SLIPWAY_TENSORFLOW": folder})
        assert ran.returncode == 1 and "which SLIPWAY_TENSORFLOW names" in ran.stderr, ran


def test_the_libraries_come_out_of_the_store():
    env = {k: v for k, v in ENV.items() if k != "SLIPWAY_TENSORFLOW"}
    env["SLIPWAY_STORE"] = os.environ.get("SLIPWAY_TEST_STORE", "")
    if not pathlib.Path(env["SLIPWAY_STORE"]).is_dir():
        print("skipped: no store of packages in $SLIPWAY_TEST_STORE")
        return
    process, port, lines = serve(MODELS / "half_plus_three", env=env)
    assert ask(port, "half_plus_three") == {"predictions": [3.5]}
    # what is loaded cannot be collected away
    maps = pathlib.Path(f"/proc/{process.pid}/maps").read_text()
    tree = re.search(r"trees/(wheel-[0-9a-f]+)/root/tensorflow/libtensorflow_framework", maps).group(1)
    held = [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{process.pid}/fd")]
    assert any("leases" in path and tree in path for path in held), held
    assert stop(process)[0] == 0


server.run(globals())

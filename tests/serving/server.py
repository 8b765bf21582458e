"""Runs slipway-serve for a test: `with Server(args) as server: server.rest("/v1/models/m")`."""

import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
MODELS = HERE / "models"
PROGRAM = pathlib.Path(os.environ.get("SLIPWAY", "slipway")).parent / "slipway-serve"
TENSORFLOW = pathlib.Path(os.environ.get("SLIP_TF_DIR", "/nonexistent")) / "tensorflow"

CLIENTS = pathlib.Path(os.environ.get("SLIP_SERVING_CLIENTS", "/nonexistent"))


def skip_without_tensorflow():
    if not (TENSORFLOW / "libtensorflow_framework.so.2").exists():
        print(f"skipped: no TensorFlow runtime in {TENSORFLOW}")
        sys.exit(77)


def continue_in(environment):
    """Goes on in the interpreter that has the packages a test imports: one of those that fetch_clients.py made."""
    python = CLIENTS / environment / "bin/python"
    if not (CLIENTS / environment / "complete").exists() or not (CLIENTS / "models/complete").exists():
        print(f"skipped: no {environment} environment in {CLIENTS}; fetch_clients.py makes it")
        sys.exit(77)
    if sys.prefix != str(python.parent.parent):
        os.execv(python, [str(python), *sys.argv])


class Server:
    def __init__(self, *flags, wait=True, env=None):
        self.lines, self.ports, self.wait_ready = [], {}, wait
        command = [str(PROGRAM), f"--tensorflow={TENSORFLOW}", "--any_ports", "--address=127.0.0.1", *flags]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})})
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stderr:
            with self.changed:
                try:
                    record = json.loads(line)
                except ValueError:
                    record = {"event": "text", "text": line.rstrip()}
                self.lines.append(record)
                if record["event"] == "listening":
                    self.ports[record["protocol"]] = record["port"]
                self.changed.notify_all()
        with self.changed:
            self.lines.append({"event": "end of log"})
            self.changed.notify_all()

    def wait_for(self, event, seconds=30, **fields):
        def there():
            return any(l["event"] == event and all(l.get(k) == v for k, v in fields.items()) for l in self.lines)
        with self.changed:
            self.changed.wait_for(lambda: there() or self.lines[-1:] == [{"event": "end of log"}], seconds)
            assert there(), f"no {event} {fields} in {self.lines}"

    def __enter__(self):
        if self.wait_ready:
            self.wait_for("ready")
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stderr.close()

    def stop(self):
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.ports["REST"], timeout=30)

    def rest(self, path, body=None, method=None, headers=None):
        """(status, text) of one request on a connection of its own."""
        connection = self.connect()
        try:
            if body is not None and not isinstance(body, (str, bytes)):
                body = json.dumps(body)
            connection.request(method or ("GET" if body is None else "POST"), path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        finally:
            connection.close()


def eventually(check, seconds=20):
    end = time.monotonic() + seconds
    while True:
        try:
            result = check()
            if result:
                return result
        except AssertionError:
            if time.monotonic() > end:
                raise
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def run(tests):
    """Runs the functions whose names begin with test_; prints each; exit status for ctest."""
    failed = 0
    for name, test in list(tests.items()):
        if name.startswith("test_"):
            start = time.monotonic()
            try:
                test()
                print(f"ok   {name} ({time.monotonic() - start:.1f} s)", flush=True)
            except Exception:
                import traceback
                traceback.print_exc()
                print(f"FAIL {name}", flush=True)
                failed += 1
    sys.exit(1 if failed else 0)

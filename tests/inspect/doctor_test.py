"""`slipway doctor` on this machine, and on what is made wrong on purpose."""

import http.server
import json
import os
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "images"))
import support


class Source(http.server.BaseHTTPRequestHandler):
    """Answers everything, with the clock that the test wants."""

    offset = 0

    def do_GET(self):
        self.send_response_only(200)
        self.send_header("Date", self.date_time_string(time.time() + self.offset))
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class Doctor(support.Case):
    def setUp(self):
        super().setUp()
        self.env["SLIPWAY_STORE"] = str(self.dir / "store")
        for name in list(self.env):
            if name.startswith("SLIPWAY_SOURCE_"):
                del self.env[name]

    def checks(self, *flags, status=None):
        record = self.slipway("doctor", "--json", *flags, cwd=self.dir, status=status).json()
        self.assertEqual(record["ok"], all(c["ok"] for c in record["checks"]))
        for check in record["checks"]:
            self.assertEqual(set(check), {"id", "title", "ok", "found", "wanted", "hint", "exception"})
            self.assertTrue(check["ok"] or (check["found"] and check["wanted"] and check["hint"]), check)
        return {c["id"]: c for c in record["checks"]}

    def test_this_machine(self):
        checks = self.checks("--offline")
        for name in ("kernel", "namespaces", "overlay", "seccomp", "init", "store", "state"):
            self.assertTrue(checks[name]["ok"], checks[name])
        self.assertIn("cgroups", checks)
        self.assertNotIn("clock", checks)
        said = self.slipway("doctor", "--offline", cwd=self.dir, status=None)
        self.assertRegex(said.out, r"ok +kernel +the kernel is new enough: \d")

    def test_leftovers_of_killed_processes(self):
        self.slipway("images", cwd=self.dir)
        left = self.dir / "store/tmp/step-dead"
        left.mkdir()
        self.assertTrue(self.checks("--offline")["store"]["ok"], "what is younger than a minute may be somebody's")
        os.utime(left, (time.time() - 3600,) * 2)
        found = self.checks("--offline", status=1)["store"]
        self.assertIn("tmp/step-dead", found["found"])
        self.assertIn("slipway gc", found["hint"])
        self.slipway("gc", cwd=self.dir)
        self.assertTrue(self.checks("--offline")["store"]["ok"])

    def test_a_workspace_whose_monitor_was_killed(self):
        folder = pathlib.Path(self.env["SLIPWAY_STATE"]) / "workspaces/dead"
        folder.mkdir(parents=True, mode=0o700)
        record = {"name": "dead", "image": "dead:latest", "digest": "", "root": "root-0", "project": "", "user": "dev", "env": {}, "jupyter": False,
                  "ssh": True, "ssh_keys": [], "mounts": [], "limits": {"memory_bytes": None, "cpus": None, "pids": None, "shm_bytes": None},
                  "outbound": True, "ports": {}}
        (folder / "workspace.json").write_text(json.dumps(record))
        (folder / "status.json").write_text(json.dumps({"monitor": 1, "init": 1, "started": 1, "running": True, "exit_status": 0, "reason": "",
                                                        "unmet": [], "cgroups": []}))
        found = self.checks("--offline", status=1)["state"]
        self.assertEqual(found["found"], "dead")

    def test_sources_and_the_clock(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Source)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{server.server_port}"
        self.env.update(SLIPWAY_SOURCE_DEBIAN=here, SLIPWAY_SOURCE_DEBIAN_SECURITY=here, SLIPWAY_SOURCE_PYPI=here, no_proxy="127.0.0.1")
        checks = self.checks()
        for name in ("source debian", "source debian-security", "source pypi", "clock"):
            self.assertTrue(checks[name]["ok"], checks[name])
        Source.offset = -7200
        self.addCleanup(setattr, Source, "offset", 0)
        self.assertIn("ahead of", self.checks(status=1)["clock"]["found"])
        self.env["SLIPWAY_SOURCE_PYPI"] = "http://127.0.0.1:9/simple"
        dead = self.checks(status=1)["source pypi"]
        self.assertFalse(dead["ok"])
        self.assertIn("sources.pypi", dead["hint"])


if __name__ == "__main__":
    support.main()

"""What goes wrong around us: dead and lying mirrors, kills at every durable step, two builds at once, a full disk."""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
import unittest

import support

SPEC = """\
name: faults
debian: bookworm
apt: [jq]
"""


class Faults(support.Case):
    def locked(self, name="project", env=None):
        project = self.project(SPEC, name=name)
        self.slipway("lock", cwd=project, env=env)
        return project

    def test_dead_mirror_says_so_and_keeps_the_lock(self):
        project = self.locked()
        lock = (project / "slipway.lock").read_bytes()
        env = dict(self.env, SLIPWAY_SOURCE_DEBIAN="http://127.0.0.1:9/debian", SLIPWAY_STORE=str(self.dir / "empty"))
        result = self.slipway("build", cwd=project, env=env, status=1)
        self.assertIn("127.0.0.1:9", result.err)
        self.assertIn("hint: ", result.err)
        self.slipway("lock", "--update-all", cwd=project, env=env, status=1)
        self.assertEqual((project / "slipway.lock").read_bytes(), lock)

    def test_wrong_and_short_bytes_are_refused_and_the_next_run_succeeds(self):
        project = self.locked()
        deb = next(d for d in tomllib.loads((project / "slipway.lock").read_text())["deb"] if d["name"] == "jq")
        path = deb["file"]
        variable = "SLIPWAY_SOURCE_" + deb["source"].upper().replace("-", "_")
        store = self.dir / "store"
        for fault in ({"replace": True}, {"truncate": True}):
            folder = self.dir / f"mirror-{'-'.join(fault)}"
            (folder / path).parent.mkdir(parents=True)
            (folder / path).write_bytes(b"x" * (deb["size"] if "replace" in fault else deb["size"] // 2))
            server = subprocess.Popen([sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)],
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(os.environ, PYTHONUNBUFFERED="1"))
            try:
                port = server.stdout.readline().decode().split(" port ")[1].split()[0]
                env = dict(self.env, SLIPWAY_STORE=str(store), **{variable: f"http://127.0.0.1:{port}"})
                # Everything else is there already; only this one must come from the lying mirror.
                self.slipway("build", cwd=project, env=dict(self.env, SLIPWAY_STORE=str(store)))
                self.slipway("rm", "faults:latest", cwd=project, env=env)
                blob = store / "blobs/sha256" / deb["sha256"]
                blob.unlink()
                for tree in (store / "trees").glob("*"):
                    support.remove_tree(tree)
                for name in ("index.db", "index.db-wal", "index.db-shm"):
                    (store / name).unlink(missing_ok=True)
                result = self.slipway("build", cwd=project, env=env, status=1)
                self.assertIn("jq", result.err)
                self.assertFalse(blob.exists())
            finally:
                server.terminate()
                server.wait()
                server.stdout.close()
            self.slipway("build", cwd=project, env=dict(self.env, SLIPWAY_STORE=str(store)))

    def test_killed_at_every_durable_step(self):
        project = self.locked()
        first = self.slipway("build", "--json", cwd=project).json()["digest"]
        env = dict(self.env, SLIPWAY_STORE=str(self.dir / "store"))
        deaths, step = 0, 1
        while True:
            result = support.run("build", "--json", cwd=project, env=dict(env, SLIPWAY_TEST_KILL_AT=str(step)))
            if result.status == 0:
                break
            self.assertEqual(result.status, -signal.SIGKILL, result)
            deaths += 1
            # The first steps one by one, then in growing strides: every kind of step is hit, in bounded time.
            step = step + 1 if step < 6 else step + 37
            self.assertLess(deaths, 40)
        self.assertGreater(deaths, 3)
        self.assertEqual(result.json()["digest"], first)
        self.assertEqual(self.slipway("build", "--json", cwd=project, env=env).json()["digest"], first)

    def test_killed_at_each_step_with_the_downloads_there(self):
        """Every fsync and rename from the first unpacked package to the image's name, one by one."""
        project = self.locked()
        first = self.slipway("build", "--json", cwd=project).json()["digest"]
        store = self.dir / "store"
        support.seed(store, project / "slipway.lock", self.env["SLIPWAY_STORE"])
        env = dict(self.env, SLIPWAY_STORE=str(store))
        step = 1
        while (result := support.run("build", "--json", cwd=project, env=dict(env, SLIPWAY_TEST_KILL_AT=str(step)))).status != 0:
            self.assertEqual(result.status, -signal.SIGKILL, result)
            for image in self.slipway("images", "--json", cwd=project, env=env).json():
                self.assertEqual(image["digest"], first)
                self.assertTrue((store / "blobs/sha256" / first.split(":")[1]).exists())
            step += 1
            self.assertLess(step, 300)
        self.assertGreater(step, 10)  # what is done stays done, so a later run has fewer steps
        self.assertEqual(result.json()["digest"], first)
        self.assertEqual(self.slipway("run", "--", "jq", "--version", cwd=project, env=env).out[:3], "jq-")
        self.slipway("gc", cwd=project, env=env)
        self.assertEqual(self.slipway("build", "--json", cwd=project, env=env).json()["digest"], first)

    def test_interrupted(self):
        project = self.locked()
        env = dict(self.env, SLIPWAY_STORE=str(self.dir / "store"))
        process = subprocess.Popen([support.SLIPWAY, "build"], cwd=project, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130, err)
        self.assertIn(b"interrupted", err)
        self.slipway("build", cwd=project, env=env)

    def test_two_builds_at_once(self):
        project = self.locked()
        env = dict(self.env, SLIPWAY_STORE=str(self.dir / "store"))
        running = [subprocess.Popen([support.SLIPWAY, "build", "--json"], cwd=project, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
        answers = [process.communicate(timeout=300) for process in running]
        self.assertEqual([p.returncode for p in running], [0, 0], answers)
        self.assertEqual(len({json.loads(out)["digest"] for out, _ in answers}), 1)

    def test_full_disk_root(self):
        support.skip_unless_root()
        project = self.locked()
        small = self.dir / "small"
        small.mkdir()
        env = dict(self.env, SLIPWAY_STORE=str(small / "store"))
        # A mount of its own that disappears with the process.
        script = f"mount -t tmpfs -o size=30m none {small} && exec {support.SLIPWAY} build"
        result = subprocess.run(["unshare", "-m", "sh", "-c", script], cwd=project, env=env, capture_output=True, timeout=300)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn(b"No space left", result.stderr)
        self.assertIn(b"hint: ", result.stderr)


if __name__ == "__main__":
    support.main()

"""audit, diff, explain, verify, bundle and the documents of images that slipway built: real packages, end to end."""

import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "images"))
import support

SPEC = """\
name: looked-at
python: "3.11"
requirements: [six==1.16.0]
apt: [jq]
files: {./scripts: /workspace/scripts}
services: {ssh: {}}
resources: {pids: 500}
"""


class Built(support.Case):
    """One project, locked and built once for all tests of this class."""

    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(support.tempfile.mkdtemp(prefix="slipway-test-"))
        cls.addClassCleanup(support.remove_tree, cls.shared)
        cls.env_of_all = support.base_env(cls.shared)
        cls.folder = cls.shared / "project"
        (cls.folder / "scripts").mkdir(parents=True)
        (cls.folder / "slipway.yaml").write_text(SPEC)
        (cls.folder / "scripts/hello.py").write_text("print('hello')\n")
        for command in (["lock"], ["build", "--output", f"oci:{cls.shared}/layout", "--tag", cls.__name__.lower() + ":test"]):
            result = support.run(*command, cwd=cls.folder, env=cls.env_of_all)
            assert result.status == 0, result
        cls.image = cls.__name__.lower() + ":test"

    @classmethod
    def tearDownClass(cls):
        support.run("rm", cls.image, cwd=cls.folder, env=cls.env_of_all)

    def setUp(self):
        super().setUp()
        self.env["SLIPWAY_STATE"] = self.env_of_all["SLIPWAY_STATE"]


class AuditBuilt(Built):
    def test_an_image_of_ours_passes(self):
        for name in (self.image, f"oci:{self.shared}/layout"):
            record = self.slipway("audit", "--offline", "--json", name, cwd=self.dir).json()
            self.assertTrue(record["ok"], record)
            self.assertEqual([c["id"] for c in record["checks"] if c["exception"]], ["C5.7"])

    def test_a_package_behind_the_locks_back(self):
        """What a `run:` step installs by hand is no package of the lock."""
        folder = self.project(SPEC + 'run: ["mkdir -p /opt/venv/lib/python3.11/site-packages/x-1.dist-info && '
                              "printf 'Name: x\\\\nVersion: 1\\\\n' >/opt/venv/lib/python3.11/site-packages/x-1.dist-info/METADATA\"]\n",
                              **{"scripts/hello.py": "print('hello')\n"})
        (folder / "slipway.lock").write_text((self.folder / "slipway.lock").read_text())
        self.slipway("lock", "--offline", cwd=folder)
        self.slipway("build", "--tag", "behind:test", cwd=folder)
        self.addCleanup(support.run, "rm", "behind:test", cwd=folder, env=self.env)
        record = self.slipway("audit", "--offline", "--json", "behind:test", cwd=folder, status=1).json()
        bad = [c for c in record["checks"] if not c["ok"]]
        self.assertEqual([c["id"] for c in bad], ["C4.3"])
        self.assertIn("+ python x 1", bad[0]["found"])

    def test_a_running_workspace(self):
        self.slipway("up", cwd=self.folder)
        self.addCleanup(support.run, "down", "--purge", "looked-at", cwd=self.folder, env=self.env)

        def failed(status):
            record = self.slipway("audit", "--offline", "--json", "looked-at", cwd=self.folder, status=status).json()
            self.assertEqual(record["workspace"], "looked-at")
            return {c["id"]: c["found"] for c in record["checks"] if not c["ok"] and c["of"] == "workspace"}

        self.assertEqual(failed(None), {})
        state = pathlib.Path(self.env["SLIPWAY_STATE"]) / "workspaces/looked-at"
        (state / "client_key").chmod(0o644)
        self.assertEqual(set(failed(1)), {"C4.10"})
        (state / "client_key").chmod(0o600)
        secret = max((state / "client_key").read_text().splitlines()[1:-1][-2:], key=len)
        with open(state / "log/current.jsonl", "a") as log:
            log.write(json.dumps({"text": secret}) + "\n")
        self.assertIn("log/current.jsonl", failed(1)["JS2"])
        log = state / "log/current.jsonl"
        log.write_text("".join(line for line in log.read_text().splitlines(True) if secret not in line))
        self.assertEqual(failed(None), {})
        with subprocess.Popen([support.SLIPWAY, "exec", "looked-at", "--", "sh", "-c", "sleep 60; : $0", secret],
                              env=self.env, cwd=self.folder, stdin=subprocess.DEVNULL) as process:
            try:
                for _ in range(100):
                    found = failed(None)
                    if found:
                        break
                    time.sleep(0.1)
                self.assertEqual(set(found), {"JS2"})
                self.assertIn("the client key in the command line of process", found["JS2"])
            finally:
                process.terminate()

    def test_one_that_does_not_run(self):
        self.slipway("up", "--name", "resting", cwd=self.folder)
        self.slipway("down", "resting", cwd=self.folder)
        self.addCleanup(support.run, "down", "--purge", "resting", cwd=self.folder, env=self.env)
        result = self.slipway("audit", "--offline", "resting", cwd=self.folder, status=None)
        self.assertIn("does not run", result.err)


if __name__ == "__main__":
    support.main()

"""audit, diff, explain, verify, bundle and the documents of images that slipway built: real packages, end to end."""

import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "images"))
import layouts
import support
from layouts import entry, folder

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
            self.assertEqual([c["id"] for c in record["checks"] if c["exception"] and c["id"] != "C4.4"], ["C5.7"])

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

STATUS = """\
Package: openssl
Status: install ok installed
Architecture: amd64
Version: 3.0.9-1

Package: libssl3
Source: openssl
Status: install ok installed
Architecture: amd64
Version: 3.0.9-1

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 0.1

Package: libhdf5-103-1
Source: hdf5 (1.10.8+repack1-1)
Status: install ok installed
Architecture: amd64
Version: 99:1
"""


class Fixes(support.Case):
    """Against Debian's own indexes, with their signatures."""

    def image(self, codename, status):
        name = self.dir / codename
        release = entry("usr/lib/os-release", f"ID=debian\nVERSION_CODENAME={codename}\n")
        link = entry("etc/os-release", kind=layouts.tarfile.SYMTYPE, linkname="../usr/lib/os-release")
        layouts.write(name, [layouts.clean(release, link, entry("var/lib/dpkg/status", status))])
        return f"oci:{name}"

    def checks(self, name, *flags, env=None):
        record = self.slipway("audit", "--json", *flags, name, cwd=self.dir, status=1, env=env).json()
        return {c["id"]: c for c in record["checks"]}, record["fixes"]

    def test_outdated_packages_and_their_cves(self):
        name = self.image("bookworm", STATUS)
        checks, fixes = self.checks(name)
        self.assertFalse(checks["C4.4"]["ok"])
        self.assertIn("2 of 3", checks["C4.4"]["found"])
        self.assertIn("indexes of 20", checks["C4.4"]["found"])
        found = {o["package"]: o for o in fixes["outdated"]}
        self.assertEqual(set(found), {"openssl", "libssl3"})
        # DSA-5532-1, the first security update of bookworm's openssl after 3.0.9-1.
        self.assertIn("CVE-2023-5363", found["libssl3"]["cves"])
        self.assertEqual(found["openssl"]["cves"], found["libssl3"]["cves"])
        self.assertTrue(all(cve.startswith("CVE-") for cve in found["openssl"]["cves"]))
        self.assertEqual([(s["source"], s["ended"]) for s in fixes["support"]], [("hdf5", False)])
        self.assertIn("trusted content", checks["DSS"]["exception"])
        self.assertTrue(checks["EOL"]["ok"])
        # The same without a network, from what that call left in the store; in a store of its own nothing is known.
        again, offline = self.checks(name, "--offline")
        self.assertEqual(offline["outdated"], fixes["outdated"])
        self.assertEqual(again["C4.4"], checks["C4.4"])
        alone, nothing = self.checks(name, "--offline", env={**self.env, "SLIPWAY_STORE": str(self.dir / "empty")})
        self.assertIn("offline", alone["C4.4"]["exception"])
        self.assertIsNone(nothing["dated"])

    def test_a_release_that_gets_no_fixes_any_more(self):
        checks, fixes = self.checks(self.image("bullseye", STATUS))
        self.assertFalse(checks["EOL"]["ok"])
        self.assertIn("2026-08-31", checks["EOL"]["found"])
        self.assertEqual(fixes["release"], "bullseye")

    def test_no_debian(self):
        checks, fixes = self.checks(self.image("arch", STATUS))
        self.assertIn("nothing was looked at", checks["C4.4"]["exception"])
        self.assertIsNone(fixes["release"])


if __name__ == "__main__":
    support.main()

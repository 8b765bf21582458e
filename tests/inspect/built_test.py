"""audit, diff, explain, verify, bundle and the documents of images that slipway built: real packages, end to end."""

import collections
import hashlib
import json
import os
import pathlib
import shutil
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

class Explain(Built):
    def explain(self, *args, cwd=None):
        return self.slipway("explain", "--json", "--image", self.image, *args, cwd=cwd or self.dir).json()

    def test_files(self):
        jq = self.explain("/usr/bin/jq")
        self.assertEqual((jq["package"]["name"], jq["package"]["kind"], jq["type"]), ("jq", "deb", "file"))
        self.assertIn(jq["package"]["sha256"].removeprefix("sha256:"), (self.folder / "slipway.lock").read_text())
        self.assertEqual(jq["package"]["because"], ["`apt: jq` of the spec"])
        library = self.explain("libonig5")
        self.assertEqual(library["because"], ["needed by libjq1", "needed by jq", "`apt: jq` of the spec"])
        code = self.explain("/opt/venv/lib/python3.11/site-packages/__pycache__/six.cpython-311.pyc")
        self.assertEqual(code["package"]["name"], "six")
        self.assertEqual(self.explain("/bin/sh")["package"]["name"], "dash")
        script = self.explain("/workspace/scripts/hello.py")
        self.assertEqual((script["layer"], script["package"]), ("files", None))
        self.assertEqual(script["sha256"], "sha256:" + hashlib.sha256(b"print('hello')\n").hexdigest())
        self.assertIn("maintainer scripts", self.explain("/etc/shells")["made_by"])
        missing = self.slipway("explain", "--image", self.image, "/usr/bin/jqq", cwd=self.dir, status=1)
        self.assertIn("did you mean `/usr/bin/jq`?", missing.err)

    def test_lines_of_the_spec_where_the_checkout_is(self):
        self.slipway("build", cwd=self.folder)
        self.addCleanup(support.run, "rm", "looked-at", cwd=self.folder, env=self.env)
        said = self.slipway("explain", "six", cwd=self.folder).out
        self.assertIn("because   slipway.yaml:3:16 `six==1.16.0`", said)
        said = self.slipway("explain", "/workspace/scripts/hello.py", cwd=self.folder).out
        self.assertIn("because   slipway.yaml:5:9 `./scripts: /workspace/scripts`", said)

    def test_the_whole_image_adds_up(self):
        record = self.explain()
        built = self.slipway("build", "--json", cwd=self.folder).json()
        self.addCleanup(support.run, "rm", "looked-at", cwd=self.folder, env=self.env)
        self.assertEqual([l["digest"] for l in record["layers"]], [l["digest"] for l in built["layers"]])
        self.assertEqual(sum(i["size_unpacked"] for i in record["items"]), sum(l["size_unpacked"] for l in record["layers"]))
        self.assertEqual(sum(i["files"] for i in record["items"]), sum(l["files"] for l in record["layers"]))
        lock = (self.folder / "slipway.lock").read_text()
        for item in record["items"]:
            self.assertTrue(item["because"] and all(item["because"]), item)
            if item["kind"] != "layer":
                self.assertIn(item["sha256"].removeprefix("sha256:"), lock, item)
        # What lies on the disk says the same as dpkg inside.
        listed = self.slipway("run", "--", "sh", "-c", "for f in $(dpkg -L jq); do [ -d $f ] || stat -c %s $f; done", cwd=self.folder).out.split()
        jq = next(i for i in record["items"] if i["name"] == "jq")
        self.assertEqual((jq["files"], jq["size_unpacked"]), (len(listed), sum(map(int, listed))))

    def test_a_store_that_lost_a_blob(self):
        """Without slipway-init's layer nothing can be made again: that is said, and not tried for ever."""
        init = next(l["digest"] for l in self.explain()["layers"] if l["kind"] == "init")
        blob = pathlib.Path(self.env["SLIPWAY_STORE"]) / "blobs/sha256" / init.removeprefix("sha256:")
        away = blob.with_name(f"away-{os.getpid()}")
        blob.rename(away)
        try:
            said = self.slipway("explain", "--image", self.image, "jq", cwd=self.dir, status=1).err
        finally:
            away.rename(blob)
        self.assertIn("layer `slipway-init` of", said)
        self.assertIn("gc --verify", said)

    def test_page(self):
        self.slipway("explain", "--image", self.image, "--html", str(self.dir / "page.html"), cwd=self.dir)
        page = (self.dir / "page.html").read_text()
        self.assertNotRegex(page, r"(src|href)=")
        self.assertIn("prefers-color-scheme: dark", page)
        data = json.loads(page.split("const data = ", 1)[1].split(";\n", 1)[0])
        self.assertEqual({i["name"] for i in data["items"] if i["kind"] == "python"}, {"six", "pip"})
        drawn = collections.Counter()
        for item in data["items"]:
            self.assertEqual(sum(p["unpacked"] for p in item["parts"]), item["unpacked"], item["name"])
            drawn.update({data["layers"][p["layer"]]["name"]: p["unpacked"] for p in item["parts"]})
        self.assertEqual({name: size for name, size in drawn.items() if size},
                         {l["name"]: l["size_unpacked"] for l in self.explain()["layers"] if l["size_unpacked"]})
        browser = shutil.which("chromium")
        if browser is None:
            self.skipTest("chromium is not installed")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync",
                 f"--user-data-dir={self.dir}/browser", "--virtual-time-budget=5000", "--dump-dom"]
        done = subprocess.run([browser, *flags, f"file://{self.dir}/page.html"], capture_output=True, timeout=120, env=self.env, check=True)
        dom = done.stdout.decode()
        self.assertEqual(dom.count("<tr>"), 1 + len(data["items"]))
        self.assertGreater(dom.count('class="cell"'), 0.9 * len(data["items"]))


class DiffBuilt(Built):
    def test_a_pin_and_a_service(self):
        other = self.project(SPEC.replace("six==1.16.0", "six==1.17.0").replace("services: {ssh: {}}\n", ""), name="other",
                             **{"scripts/hello.py": "print('hello')\n"})
        (other / "slipway.lock").write_text((self.folder / "slipway.lock").read_text())
        self.slipway("lock", cwd=other)
        self.slipway("build", "--tag", "other:test", cwd=other)
        self.addCleanup(support.run, "rm", "other:test", cwd=other, env=self.env)
        record = self.slipway("diff", "--json", "--files", self.image, "other:test", cwd=self.dir).json()
        self.assertFalse(record["same"])
        packages = {p["name"]: (p["before"], p["after"]) for p in record["packages"]}
        self.assertEqual(packages["six"], ("1.16.0", "1.17.0"))
        self.assertIsNone(packages["openssh-server"][1])
        self.assertIn("slipway-init", record["shared_layers"])
        changed = {f["path"]: f["fields"] for f in record["files"]["changed_files"]}
        self.assertEqual(changed["/opt/venv/lib/python3.11/site-packages/six.py"], ["content"])
        self.assertIn("/usr/sbin/sshd", {f["path"] for f in record["files"]["only_a"]})
        fields = {f["field"] for f in record["config"]}
        self.assertLessEqual({"label dev.slipway.lock", "ports", "health check"}, fields)
        locks = self.slipway("diff", "--json", str(self.folder / "slipway.lock"), str(other / "slipway.lock"), cwd=self.dir).json()
        self.assertEqual({(p["name"], p["before"], p["after"]) for p in locks["packages"] if p["kind"] == "wheel"}, {("six", "1.16.0", "1.17.0")})
        same = self.slipway("diff", self.image, f"oci:{self.shared}/layout", cwd=self.dir)
        self.assertIn("they are the same", same.err)


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

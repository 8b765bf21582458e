"""lock, build, run and their kin on real packages: a small environment, end to end."""

import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import unittest

import support

SPEC = """\
name: small
python: "3.11"
requirements: [six==1.17.0, numpy==1.26.4]
apt: [jq]
env: {GREETING: "hello there"}
files: {./scripts: /workspace/scripts}
mounts: ["./out:/workspace/out:rw"]
run: ["echo made > /opt/made && chown games:mail /opt/made && chmod 640 /opt/made"]
"""


class Build(support.Case):
    """One project, locked once for all tests of this class."""

    @classmethod
    def setUpClass(cls):
        cls.shared = support.pathlib.Path(support.tempfile.mkdtemp(prefix="slipway-test-"))
        env = support.base_env(cls.shared)
        cls.spec_folder = cls.shared / "project"
        (cls.spec_folder / "scripts").mkdir(parents=True)
        (cls.spec_folder / "slipway.yaml").write_text(SPEC)
        (cls.spec_folder / "scripts/hello.py").write_text("print('hello')\n")
        result = support.run("lock", cwd=cls.spec_folder, env=env)
        assert result.status == 0, result
        cls.lock = (cls.spec_folder / "slipway.lock").read_text()

    @classmethod
    def tearDownClass(cls):
        support.remove_tree(cls.shared)

    def copy(self, name="copy"):
        folder = self.project(SPEC, name=name, **{"scripts/hello.py": "print('hello')\n"})
        (folder / "slipway.lock").write_text(self.lock)
        return folder

    def test_lock_names_no_host_and_is_stable(self):
        self.assertNotIn("://", self.lock)
        project = self.copy()
        self.slipway("lock", cwd=project)
        self.assertEqual((project / "slipway.lock").read_text(), self.lock)
        self.slipway("lock", "--check", cwd=project)

    def test_changed_spec_makes_the_lock_stale(self):
        project = self.copy()
        (project / "slipway.yaml").write_text(SPEC.replace("[jq]", "[jq, less]"))
        result = self.slipway("lock", "--check", cwd=project, status=1)
        self.assertIn("slipway lock", result.err)
        result = self.slipway("build", cwd=project, status=1)
        self.assertIn("slipway lock", result.err)

    def test_comments_and_order_do_not(self):
        project = self.copy()
        (project / "slipway.yaml").write_text("# a comment\n" + SPEC)
        self.slipway("lock", "--check", cwd=project)

    def test_build_record(self):
        record = self.slipway("build", "--json", cwd=self.copy()).json()
        self.assertEqual(record["reference"], "small:latest")
        self.assertTrue(record["digest"].startswith("sha256:"))
        self.assertEqual(record["size"], sum(layer["size"] for layer in record["layers"]))
        self.assertEqual(record["layers"][0]["kind"], "debs")
        again = self.slipway("build", "--json", cwd=self.copy("again")).json()
        self.assertEqual(again["digest"], record["digest"])
        self.assertTrue(all(layer["reused"] for layer in again["layers"]))

    def test_same_digest_in_other_surroundings(self):
        """Another folder, umask, time zone, locale, core count and an empty store: everything is made anew."""
        first = self.slipway("build", "--json", cwd=self.copy()).json()
        env = support.base_env(self.home, store=self.dir / "other-store")
        env.update(TZ="Asia/Tokyo", LANG="de_DE.UTF-8", LC_ALL="C", SLIPWAY_JOBS="1", SOURCE_DATE_EPOCH="12345", PYTHONHASHSEED="7")
        second = self.slipway("build", "--json", cwd=self.copy("elsewhere/deep"), env=env, umask=0o077, prefix=["taskset", "-c", "0"]).json()
        self.assertFalse(any(layer["reused"] for layer in second["layers"]))
        self.assertEqual([l["diff_id"] for l in second["layers"]], [l["diff_id"] for l in first["layers"]])
        self.assertEqual(second["digest"], first["digest"])

    def test_same_digest_as_another_user_root(self):
        support.skip_unless_root()
        first = self.slipway("build", "--json", cwd=self.copy()).json()
        user = support.User()
        self.addCleanup(user.close)
        project = pathlib.Path(user.home) / "project"
        (project / "scripts").mkdir(parents=True)
        (project / "slipway.yaml").write_text(SPEC)
        (project / "scripts/hello.py").write_text("print('hello')\n")
        (project / "slipway.lock").write_text(self.lock)
        user.own(project)
        env = support.base_env(user.home, store=os.path.join(user.home, "store"))
        record = self.slipway("build", "--json", cwd=project, env=env, prefix=user.prefix()).json()
        self.assertEqual([l["diff_id"] for l in record["layers"]], [l["diff_id"] for l in first["layers"]])
        self.assertEqual(record["digest"], first["digest"])
        ran = self.slipway("run", "--", "python", "-c", "import os; open('/workspace/out/f', 'w').write('x'); print(os.getuid())",
                           cwd=project, env=env, prefix=user.prefix())
        self.assertEqual(ran.out, "1000\n")
        self.assertEqual((project / "out/f").stat().st_uid, user.uid)

    def test_same_digest_at_another_date(self):
        """With the clock of slipway and of all it starts without a sandbox ten years ahead, and everything made anew."""
        if not support.have("faketime"):
            self.skipTest("faketime is not installed")
        first = self.slipway("build", "--json", cwd=self.copy()).json()
        store = self.dir / "dated-store"
        later = self.copy("later")
        support.seed(store, later / "slipway.lock", self.env["SLIPWAY_STORE"])
        second = self.slipway("build", "--json", "--offline", cwd=later, env=support.base_env(self.home, store=store),
                              prefix=["faketime", "-f", "+10y"]).json()
        self.assertFalse(any(layer["reused"] for layer in second["layers"]))
        self.assertEqual(second["digest"], first["digest"])

    def test_a_run_step_that_fails_says_what_it_printed(self):
        project = self.copy()
        spec = SPEC.replace('run: ["', 'run: ["echo about to; curl http://127.0.0.1:9/ || ls /no/such/thing", "')
        (project / "slipway.yaml").write_text(spec)
        self.slipway("lock", cwd=project)
        result = self.slipway("build", cwd=project, status=1)
        self.assertIn("error: run step 1 `echo about to; ", result.err)
        self.assertIn("Caused by: about to", result.err)
        self.assertIn("cannot access '/no/such/thing'", result.err)
        self.assertNotIn("small:latest", self.slipway("images", cwd=project, env=support.base_env(self.home, store=self.dir / "none")).out)

    def test_what_cannot_be_imported_is_no_image(self):
        project = self.copy()
        (project / "slipway.yaml").write_text(SPEC + "import-check: [numpy, no_such_module]\n")
        self.slipway("lock", cwd=project)
        for _ in range(2):  # a failed check is no finished build: it is made again
            result = self.slipway("build", "--tag", "unchecked", cwd=project, status=1)
            self.assertIn("import check: 1 of 2 modules cannot be imported", result.err)
            self.assertIn("`import no_such_module`: ModuleNotFoundError", " ".join(result.err.split()))
        self.assertNotIn("unchecked:latest", self.slipway("images", cwd=project).out)
        self.slipway("build", "--no-import-check", cwd=project)

    def test_after_gc_and_rm(self):
        env = support.base_env(self.home, store=self.dir / "own-store")
        project = self.copy()
        first = self.slipway("build", "--json", cwd=project, env=env).json()
        self.assertIn("small:latest", self.slipway("images", cwd=project, env=env).out)
        self.slipway("gc", cwd=project, env=env)
        self.assertEqual(self.slipway("build", "--json", cwd=project, env=env).json()["digest"], first["digest"])
        self.slipway("rm", "small:latest", cwd=project, env=env)
        self.slipway("gc", cwd=project, env=env)
        self.assertEqual(self.slipway("images", "--json", cwd=project, env=env).json(), [])
        self.assertEqual(self.slipway("build", "--json", cwd=project, env=env).json()["digest"], first["digest"])
        self.slipway("rm", "nothing:here", cwd=project, env=env, status=1)

    def test_one_script_changes_one_layer(self):
        project = self.copy()
        known = {layer["digest"] for layer in self.slipway("build", "--json", cwd=project).json()["layers"]}
        (project / "scripts/hello.py").write_text("print('hello again')\n")
        record = self.slipway("build", "--json", cwd=project).json()
        self.assertEqual([l["kind"] for l in record["layers"] if l["digest"] not in known], ["files"])

    def test_run(self):
        project = self.copy()
        self.slipway("build", cwd=project)
        ran = self.slipway("run", "--", "python", "-c", "import numpy, six, sys; print(numpy.__version__, sys.version_info[:2])", cwd=project)
        self.assertEqual(ran.out, "1.26.4 (3, 11)\n")
        ran = self.slipway("run", "--", "python", "/workspace/scripts/hello.py", cwd=project)
        self.assertEqual(ran.out, "hello\n")
        self.assertEqual(self.slipway("run", "--", "sh", "-c", "echo $GREETING; echo '{\"a\":1}' | jq .a", cwd=project).out, "hello there\n1\n")
        self.assertEqual(self.slipway("run", "--", "sh", "-c", "exit 7", cwd=project, status=7).out, "")
        self.assertEqual(self.slipway("run", "--", "sh", "-c", "kill -TERM $$", cwd=project, status=143).out, "")
        missing = self.slipway("run", "--", "pyton", cwd=project, status=127).err
        self.assertIn("run `pyton`: there is no such program in the image", missing)
        self.slipway("run", "--", "/etc/passwd", cwd=project, status=126)
        refused = self.slipway("up", cwd=project, status=1).err
        self.assertIn("error: image `small:latest` has no service that a workspace could keep up", refused)
        self.assertIn("services: {ssh: {}}", refused)
        self.assertEqual(self.slipway("run", "--", "pip", "check", cwd=project).out, "No broken requirements found.\n")
        self.assertEqual(self.slipway("run", "--", "dpkg", "--audit", cwd=project).out, "")

    def test_inside_is_locked_down(self):
        project = self.copy()
        self.slipway("build", cwd=project)
        script = ("id -u; touch /usr/x 2>&1 | sed 's/.*: //'; touch /tmp/x ~/x && echo writable; "
                  "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | tr '\\t' ' '; ls /sys/class/net 2>/dev/null || echo lo")
        out = self.slipway("run", "--", "sh", "-c", script, cwd=project).out.splitlines()
        self.assertEqual(out[:7], ["1000", "Read-only file system", "writable", "CapEff: 0000000000000000", "CapBnd: 0000000000000000",
                                   "NoNewPrivs: 1", "Seccomp: 2"], out)

    def test_mounts(self):
        project = self.copy()
        self.slipway("build", cwd=project)
        data = self.dir / "data"
        data.mkdir()
        (data / "in.txt").write_text("in\n")
        ran = self.slipway("run", "--mount", f"{data}:/data", "--", "sh", "-c", "cat /data/in.txt; touch /data/x", cwd=project, status=1)
        self.assertEqual(ran.out, "in\n")
        self.assertIn("Read-only file system", ran.err)
        self.slipway("run", "--", "sh", "-c", "echo made > /workspace/out/made", cwd=project)
        self.assertEqual((project / "out/made").stat().st_uid, os.getuid())
        ran = self.slipway("run", "--mount", "/does/not/exist:/x", "--", "true", cwd=project, status=1)
        self.assertIn("/does/not/exist", ran.err)

    def test_plan_is_printed_and_nothing_runs(self):
        project = self.copy()
        self.slipway("build", cwd=project)
        plan = json.loads(self.slipway("run", "--plan", "--env", "A=b", "--", "touch", "/workspace/out/never", cwd=project).out)
        self.assertEqual(plan["argv"], ["touch", "/workspace/out/never"])
        self.assertEqual(plan["env"]["A"], "b")
        self.assertFalse((project / "out/never").exists())

    def test_outputs_are_what_other_tools_take(self):
        project = self.copy()
        digest = self.slipway("build", "--json", "--output", f"oci:{self.dir}/layout:small", "--output", f"oci-archive:{self.dir}/a.tar",
                              "--output", f"docker-archive:{self.dir}/d.tar", cwd=project).json()["digest"]
        if not support.have("skopeo"):
            self.skipTest("skopeo is not installed")
        for reference in (f"oci:{self.dir}/layout:small", f"oci-archive:{self.dir}/a.tar"):
            seen = json.loads(subprocess.run(["skopeo", "inspect", reference], check=True, capture_output=True).stdout)
            self.assertEqual(seen["Digest"], digest, reference)
        seen = json.loads(subprocess.run(["skopeo", "inspect", "--config", f"docker-archive:{self.dir}/d.tar"], check=True, capture_output=True).stdout)
        self.assertEqual(seen["config"]["User"], "1000:1000")

    def test_zstd_layers_hold_the_same(self):
        project = self.copy()
        gzip = self.slipway("build", "--json", cwd=project).json()
        made = lambda: self.slipway("build", "--json", "--compression", "zstd", "--output", f"oci:{self.dir}/layout:small", cwd=project).json()
        zstd = made()
        # All but the last, which is the lock itself and names the encoder.
        self.assertEqual([l["diff_id"] for l in gzip["layers"][:-1]], [l["diff_id"] for l in zstd["layers"][:-1]])
        self.assertFalse({l["digest"] for l in gzip["layers"]} & {l["digest"] for l in zstd["layers"]})
        self.assertLess(zstd["size"], gzip["size"])
        shutil.rmtree(self.dir / "layout")
        again = made()
        self.assertEqual(again["digest"], zstd["digest"])
        self.assertTrue(all(layer["reused"] for layer in again["layers"]))
        self.assertEqual(self.slipway("build", "--json", cwd=project).json()["digest"], gzip["digest"])
        document = json.loads((self.dir / "layout/index.json").read_text())
        blob = lambda descriptor: self.dir / "layout/blobs/sha256" / descriptor["digest"].split(":")[1]
        for layer in json.loads(blob(document["manifests"][0]).read_text())["layers"]:
            self.assertEqual(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd")
            if support.have("zstd"):
                support.checked("zstd", "-q", "-t", blob(layer))
        self.assertTrue(self.slipway("verify", "--json", f"oci:{self.dir}/layout", cwd=project).json()["same"])
        if support.have("skopeo"):
            support.checked("skopeo", "--insecure-policy", "copy", "-q", f"oci:{self.dir}/layout:small", f"oci-archive:{self.dir}/copied.tar")
            self.assertEqual(json.loads(support.checked("skopeo", "inspect", f"oci-archive:{self.dir}/copied.tar"))["Digest"], zstd["digest"])

    def test_run_step_keeps_owner_and_mode(self):
        project = self.copy()
        self.slipway("build", "--output", f"oci:{self.dir}/layout:small", cwd=project)
        blobs = self.dir / "layout/blobs/sha256"
        blob = lambda descriptor: blobs / descriptor["digest"].split(":")[1]
        document = json.loads((self.dir / "layout/index.json").read_text())
        while "manifests" in document:
            document = json.loads(blob(document["manifests"][0]).read_text())
        found = None
        for layer in document["layers"]:
            with tarfile.open(blob(layer)) as tar:
                for entry in tar:
                    if entry.name == "opt/made":
                        found = (entry.uid, entry.gid, entry.mode)
        self.assertEqual(found, (5, 8, 0o640))

    def test_podman_runs_it_root(self):
        support.skip_unless_root()
        if not support.have("podman"):
            self.skipTest("podman is not installed")
        project = self.copy()
        self.slipway("build", "--output", f"docker-archive:{self.dir}/d.tar", cwd=project)
        storage = ["--root", f"{self.dir}/podman", "--runroot", f"{self.dir}/podman-run", "--runtime", "runc", "--storage-driver", "vfs"]
        loaded = subprocess.run(["podman", *storage, "load", "-q", "-i", f"{self.dir}/d.tar"], capture_output=True)
        self.assertEqual(loaded.returncode, 0, loaded.stderr)
        ran = subprocess.run(["podman", *storage, "run", "--rm", "--network", "none", "--ulimit", "nofile=20000:20000", "--ulimit", "nproc=1024:1024",
                              "small:latest", "python", "-c", "import numpy; print(numpy.__version__)"], capture_output=True)
        self.assertEqual(ran.stdout, b"1.26.4\n", ran.stderr)


class OtherSuite(support.Case):
    """Another suite, other packages, a variant and files that stay out: nothing about them is written anywhere in slipway."""

    SPEC = """\
name: other
python: "3.13"
requirements: requirements.txt
apt: [ripgrep, jq, postgresql-client, vim, vim-tiny]
files: {./src: /workspace/src}
run:
  - "python -c 'import rich; print(rich.__name__)' > /opt/first"
  - {command: "cat /opt/first /opt/first > /opt/second"}
variants: {slim: {apt: [jq], run: []}}
"""

    def test_trixie(self):
        project = self.project(self.SPEC, **{"requirements.txt": "rich>=13 ; python_version >= '3.8'\ncolorama ; sys_platform == 'win32'\n",
                                             "src/kept.py": "print(1)\n", "src/left/out.log": "x\n", ".slipwayignore": "*.log\n"})
        self.slipway("lock", cwd=project)
        record = self.slipway("build", "--json", cwd=project).json()
        self.assertEqual([layer["name"] for layer in record["layers"] if layer["kind"] == "run"], ["run-1", "run-2"])
        script = ("pip check; dpkg --audit; rg --version | head -1 | cut -d' ' -f1; psql --version | cut -d' ' -f1; cat /opt/second; "
                  "find /workspace/src -type f; head -c 10 /usr/share/vim/vim91/doc/help.txt.vim-tiny; echo; cat /etc/debian_version | cut -d. -f1")
        ran = self.slipway("run", "--", "sh", "-c", script, cwd=project)
        self.assertEqual(ran.out.splitlines(), ["No broken requirements found.", "ripgrep", "psql", "rich", "rich", "/workspace/src/kept.py",
                                                "*help.txt*", "13"], ran)
        self.slipway("lock", "--variant", "slim", cwd=project)
        slim = self.slipway("build", "--variant", "slim", "--json", cwd=project).json()
        self.assertEqual(slim["reference"], "other-slim:latest")
        self.assertLess(slim["size"], record["size"])
        self.slipway("run", "--variant", "slim", "--", "sh", "-c", "jq --version && ! rg --version", cwd=project)


if __name__ == "__main__":
    support.main()

"""The CI files that `slipway init --ci` writes: the very steps of each, taken out of the YAML or Groovy, run in a clone of the
project against a registry that wants a password; what the CI's own programs do (checkout, cache, variables) is done here."""

import base64
import hashlib
import os
import pathlib
import re
import shutil
import subprocess

import yaml

from registries import PASSWORD, ROBOT, RegistryCase, checked, main, need, openssl, support

SPEC = """\
name: checked
python: "3.11"
requirements: [flake8==7.1.1, black==24.8.0]
files: {./scripts: /workspace/scripts}
"""
GOOD = 'print("hello")\n'


class Failed(AssertionError):
    pass


class Ci(RegistryCase):
    def setUp(self):
        super().setUp()
        need("git", "bash")
        self.shared = os.environ.get("SLIPWAY_TEST_STORE") or str(self.dir / "store")
        self.env["SLIPWAY_STORE"] = self.shared
        self.server = self.registry(htpasswd=True)
        self.folder = self.project(SPEC, **{"scripts/hello.py": GOOD})
        self.slipway("lock", cwd=self.folder)
        self.slipway("build", "--tag", f"checked-{os.getpid()}:1", cwd=self.folder)  # so that the packages are there
        self.addCleanup(self.slip, "rm", f"checked-{os.getpid()}:1", status=None)
        self.key = self.dir / "signing.key"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.key)
        openssl("pkey", "-in", self.key, "-pubout", "-out", self.dir / "signing.pub")
        self.image = f"{self.server.host}/team/checked"

    def written(self, ci, path):
        said = self.slipway("init", "--ci", ci, cwd=self.folder)
        self.assertEqual(said.err.splitlines()[0], f"Wrote {path} from slipway.yaml")
        again = self.slipway("init", "--ci", ci, cwd=self.folder, status=1)
        self.assertIn(f"`{path}` is there already", again.err)
        text = (self.folder / path).read_text()
        for secret in (PASSWORD, base64.b64encode(f"{ROBOT}:{PASSWORD}".encode()).decode(), "PRIVATE KEY-----", str(self.dir)):
            self.assertNotIn(secret, text)
        return text

    def clone(self, name):
        """A commit, and a fresh clone of it: the clone and the commit's hash."""
        git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "init.defaultBranch=main", "-C", self.folder]
        checked(*git, "init", "-q")
        checked(*git, "add", ".")
        checked(*git, "commit", "-q", "--allow-empty", "-m", name)
        checked("git", "clone", "-q", self.folder, self.dir / name)
        return self.dir / name, checked(*git, "rev-parse", "HEAD").decode().strip()

    def restore_cache(self, blobs):
        """What an earlier run with this lock left: the packages. Roots and layers are made anew."""
        support.seed(blobs.parent, self.folder / "slipway.lock", self.shared)

    def run_step(self, script, env, cwd, shell=("bash", "-eo", "pipefail")):
        base = {k: v for k, v in self.env.items() if not k.startswith(("SLIPWAY_STORE", "SLIPWAY_STATE", "DOCKER_CONFIG"))}
        base["PATH"] = f"{pathlib.Path(os.environ['SLIPWAY']).resolve().parent}:{base['PATH']}"
        done = subprocess.run([*shell, "-c", script], cwd=cwd, env={**base, **env}, capture_output=True, timeout=900, check=False)
        said = (done.stdout + done.stderr).decode(errors="replace")
        self.assertNotIn(PASSWORD, said)
        if done.returncode != 0:
            raise Failed(f"{script}\n{said}")

    def assert_pushed(self, commit, tree):
        """The commit's image is there, signed, and called latest; nothing of the credentials is left in the tree."""
        self.login(self.server.host)
        digests = set()
        for tag in (commit, "latest"):
            pulled = self.slip("pull", "--verify", self.dir / "signing.pub", f"{self.image}:{tag}", "--json",
                               env=self.other_store(tag)).json()
            digests.add(pulled["digest"])
            shutil.rmtree(self.dir / f"store-{tag}", ignore_errors=True)
        self.assertEqual(len(digests), 1)
        kept = base64.b64encode(f"{ROBOT}:{PASSWORD}".encode())
        for path in tree.rglob("*"):
            if path.is_file() and ".slipway/store" not in str(path):
                self.assertNotIn(kept, path.read_bytes(), path)

    def gitlab(self, name, branch="main"):
        tree, commit = self.clone(name)
        job = yaml.safe_load((tree / ".gitlab-ci.yml").read_text())["slipway"]
        known = {"CI_PROJECT_DIR": str(tree), "CI_COMMIT_SHA": commit, "CI_COMMIT_BRANCH": branch, "CI_DEFAULT_BRANCH": "main",
                 "CI_SERVER_URL": "https://gitlab.example", "IMAGE": self.image, "REGISTRY_USER": ROBOT,
                 "REGISTRY_PASSWORD": PASSWORD, "SIGNING_KEY": str(self.key)}
        for key, value in job["variables"].items():
            known[key] = re.sub(r"\$(\w+)", lambda match: known[match[1]], value)
        self.assertEqual(job["cache"]["key"], {"files": ["slipway.lock"]})
        self.restore_cache(tree / job["cache"]["paths"][0])
        try:
            self.run_step("\n".join(job["script"]), known, tree)
        finally:
            self.run_step("\n".join(job["after_script"]), known, tree)
        return tree, commit

    def test_gitlab(self):
        text = self.written("gitlab", ".gitlab-ci.yml")
        for line in ("slipway run -- flake8 scripts", "slipway run -- black --check scripts"):
            self.assertIn(f"- {line}\n", text)
        tree, commit = self.gitlab("first")
        self.assert_pushed(commit, tree)
        (self.folder / "scripts/hello.py").write_text("import os\nprint( 'hello' )\n")
        with self.assertRaises(Failed) as failed:
            self.gitlab("second", branch="topic")
        self.assertIn("F401", str(failed.exception))
        commit = checked("git", "-C", self.folder, "rev-parse", "HEAD").decode().strip()
        self.slip("pull", f"{self.image}:{commit}", status=1)

    def test_github(self):
        self.written("github", ".github/workflows/slipway.yml")
        tree, commit = self.clone("tree")
        workflow = yaml.safe_load((tree / ".github/workflows/slipway.yml").read_text())
        job = workflow["jobs"]["slipway"]
        runner = self.dir / "runner"
        runner.mkdir()
        lock = hashlib.sha256((tree / "slipway.lock").read_bytes()).hexdigest()
        said = {"vars.IMAGE": self.image, "vars.REGISTRY_USER": ROBOT, "secrets.REGISTRY_PASSWORD": PASSWORD,
                "secrets.SIGNING_KEY": self.key.read_text(), "secrets.COSIGN_PASSWORD": "", "github.workspace": str(tree),
                "github.sha": commit, "hashFiles('slipway.lock')": lock,
                "github.ref_name == github.event.repository.default_branch": "true"}

        def filled(values):
            return {key: re.sub(r"\$\{\{ (.*?) \}\}", lambda match: said[match[1]], value) for key, value in values.items()}

        env = {**filled(job["env"]), "RUNNER_TEMP": str(runner), "GITHUB_SERVER_URL": "https://github.example"}
        self.assertEqual(job["steps"][0], {"uses": "actions/checkout@v4"})
        for step in job["steps"][1:]:
            if "uses" in step:
                self.assertEqual(step["uses"], "actions/cache@v4")
                self.assertIn(lock, filled(step["with"])["key"])
                self.restore_cache(tree / step["with"]["path"])
                continue
            self.assertNotIn("${{", step["run"])  # foreign text would be pasted into the script
            self.run_step(step["run"], {**env, **filled(step.get("env", {}))}, tree)
        self.assert_pushed(commit, tree)
        self.assertEqual(list(runner.iterdir()), [])

    def test_jenkins(self):
        text = self.written("jenkins", "Jenkinsfile")
        tree, commit = self.clone("tree")
        code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("//"))
        self.assertEqual(code.count("{"), code.count("}"))
        agent = self.dir / "agent"
        env = {"HOME": str(agent), "WORKSPACE": str(tree), "IMAGE": self.image, "GIT_COMMIT": commit, "BRANCH_IS_PRIMARY": "true",
               "JENKINS_URL": "https://jenkins.example"}
        [block] = re.findall(r"environment \{(.*?)\n  \}", code, re.S)
        for key, value in re.findall(r'(\w+) = "(.*)"', block):
            env[key] = re.sub(r"\$\{env\.(\w+)\}", lambda match: env[match[1]], value)
        self.restore_cache(pathlib.Path(env["SLIPWAY_STORE"]) / "blobs")
        values = {"REGISTRY_USER": ROBOT, "REGISTRY_PASSWORD": PASSWORD, "SIGNING_KEY": str(self.key), "COSIGN_PASSWORD": "none"}
        self.assertEqual(set(re.findall(r"[vV]ariable: '(\w+)'", code)), set(values))
        steps = re.findall(r"sh '''(.*?)'''|sh '([^'\n]*)'", code, re.S)
        self.assertEqual([one for _, one in steps if one][:3], ["slipway doctor", "slipway lock --check", "slipway build"])
        for long, short in steps:
            self.run_step(long or short, {**env, **(values if long else {})}, tree, shell=("sh", "-xe"))
        self.assert_pushed(commit, tree)

    def test_a_project_without_linters_and_a_new_one(self):
        self.slip("init", "--ci", "gitlab", "--template", "minimal", "fresh", "--json")
        self.assertIn("- slipway run -- python --version\n", (self.dir / "fresh/.gitlab-ci.yml").read_text())
        self.assertTrue((self.dir / "fresh/slipway.yaml").exists())


if __name__ == "__main__":
    main()

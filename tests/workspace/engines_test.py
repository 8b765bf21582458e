"""The image under other engines: podman and docker as root, with an ordinary image user, any uid and a read-only root."""

import pathlib
import shutil
import sys
import tempfile

import workspace
from workspace import free_port, json, os, re, subprocess, support, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import engines  # noqa: E402

SPEC = """\
name: small
python: "3.9"
apt: [procps]
services: {jupyter: {}, ssh: {}}
env: {GREETING: "hello there"}
"""
# Run on either side of a network namespace: prints the status of a request.
REQUEST = """
import sys, urllib.error, urllib.request
try:
    request = urllib.request.Request(sys.argv[1], headers=dict([sys.argv[2].split(": ", 1)]) if len(sys.argv) > 2 else {})
    print(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).status)
except urllib.error.HTTPError as e:
    print(e.code)
except OSError:
    print(0)
"""


class Engine:
    """What every engine must show."""

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise support.unittest.SkipTest("needs root to run containers without subordinate ids")
        for tool in cls.tools:
            if shutil.which(tool) is None:
                raise support.unittest.SkipTest(f"not installed: {tool}")
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="slipway-test-"))
        cls.addClassCleanup(support.remove_tree, cls.shared)
        (cls.shared / "project").mkdir()
        (cls.shared / "project/slipway.yaml").write_text(SPEC)
        env = support.base_env(cls.shared)
        for words in (["lock"], ["build", "--output", cls.output.format(cls.shared)]):
            result = support.run(*words, cwd=cls.shared / "project", env=env)
            assert result.status == 0, result
        cls.keys = cls.shared / "keys"
        cls.keys.mkdir(mode=0o755)
        support.checked("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", cls.shared / "client")
        (cls.keys / "authorized_keys").write_text((cls.shared / "client.pub").read_text())
        os.chmod(cls.keys / "authorized_keys", 0o644)
        cls.load()

    def start(self, *flags):
        """Runs the image as people do, on ports of its own; waits until both services answer."""
        self.jupyter, self.sshd = free_port(), free_port()
        command = [*self.engine, "run", "-d", *self.limits, "-p", f"127.0.0.1:{self.jupyter}:8888", "-p", f"127.0.0.1:{self.sshd}:2222", "-v",
                   f"{self.keys}:/run/slipway/keys:ro", *flags, self.image]
        self.id = support.checked(*command).decode().strip()
        self.addCleanup(lambda: subprocess.run([*self.engine, "rm", "-f", self.id], capture_output=True))
        try:
            wait_for(lambda: self.status("api/status") == 403, 60)
        except AssertionError:
            raise AssertionError(f"Jupyter does not answer:\n{self.log()[-3000:]}") from None

    def status(self, path, header=None):
        words = [*self.enter, "python3", "-c", REQUEST, f"http://127.0.0.1:{self.jupyter}/{path}", *([header] if header else [])]
        return int(support.checked(*words))

    def inside(self, *command):
        return support.checked(*self.engine, "exec", self.id, *command).decode()

    def log(self):
        done = subprocess.run([*self.engine, "logs", self.id], capture_output=True, check=True)
        return (done.stdout + done.stderr).decode()

    def check(self, uid):
        self.assertEqual(self.inside("id", "-u").strip(), str(uid))
        # The log says how to get the token, and not the token.
        lines = [json.loads(line) for line in self.log().splitlines()]
        hint = next(entry["line"] for entry in lines if "token: docker exec" in entry.get("line", ""))
        path = hint.split()[-1]
        self.assertRegex(hint, r"docker exec \w+ cat /\S+jupyter_token")
        token = self.inside("cat", path).strip()
        self.assertNotIn(token, self.log())
        self.assertEqual(self.status("api/status", "Authorization: token wrong"), 403)
        self.assertEqual(self.status("api/status", f"Authorization: token {token}"), 200)
        ssh = [*self.enter, "ssh", "-F", "/dev/null", "-p", str(self.sshd), "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={self.dir}/known", "-o",
               "BatchMode=yes", "-o", "IdentitiesOnly=yes"]
        said = support.checked(*ssh, "-i", self.shared / "client", "dev@127.0.0.1", "id -u; echo $GREETING; python -c 'import notebook; print(notebook.__name__)'",
                               timeout=120)
        self.assertEqual(said.decode().splitlines(), [str(uid), "hello there", "notebook"])
        refused = subprocess.run([*ssh, "-o", "PreferredAuthentications=password", "dev@127.0.0.1", "true"], capture_output=True, timeout=60)
        self.assertIn(b"Permission denied (publickey)", refused.stderr)

    def test_as_it_is_root(self):
        self.start()
        self.check(1000)
        config = json.loads(support.checked(*self.engine, "image", "inspect", self.image))[0]["Config"]
        self.assertTrue(config.get("Healthcheck") or self.engine[0] == "podman", "OCI images have no place for it")
        self.assertEqual(set(config["ExposedPorts"]), {"8888/tcp", "2222/tcp"})
        self.assertEqual(config["Entrypoint"], ["/usr/lib/slipway/slipway-init"])
        self.assertIn("dev.slipway.spec", config["Labels"])
        self.assertIn("dev.slipway.lock", " ".join(config["Labels"]))

    def test_any_uid_read_only_no_capabilities_root(self):
        """What a Kubernetes securityContext asks for: runAsNonRoot, readOnlyRootFilesystem, drop ALL, no new privileges."""
        self.start("--user", "12345:12345", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
        self.check(12345)
        status = self.inside("cat", "/proc/1/status")
        self.assertRegex(status, r"CapEff:\s+0+\n")
        self.assertRegex(status, r"NoNewPrivs:\s+1\n")
        self.assertIn("Read-only file system", subprocess.run([*self.engine, "exec", self.id, "touch", "/usr/x"], capture_output=True).stderr.decode())

    def test_health_and_stop_root(self):
        self.start()
        wait_for(lambda: subprocess.run([*self.engine, "exec", self.id, "/usr/lib/slipway/slipway-init", "--health"]).returncode == 0, 30)
        support.checked(*self.engine, "stop", "-t", "15", self.id)
        state = json.loads(support.checked(*self.engine, "inspect", self.id))[0]["State"]
        self.assertEqual(state["ExitCode"], 143 if state["ExitCode"] else 0)
        self.assertTrue(re.search(r'"event":"exit"', self.log()))


class Podman(Engine, engines.Podman, support.Case):
    pass


class Docker(Engine, engines.Docker, support.Case):
    pass


if __name__ == "__main__":
    support.main()

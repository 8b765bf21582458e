"""A model image under podman and docker: as it is, under a Kubernetes securityContext, and asked by unmodified clients."""

import os
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
for folder in ("images", "workspace", "support"):
    sys.path.insert(0, str(HERE.parent / folder))
import engines  # noqa: E402
from workspace import free_port, json, shutil, subprocess, support, wait_for  # noqa: E402

CLIENTS = pathlib.Path(os.environ.get("SLIP_SERVING_CLIENTS", "/nonexistent"))
HALF = support.SOURCE / "tests/serving/models/half_plus_two"
ENVIRONMENT = {"tensorflow-serving-api": "tensorflow", "tritonclient": "oip", "kserve": "oip"}
# What a Kubernetes securityContext asks for: runAsNonRoot, readOnlyRootFilesystem, drop ALL, no new privileges; the
# engine's own seccomp profile is RuntimeDefault.
SECURED = ["--user", "12345:12345", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: served}
spec:
  securityContext: {runAsNonRoot: true, runAsUser: 12345, runAsGroup: 12345, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: model
      image: %s
      imagePullPolicy: Never
      ports: [{containerPort: 8501, hostPort: %d, hostIP: 127.0.0.1}]
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
"""


class Engine:
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise support.unittest.SkipTest("needs root to run containers without subordinate ids")
        for tool in cls.tools:
            if shutil.which(tool) is None:
                raise support.unittest.SkipTest(f"not installed: {tool}")
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="slipway-test-"))
        cls.addClassCleanup(support.remove_tree, cls.shared)
        cls.asked = CLIENTS / "models/two_inputs" if (CLIENTS / "models/complete").exists() else None
        result = support.run("ship", str(cls.asked or HALF), "--name", "served", "--tag", "small", *cls.flags, "--output",
                             cls.output.format(cls.shared), cwd=cls.shared, env=support.base_env(cls.shared))
        assert result.status == 0, result
        cls.load()

    def start(self, *flags):
        self.rest, self.grpc = free_port(), free_port()
        command = [*self.engine, "run", "-d", *self.limits, "-p", f"127.0.0.1:{self.rest}:8501", "-p", f"127.0.0.1:{self.grpc}:8500",
                   *flags, self.image]
        self.id = support.checked(*command).decode().strip()
        self.addCleanup(lambda: subprocess.run([*self.engine, "rm", "-f", self.id], capture_output=True))
        self.await_ready()

    def await_ready(self):
        ready = lambda: subprocess.run([*self.enter, "curl", "-sf", f"http://127.0.0.1:{self.rest}/readyz"], capture_output=True).returncode == 0
        try:
            wait_for(ready, 120)
        except AssertionError:
            log = subprocess.run([*self.engine, "logs", self.id], capture_output=True)
            raise AssertionError(f"the model does not serve:\n{(log.stdout + log.stderr).decode()[-3000:]}") from None

    def predicted(self):
        """The model's status, and for the model of the source tree its numbers."""
        base = f"http://127.0.0.1:{self.rest}/v1/models/served"
        status = json.loads(support.checked(*self.enter, "curl", "-s", base))
        self.assertEqual([v["state"] for v in status["model_version_status"]], ["AVAILABLE"])
        if self.asked is None:
            body = '{"instances": [1.0, 2.0, 5.0]}'
            self.assertEqual(json.loads(support.checked(*self.enter, "curl", "-s", f"{base}:predict", "-d", body)), {"predictions": [2.5, 3.0, 4.5]})

    def of_process(self, name):
        pid = json.loads(support.checked(*self.engine, "inspect", name))[0]["State"]["Pid"]
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        return {line.split(":")[0]: line.split(":")[1].split() for line in lines}

    def check_secured(self, name):
        status = self.of_process(name)
        self.assertEqual(status["Uid"], ["12345"] * 4)
        self.assertEqual((status["CapEff"], status["CapBnd"]), (["0" * 16], ["0" * 16]))
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), (["1"], ["2"]))

    def test_as_it_is_root(self):
        self.start()
        self.predicted()
        self.assertEqual(self.of_process(self.id)["Uid"], ["65532"] * 4)
        support.checked(*self.engine, "exec", self.id, "/usr/bin/slipway-serve", "--probe", "--rest_api_port=8501")
        self.assertNotEqual(subprocess.run([*self.engine, "exec", self.id, "sh"], capture_output=True).returncode, 0)
        support.checked(*self.engine, "stop", "-t", "20", self.id)
        self.assertEqual(json.loads(support.checked(*self.engine, "inspect", self.id))[0]["State"]["ExitCode"], 0)

    def test_any_uid_read_only_no_capabilities_root(self):
        self.start(*SECURED)
        self.predicted()
        self.check_secured(self.id)

    def test_unmodified_clients_root(self):
        if self.asked is None:
            self.skipTest(f"no environments in {CLIENTS}; tests/serving/fetch_clients.py makes them")
        self.start(*SECURED)
        for client, environment in ENVIRONMENT.items():
            with self.subTest(client):
                python = CLIENTS / environment / "bin/python"
                if not (CLIENTS / environment / "complete").exists():
                    self.skipTest(f"no {environment} environment in {CLIENTS}")
                env = {**os.environ, "no_proxy": "127.0.0.1", "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "2"}
                done = subprocess.run([*self.enter, str(python), str(HERE / "ask.py"), client, str(self.rest), str(self.grpc), "served",
                                       str(self.asked) + ".npz"], env=env, capture_output=True, timeout=300)
                self.assertEqual(done.returncode, 0, done.stderr.decode()[-3000:])


class Podman(Engine, engines.Podman, support.Case):
    """From an image with zstd layers."""

    tools = (*engines.Podman.tools, "curl")
    flags = ["--compression", "zstd"]

    def test_a_pod_with_a_security_context_root(self):
        if not pathlib.Path("/usr/libexec/podman/catatonit").exists():
            self.skipTest("podman has no catatonit for pods")
        self.rest = free_port()
        (self.dir / "pod.yaml").write_text(POD % (self.image, self.rest))
        # `kube play` has no --ulimit, and without CAP_SYS_RESOURCE podman cannot raise what it raises by default.
        (self.dir / "containers.conf").write_text('[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n')
        played = subprocess.run([*self.engine, "kube", "play", str(self.dir / "pod.yaml")], capture_output=True,
                                env={**os.environ, "CONTAINERS_CONF": str(self.dir / "containers.conf")})
        self.addCleanup(lambda: subprocess.run([*self.engine, "pod", "rm", "-f", "served"], capture_output=True))
        self.assertEqual(played.returncode, 0, played.stderr.decode())
        self.id = "served-model"
        self.await_ready()
        self.predicted()
        self.check_secured(self.id)
        self.assertTrue(json.loads(support.checked(*self.engine, "inspect", self.id))[0]["HostConfig"]["ReadonlyRootfs"])


class Docker(Engine, engines.Docker, support.Case):
    tools = (*engines.Docker.tools, "curl")
    flags = []


if __name__ == "__main__":
    support.main()

"""An image that slipway built: pushed with layers made on the way, pulled into an empty store, run there."""

import json
import os
import pathlib
import subprocess
import sys
import urllib.request

from registries import Cutter, RegistryCase, main
from scripted import Scripted

TYPES = {"spdx": "application/spdx+json", "cyclonedx": "application/vnd.cyclonedx+json", "slsa": "application/vnd.in-toto+json"}

SPEC = """\
name: small
python: "3.11"
requirements: [six==1.17.0, numpy==1.26.4]
apt: [jq]
env: {GREETING: "hello there"}
files: {./scripts: /workspace/scripts}
"""


class Built(RegistryCase):
    def setUp(self):
        super().setUp()
        self.server = self.registry()
        shared = os.environ.get("SLIPWAY_TEST_STORE") or str(self.dir / "store")
        self.env["SLIPWAY_STORE"] = shared
        self.folder = self.project(SPEC, **{"scripts/hello.py": "import numpy\nprint('hello', numpy.__version__)\n"})
        self.slipway("lock", cwd=self.folder)
        self.tag = f"small-{os.getpid()}:1"
        self.addCleanup(self.slip, "rm", self.tag, status=None)
        self.made = self.build()

    def build(self):
        return self.slipway("build", "--tag", self.tag, "--json", cwd=self.folder).json()

    def push(self, host=None):
        return self.slip("push", self.tag, f"{host or self.server.host}/team/small:1", "--json").json()

    def test_push_pull_run_change_push(self):
        wheels = [layer for layer in self.made["layers"] if layer["kind"] == "wheels"]
        blobs = pathlib.Path(self.env["SLIPWAY_STORE"], "blobs/sha256")
        first = self.push()
        self.assertEqual(first["digest"], self.made["digest"])
        self.assertGreaterEqual(first["uploaded_bytes"], self.made["size"])
        for layer in wheels:  # made while they were uploaded, never on the disk
            self.assertFalse((blobs / layer["digest"].split(":")[1]).exists())

        env = self.other_store()
        name = f"{self.server.host}/team/small:1"
        pulled = self.slip("pull", name, "--json", env=env).json()
        self.assertEqual((pulled["digest"], pulled["size"]), (self.made["digest"], self.made["size"]))
        self.assertEqual(pulled["size_unpacked"], self.made["size_unpacked"])
        said = self.slip("run", "--image", name, "--", "python", "scripts/hello.py", env=env)
        self.assertEqual(said.out, "hello 1.26.4\n")
        self.assertEqual(self.slip("run", "--image", name, "--", "sh", "-c", "echo $GREETING; id -u; jq --version", env=env).out.split("\n")[:2],
                         ["hello there", "1000"])

        (self.folder / "scripts/hello.py").write_text("print('changed')\n")
        self.build()
        second = self.push()
        self.assertLess(second["uploaded_bytes"], 100_000)
        self.assertEqual(second["uploaded"], 2)  # the files and the configuration
        self.assertEqual(second["skipped"], len(self.made["layers"]) - 1)
        self.slip("pull", name, env=env)
        self.assertEqual(self.slip("run", "--image", name, "--", "python", "scripts/hello.py", env=env).out, "changed\n")

    def test_zstd_layers_travel(self):
        made = self.slipway("build", "--tag", self.tag, "--compression", "zstd", "--json", cwd=self.folder).json()
        self.assertEqual(self.push()["digest"], made["digest"])
        env = self.other_store()
        name = f"{self.server.host}/team/small:1"
        self.assertEqual(self.slip("pull", name, "--json", env=env).json()["digest"], made["digest"])
        self.assertEqual(self.slip("run", "--image", name, "--", "python", "scripts/hello.py", env=env).out, "hello 1.26.4\n")

    def test_cut_while_layers_are_made(self):
        # How many connections a push opens and what each carries is the machine's affair: the first is always cut, and what
        # takes its place again and again, until the list is used up.
        cutter = Cutter(self.server.port, [100, 100, 300_000, 300_000, 300_000, 300_000])
        self.addCleanup(cutter.close)
        pushed = self.push(cutter.host)
        self.assertGreaterEqual(cutter.cuts, 2)
        self.assertEqual(self.slip("pull", f"{cutter.host}/team/small:1", "--json", env=self.other_store()).json()["digest"],
                         pushed["digest"])

    def get(self, host, path):
        accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, */*"
        request = urllib.request.Request(f"http://{host}/v2/team/small/{path}", headers={"Accept": accept})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return answer.read()

    def attached(self, host, listing):
        """{artifact type: document}, read as the specification says, without any of our programs."""
        found = {}
        for entry in json.loads(self.get(host, listing))["manifests"]:
            manifest = json.loads(self.get(host, "manifests/" + entry["digest"]))
            self.assertEqual(manifest["subject"]["digest"], self.made["digest"])
            self.assertEqual(manifest["artifactType"], entry["artifactType"])
            self.assertNotIn(entry["artifactType"], found)
            found[entry["artifactType"]] = self.get(host, "blobs/" + manifest["layers"][0]["digest"]).decode()
        return found

    def test_documents_are_attached(self):
        """SBOMs and provenance, under the fallback tag; another push adds none, and none are there unless wanted."""
        self.slip("push", "--no-sbom", self.tag, f"{self.server.host}/team/bare:1")
        self.assertFalse([path for _, path, _ in self.server.requests() if "referrers" in path])
        pushed = self.push()
        self.assertEqual(pushed["attached"], 3)
        tag = "manifests/" + self.made["digest"].replace(":", "-")
        found = self.attached(self.server.host, tag)
        self.assertEqual(set(found), set(TYPES.values()))
        name = f"{self.server.host}/team/small:1"
        env = self.other_store()
        for kind, media in TYPES.items():
            made = self.slip("sbom", "--format", kind, self.tag).out
            self.assertEqual(made, found[media] + "\n")
            self.assertEqual(self.slip("sbom", "--format", kind, name, env=env).out, made)  # not pulled: from the registry
        self.assertEqual(json.loads(found[TYPES["slsa"]])["subject"][0]["digest"]["sha256"], self.made["digest"].split(":")[1])
        self.assertEqual(self.push()["attached"], 0)
        self.slip("push", "--builder", "https://ci.example/1", self.tag, name)
        self.assertEqual(len(json.loads(self.get(self.server.host, tag))["manifests"]), 4)
        self.slip("sbom", "--attached", f"{self.server.host}/team/bare:1", status=1)

    def test_documents_where_the_registry_has_the_api(self):
        registry = Scripted(referrers=True)
        self.addCleanup(registry.close)
        self.assertEqual(self.push(registry.host)["attached"], 3)
        self.assertEqual(set(self.attached(registry.host, "referrers/" + self.made["digest"])), set(TYPES.values()))
        self.assertEqual([name for _, name in registry.manifests if name.startswith("sha256-")], [])
        self.assertEqual(self.push(registry.host)["attached"], 0)

    def test_a_registry_that_takes_no_documents(self):
        registry = Scripted()
        self.addCleanup(registry.close)
        said = json.dumps({"errors": [{"code": "MANIFEST_INVALID", "message": "unknown media type"}]}).encode()
        registry.fault = lambda h: (400, {}, said) if h.command == "PUT" and "/manifests/sha256:" in h.path else None
        name = f"{registry.host}/team/small:1"
        result = self.slip("push", self.tag, name)
        self.assertIn("unknown media type", result.err)
        self.assertIn("warning", result.err)
        self.assertIn(("team/small", "1"), registry.manifests)
        self.slip("push", "--sbom", self.tag, name, status=1)

    def test_a_pulled_image_is_pushed_on(self):
        self.push()
        env = self.other_store()
        name = f"{self.server.host}/team/small:1"
        self.slip("pull", name, env=env)
        second = self.registry("second")
        pushed = self.slip("push", name, f"{second.host}/small:1", "--json", env=env).json()
        self.assertEqual(pushed["digest"], self.made["digest"])
        raw = self.skopeo("inspect", "--config", "--tls-verify=false", f"docker://{second.host}/small:1")
        self.assertEqual(json.loads(raw)["config"]["User"], "1000:1000")

    def test_memory_stays_small(self):
        """Push and pull as children of a small process: the memory of whoever starts a program counts as the program's."""
        measure = ("import os, subprocess, sys\n"
                   "child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
                   "_, status, used = os.wait4(child.pid, 0)\n"
                   "print(used.ru_maxrss)\n"
                   "sys.exit(os.waitstatus_to_exitcode(status))\n")
        for words, env in ((["push", self.tag, f"{self.server.host}/team/memory:1"], self.env),
                           (["pull", f"{self.server.host}/team/memory:1"], self.other_store("memory"))):
            done = subprocess.run([sys.executable, "-I", "-c", measure, os.environ["SLIPWAY"], *words], env=env, text=True,
                                  capture_output=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertLess(int(done.stdout), 256 * 1024)  # kilobytes
            print(f"{words[0]}: {int(done.stdout) // 1024} MiB")


if __name__ == "__main__":
    main()

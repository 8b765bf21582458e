"""slipway ship: what is in a model image, that nothing else is, and that it serves under another engine."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
for folder in ("images", "inspect"):
    sys.path.insert(0, str(HERE.parent / folder))
import layouts  # noqa: E402
from support import SOURCE, Case, User, base_env, checked, have, main, skip_unless_root  # noqa: E402

MODELS = SOURCE / "tests/serving/models"
LIMITS = ["--ulimit", "nofile=20000:20000", "--ulimit", "nproc=1024:1024"]


def layers_of(archive):
    """[(member, content or None)] of each layer of an oci-archive, lowest first, and the image's configuration."""
    with tarfile.open(archive) as tar:
        def blob(descriptor):
            return tar.extractfile("blobs/sha256/" + descriptor["digest"].split(":")[1])
        manifest = json.load(blob(json.load(tar.extractfile("index.json"))["manifests"][0]))
        layers = []
        for descriptor in manifest["layers"]:
            with tarfile.open(fileobj=blob(descriptor)) as layer:
                layers.append([(m, layer.extractfile(m).read() if m.isreg() and m.size < 1 << 20 else None) for m in layer])
        return layers, json.load(blob(manifest["config"]))


class Ship(Case):
    def ship(self, model, *words, **more):
        return self.slipway("ship", str(model), "--json", *words, cwd=self.dir, **more).json()

    def copy(self, model, name):
        target = self.dir / name
        shutil.copytree(MODELS / model, target)
        return target

    def test_an_image_holds_the_model_and_what_serves_it(self):
        archive = self.dir / "image.tar"
        shipped = self.ship(MODELS / "half_plus_two", "--tag", "ship-test-half", "-o", f"oci-archive:{archive}")
        layers, config = layers_of(archive)
        self.assertEqual([layer["name"] for layer in shipped["layers"]], ["system", "tensorflow", "slipway-serve", "lock", "model"])
        members = {m.name: (m, text) for layer in layers for m, text in layer}
        programs = sorted(name for name, (m, _) in members.items() if m.isreg() and m.mode & 0o111 and ".so" not in name)
        self.assertEqual(programs, ["usr/bin/slipway-serve", "usr/lib/slipway/slipway-init"])
        self.assertEqual([name for name, (m, _) in members.items() if m.mode & 0o6000 or m.isdev()], [])
        self.assertEqual([name for name in members if "python3" in name or name.endswith((".py", "/sh", "bin/dpkg", "bin/apt"))], [])
        self.assertEqual({m.uid for m, _ in members.values()} | {m.gid for m, _ in members.values()}, {0})
        # Licences of every package that is in it, and the model itself.
        for package in members:
            if package.startswith("var/lib/dpkg/status.d/"):
                folder = f"usr/share/doc/{package.rsplit('/')[-1]}"
                link = members.get(folder)
                folder = f"usr/share/doc/{link[0].linkname}" if link and link[0].issym() else folder
                self.assertIn(f"{folder}/copyright", members)
        own = members["usr/share/doc/slipway/copyright"][1].decode()
        for part in ("Apache License", "libnghttp2-dev", "libssl-dev", "zlib1g-dev", "libexpected-dev", "musl-dev"):
            self.assertIn(part, own)
        doc = "usr/share/doc/tensorflow-cpu"
        self.assertIn(b"Apache License", members[f"{doc}/tensorflow_cpu-2.9.0.dist-info/LICENSE"][1])
        self.assertIn(b"Copyright 2008", members[f"{doc}/tensorflow/include/external/com_google_protobuf/LICENSE"][1])
        self.assertGreater(sum(name.startswith(f"{doc}/tensorflow/include/external/") for name in members), 40)
        for file in (MODELS / "half_plus_two/123").rglob("*"):
            if file.is_file():
                inside = f"models/half_plus_two/123/{file.relative_to(MODELS / 'half_plus_two/123')}"
                self.assertEqual(members[inside][1], file.read_bytes())
        self.assertIn(b"BEGIN CERTIFICATE", members["etc/ssl/certs/ca-certificates.crt"][1])
        self.assertEqual(members["etc/passwd"][1].decode().count("\n"), 1)

        settings = config["config"]
        self.assertEqual(settings["User"], "65532:65532")
        self.assertEqual(set(settings["ExposedPorts"]), {"8500/tcp", "8501/tcp"})
        label = json.loads(settings["Labels"]["dev.slipway.model"])
        self.assertEqual((label["name"], label["versions"], label["tensorflow"]), ("half_plus_two", ["123"], "2.9.0"))
        self.assertEqual(label["signatures"]["serving_default"]["outputs"]["y"]["dtype"], "DT_FLOAT")

    def test_sizes_stay_below_what_is_promised(self):
        shipped = self.ship(MODELS / "half_plus_two", "--tag", "ship-test-half")
        below = [layer for layer in shipped["layers"] if layer["name"] != "model"]
        self.assertLessEqual(sum(layer["size_unpacked"] for layer in below), 405_000_000)
        self.assertLessEqual(sum(layer["size"] for layer in below), 122_000_000)
        small = self.ship(MODELS / "half_plus_two", "--tag", "ship-test-zstd", "--compression", "zstd")
        self.assertEqual([layer["diff_id"] for layer in small["layers"] if layer["name"] != "lock"],
                         [layer["diff_id"] for layer in shipped["layers"] if layer["name"] != "lock"])
        self.assertLessEqual(sum(layer["size"] for layer in small["layers"] if layer["name"] != "model"), 98_000_000)

    def test_models_share_everything_but_the_last_layer(self):
        first = self.ship(MODELS / "half_plus_two", "--tag", "ship-test-half")
        again = self.ship(self.copy("half_plus_two", "elsewhere") / "123", "--name", "half_plus_two", "--tag", "ship-test-again")
        self.assertEqual(first["digest"], again["digest"])
        other = self.ship(MODELS / "half_plus_two_tf2", "--tag", "ship-test-other")
        self.assertEqual([l["digest"] for l in first["layers"][:-1]], [l["digest"] for l in other["layers"][:-1]])
        model = self.copy("half_plus_two_tf2", "half_plus_two_tf2")
        shutil.rmtree(model / "2")
        older = self.ship(model, "--tag", "ship-test-older")
        self.assertEqual([l["digest"] for l in older["layers"][:-1]], [l["digest"] for l in other["layers"][:-1]])
        self.assertNotEqual(older["layers"][-1]["digest"], other["layers"][-1]["digest"])

    def test_several_versions_are_served(self):
        newest = self.ship(MODELS / "half_plus_two_tf2", "--tag", "ship-test-newest")
        model = self.copy("half_plus_two_tf2", "half_plus_two_tf2")
        shutil.copytree(model / "2", model / "10")
        for wanted, versions in (("2", ["2", "10"]), ("all", ["1", "2", "10"])):
            shipped = self.ship(model, "--tag", "ship-test-several", "--versions", wanted)
            self.assertEqual(shipped["model"]["versions"], versions)
            self.assertEqual([layer["name"] for layer in shipped["layers"]], ["system", "tensorflow", "slipway-serve", "lock", "versions", "model"])
            self.assertEqual([l["digest"] for l in shipped["layers"][:4]], [l["digest"] for l in newest["layers"][:4]])
            asked = {check["id"] for check in shipped["checks"] if check["ok"]}
            self.assertLessEqual({"predict serving_default", "predict serving_default of version 2"}, asked)
            self.assertTrue(self.slipway("verify", "ship-test-several", "--json", cwd=self.dir).json()["same"])
        refused = self.slipway("ship", str(model), "--versions", "none", cwd=self.dir, status=2).err
        self.assertIn("a number or `all`", refused)

    def test_examples_are_asked_for(self):
        shipped = self.ship(MODELS / "half_plus_two", "--tag", "ship-test-half")
        checks = {check["id"]: check for check in shipped["checks"]}
        for name, signature in shipped["signatures"].items():
            verb = signature["method"].rsplit("/")[-1] if signature["method"] else "predict"
            self.assertIn(f"{verb} {name}", checks)
        # The graph says which features it parses, so that they are answered.
        for name in ("regress_x_to_y", "classify_x_to_y"):
            self.assertEqual(shipped["signatures"][name]["inputs"]["inputs"]["features"], [{"name": "x", "dtype": "DT_FLOAT", "shape": [1]}])
        self.assertEqual(json.loads(checks["regress regress_x_to_y"]["found"]), {"results": [2.0]})
        self.assertTrue(all(check["ok"] and not check["exception"] for check in shipped["checks"]), shipped["checks"])

    def test_stripped_libraries_are_told_from_others(self):
        """Beside an image that holds one of the wheel's libraries as it came."""
        self.ship(MODELS / "half_plus_two", "--tag", "ship-test-half")
        wheel = re.search(r'tensorflow-cpu", version = "2.9.0".*sha256 = "([0-9a-f]{64})"', (SOURCE / "src/model/runtime.lock").read_text())
        with zipfile.ZipFile(pathlib.Path(self.env["SLIPWAY_STORE"], "blobs/sha256", wheel.group(1))) as archive:
            library = archive.read("tensorflow/libtensorflow_framework.so.2")
        site = "opt/venv/lib/python3.9/site-packages"
        dist = f"{site}/tensorflow_cpu-2.9.0.dist-info"
        layouts.write(self.dir / "dev", [layouts.layer(
            layouts.entry(f"{site}/tensorflow/libtensorflow_framework.so.2", library), layouts.entry(f"{dist}/METADATA", "Name: tensorflow-cpu\nVersion: 2.9.0\n"),
            layouts.entry(f"{dist}/RECORD", "tensorflow/libtensorflow_framework.so.2,,\n"))])
        record = self.slipway("diff", "--json", f"oci:{self.dir}/dev", "ship-test-half", cwd=self.dir).json()
        [found] = record["libraries"]
        self.assertEqual((found["stripped"], found["same_build"]), (True, True))
        self.assertEqual((found["a"]["size"], found["a"]["package"]), (len(library), "python tensorflow-cpu 2.9.0"))
        self.assertEqual(found["b"]["package"], found["a"]["package"])
        self.assertLess(found["b"]["size"], found["a"]["size"])
        self.assertEqual(record["kept_packages"], 1)
        self.assertIn("A's without its symbol tables (python tensorflow-cpu 2.9.0)", self.slipway("diff", f"oci:{self.dir}/dev", "ship-test-half", cwd=self.dir).out)

    def test_audit_finds_nothing(self):
        self.ship(MODELS / "half_plus_two", "--tag", "ship-test-half")
        self.slipway("audit", "ship-test-half", cwd=self.dir)

    def test_the_same_for_an_ordinary_user_root(self):
        skip_unless_root()
        first = self.ship(MODELS / "half_plus_two", "--tag", "ship-test-half")
        user = User()
        self.addCleanup(user.close)
        home = pathlib.Path(user.home)
        blobs = home / "store/blobs/sha256"
        blobs.mkdir(parents=True)
        for digest in re.findall(r'sha256 = "([0-9a-f]{64})"', (SOURCE / "src/model/runtime.lock").read_text()):
            there = pathlib.Path(self.env["SLIPWAY_STORE"], "blobs/sha256", digest)
            if there.exists():
                shutil.copy(there, blobs)
        shutil.copytree(MODELS / "half_plus_two", home / "half_plus_two")
        for folder in ("store", "half_plus_two"):
            user.own(home / folder)
        record = self.slipway("ship", "half_plus_two", "--tag", "ship-test-half", "--json", cwd=home, env=base_env(home, store=home / "store"),
                              prefix=user.prefix()).json()
        self.assertEqual([l["digest"] for l in record["layers"]], [l["digest"] for l in first["layers"]])
        self.assertEqual(record["digest"], first["digest"])

    def test_it_is_made_again_from_its_lock(self):
        for compression in ("gzip", "zstd"):
            shipped = self.ship(MODELS / "half_plus_two", "--tag", "ship-test-again", "--compression", compression)
            record = self.slipway("verify", "ship-test-again", "--json", cwd=self.dir, status=None)
            self.assertEqual(record.status, 0, record)
            self.assertEqual((record.json()["same"], record.json()["actual"]), (True, shipped["digest"]))
            self.assertEqual(record.json()["taken"], ["slipway-serve", "model"])

    def test_papers_name_what_is_in_it(self):
        self.ship(MODELS / "half_plus_two", "--tag", "ship-test-half")
        sbom = lambda kind: json.loads(self.slipway("sbom", "--format", kind, "ship-test-half", cwd=self.dir).out)
        spdx, cyclonedx, slsa = sbom("spdx"), sbom("cyclonedx"), sbom("slsa")
        self.assertEqual((spdx["name"], cyclonedx["metadata"]["component"]["name"], slsa["subject"][0]["name"]), ("half_plus_two",) * 3)
        names = {package["name"] for package in spdx["packages"]}
        self.assertLessEqual({"libc6", "libstdc++6", "tensorflow-cpu", "slipway-init", "slipway-serve"}, names)
        self.assertEqual(names - {"half_plus_two"}, {component["name"] for component in cyclonedx["components"]})
        asked = slsa["predicate"]["buildDefinition"]["externalParameters"]
        self.assertEqual((asked["model"]["name"], asked["model"]["versions"]), ("half_plus_two", ["123"]))

    def test_a_bundle_needs_no_network(self):
        shipped = self.ship(MODELS / "half_plus_two", "--tag", "ship-test-half")
        self.slipway("bundle", "bundle.tar", "--image", "ship-test-half", cwd=self.dir)
        env = base_env(self.dir, store=self.dir / "other")
        built = self.slipway("build", "--bundle", "bundle.tar", "--offline", "--json", cwd=self.dir, env=env).json()
        self.assertEqual(built["digest"], shipped["digest"])

    def test_what_is_no_model_is_refused_with_the_next_step(self):
        empty = self.dir / "empty"
        empty.mkdir()
        self.assertIn("no SavedModel", self.slipway("ship", str(empty), cwd=self.dir, status=1).err)
        (empty / "saved_model.pb").write_bytes(b"\xff" * 100)
        refused = self.slipway("ship", str(empty), cwd=self.dir, status=1).err
        self.assertIn("malformed", refused)
        self.assertIn("hint: ", refused)

    def test_what_cannot_be_served_is_refused_before_it_is_tagged(self):
        model = self.copy("counter", "counter")
        (model / "1/variables/variables.data-00000-of-00001").unlink()
        refused = self.slipway("ship", str(model), "--tag", "ship-test-refused", cwd=self.dir, status=1).err
        self.assertIn("variables.data-00000-of-00001 is missing", refused)
        self.assertIn("hint: ", refused)
        model = self.copy("half_plus_two_tf2", "renamed")
        graph = model / "2/saved_model.pb"
        graph.write_bytes(graph.read_bytes().replace(b"StatefulPartitionedCall", b"StatefulPartitionedCalX"))
        refused = self.slipway("ship", str(model), "--tag", "ship-test-refused", cwd=self.dir, status=1).err
        self.assertIn("operations: StatefulPartitionedCalX", refused)
        self.assertNotIn("ship-test-refused", self.slipway("images", cwd=self.dir).out)

    def test_a_model_is_asked_before_it_is_done(self):
        shipped = self.ship(MODELS / "half_plus_two_tf2", "--tag", "ship-test-proof")
        checks = {check["id"]: check for check in shipped["checks"]}
        self.assertTrue(checks["load"]["ok"])
        self.assertIn("outputs", checks["predict serving_default"]["found"])
        self.assertIn("serving_default", shipped["signatures"])
        # A request of one's own that the model refuses ends it; one that it answers is part of the proof.
        bad = self.dir / "bad.json"
        bad.write_text('{"instances": ["no number"]}')
        self.assertIn("fails its proof", self.slipway("ship", str(MODELS / "half_plus_two"), "--request", str(bad),
                                                      "--tag", "ship-test-bad", cwd=self.dir, status=1).err)
        good = self.dir / "good.json"
        good.write_text('{"instances": [1.0, 5.0]}')
        shipped = self.ship(MODELS / "half_plus_two", "--request", str(good), "--tag", "ship-test-half")
        self.assertTrue(any("2.5, 4.5" in (check["found"] or "") for check in shipped["checks"]), shipped["checks"])

    def test_up_publishes_both_ports(self):
        import urllib.request
        self.ship(MODELS / "half_plus_two", "--tag", "ship-test-up")
        self.addCleanup(self.slipway, "down", "--purge", "ship-test-up", cwd=self.dir, status=None)
        up = self.slipway("up", "--json", "--name", "ship-test-up", "ship-test-up", cwd=self.dir).json()
        services = {service["name"]: service for service in up["services"]}
        self.assertEqual(sorted(services), ["grpc", "rest"])
        self.assertTrue(services["rest"]["url"].startswith("http://127.0.0.1:"))
        self.assertEqual(services["grpc"]["url"], f"127.0.0.1:{services['grpc']['port']}")
        body = b'{"instances": [1.0, 2.0, 5.0]}'
        with urllib.request.urlopen(services["rest"]["url"] + ":predict", body, timeout=30) as answer:
            self.assertEqual(json.load(answer), {"predictions": [2.5, 3.0, 4.5]})

    def test_podman_runs_it_without_any_right_root(self):
        skip_unless_root()
        if not have("podman") or not have("runc") or not have("curl"):
            self.skipTest("podman, runc and curl are not installed")
        archive = self.dir / "image.tar"
        self.ship(MODELS / "half_plus_two", "--tag", "ship-test-half", "-o", f"docker-archive:{archive}")
        podman = ["podman", "--root", self.dir / "pod", "--runroot", self.dir / "podrun", "--runtime", "runc", "--cgroup-manager", "cgroupfs"]
        checked(*podman, "load", "-q", "-i", archive)
        run = checked(*podman, "run", "-d", "--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt",
                      "no-new-privileges", "--user", "65532:65532", *LIMITS, "localhost/ship-test-half:latest")
        container = run.decode().split()[-1]
        self.addCleanup(subprocess.run, [str(word) for word in [*podman, "rm", "-f", "-t", "5", container]], capture_output=True)
        pid = checked(*podman, "inspect", "-f", "{{.State.Pid}}", container).decode().strip()
        inside = ["nsenter", "-t", pid, "-n"]
        end = time.monotonic() + 120
        while subprocess.run([*inside, "curl", "-sf", "127.0.0.1:8501/readyz"], capture_output=True).returncode != 0:
            self.assertLess(time.monotonic(), end, checked(*podman, "logs", container))
            time.sleep(0.2)
        answer = checked(*inside, "curl", "-s", "127.0.0.1:8501/v1/models/half_plus_two:predict", "-d", '{"instances": [1.0, 2.0, 5.0]}')
        self.assertEqual(json.loads(answer), {"predictions": [2.5, 3.0, 4.5]})
        checked(*podman, "exec", container, "/usr/bin/slipway-serve", "--probe", "--rest_api_port=8501")
        # Nothing there to run but what serves.
        for program in ("/bin/sh", "sh", "python3", "apt"):
            done = subprocess.run([str(w) for w in [*podman, "exec", container, program]], capture_output=True)
            self.assertNotEqual(done.returncode, 0)
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        self.assertIn("CapEff:\t0000000000000000", status)
        checked(*podman, "stop", "-t", "20", container)
        self.assertEqual(checked(*podman, "inspect", "-f", "{{.State.ExitCode}}", container).strip(), b"0")


if __name__ == "__main__":
    main()

"""The yardstick: examples/tf29 from its committed lock, on real packages."""

import json
import pathlib
import shutil
import subprocess
import threading
import time
import unittest

import support

EXAMPLE = support.SOURCE / "examples/tf29"
# A model whose input is tf.Examples: what it parses stands in a function of its graph.
PARSING = """
import sys
import tensorflow as tf


class Model(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def __call__(self, examples):
        parsed = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([2], tf.float32), "tags": tf.io.VarLenFeature(tf.string)})
        return {"y": tf.reduce_sum(parsed["x"], axis=1) + tf.cast(tf.size(parsed["tags"].values), tf.float32)}


model = Model()
tf.saved_model.save(model, sys.argv[1], {"serving_default": model.__call__})
"""


class Tf29(support.Case):
    def setUp(self):
        super().setUp()
        self.folder = self.dir / "tf29"
        shutil.copytree(EXAMPLE, self.folder, ignore=shutil.ignore_patterns("output"))

    def built_with_peak(self):
        """What the build says, and the most memory (KiB) that slipway itself held: its children have their own."""
        process = subprocess.Popen([support.SLIPWAY, "build", "--json"], cwd=self.folder, env=self.env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        peak = 0

        def watch():
            nonlocal peak
            try:
                while True:
                    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
                    peak = max(peak, int(status.split("VmHWM:")[1].split()[0]))
                    time.sleep(0.02)
            except (OSError, IndexError):
                pass  # it has ended

        watcher = threading.Thread(target=watch)
        watcher.start()
        out, err = process.communicate(timeout=support.TIMEOUT)
        watcher.join()
        self.assertEqual(process.returncode, 0, err)
        return json.loads(out), peak

    def test_digest_and_main_job(self):
        record, peak = self.built_with_peak()
        self.assertLess(peak, 256 * 1024, "resident KiB at the most")
        self.assertEqual(record["digest"], (EXAMPLE / "image.digest").read_text().strip())
        self.assertLessEqual(len(record["layers"]), 40)

        script = "import tensorflow, pandas, matplotlib, sklearn, seaborn, sys; print(tensorflow.__version__, sys.version_info[:2])"
        self.assertEqual(self.slipway("run", "--", "python", "-c", script, cwd=self.folder).out, "2.9.0 (3, 9)\n")
        self.assertEqual(self.slipway("run", "--", "pip", "check", cwd=self.folder).out, "No broken requirements found.\n")
        self.assertEqual(self.slipway("run", "--", "dpkg", "--audit", cwd=self.folder).out, "")
        listed = self.slipway("run", "--", "jupyter", "nbextension", "list", cwd=self.folder)
        for name in ("codefolding/main", "toc2/main", "varInspector/main"):
            lines = [line for line in (listed.out + listed.err).splitlines() if name in line]
            self.assertTrue(lines and "enabled" in lines[0], f"{name}: {listed}")

        for run in ("first", "second"):
            self.slipway("run", "--", "python", "/workspace/scripts/train.py", f"/workspace/output/{run}", cwd=self.folder)
        first = (self.folder / "output/first/losses.json").read_bytes()
        self.assertEqual(first, (self.folder / "output/second/losses.json").read_bytes())
        self.assertGreater(json.loads(first)["accuracy"], 0.95)
        self.assertTrue((self.folder / "output/first/saved_model/saved_model.pb").exists())

    def test_one_pin_changes_one_layer(self):
        known = {layer["digest"] for layer in self.slipway("build", "--json", cwd=self.folder).json()["layers"]}
        spec = (self.folder / "slipway.yaml").read_text()
        (self.folder / "slipway.yaml").write_text(spec.replace("seaborn==0.12.2", "seaborn==0.12.1"))
        self.slipway("lock", cwd=self.folder)
        before = (EXAMPLE / "slipway.lock").read_text().splitlines()
        after = (self.folder / "slipway.lock").read_text().splitlines()
        changed = [line for line in after if line not in before]
        self.assertEqual(len(changed), 2, changed)  # the spec's digest and the one pin
        record = self.slipway("build", "--json", cwd=self.folder).json()
        new = [layer["name"] for layer in record["layers"] if layer["digest"] not in known]
        self.assertEqual(len([name for name in new if name not in ("nbextensions", "lock")]), 1, new)

    def test_into_production(self):
        """A model of the workspace becomes an image; what that keeps of the workspace's image is shown."""
        dev = self.slipway("build", "--json", cwd=self.folder).json()["reference"]
        (self.folder / "output").mkdir()
        (self.folder / "output/parsing.py").write_text(PARSING)
        self.slipway("run", "--", "python", "/workspace/output/parsing.py", "/workspace/output/parsing", cwd=self.folder)
        ship = self.slipway("ship", "output/parsing", "--tag", "tf29-test-parsing", "--lock", "slipway.lock", "--json", cwd=self.folder)
        self.addCleanup(support.run, "rm", "tf29-test-parsing", cwd=self.dir, env=self.env)
        self.assertIn("examples: tf.Example with tags: string, any number; x: float[2]", ship.err)
        shipped = ship.json()
        features = shipped["signatures"]["serving_default"]["inputs"]["examples"]["features"]
        self.assertEqual([(f["name"], f["dtype"], f["shape"]) for f in features], [("tags", "DT_STRING", None), ("x", "DT_FLOAT", [2])])
        checks = {check["id"]: check for check in shipped["checks"]}
        self.assertEqual(json.loads(checks["predict serving_default"]["found"]), {"outputs": [1.125]})
        self.assertIn("1 number equal to TensorFlow 2.9.0's in Python", checks["python"]["found"])
        self.check_what_is_kept(dev, "tf29-test-parsing")

    def check_what_is_kept(self, dev, prod):
        record = self.slipway("diff", "--json", "--files", dev, prod, cwd=self.folder).json()
        a, b, files = record["a"], record["b"], record["files"]
        libraries = {library["name"]: library for library in record["libraries"]}
        self.assertEqual(files["kept"] + files["new"] + len(libraries), b["files"])
        self.assertEqual(files["kept_bytes"] + files["new_bytes"] + sum(l["b"]["size"] for l in libraries.values()), b["size_unpacked"])
        self.assertEqual((sum(p["files"] for p in record["lost"]), sum(p["size"] for p in record["lost"])), (files["lost"], files["lost_bytes"]))
        self.assertLess(b["size_unpacked"] * 5, a["size_unpacked"])
        self.assertEqual(b["python_packages"], 1)
        # The workspace has TensorFlow with CUDA; the model image the CPU's build of the same version, without symbol tables.
        framework = libraries["libtensorflow_framework.so.2"]
        self.assertEqual((framework["a"]["package"], framework["b"]["package"]), ("python tensorflow 2.9.0", "python tensorflow-cpu 2.9.0"))
        self.assertEqual((framework["stripped"], framework["same_build"]), (True, False))
        changed = {(p["kind"], p["name"]): (p["before"], p["after"]) for p in record["packages"]}
        self.assertEqual(changed["python", "tensorflow-cpu"], (None, "2.9.0"))
        self.assertEqual(changed["python", "pandas"], ("1.5.3", None))
        self.assertIn("python tensorflow 2.9.0", {p["of"] for p in record["kept"]}, "its licences at the least")
        self.assertIn("layer slipway-serve", {p["of"] for p in record["new"]})
        page = self.slipway("diff", dev, prod, cwd=self.folder).out
        self.assertRegex(page, r"another build, without symbol tables \(python tensorflow 2.9.0 -> python tensorflow-cpu 2.9.0\)")


if __name__ == "__main__":
    support.main()

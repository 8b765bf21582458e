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


if __name__ == "__main__":
    support.main()

"""The yardstick with CUDA 11.2 and cuDNN 8, from its committed lock: TensorFlow itself says whether it finds all of it. No GPU is needed for that."""

import json
import shutil
import unittest

import support

EXAMPLE = support.SOURCE / "examples/tf29"
# What TensorFlow calls before it uses a GPU; an empty status is good. Without one of the libraries it goes on with the CPU.
VERDICT = """
import ctypes, json
import tensorflow
from tensorflow.python import _pywrap_tensorflow_internal
try_all = ctypes.CDLL(_pywrap_tensorflow_internal.__file__)._ZN15stream_executor8internal9DsoLoader26MaybeTryDlopenGPULibrariesEv
status = ctypes.create_string_buffer(8)
try_all(status)
cudnn = ctypes.CDLL("libcudnn.so.8")
cudnn.cudnnGetVersion.restype = ctypes.c_size_t
print(json.dumps({"fit": status.raw == bytes(8), "cudnn": cudnn.cudnnGetVersion()}))
"""


class Gpu(support.Case):
    def setUp(self):
        super().setUp()
        self.folder = self.dir / "tf29"
        shutil.copytree(EXAMPLE, self.folder, ignore=shutil.ignore_patterns("output"))

    def test_tensorflow_finds_cuda_and_cudnn(self):
        built = self.slipway("build", "--variant", "gpu", "--json", cwd=self.folder)
        record = built.json()
        self.assertEqual(record["digest"], (EXAMPLE / "image.gpu.digest").read_text().strip())
        self.assertLessEqual(len(record["layers"]), 40)
        cuda = [layer for layer in record["layers"] if any(p.startswith("libcusolver11 ") for p in layer["packages"])]
        self.assertEqual(sorted(p.split()[0] for p in cuda[0]["packages"]),
                         ["libcublas11", "libcublaslt11", "libcudart11.0", "libcufft10", "libcupti11.2", "libcurand10", "libcusolver11", "libcusparse11"])

        said = self.slipway("run", "--variant", "gpu", "--gpus", "none", "--", "python", "-c", VERDICT, cwd=self.folder)
        self.assertEqual(json.loads(said.out.splitlines()[-1]), {"fit": True, "cudnn": 8500}, said)
        # The driver is the host's; what an image brought of it would be another's.
        said = self.slipway("run", "--variant", "gpu", "--gpus", "none", "--", "sh", "-c", "ls /usr/lib/x86_64-linux-gnu | grep -c -e libcuda.so -e libnvidia", cwd=self.folder, status=1)
        self.assertEqual(said.out, "0\n")

        why = self.slipway("explain", "--image", "tf29-dev-gpu", "/usr/lib/x86_64-linux-gnu/libcublasLt.so.11", cwd=self.folder).out
        self.assertIn("needed by libcublas11", why)
        self.assertIn("`gpu: …` of the spec", why)

    def test_without_cuda_it_does_not(self):
        """The verdict above can be another one: the same TensorFlow in the base image."""
        said = self.slipway("run", "--", "python", "-c", VERDICT.split("cudnn =")[0] + "print(status.raw == bytes(8))", cwd=self.folder)
        self.assertEqual(said.out.splitlines()[-1], "False", said)


    def test_audit_tells_who_looks_after_it(self):
        self.slipway("build", "--variant", "gpu", cwd=self.folder)
        fixes = self.slipway("audit", "--json", "tf29-dev-gpu", cwd=self.folder, status=None).json()["fixes"]
        self.assertIn({"source": "nvidia-cuda-toolkit", "ended": False, "details": "in the component non-free"}, fixes["support"])


class Refused(support.Case):
    def test_what_would_compute_on_the_cpu(self):
        project = self.project('name: without-cuda\npython: "3.9"\nrequirements: [tensorflow-cpu==2.9.0]\ngpu: {cuda: "11.2", cudnn: "8"}\n')
        self.slipway("lock", cwd=project)
        said = self.slipway("build", cwd=project, status=1)
        self.assertIn("error: GPU check: tensorflow is built without CUDA here: it would run on the CPU\n", said.err)
        self.assertNotIn("without-cuda:latest", self.slipway("images", cwd=project).out)

    def test_a_lock_of_before(self):
        """Locks knew `gpu:` before it brought anything."""
        project = self.project('name: x\npython: "3.9"\nrequirements: [six]\n')
        self.slipway("lock", cwd=project)
        with_gpu = 'name: x\npython: "3.9"\nrequirements: [six]\ngpu: {cuda: "11.2", cudnn: "8"}\n'
        (project / "slipway.yaml").write_text(with_gpu)
        wanted = self.slipway("lock", "--json", cwd=project).json()
        text = (project / "slipway.lock").read_text()
        (project / "slipway.lock").write_text("".join(line for line in text.splitlines(True) if "cudnn" not in line and "cublas" not in line))
        self.assertIn("it was locked by a slipway that brought no CUDA", self.slipway("lock", "--check", cwd=project, status=1).err)
        self.assertEqual(self.slipway("lock", "--json", cwd=project).json()["digest"], wanted["digest"])

    def test_versions_that_nobody_has(self):
        project = self.project('name: x\npython: "3.9"\nrequirements: [six]\ngpu: {cuda: "11.5", cudnn: "8"}\n')
        said = self.slipway("lock", cwd=project, status=1)
        self.assertEqual(said.err, "error: slipway.yaml:4:14: there is no CUDA 11.5 for bullseye\n\n"
                                   "hint: there is 11.2.2 (Debian's packages), 11.8 (NVIDIA's wheels), 11.7 (NVIDIA's wheels)\n")
        self.assertFalse((project / "slipway.lock").exists())

    def test_cudnn_needs_python(self):
        said = self.slipway("lock", cwd=self.project('name: x\ndebian: bullseye\ngpu: {cuda: "11.2", cudnn: "8"}\n'), status=1)
        self.assertIn("cuDNN is a Python wheel, and this spec has no Python", said.err)


if __name__ == "__main__":
    unittest.main()

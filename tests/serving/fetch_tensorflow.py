"""Puts TensorFlow's two runtime libraries where the tests of serving find them: fetch_tensorflow.py FOLDER

They come out of the wheel tensorflow-cpu 2.9.0: from $SLIP_TF_WHEEL_DIR when that holds it, else by pip from the
index this machine is configured for. Exit status 77 (skip) when neither has it.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

LIBRARIES = ["tensorflow/libtensorflow_framework.so.2", "tensorflow/python/_pywrap_tensorflow_internal.so"]


def find_wheel(folder):
    return next(iter(sorted(pathlib.Path(folder).glob("tensorflow_cpu-2.9.*.whl"))), None)


def unpack(wheel, folder):
    with zipfile.ZipFile(wheel) as archive:
        for name in LIBRARIES:
            archive.extract(name, folder)


def main():
    folder = pathlib.Path(sys.argv[1])
    if all((folder / name).exists() for name in LIBRARIES):
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    wheel = find_wheel(os.environ.get("SLIP_TF_WHEEL_DIR", "/nonexistent"))
    if wheel:
        unpack(wheel, folder)
        return 0
    with tempfile.TemporaryDirectory() as cache:
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "--python-version=39",
               "--platform=manylinux_2_17_x86_64", "--platform=manylinux2014_x86_64", "-d", cache,
               "tensorflow-cpu==2.9.0"]
        done = subprocess.run(pip, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wheel = find_wheel(cache)
        if done.returncode != 0 or not wheel:
            print(f"skipped: no tensorflow-cpu 2.9.0 wheel: {done.stderr.strip()[-400:]}")
            return 77
        unpack(wheel, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())

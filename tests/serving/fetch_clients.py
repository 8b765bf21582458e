"""Puts the unmodified clients of PyPI, and TensorFlow 2.9 as the oracle, where the tests find them: fetch_clients.py FOLDER

FOLDER/tensorflow is an environment with tensorflow-cpu 2.9, tensorflow-serving-api and grpcio-reflection; FOLDER/oip one
with tritonclient and kserve, whose protobuf is newer than TensorFlow's; FOLDER/models holds SavedModels that TensorFlow made
there, with the numbers that it computes. Exit status 77 (skip) when no interpreter or no package can be had.
"""

import concurrent.futures
import os
import pathlib
import pwd
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ENVIRONMENTS = {
    # tensorflow-serving-api asks for the package `tensorflow`, 500 MB of CUDA that nothing here uses.
    "tensorflow": (["3.9", "3.10"], [["tensorflow-cpu==2.9.0", "numpy<2", "protobuf<3.20", "grpcio", "grpcio-reflection<1.49"],
                                     ["--no-deps", "tensorflow-serving-api==2.9.*"]]),
    "oip": (["3.11", "3.12", "3.10", "3.9"], [["tritonclient[http,grpc]", "kserve"]]),
}


def places(version):
    """Where a Python of this version may be: on the path, or one of pyenv's, whichever home that lies in."""
    name = "python" + version
    for folder in [*os.environ.get("PATH", "").split(os.pathsep), "/usr/local/bin"]:
        yield pathlib.Path(folder or ".") / name
    roots = [os.environ.get("PYENV_ROOT"), pathlib.Path.home() / ".pyenv", pathlib.Path(pwd.getpwuid(os.getuid()).pw_dir) / ".pyenv"]
    for root in filter(None, roots):
        yield from sorted(pathlib.Path(root).glob(f"versions/{version}.*/bin/{name}"), reverse=True)


def runs(python, version):
    """Whether it starts, is of this version and can make an environment: a shim of pyenv, or Debian's without python3-venv, cannot."""
    try:
        said = subprocess.run([str(python), "-c", "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return said.returncode == 0 and said.stdout.strip() == version


def interpreter(version):
    return next((str(place) for place in places(version) if runs(place, version)), None)


def install(python, words):
    """With uv, which needs less time; with pip where uv cannot be had or knows less of this machine's mirrors."""
    pip = [str(python), "-m", "pip", "install", "-q", "--no-compile", "--disable-pip-version-check"]
    uv = [str(python), "-m", "uv", "pip", "install", "-q", "--no-cache", "--python", str(python)]
    told = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    if subprocess.run([*pip, "uv"], **told).returncode == 0:
        ran = subprocess.run([*uv, *words], **told)
        if ran.returncode == 0:
            return ran
    return subprocess.run([*pip, *words], **told)


def make(folder, versions, installs):
    python = folder / "bin/python"
    done = folder / "complete"
    if done.exists():
        return ""
    base = next(filter(None, map(interpreter, versions)), None)
    if not base:
        return f"no Python {' or '.join(versions)} that runs on this machine"
    shutil.rmtree(folder, ignore_errors=True)
    ran = subprocess.run([base, "-m", "venv", str(folder)], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for words in installs:
        if ran.returncode == 0:
            ran = install(python, words)
    if ran.returncode != 0:
        return f"the environment `{folder.name}` cannot be made: {ran.stdout.strip()[-400:]}"
    done.touch()
    return ""


def make_models(folder):
    if (folder / "models/complete").exists():
        return ""
    ran = subprocess.run([str(folder / "tensorflow/bin/python"), str(HERE / "make_oracle.py"), str(folder / "models")], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0", "TF_CPP_MIN_LOG_LEVEL": "2"})
    return "" if ran.returncode == 0 else f"TensorFlow did not make the models: {ran.stdout[-2000:]}"


def make_oracle(folder):
    """What is missing, then whether TensorFlow failed."""
    missing = make(folder / "tensorflow", *ENVIRONMENTS["tensorflow"])
    return missing, "" if missing else make_models(folder)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor() as pool:  # both wait for downloads most of the time
        oip = pool.submit(make, folder / "oip", *ENVIRONMENTS["oip"])
        missing, failed = make_oracle(folder)
        missing = [text for text in (missing, oip.result()) if text]
    if failed:
        print(failed)
        return 1
    if missing:
        print("skipped: " + "; ".join(missing))
        return 77
    return 0


if __name__ == "__main__":
    sys.exit(main())

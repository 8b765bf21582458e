"""What the whole-program tests of building and running share. Standard library only.

Environment: SLIPWAY (the program under test), SLIPWAY_TEST_STORE (a store that tests share, so that packages are
downloaded once; default: one below the build folder).
"""

import errno
import json
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import tempfile
import tomllib
import unittest

SLIPWAY = os.environ["SLIPWAY"]
SOURCE = pathlib.Path(__file__).resolve().parents[2]
STORE = os.environ.get("SLIPWAY_TEST_STORE", "")
TIMEOUT = 1500  # seconds a single command may take


class Result:
    def __init__(self, done):
        self.status = done.returncode
        self.out = done.stdout.decode(errors="replace")
        self.err = done.stderr.decode(errors="replace")

    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return f"status {self.status}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def base_env(home, store=None):
    """An environment that holds nothing of the caller's but what reaches package sources."""
    kept = ("PATH", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
    kept_prefixes = ("PIP_", "UV_", "SLIPWAY_SOURCE_")
    env = {k: v for k, v in os.environ.items() if k in kept or k.startswith(kept_prefixes)}
    env.update(HOME=str(home), LC_ALL="C.UTF-8", NO_COLOR="1")
    env["SLIPWAY_STORE"] = str(store or STORE or os.path.join(home, "store"))
    env["SLIPWAY_STATE"] = os.path.join(str(home), "state")
    return env


def run(*args, cwd=None, env=None, stdin=None, prefix=(), timeout=TIMEOUT, umask=None):
    command = [*prefix, SLIPWAY, *args]
    before = (lambda: os.umask(umask)) if umask is not None else None
    return Result(subprocess.run(command, cwd=cwd, env=env, input=stdin, capture_output=True, timeout=timeout, preexec_fn=before))


class Case(unittest.TestCase):
    """A test with a throw-away home and project folder."""

    maxDiff = None

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="slipway-test-"))
        self.addCleanup(remove_tree, self.dir)
        self.home = self.dir / "home"
        self.home.mkdir()
        self.env = base_env(self.home)

    def project(self, spec, name="project", **files):
        folder = self.dir / name
        folder.mkdir(parents=True)
        (folder / "slipway.yaml").write_text(spec)
        for path, text in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        return folder

    def slipway(self, *args, cwd, status=0, env=None, **more):
        result = run(*args, cwd=cwd, env=env or self.env, **more)
        if status is not None:
            self.assertEqual(result.status, status, f"slipway {' '.join(args)}: {result}")
        return result


def checked(*command, **more):
    """Runs another program; when it fails, the test says with what words."""
    done = subprocess.run([str(word) for word in command], capture_output=True, **more)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace")[-3000:]
        raise AssertionError(f"{command[0]} ended with {done.returncode}:\n{said}")
    return done.stdout


def seed(store, lock, shared=None):
    """Gives a store the packages of a lock that the shared one has: the rest of it is made anew. @return the names of its blobs"""
    blobs = pathlib.Path(store) / "blobs/sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    listed = tomllib.loads(pathlib.Path(lock).read_text())
    names = [package["sha256"] for kind in ("deb", "wheel", "build-tool", "tool") for package in listed.get(kind, [])]
    names += [wheel["built"]["sha256"] for wheel in listed.get("wheel", []) if "built" in wheel]
    for name in names:
        source = pathlib.Path(shared or STORE) / "blobs/sha256" / name
        if source.exists() and not (blobs / name).exists():
            link_or_copy(source, blobs / name)
    return names


def link_or_copy(source, target):
    """Throw-away folders may lie in memory, where links from the disk do not reach."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copy(source, target)


def remove_tree(path):
    subprocess.run(["chmod", "-R", "u+rwx", str(path)], stderr=subprocess.DEVNULL, check=False)
    shutil.rmtree(path, ignore_errors=True)


class User:
    """A throw-away ordinary user, when we are root; gone at close()."""

    def __init__(self, name="slipway-test"):
        self.name = f"{name}-{os.getpid()}"[:30]
        self.home = tempfile.mkdtemp(prefix="slipway-user-")
        subprocess.run(["useradd", "--no-log-init", "-d", self.home, "-s", "/bin/sh", self.name], check=True, capture_output=True)
        entry = pwd.getpwnam(self.name)
        self.uid, self.gid = entry.pw_uid, entry.pw_gid
        self.own(self.home)
        os.chmod(self.home, 0o755)

    def own(self, path):
        subprocess.run(["chown", "-R", f"{self.uid}:{self.gid}", str(path)], check=True)

    def prefix(self):
        return ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups", "--"]

    def close(self):
        subprocess.run(["userdel", self.name], check=False, capture_output=True)
        remove_tree(self.home)


def skip_unless_root():
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root to become other users")


def have(program):
    return shutil.which(program) is not None


def main():
    """Runs the tests of the calling module; exit 77 (a skip for ctest) when every test was skipped."""
    program = unittest.main(verbosity=2, exit=False)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.testsRun and len(result.skipped) == result.testsRun:
        sys.exit(77)

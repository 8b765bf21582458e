"""An image's tree against what dpkg and pip themselves make of the same packages (needs root, mmdebstrap, umoci).

The same .deb files, served as a local archive, are installed by mmdebstrap; the same wheels by pip into a virtual
environment made by the image's own Python. Every difference in type, content, mode, owner or link must stand in
`EXPECTED` below with its reason.
"""

import fnmatch
import hashlib
import os
import pathlib
import shutil
import stat
import subprocess
import tomllib
import unittest

import support

SPEC = """\
name: compare
python: "3.11"
requirements: [numpy==1.26.4, black==24.10.0, six==1.17.0]
apt: [less, procps, openssh-server, vim, vim-tiny, moreutils, parallel, cron]
"""

# (pattern, reason). A path that matches may be on one side only, or differ.
EXPECTED = [
    # Made by mmdebstrap for its own use of apt.
    ("etc/apt/sources.list*", "mmdebstrap's own sources"),
    ("etc/apt/apt.conf.d/99mmdebstrap", "mmdebstrap's own settings"),
    ("etc/apt/preferences.d", "mmdebstrap's own settings"),
    ("var/lib/apt", "state of the apt that mmdebstrap ran"),
    ("var/cache/apt", "state of the apt that mmdebstrap ran"),
    ("opt/venv/include*", "folders that venv makes for headers"),
    ("var/lib/apt/*", "state of the apt that mmdebstrap ran"),
    ("var/cache/apt/*", "state of the apt that mmdebstrap ran"),
    ("var/log/apt*", "log of the apt that mmdebstrap ran"),
    ("etc/hostname", "the build host's name leaks into mmdebstrap's tree"),
    ("etc/resolv.conf", "the build host's resolver leaks into mmdebstrap's tree"),
    ("etc/fstab", "written by mmdebstrap"),
    ("var/lib/dpkg/arch", "written by mmdebstrap's dpkg --add-architecture"),
    # Random, or a history of the run: normalised away by slipway.
    ("etc/ssh/ssh_host_*", "host keys are made at the first start of a workspace, never in an image"),
    ("var/log/*", "log files of the installation"),
    ("var/cache/debconf/*", "order of answers; backups"),
    ("var/lib/dpkg/*-old", "backups of the run"),
    ("var/lib/dpkg/lock*", "state of the run"),
    ("var/lib/dpkg/triggers/Lock", "state of the run"),
    ("var/lib/dpkg/available", "empty in an image"),
    ("etc/*-", "backups of account files"),
    ("etc/.pwd.lock", "state of the run"),
    ("*__pycache__*", "byte code is written with unchecked hashes and without references"),
    # slipway's own.
    ("usr/lib/slipway*", "slipway-init"),
    ("usr/share/slipway*", "the lock that the image carries"),
    ("etc/passwd", "the workspace user is added"),
    ("etc/group", "the workspace user is added"),
    ("etc/shadow", "the workspace user is added"),
    ("etc/gshadow", "the workspace user is added"),
    ("home/dev*", "the workspace user's home"),
    ("home/dev", "the workspace user's home"),
    ("workspace", "where projects are mounted"),
    ("etc/profile.d/slipway.sh", "PATH of login shells"),
    ("etc/bash.bashrc", "sessions over SSH begin in the project"),
    ("opt/venv/*/INSTALLER", "says slipway"),
    ("opt/venv/*/RECORD", "other INSTALLER, no byte code listed"),
    ("opt/venv/*/REQUESTED", "pip writes it for everything that is named"),
    ("opt/venv/*/direct_url.json", "pip writes it for local files"),
    ("opt/venv/bin/*", "launchers are our own text; pip's name the interpreter of the comparison"),
    ("opt/venv/pyvenv.cfg", "written by slipway"),
    ("opt/venv/lib64", "link that venv makes"),
    ("opt/venv/lib/python*/site-packages/pip*", "the comparison's pip comes from Debian"),
    ("dev/*", "devices are the launcher's"),
    ("run*", "a mount at run time"),
]
# What mmdebstrap's own hook does, which wants a package outside the locked set.
MERGE_USR = 'for d in bin sbin lib lib64; do mkdir -p "$1/usr/$d"; ln -s "usr/$d" "$1/$d"; done'
# Set-id bits of files are dropped from images on purpose: compared without them.
SET_ID = stat.S_ISUID | stat.S_ISGID


def expected(path):
    """The patterns of the list that excuse this path."""
    return [pattern for pattern, _ in EXPECTED if fnmatch.fnmatchcase(path, pattern)]


def listing(root):
    """path → what decides whether two paths are the same."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            full = os.path.join(folder, name)
            path = os.path.relpath(full, root)
            there = os.lstat(full)
            mode = stat.S_IMODE(there.st_mode)
            if stat.S_ISLNK(there.st_mode):
                what = ("link", os.readlink(full))
            elif stat.S_ISDIR(there.st_mode):
                what = ("folder", oct(mode), there.st_uid, there.st_gid)
            elif stat.S_ISREG(there.st_mode):
                with open(full, "rb") as content:
                    digest = hashlib.file_digest(content, "sha256").hexdigest()
                what = ("file", oct(mode & ~SET_ID), there.st_uid, there.st_gid, digest)
            else:
                what = ("other", oct(mode))
            found[path] = what
    return found


def archive(debs, folder):
    """A local apt archive with just these packages."""
    folder.mkdir()
    for deb in debs:
        shutil.copyfile(deb["blob"], folder / os.path.basename(deb["file"]))
    packages = support.checked("dpkg-scanpackages", "--multiversion", ".", cwd=folder)
    (folder / "Packages").write_bytes(packages)
    return f"deb [trusted=yes] copy:{folder} ./"


class Compare(support.Case):
    def blob(self, sha256):
        return pathlib.Path(self.env["SLIPWAY_STORE"]) / "blobs/sha256" / sha256

    def reference(self, lock):
        debs = [dict(d, blob=self.blob(d["sha256"])) for d in lock["deb"]]
        source = archive(debs, self.dir / "archive")
        root = self.dir / "reference"
        names = ",".join(d["name"] for d in debs)
        env = dict(os.environ, SOURCE_DATE_EPOCH="1700000000", DEBIAN_FRONTEND="noninteractive")
        support.checked("mmdebstrap", "--mode=root", "--variant=custom", f"--include={names}",
                        f"--setup-hook={MERGE_USR}", "--skip=check/empty",
                        "--aptopt=Apt::Install-Recommends false", lock["suite"], root, source, env=env)
        wheels = self.dir / "wheels"
        wheels.mkdir()
        names = []
        for wheel in lock["wheel"]:
            if wheel["name"] == "pip":
                continue
            shutil.copyfile(self.blob(wheel["sha256"]), wheels / wheel["file"])
            names.append(str(wheels / wheel["file"]))
        # pip of the test machine, the image's own interpreter for what is asked of it.
        venv = root / "opt/venv"
        support.checked("chroot", root, "/usr/bin/python3.11", "-m", "venv", "--without-pip", "/opt/venv")
        site = venv / "lib/python3.11/site-packages"
        support.checked("/usr/bin/python3", "-m", "pip", "install", "--no-deps", "--no-compile", "--no-index", "--target", site, *names)
        shutil.rmtree(site / "bin", ignore_errors=True)
        return root

    def test_trees_agree(self):
        support.skip_unless_root()
        for program in ("mmdebstrap", "umoci", "dpkg-scanpackages"):
            if not support.have(program):
                self.skipTest(f"{program} is not installed")
        project = self.project(SPEC)
        self.slipway("lock", cwd=project)
        self.slipway("build", "--output", f"oci:{self.dir}/oci:image", cwd=project)
        support.checked("umoci", "unpack", "--image", f"{self.dir}/oci:image", self.dir / "bundle")
        ours = listing(self.dir / "bundle/rootfs")
        theirs = listing(self.reference(tomllib.loads((project / "slipway.lock").read_text())))
        differences = []
        used = set()
        for path in sorted(set(ours) | set(theirs)):
            if ours.get(path) == theirs.get(path):
                continue
            reasons = expected(path)
            used.update(reasons)
            if not reasons:
                differences.append(f"{path}\n    slipway   {ours.get(path)}\n    reference {theirs.get(path)}")
        self.assertGreater(len(set(ours) & set(theirs)), 5000, "the trees have hardly a path in common")
        self.assertEqual(differences, [], "\n".join(differences[:60]))
        self.assertEqual([pattern for pattern, _ in EXPECTED if pattern not in used], [], "these excuse nothing: take them out")


if __name__ == "__main__":
    support.main()

"""The Debian packages: the same bytes twice, lintian's opinion, and a clean Debian 12 that installs and uses them.

    deb_test.py BUILD [--from-source]

Packages the programs of BUILD; with --from-source everything is compiled twice in two folders instead, which takes twenty minutes of two cores.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

FROM_SOURCE = "--from-source" in sys.argv
sys.argv = [word for word in sys.argv if word != "--from-source"]
BUILD = pathlib.Path(sys.argv.pop(1)).resolve()
ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZES = {"slipway": 8_000_000, "slipway-serve": 5_000_000}

# Run by sh in the clean root, where nothing but a minimal Debian and the packages is installed.
INSIDE = """
set -eux
dpkg --audit
slipway --version
slipway-serve --version
slipway-serve --help >/dev/null
cd /tmp
slipway init --template minimal
slipway doctor || [ $? -eq 1 ]
slipway config >/dev/null
man slipway | grep -q 'slipway.lock'
man -w slipway-lock slipway.yaml slipway-init
man 8 slipway-serve | grep -q rest_api_port
bash -c 'source /usr/share/bash-completion/bash_completion; _completion_loader slipway || true; complete -p slipway'
test -f /usr/share/zsh/vendor-completions/_slipway
test -f /usr/share/fish/vendor_completions.d/slipway.fish
test ! -e /etc/slipway
apt-get purge -y slipway slipway-serve
test ! -e /usr/bin/slipway
"""


def package(folder, **more):
    """Packages made in `folder` by somebody with other habits. @return their files by package name"""
    env = dict(os.environ, **more)
    if not FROM_SOURCE:
        env["SLIPWAY_BUILD"] = str(BUILD)
    done = subprocess.run(["sh", "-c", 'umask "$1"; exec "$2" "$3"', "sh", more["UMASK"], ROOT / "tools/make-deb", folder], env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    return {path.name.split("_")[0]: path for path in sorted(pathlib.Path(folder).glob("*.deb"))}


def checked(*words, **more):
    done = subprocess.run([str(word) for word in words], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.stdout[-4000:]}"
    return done.stdout


@unittest.skipUnless(shutil.which("dpkg-buildpackage") and shutil.which("dh"), "debhelper is not installed")
class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = pathlib.Path(tempfile.mkdtemp(prefix="slipway-deb-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        cls.debs = package(cls.dir / "one", TZ="UTC", UMASK="022")

    def test_two_packages_and_their_sizes(self):
        self.assertEqual(set(self.debs), set(SIZES))
        for name, most in SIZES.items():
            self.assertLess(self.debs[name].stat().st_size, most, name)

    def test_the_same_bytes_in_another_folder_umask_and_time_zone(self):
        again = package(self.dir / "another folder".replace(" ", "-") / "deeper", TZ="Pacific/Auckland", UMASK="077", LC_ALL="C.UTF-8")
        for name, deb in self.debs.items():
            self.assertEqual(*(hashlib.sha256(path.read_bytes()).hexdigest() for path in (deb, again[name])), name)

    def test_slipway_init_is_the_one_that_locks_name(self):
        root = self.dir / "unpacked"
        checked("dpkg-deb", "-x", self.debs["slipway"], root)
        self.assertEqual((root / "usr/bin/slipway-init").read_bytes(), (BUILD / "out/slipway-init").read_bytes())

    def test_version_is_that_of_the_changelog(self):
        version = checked("dpkg-parsechangelog", "-l", ROOT / "debian/changelog", "-S", "Version").strip()
        self.assertEqual(checked(BUILD / "out/slipway", "--version"), f"slipway {version}\n")
        self.assertEqual(checked("dpkg-deb", "-f", self.debs["slipway"], "Version").strip(), version)

    @unittest.skipUnless(shutil.which("lintian"), "lintian is not installed")
    def test_lintian(self):
        said = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0", *self.debs.values()], text=True, capture_output=True)
        self.assertEqual((said.returncode, said.stdout), (0, ""), said.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "a root file system needs root")
    @unittest.skipUnless(shutil.which("mmdebstrap"), "mmdebstrap is not installed")
    @unittest.skipUnless(os.environ.get("SLIPWAY_TEST_NETWORK"), "SLIPWAY_TEST_NETWORK is not set")
    def test_a_clean_debian_root(self):
        stage = self.dir / "stage"
        stage.mkdir()
        for deb in self.debs.values():
            shutil.copy(deb, stage)
        (stage / "inside").write_text(INSIDE)
        said = checked("mmdebstrap", "--mode=root", "--variant=apt", "--include=man-db,bash-completion", "--format=null", f"--customize-hook=copy-in {stage} /opt",
                       "--customize-hook=chroot \"$1\" sh -c 'apt-get install -y --no-install-recommends /opt/stage/*.deb'",
                       "--customize-hook=chroot \"$1\" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 sh /opt/stage/inside",
                       "bookworm", "/dev/null", timeout=900)
        self.assertIn("slipway 0.", said)


if __name__ == "__main__":
    unittest.main()

"""`slipway diff` and `explain` of images made by hand: every kind of difference, and what only lies elsewhere."""

import pathlib
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "images"))
import layouts
import support
from layouts import entry, folder

LIBRARY = b"\x7fELF" + bytes(range(256)) * 64


class Diff(support.Case):
    def setUp(self):
        super().setUp()
        self.env["SLIPWAY_STORE"] = str(self.dir / "store")

    def diff(self, a, b, config_a=None, config_b=None):
        for name, layers, config in (("a", a, config_a), ("b", b, config_b)):
            layouts.write(self.dir / name, layers, config)
        return self.slipway("diff", "--json", "--files", f"oci:{self.dir}/a", f"oci:{self.dir}/b", cwd=self.dir).json()

    def test_a_slim_image_of_a_large_one(self):
        dev = layouts.layer(folder("opt/venv/lib"), entry("opt/venv/lib/libtensorflow.so", LIBRARY, 0o755), entry("opt/venv/lib/x.py", "import y\n"))
        prod = layouts.layer(folder("usr/lib"), entry("usr/lib/libtensorflow.so.2", LIBRARY, 0o755), entry("usr/bin/slipway-serve", b"\x7fELFserve", 0o755))
        record = self.diff([dev], [prod])
        files = record["files"]
        self.assertEqual((files["kept"], files["kept_bytes"]), (1, len(LIBRARY)))
        self.assertEqual((files["new"], files["new_bytes"]), (1, 9))
        self.assertEqual((files["lost"], files["lost_bytes"]), (1, 9))
        only_b = {f["path"]: f.get("same_as") for f in files["only_b"]}
        self.assertEqual(only_b, {"/usr/lib/libtensorflow.so.2": "/opt/venv/lib/libtensorflow.so", "/usr/bin/slipway-serve": None})

    def test_a_library_with_other_bytes(self):
        a = layouts.layer(folder("usr/lib"), entry("usr/lib/libx.so.1.2", LIBRARY), entry("usr/lib/libx.so.1", kind=tarfile.SYMTYPE, linkname="libx.so.1.2"),
                          entry("usr/lib/liby.so", b"of no use"), entry("etc/z", "z"))
        b = layouts.layer(folder("opt"), entry("opt/libx.so.1", LIBRARY[:-1]), entry("opt/liby.so", b"of no use"), entry("etc/z", "other"))
        record = self.diff([a], [b])
        [found] = record["libraries"]
        self.assertEqual((found["a"]["path"], found["b"]["path"]), ("/usr/lib/libx.so.1.2", "/opt/libx.so.1"))
        self.assertEqual((found["a"]["size"], found["b"]["size"]), (len(LIBRARY), len(LIBRARY) - 1))
        self.assertEqual((found["stripped"], found["same_build"], found["a"]["package"]), (False, False, None))
        files = record["files"]
        self.assertEqual((files["kept"], files["new"], files["lost"]), (1, 1, 1), "a namesake is none of these")
        page = self.slipway("diff", f"oci:{self.dir}/a", f"oci:{self.dir}/b", cwd=self.dir).out
        self.assertIn("libx.so.1: another build", page)

    def test_every_field(self):
        a = [layouts.layer(entry("content", "1"), entry("mode", "x", 0o644), entry("owner", "x", uid=0), entry("same", "x"),
                           entry("link", kind=tarfile.SYMTYPE, linkname="a"), entry("type", "x"), entry("gone", "x")),
             layouts.layer(entry(".wh.gone"))]
        b = [layouts.layer(entry("content", "2"), entry("mode", "x", 0o755), entry("owner", "x", uid=7), entry("same", "x", mtime=99),
                           entry("link", kind=tarfile.SYMTYPE, linkname="b"), folder("type"), entry("hard", kind=tarfile.LNKTYPE, linkname="same"))]
        record = self.diff(a, b, {"User": "1"}, {"User": "2", "Env": ["PATH=/usr/bin", "A=b"]})
        self.assertEqual({f["path"]: f["fields"] for f in record["files"]["changed_files"]},
                         {"/content": ["content"], "/mode": ["mode"], "/owner": ["owner"], "/link": ["link"], "/type": ["type"]})
        self.assertEqual([f["path"] for f in record["files"]["only_a"]], [])
        self.assertEqual([(f["path"], f["same_as"]) for f in record["files"]["only_b"]], [("/hard", "/mode")])
        self.assertEqual([(f["field"], f["before"], f["after"]) for f in record["config"]], [("env A", None, "b"), ("user", "1", "2")])

    def test_the_same(self):
        record = self.diff([layouts.clean()], [layouts.clean()])
        self.assertTrue(record["same"])
        self.assertEqual((record["config"], record["packages"], record["files"]["changed"]), ([], [], 0))

    def test_wrong_words(self):
        (self.dir / "x.lock").write_text("")
        layouts.write(self.dir / "a", [layouts.clean()])
        self.slipway("diff", "x.lock", f"oci:{self.dir}/a", cwd=self.dir, status=2)
        self.slipway("diff", f"oci:{self.dir}/a", cwd=self.dir, status=2)


class Explain(support.Case):
    def test_an_image_of_somebody_else(self):
        self.env["SLIPWAY_STORE"] = str(self.dir / "store")
        status = "Package: hello\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.10-3\n"
        layouts.write(self.dir / "a", [layouts.clean(entry("usr/bin/hello", b"\x7fELF" + bytes(1000), 0o755), entry("var/lib/dpkg/status", status),
                                                     entry("var/lib/dpkg/info/hello.list", "/.\n/usr\n/usr/bin\n/usr/bin/hello\n"),
                                                     entry("etc/<script>alert(1)</script>", "x"))])
        image = ("--image", f"oci:{self.dir}/a")
        record = self.slipway("explain", "--json", *image, "/usr/bin/hello", cwd=self.dir).json()
        self.assertEqual((record["package"]["name"], record["layer"], record["size_unpacked"]), ("hello", "layer 1", 1004))
        self.assertIsNone(record["package"]["sha256"])
        self.slipway("explain", *image, "--html", "page.html", cwd=self.dir)
        self.assertNotIn("<script>alert", (self.dir / "page.html").read_text())
        self.slipway("explain", *image, "helo", cwd=self.dir, status=1)


if __name__ == "__main__":
    support.main()

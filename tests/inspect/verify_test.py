"""`slipway verify` and bundles: an image made again in an empty store, tampered ones, and a machine without a network."""

import gzip
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "images"))
import layouts
import support

SPEC = "name: verified\ndebian: bookworm\nfiles: {./data: /workspace/data}\n"


class Verify(support.Case):
    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(support.tempfile.mkdtemp(prefix="slipway-test-"))
        cls.addClassCleanup(support.remove_tree, cls.shared)
        env = support.base_env(cls.shared)
        cls.folder = cls.shared / "project"
        (cls.folder / "data").mkdir(parents=True)
        (cls.folder / "slipway.yaml").write_text(SPEC)
        (cls.folder / "data/x").write_text("kept\n")
        # A store of its own: what verify makes again and throws away lies beside it.
        assert support.run("lock", cwd=cls.folder, env=env).status == 0
        support.seed(cls.shared / "store", cls.folder / "slipway.lock", env["SLIPWAY_STORE"])
        env["SLIPWAY_STORE"] = str(cls.shared / "store")
        for command in (["lock"], ["build", "--json", "--output", f"oci:{cls.shared}/layout"]):
            result = support.run(*command, cwd=cls.folder, env=env)
            assert result.status == 0, result
        cls.digest = result.json()["digest"]

    def setUp(self):
        super().setUp()
        self.env["SLIPWAY_STORE"] = str(self.shared / "store")

    def verify(self, name, status=0):
        return self.slipway("verify", "--json", name, cwd=self.dir, status=status).json()

    def tampered(self, change):
        """A copy of the layout in which `change(name, tar bytes)` gives other layers; config and manifest follow."""
        source, target = self.shared / "layout", self.dir / "tampered"
        read = lambda digest: (source / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()
        index = json.loads((source / "index.json").read_text())
        manifest = json.loads(read(index["manifests"][0]["digest"]))
        config = json.loads(read(manifest["config"]["digest"]))
        blobs = target / "blobs/sha256"
        blobs.mkdir(parents=True)

        def put(data):
            digest = hashlib.sha256(data).hexdigest()
            (blobs / digest).write_bytes(data)
            return {"digest": "sha256:" + digest, "size": len(data)}

        for i, layer in enumerate(manifest["layers"]):
            packed = read(layer["digest"])
            plain = gzip.decompress(packed)
            name = config["history"][i]["created_by"].split()[-1]
            changed = change(name, plain)
            if changed is not None:
                packed = gzip.compress(changed, compresslevel=1, mtime=0)
                config["rootfs"]["diff_ids"][i] = "sha256:" + hashlib.sha256(changed).hexdigest()
            layer.update(put(packed))
        compact = lambda document: json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        manifest["config"].update(put(compact(config)))
        index["manifests"][0].update(put(compact(manifest)))
        (target / "index.json").write_bytes(compact(index))
        shutil.copy(source / "oci-layout", target)
        return f"oci:{target}"

    def test_the_same(self):
        record = self.verify(f"oci:{self.shared}/layout")
        self.assertTrue(record["same"] and record["same_content"])
        self.assertEqual((record["expected"], record["actual"]), (self.digest, self.digest))
        self.assertEqual(record["taken"], ["files"])
        self.assertIsNone(record["first_difference"])

    def test_a_mode_that_somebody_changed(self):
        def change(name, plain):
            if name != "system":
                return None
            out = layouts.io.BytesIO()
            with tarfile.open(fileobj=layouts.io.BytesIO(plain)) as old, tarfile.open(fileobj=out, mode="w") as new:
                for info in old:
                    if info.name == "etc/passwd":
                        info.mode = 0o666
                    new.addfile(info, old.extractfile(info) if info.isreg() else None)
            return out.getvalue()

        record = self.verify(self.tampered(change), status=1)
        self.assertFalse(record["same"] or record["same_content"])
        self.assertEqual(record["first_difference"],
                         {"layer": "system", "path": "/etc/passwd", "field": "mode", "expected": "0666", "actual": "0644"})

    def test_another_encoder(self):
        record = self.verify(self.tampered(lambda name, plain: plain if name == "base" else None), status=1)
        self.assertTrue(record["same_content"])
        self.assertEqual((record["first_difference"]["layer"], record["first_difference"]["field"]), ("base", "compression"))

    def test_the_projects_files_are_what_the_image_says(self):
        """They are in no lock: a changed one is another image that is still what its lock and files give."""
        def change(name, plain):
            return plain.replace(b"kept\n", b"lost\n") if name == "files" else None

        record = self.verify(self.tampered(change), status=1)
        self.assertEqual((record["first_difference"]["layer"], record["first_difference"]["field"]), ("files", "compression"))

    def test_no_lock(self):
        layouts.write(self.dir / "foreign", [layouts.clean()])
        result = self.slipway("verify", f"oci:{self.dir}/foreign", cwd=self.dir, status=1)
        self.assertIn("carries no lock", result.err)

    def test_bundle_without_a_network_root(self):
        support.skip_unless_root()
        archive = self.dir / "bundle.tar"
        made = self.slipway("bundle", "--json", str(archive), cwd=self.folder).json()
        self.assertEqual(made["digest"], self.digest)
        again = self.dir / "again.tar"
        self.slipway("bundle", str(again), cwd=self.folder)
        self.assertEqual(archive.read_bytes(), again.read_bytes())
        env = support.base_env(self.home, store=self.dir / "empty")
        env["SLIPWAY_SOURCE_DEBIAN"] = env["SLIPWAY_SOURCE_DEBIAN_SECURITY"] = "http://127.0.0.1:9/none"
        record = self.slipway("build", "--bundle", str(archive), "--offline", "--json", cwd=self.dir, env=env, prefix=["unshare", "-n"]).json()
        self.assertEqual(record["digest"], self.digest)
        self.assertEqual(record["reference"], "verified:latest")
        self.assertFalse(any(layer["reused"] for layer in record["layers"]))
        # Others see an archive with one image.
        if support.have("skopeo"):
            seen = json.loads(support.checked("skopeo", "inspect", f"oci-archive:{archive}:latest"))
            self.assertEqual(seen["Digest"], self.digest)
        self.assertTrue(self.slipway("audit", "--offline", "--json", f"oci-archive:{archive}", cwd=self.dir).json()["ok"])

    def test_what_is_no_bundle(self):
        archive = self.dir / "image.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(self.shared / "layout", arcname=".")
        result = self.slipway("build", "--bundle", str(archive), cwd=self.dir, status=1)
        self.assertIn("slipway bundle", result.err)


if __name__ == "__main__":
    support.main()

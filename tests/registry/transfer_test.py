"""Push and pull between slipway, docker-registry and the other tools."""

import hashlib
import json
import os
import random
import threading

from registries import Cutter, RegistryCase, checked, main, need, noise, run


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Transfer(RegistryCase):
    def unpacked(self, env, digest):
        """The merged root of an image, found through the store's record of it."""
        import sqlite3
        store = env["SLIPWAY_STORE"]
        with sqlite3.connect(f"file:{store}/index.db?mode=ro", uri=True) as db:
            rows = [row for table in db.execute("select name from sqlite_master where type='table'").fetchall()
                    for row in db.execute(f"select * from {table[0]}").fetchall()]
        for row in rows:
            text = " ".join(str(column) for column in row)
            if digest.split(":")[1] in text and '"root":' in text:
                note = next(column for column in row if '"root"' in str(column))
                return os.path.join(store, "trees", json.loads(note)["root"])
        raise AssertionError(f"{digest} has no note")

    def test_pull_push_pull(self):
        registry = self.registry()
        image = self.layout([{"/a": b"one" * 1000, "/dir/b": noise(3_000_000, 1)}, {"/a": b"two", "/c": b"x"}, {"/dir/b": None}])
        there = self.put(image, registry, "team/made:1")
        pulled = self.slip("pull", there, "--json").json()
        listed = self.slip("images", "--json").json()
        self.assertEqual([(i["reference"], i["digest"]) for i in listed], [(there, pulled["digest"])])
        self.assertEqual(len(pulled["layers"]), 5)
        root = self.unpacked(self.env, pulled["digest"])
        self.assertEqual(read(f"{root}/a"), b"two")
        self.assertEqual(sorted(os.listdir(root)), ["a", "c", "dir"])
        self.assertEqual(os.listdir(f"{root}/dir"), [])

        self.slip("tag", there, f"{registry.host}/other/made:2")
        pushed = self.slip("push", f"{registry.host}/other/made:2", "--json").json()
        self.assertEqual(pushed["digest"], pulled["digest"])
        self.assertEqual((pushed["uploaded_bytes"], pushed["mounted"], pushed["skipped"]), (0, 6, 0))
        again = self.slip("push", f"{registry.host}/other/made:2", "--json").json()
        self.assertEqual((again["uploaded_bytes"], again["mounted"], again["skipped"]), (0, 0, 6))

        env = self.other_store()
        second = self.slip("pull", f"{registry.host}/other/made:2", "--json", env=env).json()
        self.assertEqual(second["digest"], pulled["digest"])
        self.assertEqual(read(f"{self.unpacked(env, second['digest'])}/a"), b"two")
        same = self.slip("pull", f"{registry.host}/other/made:2", "--json", env=env).json()
        self.assertEqual(same["downloaded_bytes"], 0)

    def test_one_layer_more_uploads_one_layer(self):
        first, second = self.registry("first"), self.registry("second")
        base = {"/big": noise(2_000_000, 2)}
        one = self.put(self.layout([base], "l1"), first, "app:1")
        checked("umoci", "insert", "--rootless", "--image", f"{self.dir}/l1:made", self.write("small", b"small"), "/small")
        two = self.put(f"{self.dir}/l1:made", first, "app:2")
        self.slip("pull", one)
        self.slip("pull", two)
        self.assertGreater(self.slip("push", one, f"{second.host}/app:1", "--json").json()["uploaded_bytes"], 2_000_000)
        changed = self.slip("push", two, f"{second.host}/app:2", "--json").json()
        self.assertLess(changed["uploaded_bytes"], 5000)
        self.assertEqual((changed["skipped"], changed["uploaded"]), (1, 2))

    def write(self, name, content):
        path = self.dir / name
        path.write_bytes(content)
        return path

    def test_what_we_pushed_is_read_by_others(self):
        registry, target = self.registry(), self.registry("target")
        there = self.put(self.layout([{"/a": b"hello"}]), registry, "app:1")
        digest = self.slip("pull", there, "--json").json()["digest"]
        ours = f"{target.host}/team/app:1"
        self.slip("push", there, ours)
        shown = json.loads(self.skopeo("inspect", "--tls-verify=false", f"docker://{ours}"))
        self.assertEqual(shown["Digest"], digest)
        self.skopeo("copy", "--quiet", "--src-tls-verify=false", f"docker://{ours}", f"oci:{self.dir}/back:1")
        checked("umoci", "unpack", "--rootless", "--image", f"{self.dir}/back:1", self.dir / "bundle")
        self.assertEqual((self.dir / "bundle/rootfs/a").read_bytes(), b"hello")

    def test_podman_pulls_what_we_pushed(self):
        need("podman")
        registry, target = self.registry(), self.registry("target")
        there = self.put(self.layout([{"/a": b"hello"}]), registry, "app:1")
        digest = self.slip("pull", there, "--json").json()["digest"]
        self.slip("push", there, f"{target.host}/team/app:1")
        storage = ["podman", "--root", self.dir / "podman", "--runroot", self.dir / "podman-run", "--storage-driver", "vfs"]
        policy = self.dir / "policy.json"
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        env = dict(os.environ, HOME=str(self.home))
        checked(*storage, "pull", "--quiet", "--tls-verify=false", f"--signature-policy={policy}", f"{target.host}/team/app:1",
                env=env)
        shown = json.loads(checked(*storage, "image", "inspect", f"{target.host}/team/app:1", env=env))
        self.assertEqual(shown[0]["Digest"], digest)

    def test_other_formats(self):
        registry = self.registry()
        image = self.layout([{"/a": b"hello" * 10_000}, {"/b": b"b"}])
        for name, options in (("schema2", ["--format", "v2s2"]), ("oci", ["--format", "oci"]),
                              ("zstd", ["--format", "oci", "--dest-compress-format", "zstd", "--dest-compress"])):
            with self.subTest(name):
                there = self.put(image, registry, f"{name}:1", *options)
                pulled = self.slip("pull", there, "--json", env=self.other_store(name)).json()
                shown = json.loads(self.skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{there}"))
                self.assertEqual([layer["digest"] for layer in shown["layers"]], [layer["digest"] for layer in pulled["layers"]])
                types = {layer["media_type"] for layer in pulled["layers"]}
                if name == "schema2":
                    self.assertEqual(types, {"application/vnd.docker.image.rootfs.diff.tar.gzip"})
                root = self.unpacked(self.other_store(name), pulled["digest"])
                self.assertEqual(read(f"{root}/a"), b"hello" * 10_000)

    def test_zstd_layers(self):
        """A layer that zstd(1) packed, in an image put together by hand."""
        need("zstd")
        registry = self.registry()
        (self.dir / "tree").mkdir()
        (self.dir / "tree/z").write_bytes(b"zstandard" * 1000)
        tar = checked("tar", "-C", self.dir / "tree", "--owner=0", "--group=0", "-c", "z")
        packed = checked("zstd", "-q", "-c", input=tar)
        there = self.put_raw(registry, "z:1", [(packed, tar, "application/vnd.oci.image.layer.v1.tar+zstd")])
        digest = self.slip("pull", there, "--json").json()["digest"]
        self.assertEqual(read(f"{self.unpacked(self.env, digest)}/z"), b"zstandard" * 1000)

    def put_raw(self, registry, name, layers, wrong_diff_id=False):
        """An image of these (packed, tar, media type), written as a layout and copied with skopeo."""
        layout = self.dir / f"raw-{name.replace(':', '-')}"
        blobs = layout / "blobs/sha256"
        blobs.mkdir(parents=True)

        def blob(data):
            digest = hashlib.sha256(data).hexdigest()
            (blobs / digest).write_bytes(data)
            return {"digest": "sha256:" + digest, "size": len(data)}

        ids = ["sha256:" + hashlib.sha256(tar + (b"x" if wrong_diff_id else b"")).hexdigest() for _, tar, _ in layers]
        config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": ids}}
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **blob(json.dumps(config).encode())},
                    "layers": [{"mediaType": kind, **blob(packed)} for packed, _, kind in layers]}
        entry = {"mediaType": manifest["mediaType"], **blob(json.dumps(manifest).encode()),
                 "annotations": {"org.opencontainers.image.ref.name": "raw"}}
        (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
        return self.put(f"{layout}:raw", registry, name)

    def test_links_of_foreign_layers_stay_inside(self):
        registry = self.registry()
        outside = self.write("outside", b"of the host")
        import io
        import tarfile

        def layer(*members):
            data = io.BytesIO()
            with tarfile.open(fileobj=data, mode="w") as tar:
                for name, kind, more in members:
                    info = tarfile.TarInfo(name)
                    info.type = kind
                    if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                        info.linkname = more
                        tar.addfile(info)
                    else:
                        info.size = len(more)
                        tar.addfile(info, io.BytesIO(more))
            plain = data.getvalue()
            return plain, plain, "application/vnd.oci.image.layer.v1.tar"

        folder = str(self.dir)
        link = layer(("host", tarfile.SYMTYPE, folder), ("lib", tarfile.SYMTYPE, "usr/lib"))
        there = self.put_raw(registry, "links:1", [link, layer(("host/outside", tarfile.REGTYPE, b"changed"),
                                                               ("lib/x", tarfile.REGTYPE, b"x"))])
        digest = self.slip("pull", there, "--json").json()["digest"]
        root = self.unpacked(self.env, digest)
        self.assertEqual(outside.read_bytes(), b"of the host")
        self.assertEqual(read(f"{root}{folder}/outside"), b"changed")
        self.assertEqual(read(f"{root}/usr/lib/x"), b"x")
        bad = self.put_raw(registry, "links:2", [link, layer(("stolen", tarfile.LNKTYPE, "host/outside"))])
        result = self.slip("pull", bad, status=1)
        self.assertIn("stolen", result.err)

    def test_index_of_several_platforms(self):
        registry = self.registry()
        ours = self.layout([{"/here": b"amd64"}], "amd64")
        theirs = self.layout([{"/here": b"arm64"}], "arm64", config=["--architecture", "arm64"])
        entries = []
        for image, arch in ((theirs, "arm64"), (ours, "amd64")):
            self.put(image, registry, f"multi:{arch}")
            raw = self.skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{registry.host}/multi:{arch}")
            entries.append({"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": len(raw),
                            "digest": "sha256:" + hashlib.sha256(raw).hexdigest(),
                            "platform": {"os": "linux", "architecture": arch}})
        self.put_manifest(registry, "multi", "all", "application/vnd.oci.image.index.v1+json",
                          {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries})
        pulled = self.slip("pull", f"{registry.host}/multi:all", "--json").json()
        self.assertEqual(pulled["digest"], entries[1]["digest"])
        self.put_manifest(registry, "multi", "arm", "application/vnd.oci.image.index.v1+json",
                          {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries[:1]})
        refused = self.slip("pull", f"{registry.host}/multi:arm", status=1)
        self.assertIn("it has: linux/arm64", refused.err)

    def put_manifest(self, registry, repository, tag, kind, document):
        import http.client
        connection = http.client.HTTPConnection("127.0.0.1", registry.port)
        self.addCleanup(connection.close)
        connection.request("PUT", f"/v2/{repository}/manifests/{tag}", json.dumps(document), {"Content-Type": kind})
        self.assertEqual(connection.getresponse().status, 201)

    def test_two_pushes_at_once(self):
        registry, target = self.registry(), self.registry("target")
        there = self.put(self.layout([{"/a": noise(4_000_000, 3)}, {"/b": noise(1_000_000, 4)}]), registry, "app:1")
        digest = self.slip("pull", there, "--json").json()["digest"]
        results = []
        threads = [threading.Thread(target=lambda: results.append(run("push", there, f"{target.host}/app:1", env=self.env)))
                   for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([result.status for result in results], [0, 0], results)
        self.assertEqual(self.slip("pull", f"{target.host}/app:1", "--json", env=self.other_store()).json()["digest"], digest)

    def test_cut_at_fifty_places(self):
        """Connections break at 50 places that a seed chose, on the way there and back; nothing is wrong afterwards."""
        registry = self.registry()
        there = self.put(self.layout([{"/a": noise(3_000_000, 5)}, {"/b": noise(2_000_000, 6)}]), registry, "app:1")
        digest = self.slip("pull", there, "--json").json()["digest"]
        chance = random.Random(20)
        offsets = [chance.randrange(1, 3_000_000) for _ in range(50)]
        for number in range(10):
            with self.subTest(number):
                cutter = Cutter(registry.port, offsets[5 * number:5 * number + 3])
                self.addCleanup(cutter.close)
                pushed = self.slip("push", there, f"{cutter.host}/cut{number}:1", status=None)
                for _ in range(3):
                    if pushed.status == 0:
                        break
                    pushed = self.slip("push", there, f"{cutter.host}/cut{number}:1", status=None)
                self.assertEqual(pushed.status, 0, pushed)
                back = Cutter(registry.port, offsets[5 * number + 3:5 * number + 5])
                self.addCleanup(back.close)
                env = self.other_store(f"cut{number}")
                pulled = self.slip("pull", f"{back.host}/cut{number}:1", "--json", status=None, env=env)
                for _ in range(3):
                    if pulled.status == 0:
                        break
                    pulled = self.slip("pull", f"{back.host}/cut{number}:1", "--json", status=None, env=env)
                self.assertEqual(pulled.status, 0, pulled)
                self.assertEqual(pulled.json()["digest"], digest)

    def test_wrong_diff_id_is_refused(self):
        registry = self.registry()
        tar = checked("tar", "-C", self.dir, "--owner=0", "--group=0", "-c", self.write("w", b"w").name)
        there = self.put_raw(registry, "wrong:1", [(tar, tar, "application/vnd.oci.image.layer.v1.tar")], wrong_diff_id=True)
        result = self.slip("pull", there, status=1)
        self.assertIn("its tar has digest", result.err)
        self.assertEqual(self.slip("images", "--json").json(), [])


if __name__ == "__main__":
    main()

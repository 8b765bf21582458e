"""A registry that misbehaves by script: what it says comes through, nothing is half-written, the next run goes on."""

import json
import os
import subprocess

from registries import RegistryCase, checked, main, noise
from scripted import Scripted


class Faults(RegistryCase):
    def scripted(self):
        registry = Scripted()
        self.addCleanup(registry.close)
        return registry

    def image(self, *layers):
        layers = layers or [{"/a": noise(400_000, 11)}, {"/b": noise(200_000, 12)}]
        plain = self.registry("plain")
        there = self.put(self.layout(list(layers)), plain, "app:1")
        digest = self.slip("pull", there, "--json").json()["digest"]
        self.slip("tag", there, "app:1")
        return digest

    def image_of(self, name, *layers):
        plain = self.registry(f"plain-{name}")
        there = self.put(self.layout(list(layers), f"layout-{name}"), plain, f"{name}:1")
        self.slip("pull", there)
        self.slip("tag", there, f"{name}:1")

    def once(self, registry, method, part, *answers):
        """Gives these answers, one each, to requests of `method` whose path has `part`."""
        left = list(answers)

        def fault(handler):
            if handler.command == method and part in handler.path and left:
                return left.pop(0)
            return None
        registry.fault = fault
        return left

    def test_follows_the_specification(self):
        registry = self.scripted()
        digest = self.image()
        self.slip("push", "app:1", f"{registry.host}/app:1")
        self.assertEqual(self.slip("pull", f"{registry.host}/app:1", "--json", env=self.other_store()).json()["digest"], digest)

    def test_resumes_where_the_registry_came_to(self):
        """A layer of 12 MB goes in chunks; the connection breaks twice, and no byte that arrived is sent again."""
        registry = self.scripted()
        self.image({"/big": noise(12_000_000, 13)})
        cuts = [3_000_000, 8_000_000]

        def cut(handler, size):
            if cuts and size >= cuts[0]:
                cuts.pop(0)
                return True
            return False
        registry.fault_after = cut
        self.slip("push", "app:1", f"{registry.host}/app:1")
        self.assertEqual(cuts, [])
        starts = [int(h["Content-Range"].split("-")[0]) for m, _, h in registry.seen if m == "PATCH" and "Content-Range" in h]
        self.assertGreaterEqual(len(starts), 3)
        self.assertEqual(starts, sorted(starts))
        self.assertGreater(starts[1], 2_900_000)
        self.assertGreater(starts[2], 7_900_000)

    def test_a_forgotten_upload_starts_again_and_no_other(self):
        """The connection breaks in the middle of a blob, and the registry does not know its upload any more."""
        registry = self.scripted()
        self.image({"/small": noise(300_000, 16)}, {"/big": noise(12_000_000, 17)})
        broken = []

        def cut(handler, size):
            if size >= 5_000_000 and not broken:
                broken.append(handler.path)
                return True
            return False
        registry.fault_after = cut
        registry.fault = lambda h: (404,) if h.command == "GET" and broken and h.path.split("?")[0] == broken[0].split("?")[0] else None
        result = self.slip("push", "app:1", f"{registry.host}/app:1", "--json")
        self.assertEqual(len(broken), 1)
        self.assertIn("has forgotten how far", result.err)
        self.assertIn("sent again from its start", " ".join(result.err.split()))
        self.assertEqual(len(registry.uploads), len(registry.blobs) + 1)  # one blob begun twice
        self.assertLess(result.json()["uploaded_bytes"], 2 * 12_000_000 + 400_000)

    def test_busy_and_broken_servers(self):
        registry = self.scripted()
        self.image()
        for method, part, answers in (
                ("HEAD", "/blobs/", [(500,), (502,)]),
                ("POST", "/uploads/", [(503,), (429, {"Retry-After": "1"})]),
                ("PUT", "/uploads/", [(500,), (429, {"Retry-After": "0"})]),
                ("PUT", "/manifests/", [(500,), (503,)]),
                ("GET", "/v2/", [("gone",), (500,)])):
            with self.subTest(f"{method} {part}"):
                registry.blobs.clear()
                left = self.once(registry, method, part, *answers)
                self.slip("push", "app:1", f"{registry.host}/app:1")
                self.assertEqual(left, [])
        for method, part, answers in (("GET", "/manifests/", [(500,), (429, {"Retry-After": "1"})]),
                                      ("GET", "/blobs/", [(500,), (503,), ("gone",)])):
            with self.subTest(f"{method} {part}"):
                left = self.once(registry, method, part, *answers)
                self.slip("pull", f"{registry.host}/app:1", env=self.other_store(method + str(len(part))))
                self.assertEqual(left, [])

    def test_what_the_registry_says_is_shown(self):
        registry = self.scripted()
        self.image()
        said = json.dumps({"errors": [{"code": "DENIED", "message": "quota of project team exceeded"}]}).encode()
        self.once(registry, "POST", "/uploads/", *[(403, {}, said)] * 9)
        result = self.slip("push", "app:1", f"{registry.host}/app:1", status=1)
        self.assertIn("403 DENIED: quota of project team exceeded", result.err)
        self.assertEqual(registry.manifests, {})
        self.once(registry, "PUT", "/uploads/", *[(413, {}, b"<html>")] * 9)
        result = self.slip("push", "app:1", f"{registry.host}/app:1", status=1)
        self.assertIn("limits the size of uploads", result.err)

    def test_unauthorized_in_the_middle(self):
        registry = self.scripted()
        self.image({"/big": noise(12_000_000, 14)})
        self.login(registry.host)  # which asks nobody
        challenge = {"WWW-Authenticate": 'Basic realm="x"'}
        authorized = lambda h: h.headers.get("Authorization", "").startswith("Basic ")  # noqa: E731
        for method in ("HEAD", "POST", "PATCH", "PUT"):
            with self.subTest(method):
                registry.blobs.clear()
                asked = []

                def fault(handler):
                    if handler.command == method and not authorized(handler):
                        asked.append(handler.path)
                        return 401, challenge
                    return None
                registry.fault = fault
                self.slip("push", "app:1", f"{registry.host}/app:1")
                self.assertTrue(asked)

    def test_truncated_and_wrong_blobs(self):
        registry = self.scripted()
        digest = self.image()
        self.slip("push", "app:1", f"{registry.host}/app:1")
        manifest = json.loads(registry.manifests["app", "1"][0])
        layer = manifest["layers"][0]["digest"]
        right = registry.blobs[layer]
        env = self.other_store()
        registry.blobs[layer] = right[:-1] + bytes([right[-1] ^ 1])
        wrong = self.slip("pull", f"{registry.host}/app:1", status=1, env=env)
        self.assertIn("digest differs", wrong.err)
        self.assertEqual(self.slip("images", "--json", env=env).json(), [])
        registry.blobs[layer] = right[:1000]
        short = self.slip("pull", f"{registry.host}/app:1", status=1, env=env)
        self.assertIn("size differs", short.err)
        registry.blobs[layer] = right
        self.assertEqual(self.slip("pull", f"{registry.host}/app:1", "--json", env=env).json()["digest"], digest)
        registry.manifests["app", digest] = (b"{}", "application/vnd.oci.image.manifest.v1+json")
        other = self.slip("pull", f"{registry.host}/app@{digest}", status=1, env=self.other_store("third"))
        self.assertIn("the manifest's bytes have digest", other.err)

    def test_a_redirect_gets_no_credentials(self):
        storage, registry = self.scripted(), self.scripted()
        digest = self.image()
        self.slip("push", "app:1", f"{registry.host}/app:1")
        storage.blobs = dict(registry.blobs)
        self.login(registry.host)
        challenge = {"WWW-Authenticate": 'Basic realm="x"'}

        def fault(handler):
            if not handler.headers.get("Authorization"):
                return 401, challenge
            if "/blobs/sha256" in handler.path:
                return 307, {"Location": f"http://localhost:{storage.server.server_port}{handler.path}"}
            return None
        registry.fault = fault
        pulled = self.slip("pull", f"{registry.host}/app:1", "--json", env=self.other_store()).json()
        self.assertEqual(pulled["digest"], digest)
        self.assertGreater(len(storage.seen), 2)
        self.assertEqual([h for _, _, h in storage.seen if "Authorization" in h], [])

    def test_uploads_elsewhere_get_no_credentials(self):
        storage, registry = self.scripted(), self.scripted()
        self.image()
        self.login(registry.host)

        def fault(handler):
            if not handler.headers.get("Authorization"):
                return 401, {"WWW-Authenticate": 'Basic realm="x"'}
            if handler.command == "POST":
                name = str(len(storage.uploads))
                storage.uploads[name] = b""
                return 202, {"Location": f"http://{storage.host}/v2/app/blobs/uploads/{name}?x=1"}
            return None
        registry.fault = fault
        self.slip("push", "app:1", f"{registry.host}/app:1")
        self.assertEqual(len(storage.blobs), 3)
        self.assertEqual([h for _, _, h in storage.seen if "Authorization" in h], [])

    def test_full_disk_root(self):
        if os.geteuid() != 0:
            self.skipTest("mounts a small disk")
        registry = self.scripted()
        self.image({"/big": noise(12_000_000, 15)})
        self.slip("push", "app:1", f"{registry.host}/app:1")
        self.image_of("zeros", {"/zeros": bytes(40_000_000)})
        self.slip("push", "zeros:1", f"{registry.host}/zeros:1")
        small = self.dir / "small"
        small.mkdir()
        checked("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", small)
        self.addCleanup(subprocess.run, ["umount", "-l", str(small)], check=False)
        env = dict(self.env, SLIPWAY_STORE=str(small / "store"))
        before = registry.count("GET", "/blobs/")
        known = self.slip("pull", f"{registry.host}/app:1", status=1, env=env)  # its layer alone would not fit twice
        self.assertRegex(" ".join(known.err.split()), r"needs 24\.\d MB or more in `.*`, where 1\d\.\d MB are free")
        self.assertIn("slipway gc", known.err)
        self.assertEqual(registry.count("GET", "/blobs/") - before, 1)  # its config
        full = self.slip("pull", f"{registry.host}/zeros:1", status=1, env=env)  # nobody can know this beforehand
        self.assertIn("No space left on device", full.err)
        self.assertEqual(self.slip("images", "--json", env=env).json(), [])
        checked("mount", "-o", "remount,size=100m", small)
        self.slip("pull", f"{registry.host}/app:1", env=env)


if __name__ == "__main__":
    main()

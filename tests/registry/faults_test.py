"""A registry that misbehaves by script: what it says comes through, nothing is half-written, the next run goes on."""

import hashlib
import http.server
import json
import os
import re
import subprocess
import threading
import unittest
import urllib.parse

from registries import RegistryCase, checked, main, noise


class Scripted:
    """A registry after the OCI distribution specification, in memory. `fault(method, path)` may answer in its place:
    (status, headers, body), or ("cut", n) to close after n bytes of the answer's or request's body."""

    def __init__(self, referrers=False):
        self.blobs, self.manifests, self.uploads, self.seen = {}, {}, {}, []
        self.fault = lambda handler: None
        self.lock = threading.Lock()
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def say(self, status, headers=(), body=b""):
                self.send_response(status)
                headers = dict(headers)
                headers.setdefault("Content-Length", str(len(body)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def body(self, most=None):
                length = int(self.headers.get("Content-Length", 0))
                return self.rfile.read(length if most is None else min(most, length))

            def any(self):
                with registry.lock:
                    registry.seen.append((self.command, self.path, dict(self.headers)))
                    answer = registry.fault(self)
                if answer is not None:
                    if answer[0] == "gone":
                        self.close_connection = True
                        return
                    self.body()
                    self.say(*answer)
                    return
                registry.serve(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = any

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def count(self, method, part):
        return sum(1 for m, path, _ in self.seen if m == method and part in path)

    def serve(self, h):
        path, _, query = h.path.partition("?")
        query = urllib.parse.parse_qs(query)
        if path == "/v2/":
            return h.say(200)
        if match := re.fullmatch(r"/v2/(.+)/blobs/(sha256:\w+)", path):
            blob = self.blobs.get(match[2])
            if blob is None:
                return h.say(404)
            wanted = re.fullmatch(r"bytes=(\d+)-", h.headers.get("Range", ""))
            if wanted:
                at = int(wanted[1])
                return h.say(206, {"Content-Range": f"bytes {at}-{len(blob) - 1}/{len(blob)}"}, blob[at:])
            return h.say(200, {}, blob)
        if match := re.fullmatch(r"/v2/(.+)/blobs/uploads/", path):
            name = str(len(self.uploads))
            self.uploads[name] = b""
            return h.say(202, {"Location": f"/v2/{match[1]}/blobs/uploads/{name}?step=0"})
        if match := re.fullmatch(r"/v2/(.+)/blobs/uploads/(\d+)", path):
            return self.upload(h, match[2], path, query)
        if match := re.fullmatch(r"/v2/(.+)/manifests/(.+)", path):
            key = (match[1], match[2])
            if h.command == "PUT":
                data = h.body()
                digest = "sha256:" + hashlib.sha256(data).hexdigest()
                for name in (match[2], digest):
                    self.manifests[match[1], name] = (data, h.headers["Content-Type"])
                return h.say(201, {"Docker-Content-Digest": digest})
            if key not in self.manifests:
                return h.say(404)
            data, kind = self.manifests[key]
            return h.say(200, {"Content-Type": kind}, data)
        return h.say(404)

    def upload(self, h, name, path, query):
        there = self.uploads[name]
        step = {"Location": f"{path}?step={len(there)}", "Range": f"0-{max(0, len(there) - 1)}"}
        if h.command == "GET":
            return h.say(204, step)
        if h.command == "PATCH" and int(h.headers["Content-Range"].split("-")[0]) != len(there):
            h.body()
            return h.say(416, step)
        data = b""
        left = int(h.headers.get("Content-Length", 0))
        while left > 0:
            piece = h.rfile.read1(min(left, 65536))
            if not piece:
                break
            data += piece
            left -= len(piece)
            cut = self.fault_after(h, len(there) + len(data))
            if cut:
                self.uploads[name] = there + data
                h.close_connection = True
                h.connection.shutdown(2)
                return None
        there = self.uploads[name] = there + data
        if left > 0:
            h.close_connection = True
            return None
        if h.command == "PATCH":
            return h.say(202, {"Location": f"{path}?step={len(there)}", "Range": f"0-{len(there) - 1}"})
        digest = query["digest"][0]
        if "sha256:" + hashlib.sha256(there).hexdigest() != digest:
            return h.say(400, {}, json.dumps({"errors": [{"code": "DIGEST_INVALID", "message": "digest differs"}]}).encode())
        self.blobs[digest] = there
        return h.say(201)

    def fault_after(self, handler, size):
        return False


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
        small = self.dir / "small"
        small.mkdir()
        checked("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", small)
        self.addCleanup(subprocess.run, ["umount", "-l", str(small)], check=False)
        env = dict(self.env, SLIPWAY_STORE=str(small / "store"))
        full = self.slip("pull", f"{registry.host}/app:1", status=1, env=env)
        self.assertIn("No space left on device", full.err)
        self.assertEqual(self.slip("images", "--json", env=env).json(), [])
        checked("mount", "-o", "remount,size=100m", small)
        self.slip("pull", f"{registry.host}/app:1", env=env)


if __name__ == "__main__":
    main()

"""A registry in memory that answers by script."""

import hashlib
import http.server
import json
import re
import threading
import urllib.parse

INDEX = "application/vnd.oci.image.index.v1+json"


class Scripted:
    """A registry after the OCI distribution specification, in memory. `fault(method, path)` may answer in its place:
    (status, headers, body), or ("gone",) to close the connection. With `referrers` it has that API."""

    def __init__(self, referrers=False):
        self.blobs, self.manifests, self.uploads, self.seen = {}, {}, {}, []
        self.referrers = referrers
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
                subject = json.loads(data).get("subject") if self.referrers else None
                return h.say(201, {"Docker-Content-Digest": digest, **({"OCI-Subject": subject["digest"]} if subject else {})})
            if key not in self.manifests:
                return h.say(404)
            data, kind = self.manifests[key]
            return h.say(200, {"Content-Type": kind}, data)
        if self.referrers and (match := re.fullmatch(r"/v2/(.+)/referrers/(sha256:\w+)", path)):
            return h.say(200, {"Content-Type": INDEX}, json.dumps(self.index(match[1], match[2])).encode())
        return h.say(404)

    def index(self, repository, subject):
        """Of what refers to the manifest `subject`."""
        entries = []
        for (where, name), (data, kind) in self.manifests.items():
            manifest = json.loads(data)
            if where == repository and name.startswith("sha256:") and manifest.get("subject", {}).get("digest") == subject:
                entries.append({"mediaType": kind, "digest": name, "size": len(data), "artifactType": manifest["artifactType"]})
        return {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}

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

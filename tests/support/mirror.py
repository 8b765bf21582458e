#!/usr/bin/env python3
"""Serves a folder on 127.0.0.1 for whole-program tests, with faults on demand.

    mirror.py FOLDER [--faults FILE] [--log FILE] [--tls CERT KEY] [--port-file FILE]

Prints the port as the first line of stdout, then serves until it is ended (or its stdin closes, with --until-eof).
Answers Range requests (206), sends ETag and Last-Modified, lists folders as pages of links, so that a folder of wheels
is a simple index: `/simple/NAME/` -> FOLDER/simple/NAME/.

The fault file is JSON and is read anew for each request: path (an fnmatch pattern, without the query) -> fault:

    {"/pool/a.deb":      {"fail": 2, "status": 503, "retry_after": 1},   the first 2 requests get 503
     "/pool/b.deb":      {"truncate": 1000, "times": 1},                 once: close after 1000 bytes of the body
     "/pool/c.deb":      {"wrong": true},                                one byte of the body differs
     "/dists/*":         {"delay": 0.5},                                 seconds before the answer
     "/pool/g.deb":      {"rate": 1000000},                              bytes a second of the body
     "/simple/gone/":    {"status": 404},                                always
     "/pool/d.deb":      {"length": 10},                                 Content-Length that is not true
     "/pool/e.deb":      {"no_range": true},                             ignores Range
     "/pool/f.deb":      {"redirect": "/pool/a.deb"},
     "/private/*":       {"user": "me", "password": "pw"}}               401 without Basic credentials

"times": N makes any fault end after N requests of that pattern; "fail": N is short for status + times.
The log has one JSON object per request: {"path", "status", "range", "bytes", "agent"}.
"""
import argparse
import base64
import email.utils
import fnmatch
import hashlib
import html
import http.server
import json
import os
import ssl
import sys
import threading
import time
import urllib.parse


class Mirror(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder, faults, log):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = os.path.realpath(folder)
        self.faults = faults
        self.log = log
        self.lock = threading.Lock()
        self.used = {}

    def handle_error(self, request, client_address):
        """A client that goes away in the middle is what tests do; anything else is a bug of ours."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def fault_for(self, path):
        """The fault that this request gets ({} for none); counts it."""
        if not self.faults or not os.path.exists(self.faults):
            return {}
        with open(self.faults, encoding="utf-8") as file:
            table = json.load(file)
        for pattern, fault in table.items():
            if not fnmatch.fnmatchcase(path, pattern):
                continue
            times = fault.get("times", fault.get("fail"))
            with self.lock:
                count = self.used[pattern] = self.used.get(pattern, 0) + 1
            if times is None or count <= times:
                return fault
        return {}

    def note(self, record):
        if self.log:
            with self.lock, open(self.log, "a", encoding="utf-8") as file:
                file.write(json.dumps(record, sort_keys=True) + "\n")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, with_body):
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        fault = self.server.fault_for(path)
        if fault.get("delay"):
            time.sleep(fault["delay"])
        status, fields, body = self.plan(path, fault)
        if not with_body:
            body_sent = b""
        else:
            body_sent = body[: fault["truncate"]] if "truncate" in fault else body
        self.server.note({"path": path, "status": status, "range": self.headers.get("Range"), "bytes": len(body_sent),
                          "agent": self.headers.get("User-Agent")})
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(fault.get("length", len(body))))
        cut = len(body_sent) != int(fault.get("length", len(body))) and with_body
        if cut:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        try:
            self.send(body_sent, fault.get("rate"))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def send(self, body, rate):
        if not rate:
            self.wfile.write(body)
            return
        piece = max(1, int(rate / 20))
        for begin in range(0, len(body), piece):
            self.wfile.write(body[begin:begin + piece])
            self.wfile.flush()
            time.sleep(0.05)

    def plan(self, path, fault):
        """(status, fields, body) of the answer."""
        if "user" in fault:
            wanted = "Basic " + base64.b64encode(f"{fault['user']}:{fault['password']}".encode()).decode()
            if self.headers.get("Authorization") != wanted:
                return 401, {"WWW-Authenticate": 'Basic realm="mirror"'}, b"unauthorized\n"
        if "redirect" in fault:
            return 302, {"Location": fault["redirect"]}, b""
        if "status" in fault or "fail" in fault:
            fields = {"Retry-After": str(fault["retry_after"])} if "retry_after" in fault else {}
            return fault.get("status", 503), fields, b"scripted fault\n"
        return self.content(path, fault)

    def content(self, path, fault):
        full = os.path.realpath(os.path.join(self.server.folder, path.lstrip("/")))
        if full != self.server.folder and not full.startswith(self.server.folder + os.sep):
            return 403, {}, b"outside\n"
        if os.path.isdir(full):
            index = os.path.join(full, "index.html")
            if not os.path.exists(index):
                return 200, {"Content-Type": "text/html; charset=utf-8"}, listing(full)
            full = index
        if not os.path.isfile(full):
            return 404, {}, b"not found\n"
        with open(full, "rb") as file:
            body = file.read()
        fields = {"Content-Type": "text/html" if full.endswith(".html") else "application/octet-stream",
                  "ETag": '"' + hashlib.sha256(body).hexdigest()[:16] + '"',
                  "Last-Modified": email.utils.formatdate(int(os.stat(full).st_mtime), usegmt=True)}
        if fault.get("wrong") and body:
            body = body[:-1] + bytes([body[-1] ^ 1])
        return self.ranged(body, fields, fault)

    def ranged(self, body, fields, fault):
        wanted = self.headers.get("Range", "")
        condition = self.headers.get("If-Range")
        if not wanted.startswith("bytes=") or "," in wanted or fault.get("no_range") or \
                condition not in (None, fields["ETag"], fields["Last-Modified"]):
            return 200, fields, body
        first, _, last = wanted[len("bytes="):].partition("-")
        start = int(first) if first else max(0, len(body) - int(last))
        end = min(int(last), len(body) - 1) if first and last else len(body) - 1
        if start >= len(body):
            return 416, {"Content-Range": f"bytes */{len(body)}"}, b""
        return 206, {**fields, "Content-Range": f"bytes {start}-{end}/{len(body)}"}, body[start:end + 1]


def listing(folder):
    """A page of links, with each file's sha256 as PEP 503 has it."""
    lines = ["<!DOCTYPE html>", "<html><body>"]
    for name in sorted(os.listdir(folder)):
        full = os.path.join(folder, name)
        link = urllib.parse.quote(name)
        if os.path.isdir(full):
            link += "/"
        elif name.endswith((".whl", ".tar.gz", ".zip")):
            with open(full, "rb") as file:
                link += "#sha256=" + hashlib.sha256(file.read()).hexdigest()
        lines.append(f'<a href="{link}">{html.escape(name)}</a><br>')
    return ("\n".join(lines) + "\n</body></html>\n").encode()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--faults")
    parser.add_argument("--log")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    parser.add_argument("--port-file")
    parser.add_argument("--until-eof", action="store_true", help="end when stdin closes")
    options = parser.parse_args()

    server = Mirror(options.folder, options.faults, options.log)
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.tls)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    port = server.server_address[1]
    if options.port_file:
        with open(options.port_file + ".new", "w", encoding="utf-8") as file:
            file.write(f"{port}\n")
        os.rename(options.port_file + ".new", options.port_file)
    print(port, flush=True)
    if options.until_eof:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.buffer.read()
    else:
        server.serve_forever()


if __name__ == "__main__":
    main()

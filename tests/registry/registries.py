"""What the tests of registries share: Debian's docker-registry on loopback, a token server, a proxy that cuts connections,
and images made with umoci. Standard library only."""

import base64
import hashlib
import http.server
import json
import os
import pathlib
import random
import select
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "images"))
import support  # noqa: E402,F401
from support import Case, checked, have, main, run  # noqa: E402,F401

REGISTRY = shutil.which("docker-registry") or "/usr/bin/docker-registry"
PASSWORD = "s3cret$word"  # no secret: made up, for servers of these tests only
ROBOT = "robot$team+ci"


def need(*programs):
    missing = [program for program in programs if not have(program)]
    if missing:
        raise unittest.SkipTest(f"needs {', '.join(missing)}")


def openssl(*words, **more):
    return checked("openssl", *words, **more)


class Authority:
    """A private CA with certificates for 127.0.0.1 and localhost."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca = self.folder / "ca.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", "/CN=Test CA of slipway", "-keyout", self.folder / "ca.key", "-out", self.ca)

    def issue(self, name, usage="serverAuth", rsa=False):
        key, request, cert = (self.folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        algorithm = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        openssl("req", "-newkey", *algorithm, "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        self.sign(name, f"subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage={usage}\n")
        return cert, key

    def sign(self, name, extensions, days="2"):
        """(Again) makes the certificate of a request of issue()."""
        file = self.folder / f"{name}.ext"
        file.write_text(extensions)
        openssl("x509", "-req", "-in", self.folder / f"{name}.csr", "-CA", self.ca, "-CAkey", self.folder / "ca.key",
                "-CAcreateserial", "-days", days, "-extfile", file, "-out", self.folder / f"{name}.pem")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Registry:
    """docker-registry with its own folder. host: "127.0.0.1:PORT"."""

    def __init__(self, folder, tls=None, htpasswd=False, token=None, client_ca=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        config = {"version": "0.1", "log": {"level": "warn"},
                  "storage": {"filesystem": {"rootdirectory": str(self.folder / "data")}, "delete": {"enabled": True}},
                  "http": {"addr": self.host, "secret": "for tests"}}
        if tls:
            config["http"]["tls"] = {"certificate": str(tls[0]), "key": str(tls[1])}
            if client_ca:
                config["http"]["tls"]["clientcas"] = [str(client_ca)]
        if htpasswd:
            lines = b"".join(checked("htpasswd", "-nbB", user, PASSWORD).strip() + b"\n" for user in ("ann", ROBOT))
            (self.folder / "htpasswd").write_bytes(lines)
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(self.folder / "htpasswd")}}
        if token:
            config["auth"] = {"token": {"realm": token.url, "service": "test", "issuer": "test",
                                        "rootcertbundle": str(token.certificate)}}
        (self.folder / "config.yml").write_text(json.dumps(config))
        self.log = open(self.folder / "log", "w+b")
        self.process = subprocess.Popen([REGISTRY, "serve", str(self.folder / "config.yml")], stdout=self.log, stderr=self.log,
                                        env={"PATH": os.environ["PATH"], "HOME": str(self.folder)})
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError("docker-registry does not start: " + (self.folder / "log").read_text())
                time.sleep(0.05)

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()

    def requests(self):
        """(method, path, status) of every request so far, from the access log."""
        found = []
        for line in (self.folder / "log").read_text(errors="replace").splitlines():
            parts = line.split('"')
            if len(parts) > 2 and " HTTP/" in parts[1]:
                method, path, _ = parts[1].split(" ", 2)
                found.append((method, path, int(parts[2].split()[0])))
        return found


class TokenServer:
    """Gives tokens of `life` seconds to ann and the robot, to others tokens that may only pull: JWT RS256 with x5c."""

    def __init__(self, authority, life=5):
        self.certificate, key = authority.issue("tokens", rsa=True)
        self.life = life
        self.given = 0
        chain = openssl("x509", "-in", self.certificate, "-outform", "DER")
        server = self

        def part(value):
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
                header = self.headers.get("Authorization", "")
                user = None
                if header.startswith("Basic "):
                    user, _, password = base64.b64decode(header[6:]).decode().partition(":")
                    if password != PASSWORD:
                        self.send_error(401)
                        return
                access = []
                for scope in query.get("scope", []):
                    kind, name, actions = scope.split(":")
                    granted = [a for a in actions.split(",") if user or a == "pull"]
                    access.append({"type": kind, "name": name, "actions": granted})
                now = int(time.time())
                head = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(chain).decode()]}
                body = {"iss": "test", "sub": user or "", "aud": "test", "exp": now + server.life, "nbf": now - 1,
                        "iat": now, "jti": str(server.given), "access": access}
                signed = f"{part(head)}.{part(body)}"
                signature = openssl("dgst", "-sha256", "-sign", key, input=signed.encode())
                server.given += 1
                answer = json.dumps({"token": f"{signed}.{part(signature)}", "expires_in": server.life}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/token"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Cutter:
    """A TCP proxy that cuts each connection after a number of bytes (of both directions) taken from `offsets`; when they
    are used up it lets everything through."""

    def __init__(self, target, offsets=(), rate=None):
        self.target = target
        self.offsets = list(offsets)
        self.cuts = 0
        self.carried = 0
        self.rate = rate
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client):
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            with self.lock:
                left = self.offsets.pop(0) if self.offsets else None
            pairs = {client: server, server: client}
            while True:
                for source in select.select(list(pairs), [], [], 60)[0]:
                    try:
                        data = source.recv(65536 if left is None else min(65536, left) or 1)
                    except OSError:
                        return
                    if not data:
                        return
                    with self.lock:
                        self.carried += len(data)
                    if left is not None:
                        left -= len(data)
                        if left <= 0:
                            with self.lock:
                                self.cuts += 1
                            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                            return
                    try:
                        pairs[source].sendall(data)
                    except OSError:
                        return

    def close(self):
        self.listener.close()


def cosign():
    """Debian's own cosign, a static program. bookworm has none, so trixie's package is unpacked beside the test store; its
    signatures are checked by apt as always."""
    if have("cosign"):
        return shutil.which("cosign")
    folder = pathlib.Path(os.environ.get("SLIPWAY_TEST_STORE") or "/tmp/slipway-tests").absolute().parent / "cosign"
    program = folder / "usr/bin/cosign"
    if program.exists():
        return str(program)
    mirrors = [line.split()[1] for line in subprocess.run(
        "sed -n 's/^URIs:/&/p; s/^deb \\(\\[.*\\] \\)*/URIs: /p' /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null",
        shell=True, capture_output=True, text=True, check=False).stdout.splitlines() if len(line.split()) > 1]
    if not mirrors or not have("apt-get"):
        raise unittest.SkipTest("cosign is not installed, and apt names no mirror")
    with tempfile.TemporaryDirectory() as temp:
        for name in ("state/lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(temp, name))
        pathlib.Path(temp, "list").write_text(
            f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirrors[0]} trixie main\n")
        apt = ["apt-get", "-q", "-o", f"Dir::Etc::sourcelist={temp}/list", "-o", "Dir::Etc::sourceparts=/dev/null",
               "-o", f"Dir::State={temp}/state", "-o", f"Dir::Cache={temp}/cache", "-o", "Acquire::Languages=none"]
        for verb in (["update"], ["download", "cosign"]):
            done = subprocess.run([*apt, *verb], cwd=temp, capture_output=True, timeout=400, check=False)
            if done.returncode != 0:
                raise unittest.SkipTest("cosign cannot be had: apt does not reach its mirror")
        [package] = pathlib.Path(temp).glob("cosign_*.deb")
        unpacked = os.path.join(temp, "unpacked")
        checked("dpkg-deb", "-x", package, unpacked)
        shutil.copytree(unpacked, folder, dirs_exist_ok=True)
    return str(program)


def noise(size, seed):
    return random.Random(seed).randbytes(size)


class RegistryCase(Case):
    def setUp(self):
        need("docker-registry", "umoci", "openssl", "htpasswd")
        super().setUp()
        self.env["SLIPWAY_STORE"] = str(self.dir / "store")
        self.env["SLIPWAY_CONFIG"] = str(self.home / "config/config.toml")
        self.env["DOCKER_CONFIG"] = str(self.home / ".docker")
        self.env["no_proxy"] = "127.0.0.1,localhost"

    def registry(self, name="registry", **more):
        registry = Registry(self.dir / name, **more)
        self.addCleanup(registry.close)
        return registry

    def other_store(self, name="other"):
        return dict(self.env, SLIPWAY_STORE=str(self.dir / f"store-{name}"))

    def slip(self, *args, **more):
        more.setdefault("cwd", self.dir)
        return self.slipway(*map(str, args), **more)

    def login(self, host, user="ann", password=PASSWORD, *more, status=0, env=None):
        return self.slip("login", host, "--username", user, "--password-stdin", *more, stdin=password.encode(),
                         status=status, env=env)

    def layout(self, layers, name="layout", tag="made", config=()):
        """An OCI layout made with umoci: each layer a {path: bytes}; None removes the path."""
        layout = self.dir / name
        checked("umoci", "init", "--layout", layout)
        image = f"{layout}:{tag}"
        checked("umoci", "new", "--image", image)
        for number, files in enumerate(layers):
            for path, content in files.items():
                if content is None:
                    checked("umoci", "insert", "--rootless", "--image", image, "--whiteout", path)
                    continue
                source = self.dir / f"{name}-{number}-{path.strip('/').replace('/', '_')}"
                source.write_bytes(content)
                source.chmod(0o755)
                checked("umoci", "insert", "--rootless", "--image", image, source, path)
        if config:
            checked("umoci", "config", "--image", image, *config)
        return image

    def skopeo(self, *words):
        policy = self.dir / "policy.json"
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        return checked("skopeo", "--policy", policy, *words, env=dict(os.environ, HOME=str(self.home)))

    def put(self, image, registry, name, *options):
        """Pushes a layout with skopeo to a registry that speaks plain HTTP."""
        self.skopeo("copy", "--quiet", "--dest-tls-verify=false", *options, f"oci:{image}", f"docker://{registry.host}/{name}")
        return f"{registry.host}/{name}"

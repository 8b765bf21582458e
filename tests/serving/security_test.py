"""TLS, certificates of clients and bearer tokens of slipway-serve, on both ports."""

import http.client
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile

import server
from server import MODELS, Server, eventually

server.skip_without_tensorflow()
if not shutil.which("openssl"):
    print("skipped: no openssl program to make certificates with")
    sys.exit(77)
MODEL = ["--model_name=m", f"--model_base_path={MODELS}/half_plus_two_tf2"]
BODY = '{"instances":[1.0]}'


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Authority:
    """A root that certifies names; its files lie in `folder`."""

    def __init__(self, folder, name="root"):
        self.folder, self.root = pathlib.Path(folder), pathlib.Path(folder) / f"{name}.pem"
        self.key = self.folder / f"{name}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", self.key, "-out",
                self.root, "-subj", f"/CN={name}", "-days", "2")

    def certify(self, name):
        """(certificate, key) for localhost and 127.0.0.1."""
        key, request, certificate = (self.folder / f"{name}{end}" for end in (".key", ".csr", ".pem"))
        extensions = self.folder / "extensions"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", request, "-subj",
                f"/CN={name}")
        openssl("x509", "-req", "-in", request, "-CA", self.root, "-CAkey", self.key, "-CAcreateserial", "-out", certificate, "-days",
                "2", "-extfile", extensions)
        return certificate, key


def ask(s, context, path="/v1/models/m:predict", body=BODY, headers=None):
    connection = http.client.HTTPSConnection("127.0.0.1", s.ports["REST"], context=context, timeout=30)
    try:
        connection.request("POST" if body else "GET", path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def refused(s, context, protocol="REST"):
    """Whether the server breaks this client's connection off."""
    try:
        with socket.create_connection(("127.0.0.1", s.ports[protocol]), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as secure:
                secure.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
                return secure.recv(100) == b""
    except (ssl.SSLError, ConnectionError):
        return True


def test_tls_on_both_ports():
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(folder)
        certificate, key = authority.certify("server")
        with Server(*MODEL, f"--tls_certificate_file={certificate}", f"--tls_key_file={key}") as s:
            context = ssl.create_default_context(cafile=authority.root)
            assert ask(s, context) == (200, '{\n    "predictions": [3.5\n    ]\n}')
            large = [float(i) for i in range(200_000)]
            status, text = ask(s, context, body=json.dumps({"instances": large}))
            assert status == 200 and json.loads(text)["predictions"] == [x / 2 + 3 for x in large]
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context.minimum_version = context.maximum_version = version
                assert ask(s, context)[0] == 200
            context = ssl.create_default_context(cafile=authority.root)
            context.set_alpn_protocols(["h2", "http/1.1"])
            for protocol, chosen in (("REST", "http/1.1"), ("gRPC", "h2")):
                with socket.create_connection(("127.0.0.1", s.ports[protocol])) as plain:
                    with context.wrap_socket(plain, server_hostname="localhost") as secure:
                        assert secure.selected_alpn_protocol() == chosen
            # plain text, old TLS, another root, a protocol that the port does not have
            try:
                s.rest("/healthz")
                raise AssertionError("plain text was answered")
            except (http.client.HTTPException, ConnectionError):
                pass
            assert refused(s, ssl.create_default_context())
            context.set_alpn_protocols(["h2"])
            assert refused(s, context)
            assert s.stop() == 0


def test_certificates_of_clients():
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(folder)
        certificate, key = authority.certify("server")
        with Server(*MODEL, f"--tls_certificate_file={certificate}", f"--tls_key_file={key}",
                    f"--tls_client_ca_file={authority.root}") as s:
            stranger = ssl.create_default_context(cafile=authority.root)
            assert refused(s, stranger) and refused(s, stranger, "gRPC")
            stranger.load_cert_chain(*Authority(folder, "other").certify("mallory"))
            assert refused(s, stranger) and refused(s, stranger, "gRPC")
            friend = ssl.create_default_context(cafile=authority.root)
            friend.load_cert_chain(*authority.certify("client"))
            for _ in range(3):
                assert ask(s, friend)[0] == 200


def test_ssl_config_file_is_for_grpc():
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(folder)
        certificate, key = authority.certify("server")
        config = pathlib.Path(folder) / "ssl.config"
        quote = lambda path: '"' + path.read_text().replace("\n", "\\n") + '"'
        config.write_text(f"server_key: {quote(key)}\nserver_cert: {quote(certificate)}\ncustom_ca: {quote(authority.root)}\n"
                          "client_verify: true\n")
        with Server(*MODEL, f"--ssl_config_file={config}") as s:
            assert s.rest("/healthz")[0] == 200
            assert refused(s, ssl.create_default_context(cafile=authority.root), "gRPC")
        config.write_text("server_key: 'nonsense' server_cert: 'nonsense'")
        with Server(*MODEL, f"--ssl_config_file={config}", wait=False) as s:
            assert s.process.wait(20) == 1
            s.wait_for("text", text="error: use the server certificate: error:0480006C:PEM routines::no start line")


def test_renewed_certificates_need_no_restart():
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(folder)
        certificate, key = authority.certify("server")
        with Server(*MODEL, f"--tls_certificate_file={certificate}", f"--tls_key_file={key}") as s:
            before = ssl.create_default_context(cafile=authority.root)
            assert ask(s, before)[0] == 200
            certificate.write_text("half written")
            s.wait_for("credentials not read")
            assert ask(s, before)[0] == 200
            other = Authority(folder, "other")
            fresh, fresh_key = other.certify("fresh")
            shutil.copy(fresh_key, key)
            shutil.copy(fresh, certificate)
            s.wait_for("certificates read")
            assert ask(s, ssl.create_default_context(cafile=other.root))[0] == 200
            assert refused(s, before)


def test_bearer_tokens():
    with tempfile.TemporaryDirectory() as folder:
        tokens = pathlib.Path(folder) / "tokens"
        tokens.write_text("first-secret\n\nsecond-secret\n")
        tokens.chmod(0o600)
        with Server(*MODEL, f"--auth_token_file={tokens}", "--access_log") as s:
            def status(token=None, path="/v1/models/m:predict", body=BODY):
                return s.rest(path, body, headers={} if token is None else {"Authorization": token})[0]

            for good in ("Bearer first-secret", "bearer second-secret"):
                assert status(good) == 200
            for bad in (None, "", "Bearer", "Bearer ", "Bearer first-secre", "Bearer first-secret2", "Basic first-secret", "first-secret"):
                assert status(bad) == 401, bad
            for path in ("/healthz", "/livez", "/readyz", "/v2/health/live", "/v2/health/ready"):
                assert status(path=path, body=None) == 200
            for path in ("/metrics", "/v1/models/m", "/v2/models/m", "/v1/models/m/metadata"):
                assert status(path=path, body=None) == 401
                assert status("Bearer first-secret", path, None) == 200
            connection = s.connect()
            connection.request("GET", "/metrics")
            assert connection.getresponse().getheader("WWW-Authenticate") == "Bearer"
            connection.close()
            tokens.write_text("third-secret")
            eventually(lambda: status("Bearer third-secret") == 200)
            assert status("Bearer first-secret") == 401
            assert "secret" not in json.dumps(s.lines)


def test_grpc_with_tls_and_tokens():
    """By grpcio, where an environment has it."""
    python = server.CLIENTS / "tensorflow/bin/python"
    if not python.exists():
        print(f"skipped: no {python}")
        return
    client = """
import sys, grpc
root, certificate, key, port = sys.argv[1:]
read = lambda path: open(path, "rb").read()
credentials = grpc.ssl_channel_credentials(read(root), read(key), read(certificate))
with grpc.secure_channel("127.0.0.1:" + port, credentials) as channel:
    call = lambda path, message, **how: channel.unary_unary(path)(message, timeout=10, **how)
    assert call("/grpc.health.v1.Health/Check", b"") == b"\\x08\\x01"
    status = "/tensorflow.serving.ModelService/GetModelStatus"
    try:
        call(status, b"\\n\\x03\\n\\x01m")
        raise SystemExit("answered without a token")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error
    assert call(status, b"\\n\\x03\\n\\x01m", metadata=[("authorization", "Bearer secret")])
"""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(folder)
        certificate, key = authority.certify("server")
        token = pathlib.Path(folder) / "token"
        token.write_text("secret")
        with Server(*MODEL, f"--tls_certificate_file={certificate}", f"--tls_key_file={key}",
                    f"--tls_client_ca_file={authority.root}", f"--auth_token_file={token}") as s:
            subprocess.run([str(python), "-c", client, authority.root, *authority.certify("client"), str(s.ports["gRPC"])], check=True)


def test_the_program_probes_itself():
    with tempfile.TemporaryDirectory() as folder, Server("--model_name=m", f"--model_base_path={folder}/m", wait=False) as s:
        s.wait_for("listening", protocol="REST")
        probe = lambda port: subprocess.run([str(server.PROGRAM), "--probe", f"--rest_api_port={port}"], text=True, capture_output=True)
        ran = probe(s.ports["REST"])
        assert (ran.returncode, ran.stdout) == (1, "loading\n"), ran
        shutil.copytree(MODELS / "half_plus_two_tf2/1", pathlib.Path(folder) / "staging")
        (pathlib.Path(folder) / "m").mkdir()
        (pathlib.Path(folder) / "staging").rename(pathlib.Path(folder) / "m/1")
        s.wait_for("ready")
        ran = probe(s.ports["REST"])
        assert (ran.returncode, ran.stdout) == (0, "ok\n"), ran
        s.stop()
        assert probe(s.ports["REST"]).returncode == 1
        assert subprocess.run([str(server.PROGRAM), "--probe"], capture_output=True).returncode == 2


def test_half_a_pair_is_an_error():
    for flags, text in ((["--tls_key_file=/x"], "need each other"), (["--tls_client_ca_file=/x"], "needs --tls_certificate_file"),
                        (["--tls_certificate_file=/nonexistent", "--tls_key_file=/nonexistent"], "No such file"),
                        (["--auth_token_file=/dev/null"], "holds no token")):
        ran = subprocess.run([str(server.PROGRAM), f"--tensorflow={server.TENSORFLOW}", "--any_ports", *MODEL, *flags], text=True,
                             capture_output=True)
        assert ran.returncode in (1, 2) and text in ran.stderr, ran.stderr


def test_no_symbol_of_ours_meets_tensorflow():
    """TensorFlow's libraries have a BoringSSL and a zlib of their own; ours must be neither exported nor shared."""
    dynamic = subprocess.run(["readelf", "--dyn-syms", "-W", str(server.PROGRAM)], text=True, capture_output=True, check=True).stdout
    names = {line.split()[7].split("@")[0] for line in dynamic.splitlines() if len(line.split()) >= 8 and line.split()[6] != "UND"}
    assert "PyTuple_Type" in names
    assert not {"SSL_read", "inflate", "EVP_DigestInit_ex", "nghttp2_session_mem_recv", "crc32"} & names
    needed = subprocess.run(["readelf", "-d", str(server.PROGRAM)], text=True, capture_output=True, check=True).stdout
    assert not [word for word in ("libssl", "libcrypto", "libz.", "libnghttp2") if word in needed], needed


os.environ.pop("MODEL_NAME", None)
server.run(globals())

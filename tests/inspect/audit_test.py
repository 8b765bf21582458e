"""`slipway audit` of images: what is bad on purpose fails the check that it breaks, and no other."""

import pathlib
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "images"))
import layouts
import support
from layouts import entry, folder

# Checks that an image without a lock cannot pass.
NO_LOCK = {"C4.2", "C4.3", "SUP1"}

KEY = "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n" * 3 + "-----END PRIVATE KEY-----\n"
SSHD = "AllowUsers dev\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin no\nUsePAM no\nAllowTcpForwarding local\nAllowAgentForwarding no\n"
MODERN = "KexAlgorithms curve25519-sha256\nCiphers aes256-gcm@openssh.com\nMACs hmac-sha2-512-etm@openssh.com\n"

# (what is wrong, further entries of the layer, further keys of the configuration, history, ids that must fail)
BAD = [
    ("no user", [], {"User": ""}, None, {"C4.1"}),
    ("user root", [], {"User": "root:0"}, None, {"C4.1"}),
    ("a port and no health check", [], {"ExposedPorts": {"8888/tcp": {}}}, None, {"C4.6"}),
    ("a low port", [], {"ExposedPorts": {"80/tcp": {}}, "Healthcheck": {"Test": ["CMD", "true"]}}, None, {"C5.8"}),
    ("ADD of a URL", [], {}, [{"created_by": "/bin/sh -c #(nop) ADD http://127.0.0.1/x.tar /"}], {"C4.9"}),
    ("a token in a variable", [], {"Env": ["JUPYTER_TOKEN=letmein"]}, None, {"C4.10"}),
    ("a password in a label", [], {"Labels": {"index": "https://me:secret@127.0.0.1/simple"}}, None, {"C4.10"}),
    ("a password in an argument", [], {"Cmd": ["serve", "--password=x1y2"]}, None, {"C4.10"}),
    ("a setuid file", [entry("usr/bin/su", b"\x7fELF", 0o4755)], {}, None, {"C4.8"}),
    ("a setgid file", [entry("usr/bin/wall", b"\x7fELF", 0o2755)], {}, None, {"C4.8"}),
    ("a capability", [entry("usr/bin/ping", b"\x7fELF", 0o755, pax_headers={"SCHILY.xattr.security.capability": "\x01"})], {}, None, {"C4.8"}),
    ("a private key", [entry("home/dev/server.pem", KEY)], {}, None, {"CIS-DI-0010"}),
    ("credentials of an index", [entry("home/dev/.pypirc", "[pypi]\npassword = x\n")], {}, None, {"CIS-DI-0010"}),
    ("a token of a code host", [entry("workspace/run.sh", "TOKEN=ghp_" + "a1" * 20 + "\n")], {}, None, {"CIS-DI-0010"}),
    ("somebody's login key", [entry("home/dev/.ssh/authorized_keys", "ssh-ed25519 AAAA me\n")], {}, None, {"SSH2"}),
    ("a folder for everybody", [folder("var/log/app", 0o777)], {}, None, {"LOG1"}),
    ("a device", [entry("dev/mem", kind=tarfile.CHRTYPE, devmajor=1, devminor=1)], {}, None, {"C5.18"}),
    ("sudo", [entry("usr/bin/sudo", b"\x7fELF", 0o755)], {}, None, {"DKL-DI-0001"}),
    ("an empty password", [entry("etc/shadow", "root::1::::::\n")], {}, None, {"DKL-LI-0001"}),
    ("two accounts of one id", [entry("etc/passwd", layouts.PASSWD + "toor:x:0:0::/:/bin/sh\n")], {}, None, {"DKL-LI-0002"}),
    ("apt's lists", [entry("var/lib/apt/lists/x_Packages", "Package: x\n")], {}, None, {"DKL-DI-0005"}),
    ("a repository", [folder("workspace/.git"), entry("workspace/.git/HEAD", "ref\n")], {}, None, {"DKL-LI-0003"}),
    ("sshd as it comes", [entry("usr/sbin/sshd", b"\x7fELF", 0o755), entry("etc/ssh/sshd_config", "UsePAM yes\n")], {}, None,
     {"C5.7", "SSH1", "SSH3", "SSH4"}),
    ("ours with passwords", [entry("usr/sbin/sshd", b"\x7fELF", 0o755), entry("usr/lib/slipway/start-ssh", "#!/bin/sh\n", 0o755),
                             entry("etc/slipway/sshd_config", "PasswordAuthentication yes\n" + SSHD + MODERN)], {}, None, {"C5.7", "SSH1"}),
    ("ours with old ciphers", [entry("usr/sbin/sshd", b"\x7fELF", 0o755), entry("usr/lib/slipway/start-ssh", "#!/bin/sh\n", 0o755),
                               entry("etc/slipway/sshd_config", SSHD + MODERN.replace("aes256-gcm@openssh.com", "aes256-cbc"))], {}, None, {"SSH4"}),
    ("ours with the group tty", [entry("usr/sbin/sshd", b"\x7fELF", 0o755), entry("usr/lib/slipway/start-ssh", "#!/bin/sh\n", 0o755),
                                 entry("etc/group", "tty:x:5:\n"), entry("etc/slipway/sshd_config", SSHD + MODERN)], {}, None, {"C5.7"}),
    ("Jupyter without a token", [entry("etc/jupyter/jupyter_server_config.py", "c.ServerApp.token = ''\n"), entry("usr/bin/jupyter-lab", "#!")], {}, None, {"JS1"}),
    ("the same in JSON", [entry("etc/jupyter/jupyter_server_config.json", '{"ServerApp": {"token": ""}}'.replace(" {", "\n{").replace('{"token', '\n"token').replace('"}', '"\n}')),
                          entry("usr/bin/jupyter-lab", "#!")], {}, None, {"JS1"}),
    ("Jupyter open to every page", [entry("etc/jupyter/jupyter_server_config.py", "c.ServerApp.allow_origin = '*'\n"), entry("usr/bin/jupyter-lab", "#!")], {}, None, {"JS5"}),
    ("Jupyter as root", [entry("usr/bin/jupyter-notebook", "#!")], {"Cmd": ["jupyter", "notebook", "--allow-root"]}, None, {"JS6"}),
    ("Jupyter's token in the arguments", [entry("usr/bin/jupyter-notebook", "#!")], {"Cmd": ["sh", "-c", "jupyter notebook --NotebookApp.token=abc"]}, None, {"JS2", "C4.10"}),
    ("a model image with a shell", [entry("bin/sh", b"\x7fELF", 0o755)], {"Entrypoint": ["/usr/bin/slipway-serve"]}, None, {"MODEL1"}),
]


class Audit(support.Case):
    def setUp(self):
        super().setUp()
        self.env["SLIPWAY_STORE"] = str(self.dir / "store")

    def failed(self, name):
        result = self.slipway("audit", "--offline", "--json", name, cwd=self.dir, status=1)
        checks = result.json()["checks"]
        ids = [check["id"] for check in checks]
        self.assertEqual(len(ids), len(set(ids)), "an id stands twice")
        for check in checks:
            self.assertEqual(set(check), {"id", "title", "ok", "found", "wanted", "hint", "exception", "of"})
            if not check["ok"]:
                self.assertTrue(check["found"] and check["wanted"] and check["hint"], check)
        return {check["id"] for check in checks if not check["ok"]}

    def test_clean(self):
        layouts.write(self.dir / "image", [layouts.clean()])
        self.assertEqual(self.failed(f"oci:{self.dir}/image"), NO_LOCK)

    def test_bad_on_purpose(self):
        for number, (what, entries, config, history, ids) in enumerate(BAD):
            with self.subTest(what):
                paths = {info.name for info, _ in entries}
                base = [pair for pair in ((entry("etc/passwd", layouts.PASSWD)), (entry("etc/shadow", "root:*:1::::::\n", 0o640))) if pair[0].name not in paths]
                layouts.write(self.dir / f"image{number}", [layouts.layer(*base, *entries)], config, history)
                self.assertEqual(self.failed(f"oci:{self.dir}/image{number}") - NO_LOCK, ids)

    def test_what_a_higher_layer_hides(self):
        """A whiteout mends the tree; a secret still ships in the layer below."""
        bad = layouts.clean(entry("usr/bin/su", b"\x7fELF", 0o4755), folder("a"), entry("a/server.pem", KEY), folder("b", 0o777))
        mend = layouts.layer(entry("usr/bin/.wh.su"), entry("a/.wh..wh..opq"), entry(".wh.b"))
        layouts.write(self.dir / "image", [bad, mend])
        self.assertEqual(self.failed(f"oci:{self.dir}/image") - NO_LOCK, {"CIS-DI-0010"})

    def test_for_people(self):
        layouts.write(self.dir / "image", [layouts.clean(entry("usr/bin/su", b"\x7fELF", 0o4755))])
        result = self.slipway("audit", "--offline", f"oci:{self.dir}/image", cwd=self.dir, status=1)
        self.assertRegex(result.out, r"FAIL +C4\.8 .*: /usr/bin/su\n +wanted: .*\n +hint: ")
        self.assertIn("ok ", result.out)
        self.assertNotIn("\n\n", result.out)

    def test_a_model_image_names_its_lock_by_digest(self):
        labels = {"dev.slipway.model": "{}", "dev.slipway.lock": "sha256:" + "0" * 64}
        for name, entries, status in (("slim", [], 0), ("fat", [entry("bin/sh", b"\x7fELF", 0o755)], 1)):
            layouts.write(self.dir / name, [layouts.clean(*entries)], {"Labels": labels})
            record = self.slipway("audit", "--offline", "--json", f"oci:{self.dir}/{name}", cwd=self.dir, status=status).json()
            self.assertEqual({c["id"] for c in record["checks"] if not c["ok"]}, {"MODEL1"} if status else set())
            self.assertLessEqual(NO_LOCK, {c["id"] for c in record["checks"] if c["exception"]})

    def test_unknown_image(self):
        result = self.slipway("audit", "--offline", "nothing", cwd=self.dir, status=1)
        self.assertIn("slipway images", result.err)

    def test_damaged_layer(self):
        layouts.write(self.dir / "image", [layouts.clean()])
        for blob in (self.dir / "image/blobs/sha256").iterdir():
            if blob.read_bytes()[:2] == b"\x1f\x8b":
                layer = blob
        whole = layer.read_bytes()
        for damaged in (whole[:-20], whole[:-8] + bytes(8), layouts.gzip.compress(layouts.clean(folder("other")), mtime=0)):
            layer.write_bytes(damaged)
            result = self.slipway("audit", "--offline", "--json", f"oci:{self.dir}/image", cwd=self.dir, status=1)
            self.assertEqual(result.json()["kind"], "corrupt", result)


if __name__ == "__main__":
    support.main()

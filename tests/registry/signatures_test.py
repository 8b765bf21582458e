"""Signatures: cosign is the judge of ours, and what must not pass does not."""

import base64
import copy
import hashlib
import http.client
import json
import os
import subprocess

from registries import RegistryCase, cosign, main, noise, openssl

SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"


class Signatures(RegistryCase):
    def setUp(self):
        super().setUp()
        self.server = self.registry()
        self.keys = {}
        for name in ("team", "other"):
            key = self.dir / f"{name}.key"
            openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
            openssl("pkey", "-in", key, "-pubout", "-out", self.dir / f"{name}.pub")
        there = self.put(self.layout([{"/a": noise(100_000, 21)}], "first"), self.server, "made:1")
        self.slip("pull", there)
        second = self.put(self.layout([{"/a": noise(100_000, 22)}], "second"), self.server, "made:2")
        self.slip("pull", second)
        self.slip("tag", there, "one")
        self.slip("tag", second, "two")
        self.name = f"{self.server.host}/team/app"

    def sign(self, image="one", tag="1", key="team"):
        return self.slip("push", "--sign", self.dir / f"{key}.key", image, f"{self.name}:{tag}", "--json").json()

    def verify(self, reference=None, key="team", status=0):
        result = self.slip("pull", "--verify", self.dir / f"{key}.pub", reference or f"{self.name}:1", status=status,
                           env=self.other_store())
        return result

    def request(self, method, path, body=None, kind=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port)
        self.addCleanup(connection.close)
        connection.request(method, f"/v2/team/app/{path}", body, {"Content-Type": kind} if kind else
                           {"Accept": "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"})
        answer = connection.getresponse()
        data = answer.read()
        return answer.status, data, answer.headers

    def blob(self, data):
        status, _, headers = self.request("POST", "blobs/uploads/")
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        place = headers["Location"].split(self.server.host, 1)[-1].split("/v2/team/app/", 1)[1]
        status, _, _ = self.request("PUT", f"{place}&digest={digest}", data, "application/octet-stream")
        self.assertEqual(status, 201)
        return {"digest": digest, "size": len(data)}

    def sig_tag(self, digest):
        return "manifests/" + digest.replace(":", "-") + ".sig"

    def only_tag_form(self, digest):
        """Takes the bundle away."""
        status, _, _ = self.request("PUT", "manifests/" + digest.replace(":", "-"),
                                    json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
                                                "manifests": []}), "application/vnd.oci.image.index.v1+json")
        self.assertEqual(status, 201)

    def cosign(self, *words, status=0):
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "COSIGN_PASSWORD": ""}
        done = subprocess.run([cosign(), *map(str, words)], env=env, cwd=self.dir, capture_output=True, timeout=120, check=False)
        if status is not None:
            self.assertEqual(done.returncode, status, done.stderr.decode()[-2000:])
        return done

    def test_signed_and_verified(self):
        digest = self.sign()["digest"]
        self.assertIn("Verified the signature", self.verify().err)
        again = self.sign()
        self.assertEqual(again["digest"], digest)
        manifest = json.loads(self.request("GET", self.sig_tag(digest))[1])
        self.assertEqual(len(manifest["layers"]), 1)  # signing again adds nothing
        index = json.loads(self.request("GET", "manifests/" + digest.replace(":", "-"))[1])
        self.assertEqual(len(index["manifests"]), 1)

    def test_each_form_is_enough(self):
        digest = self.sign()["digest"]
        self.only_tag_form(digest)
        self.verify()
        self.sign()  # writes the bundle again
        status, _, _ = self.request("DELETE", "manifests/" + self.request("HEAD", self.sig_tag(digest))[2]["Docker-Content-Digest"])
        self.assertEqual(status, 202)
        self.verify()

    def test_unsigned_and_wrong_key(self):
        self.slip("push", "one", f"{self.name}:1")
        self.assertIn("it has no signature", self.verify(status=1).err)
        self.sign()
        wrong = self.verify(key="other", status=1)
        self.assertIn("none of them of a trusted key", wrong.err)
        self.assertEqual(self.slip("images", "--json", env=self.other_store()).json(), [])
        self.sign(key="other")  # two keys: each is found
        self.verify(key="other")
        self.verify()

    def test_moved_tag(self):
        self.sign()
        self.slip("push", "two", f"{self.name}:1")
        self.assertIn("it has no signature", self.verify(status=1).err)

    def test_copied_signature_and_swapped_digest(self):
        """The signature of one image under the name of another's, and in the bundle's index."""
        first = self.sign()["digest"]
        second = self.slip("push", "two", f"{self.name}:2", "--json").json()["digest"]
        data = self.request("GET", self.sig_tag(first))[1]
        self.assertEqual(self.request("PUT", self.sig_tag(second), data, "application/vnd.oci.image.manifest.v1+json")[0], 201)
        index = self.request("GET", "manifests/" + first.replace(":", "-"))[1]
        self.assertEqual(self.request("PUT", "manifests/" + second.replace(":", "-"), index,
                                      "application/vnd.oci.image.index.v1+json")[0], 201)
        self.assertIn("about another image", self.verify(f"{self.name}:2", status=1).err)
        self.verify(f"{self.name}:1")

    def test_tampered_payload(self):
        first = self.sign()["digest"]
        self.only_tag_form(first)
        second = self.slip("push", "two", f"{self.name}:2", "--json").json()["digest"]
        manifest = json.loads(self.request("GET", self.sig_tag(first))[1])
        payload = self.request("GET", "blobs/" + manifest["layers"][0]["digest"])[1]
        self.assertIn(first.encode(), payload)
        forged = copy.deepcopy(manifest)
        forged["layers"][0].update(self.blob(payload.replace(first.encode(), second.encode())))
        self.request("PUT", self.sig_tag(second), json.dumps(forged), "application/vnd.oci.image.manifest.v1+json")
        self.assertIn("none of them of a trusted key", self.verify(f"{self.name}:2", status=1).err)
        bad = copy.deepcopy(manifest)
        name = "dev.cosignproject.cosign/signature"
        signature = bytearray(base64.b64decode(bad["layers"][0]["annotations"][name]))
        signature[-1] ^= 1
        bad["layers"][0]["annotations"][name] = base64.b64encode(signature).decode()
        self.request("PUT", self.sig_tag(first), json.dumps(bad), "application/vnd.oci.image.manifest.v1+json")
        self.verify(status=1)

    def test_required_by_configuration(self):
        config = self.home / "config/config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(f'[registries."{self.server.host}"]\nrequire_signature = true\ntrusted_keys = ["{self.dir}/team.pub"]\n')
        self.slip("push", "one", f"{self.name}:1")
        refused = self.slip("pull", f"{self.name}:1", status=1, env=self.other_store())
        self.assertIn("is not signed by a trusted key", refused.err)
        refused = self.slip("run", "--image", f"{self.name}:1", "--", "true", status=1, env=self.other_store())
        self.assertIn("is not signed by a trusted key", refused.err)
        self.sign()
        self.slip("pull", f"{self.name}:1", env=self.other_store())

    def test_cosign_verifies_ours(self):
        reference = f"{self.name}@{self.sign()['digest']}"
        public = self.dir / "team.pub"
        common = ["--key", public, "--insecure-ignore-tlog=true", "--allow-http-registry", reference]
        self.cosign("verify", *common)
        self.cosign("verify", "--key", self.dir / "other.pub", *common[2:], status=None)
        self.assertNotEqual(self.cosign("verify", "--key", self.dir / "other.pub", *common[2:], status=None).returncode, 0)
        self.cosign("verify", "--new-bundle-format", *common)

    def test_cosigns_own_key_signs(self):
        """cosign generate-key-pair's file, with its password from a file and from the environment; not with another."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "COSIGN_PASSWORD": "a pass phrase"}
        subprocess.run([cosign(), "generate-key-pair", "--output-key-prefix", "own"], env=env, cwd=self.dir, check=True,
                       capture_output=True, timeout=120)
        self.assertIn("ENCRYPTED SIGSTORE PRIVATE KEY", (self.dir / "own.key").read_text())
        (self.dir / "password").write_text("a pass phrase\n")
        (self.dir / "wrong").write_text("another\n")
        push = ["push", "--sign", self.dir / "own.key"]
        refused = self.slip(*push, "--key-password", self.dir / "wrong", "one", f"{self.name}:1", status=1)
        self.assertIn("the password does not open the key", refused.err)
        self.assertEqual(self.request("GET", "tags/list")[0], 404)  # nothing was pushed
        self.slip(*push, "--key-password", self.dir / "password", "one", f"{self.name}:1")
        self.verify(key="own")
        digest = self.slip(*push, "two", f"{self.name}:2", "--json", env=dict(self.env, COSIGN_PASSWORD="a pass phrase")).json()["digest"]
        self.cosign("verify", "--key", "own.pub", "--insecure-ignore-tlog=true", "--allow-http-registry", f"{self.name}@{digest}")
        damaged = (self.dir / "own.key").read_text().splitlines()
        (self.dir / "bad.key").write_text("\n".join([damaged[0], damaged[1][:-8], damaged[-1]]))
        said = self.slip("push", "--sign", self.dir / "bad.key", "one", f"{self.name}:3", status=None)
        self.assertEqual(said.status, 1, said)

    def test_we_verify_cosigns(self):
        digest = self.slip("push", "one", f"{self.name}:1", "--json").json()["digest"]
        reference = f"{self.name}@{digest}"
        self.cosign("generate-key-pair", "--output-key-prefix", "theirs")
        self.verify(key="theirs", status=1)
        self.cosign("sign", "--yes", "--key", "theirs.key", "--tlog-upload=false", "--allow-http-registry", reference)
        self.verify(key="theirs")
        self.verify(key="other", status=1)


if __name__ == "__main__":
    main()

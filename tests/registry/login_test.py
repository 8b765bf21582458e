"""Logging in, certificates and tokens, with Debian's docker-registry."""

import base64
import json
import os
import random
import stat
import unittest

from registries import Authority, Cutter, PASSWORD, RegistryCase, ROBOT, TokenServer, main, noise

HELPER = """#!/bin/sh
# A credential helper that keeps one record per registry in a folder.
read -r first
case "$1" in
  store) printf %s "$first" > "$KEEP/last" ;;
  get) [ -f "$KEEP/last" ] && cat "$KEEP/last" || { echo "credentials not found in native keychain"; exit 1; } ;;
  erase) rm -f "$KEEP/last" ;;
esac
"""


class Login(RegistryCase):
    def config(self):
        return json.loads((self.home / ".docker/config.json").read_text())

    def image(self, registry=None):
        """A small image in the store, called app:1."""
        plain = self.registry("plain")
        there = self.put(self.layout([{"/a": noise(300_000, 7)}]), plain, "app:1")
        self.slip("pull", there)
        self.slip("tag", there, "app:1")

    def test_private_ca_and_password(self):
        authority = Authority(self.dir / "ca")
        registry = self.registry(tls=authority.issue("registry"), htpasswd=True)
        self.image()
        unknown = self.login(registry.host, status=1)
        self.assertIn("is not trusted", unknown.err)
        self.assertIn(f"slipway login {registry.host} --ca FILE", unknown.err)
        said = " ".join(unknown.err.split())
        self.assertRegex(said, r"subject CN = registry, issuer CN = Test CA of slipway, valid until 20\d\d-\d\d-\d\d, "
                               r"for DNS:localhost, IP(:| )127\.0\.0\.1")
        wrong = self.login(registry.host, "ann", "wrong", "--ca", authority.ca, status=1)
        self.assertIn("user and password of `ann` are refused", wrong.err)
        self.assertFalse((self.home / ".docker/config.json").exists())
        self.login(registry.host, "ann", PASSWORD, "--ca", authority.ca)
        self.assertEqual(base64.b64decode(self.config()["auths"][registry.host]["auth"]).decode(), f"ann:{PASSWORD}")
        self.assertEqual(stat.S_IMODE(os.stat(self.home / ".docker/config.json").st_mode), 0o600)
        self.slip("push", "app:1", f"{registry.host}/team/app:1")
        self.slip("pull", f"{registry.host}/team/app:1", env=self.other_store())
        self.slip("logout", registry.host)
        self.assertEqual(self.config()["auths"], {})
        refused = self.slip("push", "app:1", f"{registry.host}/team/app:2", status=1)
        self.assertIn(f"run `slipway login {registry.host}`", refused.err)
        self.assertNotIn(PASSWORD, wrong.err + unknown.err + refused.err)

    def test_certificate_of_another_host_and_an_expired_one(self):
        authority = Authority(self.dir / "ca")
        for name, days, words in (("other", "2", "for DNS:other.example"), ("expired", "-1", "valid until")):
            with self.subTest(name):
                cert, key = authority.issue(name)
                if name == "other":
                    authority.sign(name, "subjectAltName=DNS:other.example\n", days)
                else:
                    authority.sign(name, "subjectAltName=IP:127.0.0.1\n", days)
                registry = self.registry(name, tls=(cert, key))
                refused = self.login(registry.host, "ann", PASSWORD, "--ca", authority.ca, status=1)
                self.assertIn(words, " ".join(refused.err.split()))
                self.assertIn(f"subject CN = {name}", refused.err)

    def test_robot_with_a_dollar_sign(self):
        registry = self.registry(htpasswd=True)
        self.login(registry.host, ROBOT)
        self.image()
        self.slip("push", "app:1", f"{registry.host}/team/app:1")

    def test_client_certificate(self):
        authority = Authority(self.dir / "ca")
        registry = self.registry(tls=authority.issue("registry"), client_ca=authority.ca)
        cert, key = authority.issue("client", usage="clientAuth")
        self.slip("login", registry.host, "--ca", authority.ca, status=1)
        self.slip("login", registry.host, "--ca", authority.ca, "--cert", cert, "--key", key)
        self.image()
        self.slip("push", "app:1", f"{registry.host}/team/app:1")
        keys = list(self.home.rglob("certs.d/*/client.key"))
        self.assertEqual({stat.S_IMODE(os.stat(path).st_mode) for path in keys}, {0o600})

    def test_credential_helper(self):
        registry = self.registry(htpasswd=True)
        tools = self.dir / "tools"
        tools.mkdir()
        helper = tools / "docker-credential-test"
        helper.write_text(HELPER)
        helper.chmod(0o755)
        env = dict(self.env, PATH=f"{tools}:{self.env['PATH']}", KEEP=str(tools))
        folder = self.home / ".docker"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"credHelpers": {registry.host: "test"}, "kept": [1, 2]}))
        self.login(registry.host, env=env)
        self.assertEqual(json.loads((tools / "last").read_text()),
                         {"ServerURL": registry.host, "Username": "ann", "Secret": PASSWORD})
        self.assertEqual(self.config(), {"credHelpers": {registry.host: "test"}, "kept": [1, 2], "auths": {registry.host: {}}})
        self.image()
        self.slip("push", "app:1", f"{registry.host}/team/app:1", env=env)
        self.slip("logout", registry.host, env=env)
        self.assertFalse((tools / "last").exists())
        self.slip("push", "app:1", f"{registry.host}/team/app:2", env=env, status=1)

    def test_podmans_file_is_read(self):
        registry = self.registry(htpasswd=True)
        auth = base64.b64encode(f"ann:{PASSWORD}".encode()).decode()
        (self.dir / "auth.json").write_text(json.dumps({"auths": {f"{registry.host}/team": {"auth": auth}}}))
        self.image()
        env = dict(self.env, REGISTRY_AUTH_FILE=str(self.dir / "auth.json"))
        self.slip("push", "app:1", f"{registry.host}/team/app:1", env=env)
        self.slip("push", "app:1", f"{registry.host}/other/app:1", env=env, status=1)

    def test_tokens_of_five_seconds(self):
        authority = Authority(self.dir / "ca")
        tokens = TokenServer(authority)
        self.addCleanup(tokens.close)
        registry = self.registry(token=tokens)
        self.image()
        refused = self.slip("push", "app:1", f"{registry.host}/team/app:1", status=1)
        self.assertIn("slipway login", refused.err)
        wrong = self.login(registry.host, "ann", "wrong", status=1)
        self.assertIn("refuses user and password of `ann`", wrong.err)
        self.login(registry.host, ROBOT)
        before = tokens.given
        self.slip("push", "app:1", f"{registry.host}/team/app:1")
        self.slip("push", "app:1", f"{registry.host}/team/other:1")
        self.assertLess(tokens.given - before, 12)  # a token serves many requests
        mounted = [path for method, path, status in registry.requests() if "mount=" in path and status == 201]
        self.assertTrue(mounted)
        env = self.other_store()
        self.slip("pull", f"{registry.host}/team/other:1", env=env)

    def test_a_push_outlives_its_token(self):
        """Tokens of one second, and a layer whose upload takes several."""
        authority = Authority(self.dir / "ca")
        tokens = TokenServer(authority, life=1)
        self.addCleanup(tokens.close)
        registry = self.registry(token=tokens)
        plain = self.registry("plain")
        there = self.put(self.layout([{"/a": noise(1_000_000, 8 + n)} for n in range(1)] + [{f"/f{n}": noise(400_000, n)} for n in range(6)]),
                         plain, "app:1")
        self.slip("pull", there)
        self.login(registry.host)
        self.slip("push", there, f"{registry.host}/team/app:1")
        self.slip("pull", f"{registry.host}/team/app:1", env=self.other_store())


if __name__ == "__main__":
    main()

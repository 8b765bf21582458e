"""A colleague's first command: `slipway up REF` with an empty store and no checkout, from a registry with a private CA and a
password. Everything that runs comes from the image."""

import os
import socket

from registries import Authority, PASSWORD, RegistryCase, main

SPEC = """\
name: {name}
debian: bookworm
apt: [python3-minimal]
env: {{GREETING: "hello there"}}
services: {{ssh: {{}}}}
mounts: ["./projects:/workspace/projects:rw"{mounts}]
resources: {{memory: 512MiB, pids: 150}}
"""


class Up(RegistryCase):
    def setUp(self):
        super().setUp()
        self.env["SLIPWAY_STORE"] = os.environ.get("SLIPWAY_TEST_STORE") or str(self.dir / "store")
        authority = Authority(self.dir / "ca")
        self.server = self.registry(tls=authority.issue("registry"), htpasswd=True)
        self.ca = authority.ca
        self.login(self.server.host, "ann", PASSWORD, "--ca", self.ca)
        # The colleague: another home, store and state; nothing of the project.
        home = self.dir / "colleague"
        home.mkdir()
        self.theirs = dict(self.env, HOME=str(home), SLIPWAY_STORE=str(home / "store"), SLIPWAY_STATE=str(home / "state"),
                           SLIPWAY_CONFIG=str(home / "config/config.toml"), DOCKER_CONFIG=str(home / ".docker"))
        self.desk = self.dir / "desk"
        (self.desk / "projects").mkdir(parents=True)
        (self.desk / "projects/note").write_text("mine\n")
        self.addCleanup(self.slip, "down", "--all", env=self.theirs, cwd=self.desk, status=None)

    def push(self, name, mounts=""):
        folder = self.project(SPEC.format(name=name, mounts=mounts), name)
        tag = f"{name}-{os.getpid()}:1"
        self.slipway("lock", cwd=folder)
        self.slipway("build", "--tag", tag, cwd=folder)
        self.addCleanup(self.slip, "rm", tag, status=None)
        self.slip("push", tag, f"{self.server.host}/team/{name}:latest")
        return f"{self.server.host}/team/{name}:latest"

    def up(self, *words, **more):
        return self.slip("up", "--json", "--no-ssh-config", *words, env=self.theirs, cwd=self.desk, **more)

    def refused(self, name):
        return self.slip("up", "--no-ssh-config", name, env=self.theirs, cwd=self.desk, status=1)

    def inside(self, name, *command):
        return self.slip("exec", name, "--", *command, env=self.theirs, cwd=self.desk).out

    def test_from_nothing_to_a_running_workspace(self):
        name = self.push("small")
        refused = self.refused(name)
        self.assertIn("is not trusted", refused.err)
        self.slip("login", self.server.host, "--ca", self.ca, "--username", "ann", "--password-stdin", stdin=PASSWORD.encode(),
                  env=self.theirs)
        record = self.up(name, "--mount", "./projects:/workspace/projects:rw").json()
        self.assertEqual((record["name"], record["state"], record["outcome"]), ("small", "running", "started"))
        self.assertEqual([(s["name"], s["state"]) for s in record["services"]], [("ssh", "ready")])
        self.assertEqual(record["image"], name)
        with socket.create_connection(("127.0.0.1", record["ssh"]["port"]), timeout=10) as connection:
            self.assertTrue(connection.recv(64).startswith(b"SSH-2.0-"))
        said = self.inside("small", "sh", "-c", "id -u; echo $GREETING; cat projects/note; touch projects/made; pwd")
        self.assertEqual(said, "1000\nhello there\nmine\n/workspace\n")
        made = (self.desk / "projects/made").stat()
        self.assertEqual((made.st_uid, made.st_gid), (os.geteuid(), os.getegid()))
        again = self.up(name, "--mount", "./projects:/workspace/projects:rw").json()
        self.assertEqual(again["outcome"], "unchanged")
        self.assertFalse((self.desk / "slipway.yaml").exists())

    def test_folders_that_the_image_names_are_asked_for(self):
        data = self.dir / "data of the host"
        data.mkdir()
        (data / "secret").write_text("of the host\n")
        name = self.push("grasping", f', "{data}:/data:rw"')
        self.slip("login", self.server.host, "--ca", self.ca, "--username", "ann", "--password-stdin", stdin=PASSWORD.encode(),
                  env=self.theirs)
        refused = self.refused(name)
        said = " ".join(refused.err.split())
        self.assertIn(f"`{data}` of this machine mounted at `/data`, writable", said)
        self.assertIn("--allow-mounts", said)
        self.assertEqual(self.slip("ps", "--json", env=self.theirs).json(), [])
        own = self.desk / "own"
        own.mkdir()
        self.up(name, "--mount", "./own:/data")
        self.assertEqual(self.inside("grasping", "ls", "/data"), "")
        self.slip("down", "grasping", env=self.theirs)
        config = self.dir / "colleague/config/config.toml"
        config.write_text(f'[registries."{self.server.host}"]\nallow_mounts = true\n')
        self.up(name)
        self.assertEqual(self.inside("grasping", "ls", "/data"), "secret\n")
        self.slip("down", "grasping", env=self.theirs)
        config.unlink()
        allowed = self.up(name, "--allow-mounts")
        self.assertIn(str(data), " ".join(allowed.err.split()))
        self.assertEqual(self.inside("grasping", "cat", "/data/secret"), "of the host\n")


if __name__ == "__main__":
    main()

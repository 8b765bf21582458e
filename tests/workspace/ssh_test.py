"""SSH with the unmodified OpenSSH client: what people and editors do through it, and what is refused."""

import pathlib
import socket
import threading

import workspace
from workspace import free_port, os, subprocess, support, wait_for


class Ssh(workspace.Case):
    def setUp(self):
        super().setUp()
        self.record = self.up()
        self.config = self.record["ssh"]["config"]

    def program(self, *words, status=0, **more):
        done = support.Result(subprocess.run([str(w) for w in words], capture_output=True, timeout=60, cwd=self.dir, **more))
        if status is not None:
            self.assertEqual(done.status, status, done)
        return done

    def test_commands_status_and_environment(self):
        self.assertEqual(self.ssh("pwd; echo $GREETING; exit 9", status=9).out, "/workspace\nhello there\n")
        self.assertEqual(self.ssh("cat", stdin=b"\x00\xffbytes").out.encode(), "\x00\ufffdbytes".encode())
        said = self.slipway("ssh", "small", "echo", "by", "slipway", cwd=self.folder)
        self.assertEqual(said.out, "by slipway\n")

    def test_a_terminal(self):
        self.assertRegex(self.ssh("tty; stty size", options=("-tt",), stdin=b"").out, r"/dev/pts/\d+")
        # A login shell as an editor's terminal opens it.
        out = self.ssh(options=("-tt",), stdin=b"echo $PWD-$GREETING\nexit 4\n", status=4).out
        self.assertIn("/workspace-hello there", out)

    def test_copies(self):
        (self.dir / "local").mkdir()
        (self.dir / "local/a.txt").write_text("a\n")
        self.program("scp", "-q", "-F", self.config, "local/a.txt", "small:a.txt")
        self.program("scp", "-O", "-q", "-F", self.config, "small:a.txt", "back.txt")  # the protocol before OpenSSH 9
        self.assertEqual((self.dir / "back.txt").read_text(), "a\n")
        self.program("rsync", "-a", "-e", f"ssh -F {self.config}", "local/", "small:/workspace/out/")
        self.assertEqual((self.folder / "out/a.txt").read_text(), "a\n")
        self.program("sftp", "-q", "-F", self.config, "-b", "-", "small", input=b"mkdir made\nput local/a.txt made/b.txt\nls -l made\n")
        self.assertEqual((self.of() / "home/made/b.txt").read_text(), "a\n")

    def test_forwarding_leads_in_and_never_out(self):
        port = free_port()
        inner = "import socket; s = socket.create_server(('127.0.0.1', 9000))\nwhile True: s.accept()[0].sendall(b'inner')"
        tunnel = subprocess.Popen(["ssh", "-F", self.config, "-L", f"127.0.0.1:{port}:127.0.0.1:9000", "small", f'python3 -c "{inner}"'],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (tunnel.kill(), tunnel.wait()))

        def answers():
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=2) as s:
                    return s.recv(100) == b"inner"
            except OSError:
                return False

        wait_for(answers)
        refused = self.ssh("true", options=("-o", "ExitOnForwardFailure=yes", "-R", "127.0.0.1:0:127.0.0.1:1"), status=255)
        self.assertIn("remote port forwarding failed", refused.err)

    def test_who_may_not_log_in(self):
        port = str(self.record["ssh"]["port"])
        common = ["ssh", "-F", "/dev/null", "-p", port, "-o", "UserKnownHostsFile=" + str(self.of() / "known_hosts"), "-o", "HostKeyAlias=small",
                  "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]
        key = ["-i", str(self.of() / "client_key")]
        self.assertEqual(self.program(*common, *key, "dev@127.0.0.1", "id -u").out, "1000\n")
        by_password = self.program(*common, "-o", "PreferredAuthentications=password,keyboard-interactive", "dev@127.0.0.1", "true", status=255)
        self.assertIn("Permission denied (publickey)", by_password.err)
        self.program("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "stranger")
        self.assertIn("Permission denied (publickey)", self.program(*common, "-i", "stranger", "dev@127.0.0.1", "true", status=255).err)
        self.assertIn("Permission denied", self.program(*common, *key, "root@127.0.0.1", "true", status=255).err)
        # The host key is the workspace's own: another one is refused, and the client says so.
        self.program("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "imposter")
        (self.dir / "wrong").write_text("small " + (self.dir / "imposter.pub").read_text())
        wrong = self.program("ssh", "-o", f"UserKnownHostsFile={self.dir}/wrong", *common[1:], *key, "dev@127.0.0.1", "true", status=255)
        self.assertIn("REMOTE HOST IDENTIFICATION HAS CHANGED", wrong.err)

    def test_by_name_after_up(self):
        """`up` includes the workspaces in ~/.ssh/config: plain `ssh NAME` finds port, key and host key."""
        config = self.home / ".ssh/config"
        self.assertTrue(config.read_text().startswith("Include "))
        self.assertEqual(self.program("ssh", "-F", config, "small", "hostname").out, "small\n")
        self.slipway("down", "--purge", "small", cwd=self.folder)
        self.assertNotIn("small", (self.state / "ssh_config").read_text())

    def test_the_callers_keys_may_log_in_and_the_specs(self):
        self.program("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me", "-f", "mine")
        (self.home / ".ssh").mkdir(exist_ok=True)
        (self.home / ".ssh/id_ed25519.pub").write_text((self.dir / "mine.pub").read_text())
        self.assertEqual(self.up()["outcome"], "unchanged")  # keys are read at each login: nothing starts anew
        self.assertEqual(self.ssh("hostname", options=("-o", f"IdentityFile={self.dir}/mine", "-o", "IdentitiesOnly=yes")).out, "small\n")

    def test_for_a_laptop(self):
        """The block of `ssh-config --via` on another machine: through an sshd of this host to the workspace."""
        self.program("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "laptop", "-f", "laptop")
        self.program("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "server_host_key")
        (self.home / ".ssh").mkdir(exist_ok=True)
        (self.home / ".ssh/laptop.pub").write_text((self.dir / "laptop.pub").read_text())
        self.up()
        port = free_port()
        (self.dir / "sshd_config").write_text(f"Port {port}\nListenAddress 127.0.0.1\nHostKey {self.dir}/server_host_key\nUsePAM no\n"
                                              f"AuthorizedKeysFile {self.dir}/laptop.pub\nStrictModes no\nPidFile none\n")
        os.makedirs("/run/sshd", exist_ok=True)
        server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", self.dir / "sshd_config"], stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (server.kill(), server.wait()))
        wait_for(lambda: workspace.can_connect(port))
        user = self.program("id", "-un").out.strip()
        block = self.slipway("ssh-config", "small", "--via", f"{user}@server", cwd=self.folder).out
        known = next(line.split("'")[1] for line in block.splitlines() if "known_hosts" in line)
        server_key = " ".join((self.dir / "server_host_key.pub").read_text().split()[:2])
        (self.dir / "laptop_known").write_text(f"{known}\nserver-alias {server_key}\n")
        (self.dir / "laptop_config").write_text(
            f"Host *\n  UserKnownHostsFile {self.dir}/laptop_known\n  IdentityFile {self.dir}/laptop\n  IdentitiesOnly yes\n"
            f"Host server\n  HostName 127.0.0.1\n  Port {port}\n  HostKeyAlias server-alias\n" + block)
        self.assertEqual(self.program("ssh", "-F", "laptop_config", "small", "hostname; whoami").out, "small\ndev\n")

    def test_what_a_remote_editor_needs(self):
        """VS Code's server is a tar file unpacked into the home and run from there."""
        script = ("set -e; cd ~; mkdir -p .vscode-server/bin; printf '#!/bin/bash\\necho runs\\n' > server; chmod +x server; "
                  "tar czf s.tgz server; tar xzf s.tgz -C .vscode-server/bin; .vscode-server/bin/server; ldd --version | head -1")
        lines = self.ssh("bash", stdin=script.encode()).out.splitlines()
        self.assertEqual(lines[0], "runs")
        version = tuple(int(n) for n in lines[1].split()[-1].split("."))
        self.assertGreaterEqual(version, (2, 28))

    def test_many_sessions_at_once(self):
        results = []
        threads = [threading.Thread(target=lambda n=n: results.append(self.ssh(f"echo {n}").out)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(results), [f"{n}\n" for n in range(8)])

    def test_a_session_outlives_nothing_and_sshd_ends_it_in_order(self):
        session = subprocess.Popen(["ssh", "-F", self.config, "small", "trap 'echo told; exit' TERM HUP; echo begun; while :; do sleep 0.1; done"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (session.kill(), session.wait(), session.stdout.close()))
        self.assertEqual(session.stdout.readline(), b"begun\n")
        self.slipway("down", cwd=self.folder)
        session.stdin.close()
        self.assertEqual(session.wait(timeout=20), 255)


if __name__ == "__main__":
    assert pathlib.Path("/usr/bin/ssh").exists(), "these tests need openssh-client"
    support.main()

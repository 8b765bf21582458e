"""Jupyter in the workspace of examples/tf29: who gets in, what works in a browser, what survives, and that no secret is anywhere."""

import shutil
import tempfile
import urllib.error
import urllib.request

import browser
import workspace
from workspace import json, os, pathlib, signal, support, tree_of, wait_for

EXAMPLE = support.SOURCE / "examples/tf29"


class Jupyter(workspace.Case):
    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="slipway-test-"))
        shutil.copytree(EXAMPLE, cls.shared / "project", ignore=shutil.ignore_patterns("output", "projects"))
        result = support.run("build", cwd=cls.shared / "project", env=support.base_env(cls.shared))
        assert result.status == 0, result

    def setUp(self):
        super().setUp()
        self.record = self.up()
        self.url = self.record["jupyter"]["url"]
        self.token = pathlib.Path(self.record["jupyter"]["token_file"]).read_text().strip()

    def get(self, path, headers=None, body=None, method=None):
        """Status and body."""
        request = urllib.request.Request(self.url + path, body, headers or {}, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as reply:
                return reply.status, reply.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()

    def with_token(self):
        return {"Authorization": f"token {self.token}"}

    def inside(self, *command, **more):
        return self.slipway("exec", "tf29-dev", "--", *command, cwd=self.folder, **more)

    def test_who_gets_in(self):
        self.assertEqual(self.get("api/status")[0], 403)
        self.assertEqual(self.get("api/status", {"Authorization": "token wrong"})[0], 403)
        self.assertEqual(self.get("api/status", self.with_token())[0], 200)
        self.assertEqual(self.get(f"api/status?token={self.token}")[0], 200)
        # A page of another site that resolves to us is refused whatever it sends.
        self.assertEqual(self.get("api/status", {**self.with_token(), "Host": "evil.example"})[0], 403)

    def test_no_secret_is_where_others_look(self):
        self.ssh("true", name="tf29-dev")
        self.get("tree", self.with_token())
        private = (self.of("tf29-dev") / "keys/ssh_host_ed25519_key").read_text().splitlines()[1][:40]
        for pid in tree_of(self.monitor("tf29-dev")):
            for name in ("cmdline", "environ"):
                text = pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
                self.assertNotIn(self.token.encode(), text, f"{name} of {pid}")
        self.assertNotIn(self.token, self.slipway("logs", "tf29-dev", cwd=self.folder).out)
        self.assertNotIn(self.token, self.slipway("up", "--plan", cwd=self.folder).out)
        self.assertNotIn(self.token, json.dumps(self.view("tf29-dev")))
        root = pathlib.Path(json.loads(self.slipway("up", "--plan", cwd=self.folder).out)["root"])
        for folder in ("etc", "home", "root", "run", "tmp", "var/log", "workspace"):
            for path in (root / folder).rglob("*"):
                if path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 20:
                    data = path.read_bytes()
                    self.assertFalse(self.token.encode() in data or private.encode() in data or b"PRIVATE KEY-----" in data, path)
        for path in self.state.rglob("*"):
            if path.is_file() and not path.is_symlink() and self.token.encode() in path.read_bytes():
                closed = path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0
                self.assertTrue(closed, f"{path} can be read by others")

    def test_a_killed_server_is_back_and_sshd_undisturbed(self):
        before = {s["name"]: s for s in self.view("tf29-dev")["services"]}
        host = [pid for pid in tree_of(self.record["pid"]) if b"jupyter_config.py" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(host[0], signal.SIGKILL)

        def back():
            services = {s["name"]: s for s in self.view("tf29-dev")["services"]}
            return services["jupyter"]["restarts"] == 1 and services

        after = wait_for(back, 3)
        self.assertEqual(after["ssh"]["pid"], before["ssh"]["pid"])
        wait_for(lambda: self.view("tf29-dev")["state"] == "running", 60)
        self.assertEqual(self.get("api/status", self.with_token())[0], 200)

    def test_password(self):
        self.slipway("passwd", "tf29-dev", cwd=self.folder, stdin=b"correct horse\n")
        wait_for(lambda: self.view("tf29-dev")["state"] == "running", 60)
        page = browser_or_skip(self)
        page.open(self.url)
        page.type("#password_input", "wrong password")
        page.click("#login_submit")
        page.wait("return document.body.innerText.includes('Invalid')")
        page.type("#password_input", "correct horse")
        page.click("#login_submit")
        page.wait("return document.querySelector('#notebook_list') !== null")
        stored = (self.of("tf29-dev") / "keys/jupyter_password").read_text()
        self.assertTrue(stored.startswith("argon2:$argon2id$"))
        self.assertNotIn("correct horse", self.slipway("logs", "tf29-dev", cwd=self.folder).out)

    def test_a_person_at_a_browser(self):
        """Logs in with the token, runs a cell, and has the three extensions."""
        page = browser_or_skip(self)
        page.open(self.url)
        self.assertIn("/login", page.url())
        page.type("#password_input", self.token)
        page.click("#login_submit")
        page.wait("return document.querySelector('#notebook_list') !== null")
        self.assertTrue(page.url().startswith(self.url + "tree/projects"), page.url())  # the image's own folders are read-only
        cell = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [],
                "source": "import tensorflow as tf\nprint('sum', int(tf.reduce_sum(tf.range(10))), tf.__version__)"}
        book = {"cells": [cell], "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
                "nbformat": 4, "nbformat_minor": 4}
        (self.folder / "projects/first.ipynb").write_text(json.dumps(book))
        page.open_until(self.url + "notebooks/projects/first.ipynb",
                        "return window.Jupyter && Jupyter.notebook && Jupyter.notebook.kernel && Jupyter.notebook.kernel.is_connected()")
        page.run("Jupyter.notebook.execute_all_cells()")
        said = page.wait("return [...document.querySelectorAll('.output_stdout')].map(e => e.innerText).join('')", 90)
        self.assertEqual(said.strip(), "sum 45 2.9.0")
        for name in ("codefolding/main", "toc2/main", "varInspector/main"):
            page.wait(f"return require.defined('nbextensions/{name}')")
        if os.environ.get("SLIPWAY_TEST_SCREENSHOTS"):
            page.screenshot(os.environ["SLIPWAY_TEST_SCREENSHOTS"] + "/notebook.png")

    def test_a_notebook_of_the_image(self):
        """It cannot be changed, but opened without an error: its checkpoints go below the home."""
        status, said = self.get("api/contents/notebooks/digits.ipynb/checkpoints", self.with_token(), b"", "POST")
        self.assertEqual(status, 201, said)
        self.assertEqual(len(json.loads(self.get("api/contents/notebooks/digits.ipynb/checkpoints", self.with_token())[1])), 1)
        self.assertTrue(list((self.of("tf29-dev") / "home").rglob("digits-checkpoint.ipynb")))

    def test_open(self):
        """The browser gets a page that leads on, which only its owner can read: the token is no argument."""
        program = self.dir / "browser"
        program.write_text(f'#!/bin/sh\necho "$@" >{self.dir}/opened\ncat "$1" >{self.dir}/page\n')
        program.chmod(0o755)
        self.slipway("open", "tf29-dev", cwd=self.folder, env={**self.env, "BROWSER": str(program)})
        opened = (self.dir / "opened").read_text().strip()
        self.assertNotIn(self.token, opened)
        self.assertEqual(pathlib.Path(opened).stat().st_mode & 0o777, 0o600)
        self.assertIn(f"url={self.url}?token={self.token}", (self.dir / "page").read_text())
        self.assertEqual(self.slipway("open", "--print", "tf29-dev", cwd=self.folder).out, f"{self.url}?token={self.token}\n")

    def test_installing_by_hand(self):
        """pip inside writes to the workspace's own layer: kept over restarts, reported, gone with a new image."""
        self.inside("pip", "install", "-q", "--no-deps", "humanize==4.4.0")
        self.assertEqual(self.inside("python", "-c", "import humanize; print(humanize.__version__)").out, "4.4.0\n")
        self.assertEqual(self.view("tf29-dev")["drift"], {"added": ["humanize 4.4.0"], "removed": []})
        note = self.slipway("ps", cwd=self.folder).err
        self.assertIn("humanize 4.4.0", note)
        self.assertIn("slipway lock", note)
        self.slipway("down", cwd=self.folder)
        self.up()
        self.assertEqual(self.inside("python", "-c", "import humanize; print(humanize.__version__)").out, "4.4.0\n")
        # The image itself is as it was.
        self.slipway("run", "--", "python", "-c", "import humanize", cwd=self.folder, status=1)

    def test_main_job_over_ssh_and_through_the_kernel(self):
        trained = self.ssh("python scripts/train.py output/ssh", name="tf29-dev")
        self.assertIn("accuracy", trained.out)
        made = self.folder / "output/ssh/losses.json"
        self.assertEqual(made.stat().st_uid, os.geteuid())
        script = (support.SOURCE / "tools/run-notebook.py").read_bytes()
        said = self.inside("python", "-", "notebooks/digits.ipynb", stdin=script)
        self.assertIn("1797", said.out)
        self.assertIn("Read-only file system", self.inside("touch", "/datasets/x", status=1).err)


class Lab(workspace.Case):
    spec = 'name: small\npython: "3.11"\nservices: {jupyter: {lab: true}}\nmounts: ["./out:/workspace/out:rw"]\n'

    def test_lab_answers_behind_its_token(self):
        record = self.up()
        token = pathlib.Path(record["jupyter"]["token_file"]).read_text().strip()

        def status(path, headers):
            try:
                request = urllib.request.Request(record["jupyter"]["url"] + path, headers=headers)
                with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as reply:
                    return reply.status, reply.read()
            except urllib.error.HTTPError as e:
                return e.code, b""

        self.assertEqual(status("api/status", {})[0], 403)
        code, page = status("lab", {"Authorization": f"token {token}"})
        self.assertEqual(code, 200)
        self.assertIn(b"JupyterLab", page)


def browser_or_skip(case):
    missing = browser.missing()
    if missing:
        case.skipTest(f"not installed: {', '.join(missing)}")
    page = browser.Browser()
    case.addCleanup(page.close)
    return page


if __name__ == "__main__":
    support.main()

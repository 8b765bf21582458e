"""Manual pages and completions, as installed: judged by man, mandoc and the shells themselves.

    manual_test.py BUILD
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD = pathlib.Path(sys.argv.pop(1)).resolve()
ROOT = pathlib.Path(__file__).resolve().parents[2]
STAGE = pathlib.Path(tempfile.mkdtemp(prefix="slipway-manual-"))
ENV = {"PATH": f"{STAGE}/usr/bin:/usr/bin:/bin", "HOME": str(STAGE / "home"), "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "TERM": "dumb"}


def setUpModule():
    (STAGE / "home").mkdir()
    subprocess.run(["cmake", "--install", BUILD, "--prefix", "/usr"], check=True, stdout=subprocess.DEVNULL, env=dict(os.environ, DESTDIR=str(STAGE)))


def tearDownModule():
    shutil.rmtree(STAGE)


def needs(program):
    return unittest.skipUnless(shutil.which(program), f"{program} is not installed")


def said(*words, **more):
    done = subprocess.run([str(word) for word in words], env=ENV, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, **more)
    return done.stdout


class Manual(unittest.TestCase):
    def pages(self):
        pages = sorted((STAGE / "usr/share/man").glob("man*/*"))
        self.assertGreater(len(pages), 30)
        return pages

    def test_every_command_has_a_page_that_names_every_option(self):
        for reference in (ROOT / "docs/reference/commands").glob("*.md"):
            page = STAGE / f"usr/share/man/man1/slipway-{reference.stem}.1"
            if f" {reference.stem} " not in said("slipway", "--help"):
                self.assertFalse(page.exists(), f"`{reference.stem}` is hidden")
                continue
            text = page.read_text().replace("\\-", "-")
            for option in re.findall(r"--([a-z-]+)", " ".join(re.findall(r"^\| `(.*?)` ", reference.read_text(), re.M))):
                self.assertIn("--" + option, text, page)

    def test_keys_of_the_spec_and_of_services(self):
        spec = (STAGE / "usr/share/man/man5/slipway.yaml.5").read_text().replace("\\-", "-")
        for key in re.findall(r"^#+ `(.*?)`", (ROOT / "docs/reference/spec.md").read_text(), re.M):
            self.assertIn(f".SS {key}\n", spec)
        services = (STAGE / "usr/share/man/man8/slipway-init.8").read_text().replace("\\-", "-")
        table = (ROOT / "docs/reference/services-json.md").read_text().split("| key of a service |")[1].split("\n\n")[0]
        for key in re.findall(r"^\| (`.*?) \|", table, re.M):
            for word in re.findall(r"`([\w.]+)`", key):
                self.assertIn(word, services)

    @needs("man")
    def test_man_has_no_warning(self):
        for page in self.pages():
            shown = subprocess.run(["man", "--warnings", "-l", str(page)], env=ENV, text=True, capture_output=True, timeout=60)
            self.assertEqual((shown.returncode, shown.stderr), (0, ""), page)
            self.assertIn("NAME", shown.stdout)

    @needs("mandoc")
    def test_mandoc_is_silent(self):
        for page in self.pages():
            self.assertEqual(said("mandoc", "-Tlint", "-Wall", page), "", page)


class Completion(unittest.TestCase):
    @needs("bash")
    def test_bash(self):
        file = STAGE / "usr/share/bash-completion/completions/slipway"
        script = f'source {file}; COMP_WORDS=(slipway lo); COMP_CWORD=1; _slipway; echo "${{COMPREPLY[*]}}"; ' \
                 'COMP_WORDS=(slipway lock --upd); COMP_CWORD=2; _slipway; echo "${COMPREPLY[*]}"'
        self.assertEqual(said("bash", "--norc", "-c", script).splitlines(), ["lock logs login logout", "--update --update-all"])

    @needs("zsh")
    def test_zsh_in_a_terminal(self):
        """What a person sees: zsh with its completion system, asked with the tab key."""
        folder = STAGE / "usr/share/zsh/site-functions"
        script = f"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1='' ; fpath=({folder} \\$fpath); autoload -U compinit; compinit -u -D; LISTMAX=0; zstyle ':completion:*' list-prompt ''; echo READY"
zpty -r -m shell line '*READY*READY*'
zpty -w -n shell $'slipway loc\\t'
sleep 1
zpty -r -t shell one
zpty -w -n shell $'--update-\\t'
sleep 1
zpty -r -t shell two
print -r -- "$one$two"
"""
        seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x07| \x08", "", said("zsh", "-f", "-c", script))
        self.assertIn("slipway lock --update-all", seen)

    @needs("fish")
    def test_fish(self):
        file = STAGE / "usr/share/fish/vendor_completions.d/slipway.fish"
        script = f'source {file}; complete -C "slipway lo"; complete -C "slipway completion "; complete -C "slipway lock --update"'
        words = [line.split("\t")[0] for line in said("fish", "--no-config", "-c", script).splitlines()]
        for word in ("lock", "login", "bash", "zsh", "fish", "--update", "--update-all"):
            self.assertIn(word, words)
        self.assertNotIn("monitor", words)


if __name__ == "__main__":
    unittest.main()

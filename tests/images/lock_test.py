"""lock on real indexes: what goes in, what moves, what is impossible and how that is told, kills and interruptions."""

import json
import signal
import subprocess
import time
import tomllib
import unittest

import support

BASE = 'name: locked\npython: "3.11"\n'
SIX = "8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254"  # six-1.16.0-py2.py3-none-any.whl


class Impossible(support.Case):
    """Each explanation names who conflicts through whom, and a change that solves it."""

    def refused(self, spec, kind="conflict"):
        project = self.project(spec)
        result = self.slipway("lock", cwd=project, status=1)
        self.assertFalse((project / "slipway.lock").exists())
        record = json.loads(self.slipway("lock", "--json", cwd=project, status=1).out)
        self.assertEqual(record["kind"], kind)
        return " ".join(result.err.split()), record

    def test_a_pin_against_what_a_package_needs(self):
        said, record = self.refused('name: x\npython: "3.9"\nrequirements: [tensorflow==2.9.0, protobuf==4.21]\n')
        self.assertIn("protobuf==4.21", said)
        self.assertIn("tensorflow 2.9.0 carries generated code that protobuf 4 refuses", said)
        self.assertIn("everything fits with `protobuf==3.19.6` in place of `protobuf==4.21` (slipway.yaml:3:35)", record["hint"])

    def test_a_pin_against_another_pin(self):
        said, record = self.refused(BASE + "requirements: [requests==2.31.0, urllib3==1.20]\n")
        self.assertIn("requests==2.31.0 depends on urllib3>=1.21.1,<3", said)
        self.assertIn("everything fits with", record["hint"])

    def test_a_version_that_is_not_for_this_python(self):
        said, record = self.refused(BASE + "requirements: [tensorflow==2.9.0]\n")
        self.assertIn("has wheels for Python 3.7, 3.8, 3.9, 3.10, and the spec asks for Python 3.11", said)
        self.assertIn('write `python: "3.9"` in slipway.yaml, or pin `tensorflow==2.12.0`', record["hint"])

    def test_misspelt_names(self):
        said, _ = self.refused(BASE + "apt: [jq, ripgerp]\n", "not-found")
        self.assertIn("slipway.yaml:3:11: bookworm has no package `ripgerp`", said)
        self.assertIn("did you mean `ripgrep`?", said)
        result = self.slipway("lock", cwd=self.project(BASE + "requirements: [scikit-laern]\n", name="pip"), status=1)
        self.assertIn("did you mean `scikit-learn`?", result.err)

    def test_debian_packages_that_exclude_each_other(self):
        said, _ = self.refused("name: x\ndebian: bookworm\napt: [exim4-daemon-light, postfix]\n")
        self.assertIn("exim4-daemon-light", said)
        self.assertIn("postfix", said)
        self.assertIn("conflicts with", said)

    def test_a_version_that_debian_does_not_have(self):
        said, _ = self.refused("name: x\ndebian: bookworm\napt: [jq=9.9]\n", "not-found")
        self.assertIn("9.9", said)
        self.assertIn("1.6-", said)


class Locked(support.Case):
    def lock(self, spec, *args, name="project", **files):
        project = self.project(spec, name=name, **files)
        self.slipway("lock", *args, cwd=project)
        return tomllib.loads((project / "slipway.lock").read_text())

    def versions(self, lock):
        return {wheel["name"]: wheel["version"] for wheel in lock["wheel"]}

    def test_hashes_markers_and_files(self):
        lines = f"six==1.16.0 --hash=sha256:{SIX}\ncolorama ; sys_platform == 'win32'\ntomli ; python_version >= '3.8'\n"
        lock = self.lock(BASE + "requirements: requirements.txt\n", **{"requirements.txt": lines})
        self.assertEqual(next(w["sha256"] for w in lock["wheel"] if w["name"] == "six"), SIX)
        self.assertEqual(sorted(self.versions(lock)), ["pip", "six", "tomli"])
        wrong = self.project(BASE + "requirements: requirements.txt\n", name="wrong",
                             **{"requirements.txt": f"six==1.16.0 --hash=sha256:{'0' * 64}\n"})
        self.assertIn("not among the hashes", " ".join(self.slipway("lock", cwd=wrong, status=1).err.split()))

    def test_pyproject(self):
        text = '[project]\nname = "x"\nversion = "1"\ndependencies = ["six==1.16.0", "tomli; python_version < \'3.9\'"]\n'
        lock = self.lock(BASE + "requirements: pyproject.toml\n", **{"pyproject.toml": text})
        self.assertEqual(sorted(self.versions(lock)), ["pip", "six"])

    def test_a_known_gap_is_closed_and_can_be_overruled(self):
        spec = BASE + "requirements: [pandas==1.5.3]\n"
        lock = self.lock(spec)
        self.assertEqual([added["constraint"] for added in lock["added"]], ["numpy<2"])
        self.assertIn("pandas 1.5.3 was built against numpy 1", lock["added"][0]["because"])
        self.assertTrue(self.versions(lock)["numpy"].startswith("1."))
        lock = self.lock(spec + "overrule: [numpy]\n", name="overruled")
        self.assertNotIn("added", lock)
        self.assertFalse(self.versions(lock)["numpy"].startswith("1."))

    def test_a_closed_gap_goes_with_its_reason(self):
        project = self.project(BASE + "requirements: [pandas==1.5.3]\n")
        self.slipway("lock", cwd=project)
        (project / "slipway.yaml").write_text(BASE + "requirements: [pandas==1.5.3, six]\n")
        self.slipway("lock", cwd=project)
        self.assertEqual([a["constraint"] for a in tomllib.loads((project / "slipway.lock").read_text())["added"]], ["numpy<2"])
        (project / "slipway.yaml").write_text(BASE + "requirements: [numpy]\n")
        self.slipway("lock", cwd=project)
        self.assertNotIn("added", tomllib.loads((project / "slipway.lock").read_text()))
        (project / "slipway.yaml").write_text(BASE + "requirements: ['numpy>=2']\n")
        self.slipway("lock", cwd=project)
        self.assertFalse(self.versions(tomllib.loads((project / "slipway.lock").read_text()))["numpy"].startswith("1."))

    def test_one_version_moves_when_told_and_nothing_else(self):
        project = self.project(BASE + "requirements: [six==1.16.0, tomli==2.0.1]\n")
        self.slipway("lock", cwd=project)
        (project / "slipway.yaml").write_text(BASE + "requirements: [six, tomli]\n")
        self.slipway("lock", cwd=project)
        kept = (project / "slipway.lock").read_text()
        self.assertEqual({k: v for k, v in self.versions(tomllib.loads(kept)).items() if k != "pip"}, {"six": "1.16.0", "tomli": "2.0.1"})
        answer = self.slipway("lock", "--update", "Six", "--diff", "--json", cwd=project).json()
        self.assertEqual([(c["kind"], c["name"], c["before"]) for c in answer["changes"]], [("wheel", "six", "1.16.0")])
        self.assertIn(" ~ six 1.16.0 -> ", self.slipway("lock", "--update", "six", "--diff", cwd=project).out)
        self.assertEqual((project / "slipway.lock").read_text(), kept, "--diff writes nothing")
        self.slipway("lock", "--update", "six", cwd=project)
        moved = self.versions(tomllib.loads((project / "slipway.lock").read_text()))
        self.assertEqual((moved["tomli"], moved["six"] != "1.16.0"), ("2.0.1", True))
        self.assertIn("did you mean `tomli`?", self.slipway("lock", "--update", "tomil", cwd=project, status=1).err)

    def test_a_variant_has_a_lock_of_its_own(self):
        project = self.project(BASE + "requirements: [six]\napt: [jq]\nvariants: {slim: {apt: []}}\n")
        self.slipway("lock", "--variant", "slim", cwd=project)
        self.assertEqual([p.name for p in project.glob("*.lock")], ["slipway.slim.lock"])
        self.assertNotIn("jq", [d["name"] for d in tomllib.loads((project / "slipway.slim.lock").read_text())["deb"]])

    def test_a_variant_follows_the_base_at_first(self):
        project = self.project(BASE + "requirements: [six==1.16.0]\nvariants: {more: {requirements: [six, tomli]}}\n")
        self.slipway("lock", cwd=project)
        base = tomllib.loads((project / "slipway.lock").read_text())
        self.slipway("lock", "--variant", "more", cwd=project)
        more = tomllib.loads((project / "slipway.more.lock").read_text())
        self.assertEqual(self.versions(more)["six"], "1.16.0", "though the variant allows a newer one")
        self.assertEqual(more["exclude-newer"], base["exclude-newer"])
        self.assertEqual(more["deb"], base["deb"])

    def test_what_init_finds_can_be_locked(self):
        folder = self.dir / "found"
        folder.mkdir()
        (folder / "requirements.txt").write_text("six==1.16.0\n")
        (folder / "apt.txt").write_text("# tools\njq\n\n")
        record = self.slipway("init", "--json", cwd=folder).json()
        self.assertEqual(record, {"file": str(folder / "slipway.yaml"), "from": "requirements.txt and apt.txt"})
        self.slipway("lock", cwd=folder)
        lock = tomllib.loads((folder / "slipway.lock").read_text())
        self.assertEqual((self.versions(lock)["six"], [d["why"] for d in lock["deb"] if d["name"] == "jq"]), ("1.16.0", ["apt"]))


class Disturbed(support.Case):
    SPEC = BASE + "requirements: [six]\napt: [jq]\n"

    def test_killed_at_every_durable_step(self):
        project = self.project(self.SPEC)
        self.slipway("lock", cwd=project)
        wanted = (project / "slipway.lock").read_text()
        (project / "slipway.lock").unlink()
        env = dict(self.env, SLIPWAY_STORE=str(self.dir / "store"))
        step = 1
        while (result := support.run("lock", cwd=project, env=dict(env, SLIPWAY_TEST_KILL_AT=str(step)))).status != 0:
            self.assertEqual(result.status, -signal.SIGKILL, result)
            lock = project / "slipway.lock"
            self.assertTrue(not lock.exists() or lock.read_text() == wanted)
            # Each of the first and of the last steps, and some in between, which are downloads like one another.
            step += 1 if step < 8 else 23
            self.assertLess(step, 2000)
        self.assertGreater(step, 8)
        self.assertEqual((project / "slipway.lock").read_text(), wanted)
        leftovers = [p.name for p in project.iterdir() if p.name not in ("slipway.yaml", "slipway.lock")]
        self.assertEqual(leftovers, [])

    def test_interrupted(self):
        project = self.project(self.SPEC)
        process = subprocess.Popen([support.SLIPWAY, "lock"], cwd=project, env=dict(self.env, SLIPWAY_STORE=str(self.dir / "store")),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130, err)
        self.assertFalse((project / "slipway.lock").exists())
        self.slipway("lock", cwd=project)


if __name__ == "__main__":
    support.main()

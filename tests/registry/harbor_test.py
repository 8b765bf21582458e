"""Harbor's conventions: accounts, projects and every refusal that its middleware knows. Each is told with its reason and with
what to do."""

from harbor import ADMIN, Harbor
from registries import RegistryCase, main, noise


class HarborCase(RegistryCase):
    def setUp(self):
        super().setUp()
        self.harbor = Harbor()
        self.addCleanup(self.harbor.close)
        self.host = self.harbor.host
        self.make("team")
        access = [{"resource": "repository", "action": "push"}, {"resource": "repository", "action": "pull"}]
        status, robot = self.harbor.call("POST", "/robots", {"name": "ci", "level": "project", "duration": -1, "permissions": [
            {"kind": "project", "namespace": name, "access": access} for name in ("team", "small", "cache")]})
        self.assertEqual((status, robot["name"]), (201, "robot$team+ci"))
        self.robot = robot
        plain = self.registry("plain")
        for tag, seed in (("one", 31), ("two", 32)):
            there = self.put(self.layout([{"/a": noise(300_000, seed)}], tag), plain, f"{tag}:1")
            self.slip("pull", there)
            self.slip("tag", there, tag)

    def make(self, name, **more):
        self.assertEqual(self.harbor.call("POST", "/projects", {"project_name": name, **more})[0], 201)

    def log_in(self):
        self.login(self.host, self.robot["name"], self.robot["secret"])

    def push(self, image="one", name="team/app:1", status=0):
        return self.slip("push", image, f"{self.host}/{name}", status=status)

    def refused(self, result, *words):
        said = " ".join(result.err.split())
        for word in words:
            self.assertIn(word, said)
        self.assertIn("hint: ", said)
        self.assertNotIn(self.robot["secret"], said)

    def set(self, project, **metadata):
        self.assertEqual(self.harbor.call("PUT", f"/projects/{project}", {"metadata": metadata})[0], 200)


class Conventions(HarborCase):
    def test_a_robot_pushes_and_pulls(self):
        self.log_in()
        self.push()
        self.slip("pull", f"{self.host}/team/app:1", env=self.other_store())

    def test_a_robots_name_that_the_shell_has_eaten(self):
        """In double quotes `robot$team+ci` becomes `robot+ci`."""
        refused = self.login(self.host, "robot+ci", self.robot["secret"], status=1)
        self.refused(refused, "user and password of `robot+ci`", "'robot$project+name'", "single quotes")
        self.refused(self.login(self.host, self.robot["name"], "wrong", status=1), "user and password of `robot$team+ci`")

    def test_a_project_that_is_not_there(self):
        self.login(self.host, *ADMIN)
        self.refused(self.push(name="nobody/app:1", status=1), "404 NOT_FOUND: project nobody not found",
                     "a project of this registry is made before anybody pushes to it")

    def test_another_ones_project(self):
        self.make("other")
        self.log_in()
        self.refused(self.push(name="other/app:1", status=1), f"to `{self.host}/other/app`", "answered 401",
                     "an account that has the right")

    def test_a_full_quota(self):
        self.make("small", storage_limit=100_000)
        self.log_in()
        self.refused(self.push(name="small/app:1", status=1), "403 DENIED: adding", "will exceed the configured upper limit of 0.1 MiB",
                     "the quota is full")
        self.assertEqual([name for name in self.harbor.manifests if name[0] == "small/app"], [])

    def test_an_immutable_tag(self):
        self.log_in()
        self.push()
        rule = {"action": "immutable", "template": "immutable_template",
                "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "1*"}],
                "scope_selectors": {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]}}
        self.assertEqual(self.harbor.call("POST", "/projects/team/immutabletagrules", rule)[0], 201)
        refused = self.push("two", status=1)
        self.refused(refused, "412 PRECONDITION: Failed to process request due to 'app:1' configured as immutable.",
                     "push under another tag")
        self.push("two", "team/app:2")
        self.slip("pull", f"{self.host}/team/app:1", env=self.other_store())

    def test_blocked_pulls(self):
        self.log_in()
        self.push()
        name = f"{self.host}/team/app:1"
        self.set("team", prevent_vul="true", severity="high")
        self.refused(self.slip("pull", name, status=1, env=self.other_store()), "412 PROJECTPOLICYVIOLATION",
                     "without vulnerability scanning", "the project holds the image back until it has been scanned")
        self.harbor.projects["team"]["scanned"] = True
        self.refused(self.slip("pull", name, status=1, env=self.other_store()), "current image with 3 vulnerabilities",
                     "`slipway audit`")
        self.set("team", prevent_vul="false", enable_content_trust_cosign="true")
        self.refused(self.slip("pull", name, status=1, env=self.other_store()), "The image is not signed by cosign",
                     "`slipway push --sign`")
        self.assertEqual(self.slip("images", "--json", env=self.other_store()).json(), [])

    def test_a_proxy_cache(self):
        self.make("cache", registry_id=1)
        self.log_in()
        self.refused(self.push(name="cache/app:1", status=1), "can not push artifact to a proxy project", "a project of its own")

    def test_labels_stay_with_the_artifact(self):
        """Labels are the API's: a push that changes nothing leaves them, and the image is found under its tag there."""
        self.log_in()
        self.push()
        self.assertEqual(self.harbor.call("POST", "/projects/team/repositories/app/artifacts/1/labels", {"id": 7})[0], 200)
        self.push()
        self.assertEqual(self.harbor.call("GET", "/projects/team/repositories/app/artifacts/1")[1]["labels"], [{"id": 7}])


if __name__ == "__main__":
    main()

"""SBOMs and provenance, judged by the libraries of their standards."""

import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "images"))
import layouts
import support
from layouts import entry

# Where the judges are installed; the first test does it, so that later runs find them.
JUDGES = pathlib.Path(os.environ["SLIP_JUDGES"]) if "SLIP_JUDGES" in os.environ else None
NEEDED = ["spdx-tools==0.8.3", "cyclonedx-python-lib[json-validation]>=7,<9"]

SPDX = """
import sys
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
document = parse_file(sys.argv[1])
problems = [m.validation_message for m in validate_full_spdx_document(document)]
print("\\n".join(problems) or f"{len(document.packages)} packages")
sys.exit(bool(problems))
"""
CYCLONEDX = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
problem = JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[1]).read())
print(problem or "valid")
sys.exit(bool(problem))
"""


def judge(case, script, file):
    if JUDGES is None:
        case.skipTest("no folder to install the judges into was given")
    python = JUDGES / "bin/python"
    if not (JUDGES / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", str(JUDGES)], capture_output=True, check=True)
        done = subprocess.run([str(python), "-m", "pip", "install", "--quiet", *NEEDED], capture_output=True)
        if done.returncode != 0:
            case.skipTest("spdx-tools and cyclonedx-python-lib cannot be installed here")
        (JUDGES / "complete").touch()
    done = subprocess.run([str(python), "-c", script, str(file)], capture_output=True, timeout=300)
    case.assertEqual(done.returncode, 0, done.stdout.decode()[-3000:] + done.stderr.decode()[-3000:])


class Documents(support.Case):
    """The example's own lock would take a build of gigabytes; a small image has all kinds of packages, too."""

    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(support.tempfile.mkdtemp(prefix="slipway-test-"))
        cls.addClassCleanup(support.remove_tree, cls.shared)
        env = support.base_env(cls.shared)
        cls.folder = cls.shared / "project"
        cls.folder.mkdir()
        (cls.folder / "slipway.yaml").write_text('name: documented\npython: "3.11"\nrequirements: [six==1.16.0]\n')
        for command in (["lock"], ["build", "--json", "--output", f"oci:{cls.shared}/layout"]):
            result = support.run(*command, cwd=cls.folder, env=env)
            assert result.status == 0, result
        cls.digest = result.json()["digest"]
        cls.lock = (cls.folder / "slipway.lock").read_text()

    def document(self, kind, *more, image=None):
        return self.slipway("sbom", "--format", kind, *more, image or f"oci:{self.shared}/layout", cwd=self.dir).out

    def test_spdx(self):
        text = self.document("spdx")
        self.assertEqual(text, self.document("spdx"))
        document = json.loads(text)
        packages = {p["name"]: p for p in document["packages"]}
        self.assertEqual(packages["documented"]["versionInfo"], self.digest)
        six = packages["six"]
        self.assertIn(six["checksums"][0]["checksumValue"], self.lock)
        self.assertEqual(six["externalRefs"][0]["referenceLocator"], "pkg:pypi/six@1.16.0")
        self.assertTrue(packages["libc6"]["externalRefs"][0]["referenceLocator"].startswith("pkg:deb/debian/libc6@2.36-9%2Bdeb12"))
        # Every deb and wheel of the lock, the image, and slipway-init.
        self.assertEqual(len(document["packages"]), self.lock.count("layer = ") + 2)
        relations = {(r["spdxElementId"], r["relationshipType"], r["relatedSpdxElement"]) for r in document["relationships"]}
        self.assertTrue((packages["openssl"]["SPDXID"], "DEPENDS_ON", packages["libssl3"]["SPDXID"]) in relations)
        (self.dir / "image.spdx.json").write_text(text)
        judge(self, SPDX, self.dir / "image.spdx.json")

    def test_cyclonedx(self):
        text = self.document("cyclonedx")
        document = json.loads(text)
        self.assertEqual(document["metadata"]["component"]["version"], self.digest)
        refs = {c["bom-ref"] for c in document["components"]} | {document["metadata"]["component"]["bom-ref"]}
        self.assertEqual(refs, {d["ref"] for d in document["dependencies"]})
        self.assertLessEqual({on for d in document["dependencies"] for on in d.get("dependsOn", [])}, refs)
        (self.dir / "bom.json").write_text(text)
        judge(self, CYCLONEDX, self.dir / "bom.json")

    def test_provenance(self):
        statement = json.loads(self.document("slsa", "--builder", "https://127.0.0.1/ci"))
        self.assertEqual(statement["_type"], "https://in-toto.io/Statement/v1")
        self.assertEqual(statement["predicateType"], "https://slsa.dev/provenance/v1")
        self.assertEqual(statement["subject"][0]["digest"]["sha256"], self.digest.removeprefix("sha256:"))
        definition = statement["predicate"]["buildDefinition"]
        self.assertEqual(definition["externalParameters"]["spec"]["name"], "documented")
        for dependency in definition["resolvedDependencies"]:
            self.assertIn(dependency["digest"]["sha256"], self.lock)
            self.assertTrue(dependency["uri"].startswith("pkg:"))
        self.assertEqual(len(definition["resolvedDependencies"]), self.lock.count("sha256 = ") + 1)
        self.assertEqual(statement["predicate"]["runDetails"]["builder"]["id"], "https://127.0.0.1/ci")

    def test_an_image_of_somebody_else(self):
        status = "Package: hello\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.10-3\n"
        metadata = "Metadata-Version: 2.1\nName: Six\nVersion: 1.16.0\n\nNo: header\n"
        layouts.write(self.dir / "a", [layouts.clean(entry("var/lib/dpkg/status", status), entry("etc/os-release", "VERSION_CODENAME=bookworm\n"),
                                                     entry("usr/lib/python3.11/site-packages/six-1.16.0.dist-info/METADATA", metadata))])
        image = f"oci:{self.dir}/a"
        document = json.loads(self.document("cyclonedx", image=image))
        self.assertEqual([c["purl"] for c in document["components"]],
                         ["pkg:deb/debian/hello@2.10-3?arch=amd64&distro=bookworm", "pkg:pypi/six@1.16.0"])
        for kind, script in (("spdx", SPDX), ("cyclonedx", CYCLONEDX)):
            (self.dir / f"{kind}.json").write_text(self.document(kind, image=image))
            judge(self, script, self.dir / f"{kind}.json")
        self.slipway("sbom", "--format", "slsa", image, cwd=self.dir, status=1)


if __name__ == "__main__":
    support.main()

"""The reference pages are what the program's declarations say, links lead somewhere, and the README's commands exist.

SLIPWAY_ACCEPT=1 rewrites the pages and reports a skip.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

root = pathlib.Path(__file__).resolve().parents[1]
slipway = os.environ["SLIPWAY"]
reference = root / "docs/reference"

if os.environ.get("SLIPWAY_ACCEPT") == "1":
    subprocess.run([slipway, "help", "--write", str(reference)], check=True)
    print("rewrote docs/reference; review the diff")
    sys.exit(77)

bad = []
with tempfile.TemporaryDirectory() as folder:
    subprocess.run([slipway, "help", "--write", folder], check=True)
    made = {path.relative_to(folder): path.read_text() for path in pathlib.Path(folder).rglob("*") if path.is_file()}
for name, text in made.items():
    page = reference / name
    if not page.exists() or page.read_text() != text:
        bad.append(f"docs/reference/{name} is not what `slipway help --write` makes; run the test with SLIPWAY_ACCEPT=1")
for page in (reference / "commands").glob("*.md"):
    if page.relative_to(reference) not in made:
        bad.append(f"docs/reference/commands/{page.name} describes no command")



def anchors(page):
    """What `#…` may name on a page: its headings, as forges spell them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.S | re.M), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


for page in [*root.glob("*.md"), *(root / "docs").rglob("*.md")]:
    for link, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text()):
        target = page.parent / link if link else page
        if not target.exists():
            bad.append(f"{page.relative_to(root)}: the link `{link}` leads nowhere")
        elif anchor and anchor not in anchors(target):
            bad.append(f"{page.relative_to(root)}: `{link}` has no heading `{anchor}`")

commands = {path.stem for path in (reference / "commands").glob("*.md")}
for block in re.findall(r"```sh\n(.*?)```", (root / "README.md").read_text(), re.S):
    for line in block.splitlines():
        words = line.split()
        if words[:1] == ["slipway"] and words[1] not in commands:
            bad.append(f"README.md: `slipway {words[1]}` is no command")
print("\n".join(bad) or f"{len(made)} pages agree")
sys.exit(bool(bad))

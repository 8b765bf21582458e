"""What the program prints, to the letter, without a network: help, errors, exit statuses, JSON.

Each case is a file cases/NAME.txt: `$ command` lines, then what came. SLIPWAY_ACCEPT=1 rewrites and reports a skip.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

slipway = os.environ["SLIPWAY"]
here = pathlib.Path(__file__).resolve().parent
accept = os.environ.get("SLIPWAY_ACCEPT") == "1"


def filtered(text, folder):
    text = text.replace(str(folder), "[TEMP]")
    text = re.sub(r"\b\d+(\.\d+)?(ms|s)\b", "[TIME]", text)
    return re.sub(r"slipway \d+\.\d+\.\d+", "slipway [VERSION]", text)


def record(case):
    """Runs the case's commands in an empty folder with an empty home; returns the file as it should be."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="slipway-cli-"))
    try:
        (folder / "home").mkdir()
        (folder / "project").mkdir()
        env = {"PATH": f"{pathlib.Path(slipway).parent}:/usr/bin:/bin", "HOME": str(folder / "home"), "LC_ALL": "C.UTF-8", "COLUMNS": "100",
               "NO_COLOR": "1", "SLIPWAY_STORE": str(folder / "store"), "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9",
               "SLIPWAY_SOURCE_DEBIAN": "http://127.0.0.1:9/debian", "SLIPWAY_SOURCE_DEBIAN_SECURITY": "http://127.0.0.1:9/security",
               "SLIPWAY_SOURCE_PYPI": "http://127.0.0.1:9/simple"}
        out = ""
        for command in re.findall(r"^\$ (.*)$", case.read_text(), re.M):
            done = subprocess.run(["sh", "-c", command], cwd=folder / "project", env=env, capture_output=True, timeout=60)
            out += f"$ {command}\nexit_code: {done.returncode}\n"
            for name, text in (("stdout", done.stdout), ("stderr", done.stderr)):
                if text:
                    out += f"----- {name} -----\n{filtered(text.decode(errors='replace'), folder)}"
            out += "\n"
        return out
    finally:
        shutil.rmtree(folder)


failed, count = 0, 0
for case in sorted((here / "cases").glob("*.txt")):
    count += 1
    now = record(case)
    if accept:
        case.write_text(now)
    elif now != case.read_text():
        failed += 1
        print(f"--- {case.name}: expected\n{case.read_text()}\n+++ found\n{now}")
print(f"{count - failed} passed, {failed} failed")
sys.exit(77 if accept else 1 if failed or not count else 0)

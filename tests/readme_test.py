"""Every `sh` block of the README, in order, in one shell, as a new user types them: empty home, nothing installed.

    readme_test.py BUILD

`make` gets the finished build, and installs below a folder of the test's (DESTDIR); packages come from the tests' store.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

root = pathlib.Path(__file__).resolve().parents[1]
build = pathlib.Path(sys.argv[1])
blocks = re.findall(r"```sh\n(.*?)```", (root / "README.md").read_text(), re.S)
assert blocks, "the README has no commands"
output = root / "examples/tf29/output"
had_output = output.exists()

with tempfile.TemporaryDirectory(prefix="slipway-readme-", ignore_cleanup_errors=True) as folder:
    stage = pathlib.Path(folder) / "stage"
    kept = ("PIP_", "UV_", "SLIPWAY_SOURCE_", "http", "no_proxy", "SSL_", "CURL_", "CCACHE")
    env = {name: value for name, value in os.environ.items() if name.startswith(kept)}
    env.update(HOME=f"{folder}/home", PATH=f"{stage}/usr/local/bin:{os.environ['PATH']}", LC_ALL="C.UTF-8",
               SLIPWAY_STORE=os.environ["SLIPWAY_TEST_STORE"], SLIPWAY_STATE=f"{folder}/state", BUILD=str(build), DESTDIR=str(stage))
    os.mkdir(env["HOME"])
    try:
        script = "".join(f"echo '--- block {number}' >&2\n{block}" for number, block in enumerate(blocks, 1))
        done = subprocess.run(["sh", "-eux", "-c", script], cwd=root, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = done.stdout.decode(errors="replace")
        print(said)
        if done.returncode != 0:
            sys.exit(f"the README's commands ended with {done.returncode}")
        for wanted in ("equal, bit for bit", "\n2.9.0\n"):
            if wanted not in said:
                sys.exit(f"the README's commands did not print {wanted!r}")
        if "ssh tf29-dev" not in said or "http://127.0.0.1:" not in said:
            sys.exit("the demo did not end with the notebook's address and the ssh line")
    finally:
        subprocess.run([build / "out/slipway", "down", "--all"], env=env, check=False)
        subprocess.run(["chmod", "-R", "u+rwx", folder], check=False)
        if not had_output:
            shutil.rmtree(output, ignore_errors=True)

"""Every `console` block of the documentation is run, and what it prints compared.

    transcripts_test.py BUILD [PAGE...]

A page is one session: its blocks run in order in one shell, in an empty folder with an empty home and an empty store. In a block, `$ ` starts a command, `> `
continues it; what follows, up to the next command, is its output, both streams together, and `[exit status N]` when that is not 0.
Times, sizes, ports and dates may vary, and lines that say what is `still` being done; a digest or a count may not. `...` alone on a line stands
for any lines. SLIPWAY_ACCEPT=1 rewrites outputs
that differ and reports a skip. Pages that need packages run only with SLIPWAY_TEST_NETWORK set; `<!-- without packages -->` marks the others.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(sys.argv[1]).resolve()
ACCEPT = os.environ.get("SLIPWAY_ACCEPT") == "1"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.S | re.M)
END = "--- end of command"
VARIES = [
    (r"\d+m \d\ds|\b\d+(\.\d+)?(ms|s)\b", "[TIME]"),
    (r"\b\d+(\.\d+)? ?(B|[kKMG]i?B)\b", "[SIZE]"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z|\d{4}-\d\d-\d\d", "[DATE]"),
]


def commands(block):
    """[(command, output)] of a block."""
    found = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append([line[2:], []])
        elif re.match(r">( |$)", line) and not found[-1][1]:
            found[-1][0] += "\n" + line[2:]
        else:
            found[-1][1].append(line)
    return [(command, "\n".join(output).rstrip()) for command, output in found]


def environment(folder):
    kept = ("PIP_", "UV_", "SLIPWAY_SOURCE_", "http", "no_proxy", "SSL_", "CURL_")
    env = {name: value for name, value in os.environ.items() if name.startswith(kept)}
    env.update(HOME=f"{folder}/home", PATH=f"{BUILD}/out:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", LC_ALL="C.UTF-8", NO_COLOR="1", COLUMNS="100", TZ="UTC",
               SLIPWAY_STORE=f"{folder}/store", SLIPWAY_STATE=f"{folder}/state")
    return env


def perform(page):
    """What each command of a page prints."""
    asked = [command for block in BLOCK.findall(page.read_text()) for command, _ in commands(block)]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="slipway-docs-"))
    (folder / "home").mkdir()
    (folder / "project").mkdir()
    env = environment(folder)
    script = "".join(f"{command}\necho \"{END} $?\"\n" for command in asked)
    try:
        done = subprocess.run(["bash", "--norc", "-c", f"exec 2>&1 </dev/null\n{script}"], cwd=folder / "project", env=env, stdout=subprocess.PIPE, timeout=1200)
        said = done.stdout.decode(errors="replace").replace(str(folder / "home"), "/home/me").replace(str(folder / "project"), "/home/me/project")
        said = re.sub(r"^still .*\n", "", said, flags=re.M)
        outputs = []
        for output, status in re.findall(rf"(.*?){END} (\d+)\n", said, re.S):
            outputs.append((output + (f"[exit status {status}]" if status != "0" else "")).rstrip())
        return outputs
    finally:
        subprocess.run([BUILD / "out/slipway", "down", "--all"], env=env, capture_output=True)
        subprocess.run(["chmod", "-R", "u+rwx", folder], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def normal(text):
    for pattern, word in VARIES:
        text = re.sub(pattern, word, text)
    return text


def agrees(expected, found):
    pattern = ".*?".join(re.escape(part) for part in re.split(r"^\.\.\.$", normal(expected), flags=re.M))
    return re.fullmatch(pattern, normal(found), re.S) is not None


def rewrite(page, outputs):
    left = iter(outputs)

    def block(match):
        lines = []
        for command, expected in commands(match.group(1)):
            found = next(left)
            lines.append(re.sub(r"^> $", ">", "$ " + command.replace("\n", "\n> "), flags=re.M))
            lines += [expected if agrees(expected, found) else found] if found or expected else []
        return "```console\n" + "\n".join(filter(None, lines)) + "\n```"

    page.write_text(BLOCK.sub(block, page.read_text()))


def main():
    chosen = [pathlib.Path(name).resolve() for name in sys.argv[2:]]
    pages = [page for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]) if BLOCK.search(page.read_text()) and (not chosen or page in chosen)]
    bad, ran = [], 0
    for page in pages:
        name = page.relative_to(ROOT)
        if "<!-- without packages -->" not in page.read_text() and not os.environ.get("SLIPWAY_TEST_NETWORK"):
            print(f"not run: {name} needs packages, and SLIPWAY_TEST_NETWORK is not set")
            continue
        outputs = perform(page)
        expected = [pair for block in BLOCK.findall(page.read_text()) for pair in commands(block)]
        if len(outputs) != len(expected):
            bad.append(f"{name}: the session ended at `{expected[len(outputs)][0]}`")
            continue
        ran += len(outputs)
        if ACCEPT:
            rewrite(page, outputs)
            continue
        bad += [f"{name}: `{command}`\n--- expected\n{wanted}\n--- found\n{found}" for (command, wanted), found in zip(expected, outputs) if not agrees(wanted, found)]
    print("\n".join(bad) or f"{ran} commands on {len(pages)} pages print what the documentation says")
    sys.exit(1 if bad else 77 if ACCEPT else 0)


if __name__ == "__main__":
    main()

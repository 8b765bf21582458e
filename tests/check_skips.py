"""Lists the tests that were skipped, with their reasons, and holds them against the list of what may be.

    check_skips.py RESULTS.xml ALLOWED.txt

Each line of ALLOWED.txt: a pattern of test names (fnmatch), when (`root`, `user` or `always`), and why.
"""

import fnmatch
import os
import re
import sys
import xml.etree.ElementTree

results, allowed = sys.argv[1:]
who = "root" if os.geteuid() == 0 else "user"
rules = [line.split(None, 2) for line in open(allowed, encoding="utf-8") if line.strip() and not line.startswith("#")]


def skips(case):
    """(name, reason) of everything that this entry of the results skipped; a script may skip some of its own tests."""
    said = "".join(part.text or "" for part in case.iter("system-out"))
    inner = re.findall(r"^(\w+) \(.*?\)[^\n]*?(?:\n[^\n]*)?\.\.\. skipped '(.*)'$", said, re.M)
    if inner:
        return [(f"{case.get('name')}.{name}", reason) for name, reason in inner]
    if case.find("skipped") is not None:
        found = re.search(r"(?:Skipped\n|skipped: |: Skipped\n)(.*)", said)
        return [(case.get("name"), found.group(1) if found else "no reason given")]
    return []


bad = 0
for case in xml.etree.ElementTree.parse(results).iter("testcase"):
    for name, reason in skips(case):
        ok = any(fnmatch.fnmatchcase(name, pattern) and when in (who, "always") for pattern, when, _ in rules)
        print(f"{'skipped' if ok else 'SKIPPED, and must not be'}: {name}: {reason}")
        bad += not ok
sys.exit(bad > 0)

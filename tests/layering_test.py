"""Includes follow the rings of layers.txt and the order of a room's FOLDERS, and CMake's DEPS name what is included."""

import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parents[1]
rings, beside, alone = {}, {}, set()
for line in (root / "layers.txt").read_text().splitlines():
    if not line or line.startswith("#"):
        continue
    ring, room, *rest = line.split()
    rings[room] = int(ring)
    if "alone" in rest:
        alone.add(room)
        rest.remove("alone")
    beside[room] = set(rest)

bad = []
for room, ring in rings.items():
    allowed = {other for other, level in rings.items() if level < ring} | beside[room] | {room}
    if room in alone:
        allowed = {room}
    else:
        allowed -= alone
    cmake = root / "src" / room / "CMakeLists.txt"
    declared, folders = {room}, []
    if cmake.exists():
        words = re.search(r"slip_room\(\w+(.*?)\)", cmake.read_text(), re.S).group(1).split()
        for keyword in ("DEPS", "READS", "FOLDERS"):
            named = words[words.index(keyword) + 1:] if keyword in words else []
            named = named[:next((i for i, w in enumerate(named) if w.isupper()), len(named))]
            if keyword == "FOLDERS":
                folders = named
            else:
                declared |= set(named)
    for path in sorted((root / "src" / room).rglob("*.[hc]*")):
        inside = path.relative_to(root / "src" / room).parts[0]
        before = folders[:folders.index(inside) + 1] if inside in folders else folders
        for number, text in enumerate(path.read_text().splitlines(), 1):
            for other in re.findall(r'#include "([a-z_0-9]+)/', text):
                where = f"{path.relative_to(root)}:{number}"
                if other not in rings:
                    bad.append(f"{where}: `{other}` is no room of layers.txt")
                elif other not in allowed:
                    bad.append(f"{where}: {room} (ring {ring}) must not include {other} (ring {rings[other]})")
                elif other not in declared:
                    bad.append(f"{where}: {room} includes {other}, which its CMakeLists.txt does not name in DEPS")
            for folder in re.findall(rf'#include "{room}/([a-z_0-9]+)/', text):
                if folder not in before:
                    bad.append(f"{path.relative_to(root)}:{number}: {inside} must not include {folder}, which comes later in FOLDERS")
for path in sorted((root / "src").iterdir()):
    if path.is_dir() and path.name not in rings:
        bad.append(f"src/{path.name} is no room of layers.txt")
print("\n".join(bad) or f"{len(rings)} rooms keep their rings")
sys.exit(bool(bad))

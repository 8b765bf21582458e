#!/usr/bin/env python3
"""Push and pull beside `skopeo copy`, with docker-registry on loopback, in one run.

    bench/registry.py SLIPWAY [--megabytes N] [--layers N] [--runs N] [--json FILE]
    bench/registry.py SLIPWAY --memory 300,4000

The image is made with umoci: layers of bytes that do not compress. "pull" of slipway verifies, unpacks and links a root that
can be run; skopeo copies blobs into an OCI layout. With --memory: images of these sizes in megabytes, each with one layer of two
thirds of it, once, for the most memory of each process. Prints medians of wall and CPU seconds and the most memory of one process,
as a table in Markdown.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests/registry"))


def measured(words, env):
    """Wall seconds, CPU seconds and MiB of one command."""
    begin = time.monotonic()
    child = subprocess.Popen([str(word) for word in words], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{words}: {error.decode()}")
    return time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("slipway")
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--memory", help="sizes in MB, separated by commas")
    args = parser.parse_args()
    os.environ["SLIPWAY"] = os.path.abspath(args.slipway)
    import registries

    class Bench(registries.RegistryCase):
        def runTest(self):
            size = args.megabytes * 1_000_000 // args.layers
            image = self.layout([{"/small": b"x"}])
            for n in range(args.layers):  # not in this process: a child's peak counts what its parent had at the fork
                source = self.dir / f"f{n}"
                registries.checked(sys.executable, "-c", f"import random; open({str(source)!r}, 'wb').write(random.Random({n}).randbytes({size}))")
                registries.checked("umoci", "insert", "--rootless", "--image", image, source, f"/f{n}")
            first = self.registry("first")
            there = self.put(image, first, "app:1")
            self.slip("pull", there)
            policy = self.dir / "policy.json"
            rows = {name: [] for name in ("slipway push", "skopeo push", "slipway pull", "skopeo pull")}
            skopeo = ["skopeo", "--policy", policy, "copy", "--quiet"]
            for turn in range(args.runs):
                target = self.registry(f"target{turn}")
                rows["slipway push"].append(measured([os.environ["SLIPWAY"], "push", there, f"{target.host}/a:1"], self.env))
                rows["skopeo push"].append(measured(
                    [*skopeo, "--dest-tls-verify=false", f"oci:{image}", f"docker://{target.host}/b:1"], os.environ))
                env = self.other_store(str(turn))
                rows["slipway pull"].append(measured([os.environ["SLIPWAY"], "pull", f"{target.host}/a:1"], env))
                layout = self.dir / f"copy{turn}"
                rows["skopeo pull"].append(measured(
                    [*skopeo, "--src-tls-verify=false", f"docker://{target.host}/a:1", f"oci:{layout}:1"], os.environ))
                registries.checked("rm", "-rf", env["SLIPWAY_STORE"], layout)
            print(f"\n{args.megabytes} MB in {args.layers} layers, median of {args.runs}\n")
            print("| | wall s | CPU s | MiB |\n|---|---|---|---|")
            record = {}
            for name, runs in rows.items():
                wall, cpu, memory = (statistics.median(column) for column in zip(*runs))
                record[name] = {"wall_s": round(wall, 3), "cpu_s": round(cpu, 3), "memory_bytes": int(memory * 1024 * 1024)}
                print(f"| {name} | {wall:.2f} | {cpu:.2f} | {memory:.0f} |")
            if args.json:
                args.json.write_text(json.dumps({"bytes": args.megabytes * 1_000_000, "layers": args.layers, "runs": args.runs, "ways": record}, indent=1) + "\n")

    class Memory(registries.RegistryCase):
        def runTest(self):
            print("\n| image MB | largest layer MB | | wall s | MiB |\n|---|---|---|---|---|")
            for megabytes in map(int, args.memory.split(",")):
                largest = megabytes * 2 // 3
                image = self.dir / f"layout{megabytes}"
                registries.checked(sys.executable, HERE / "registry_layout.py", image, largest, megabytes - largest)
                first = self.registry(f"first{megabytes}")
                there = self.put(f"{image}:made", first, "app:1", "--preserve-digests")
                registries.checked("rm", "-rf", image)
                env = self.other_store(str(megabytes))
                slipway = os.environ["SLIPWAY"]
                pull = measured([slipway, "pull", there], env)
                second = self.registry(f"second{megabytes}")
                registries.checked("rm", "-rf", first.folder / "data")
                push = measured([slipway, "push", "--no-sbom", there, f"{second.host}/app:1"], env)
                for name, (wall, _, memory) in (("pull", pull), ("push", push)):
                    print(f"| {megabytes} | {largest} | slipway {name} | {wall:.1f} | {memory:.0f} |", flush=True)
                registries.checked("rm", "-rf", env["SLIPWAY_STORE"], second.folder / "data")

    if args.memory:
        result = unittest.TextTestRunner(verbosity=0).run(Memory())
        sys.exit(not result.wasSuccessful())
    result = unittest.TextTestRunner(verbosity=0).run(Bench())
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes bench/results/*.json into docs/benchmarks.md, its plots, README.md and the figures of SPECIFICATION.md.

    bench/report.py [--check]

--check writes nothing and ends with 1 when any of them differs from what the results say. A pure function of the results.
"""

import json
import pathlib
import re
import sys

import plot

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench/results"
PLOTS = "docs/benchmarks"
STEPS = ("cold", "one requirement changed", "one script changed", "nothing changed")


def load():
    return {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows), ""]


def megabytes(count):
    return f"{count / 1e6:,.0f}" if count >= 9.95e6 else f"{count / 1e6:.1f}"


def ratio(other, ours):
    """How many times of ours; one digit below 10."""
    if not ours:
        return "–"
    times = other / ours
    return f"{times:.0f}×" if times >= 9.95 else f"{times:.1f}×"


def where(record):
    """The caption: which machine, when, which versions."""
    m = record["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in m["versions"].items() if name != "commit")
    return f"{m['date']}, {m['cores']} cores ({m['cpu']}), {m['memory_bytes'] / 2**30:.0f} GiB, Linux {m['kernel']}, load at the start {record['load']}; {versions}."


# --- chapters of docs/benchmarks.md -----------------------------------------------------------------------------------------------


def rivals(record):
    tools = record["tools"]
    lines = ["## Build and push", "", "examples/tf29 (TensorFlow 2.9.0 on Python 3.9, 153 Python packages) built and pushed to a registry on loopback by `bench/rivals.py`, from the same wheels.",
             "The rivals' base image is free for them: neither its building nor its upload counts; slipway's figures hold the base system, byte code and the",
             "import check. docker with uv and buildah with uv write no byte code and have a warm cache mount.", where(record), ""]
    for step in STEPS:
        ours = tools["slipway"][step]
        lines += [f"**{step.capitalize()}**", ""]
        lines += table(["", "wall s", "CPU s", "memory MB", "uploaded MB", "wall, of slipway's", "CPU, of slipway's"],
                       [[name, f"{cost[step]['wall_s']:.2f}", f"{cost[step]['cpu_s']:.2f}", megabytes(cost[step]["memory_bytes"]), megabytes(cost[step]["uploaded_bytes"]),
                         ratio(cost[step]["wall_s"], ours["wall_s"]), ratio(cost[step]["cpu_s"], ours["cpu_s"])] for name, cost in tools.items()])
    if record["left_out"]:
        lines += [f"Left out of this run: {', '.join(record['left_out'])}.", ""]
    return lines + [f"![seconds of build and push]({'benchmarks/build.svg'})", f"![uploaded bytes]({'benchmarks/upload.svg'})", ""]


def build(record):
    lines = ["## Steps of a build", "", "slipway alone, without a push (`bench/build.py`). Memory is slipway's own; the largest program is the import check's Python.", where(record), ""]
    return lines + table(["", "wall s", "CPU s", "memory MB", "largest program MB", "written MB"],
                         [[name, f"{s['wall_s']:.2f}", f"{s['cpu_s']:.2f}", megabytes(s["memory_bytes"]), megabytes(s["largest_program_bytes"]), megabytes(s["written_bytes"])]
                          for name, s in record["steps"].items()])


def workspace(record):
    ways = record["ways"]
    ours = ways["slipway"]
    cell = lambda way, key: f"{1000 * way[key]:.0f}" if key in way else "–"
    lines = ["## Starting", "", f"The same image with Jupyter, medians (`bench/workspace.py`). Jupyter alone, started by hand inside, answers after {1000 * ours['alone']:.0f} ms; docker has no "
             "network in this benchmark.", where(record), ""]
    lines += table(["", "`true`, whole command, ms", "until Jupyter answers, ms"], [[name, cell(way, "true"), cell(way, "up")] for name, way in ways.items()])
    through, direct = record["forwarder"], record["loopback"]
    lines += table(["what slipway adds", "measured"], [
        ["memory of a workspace's monitor, forwarder, gateway and slipway-init", f"{ours['memory'] / 1e6:.1f} MB"],
        ["a published port against the host's own loopback", f"{through['mb_per_s']:,.0f} of {direct['mb_per_s']:,.0f} MB/s; {through['round_trip_us']:.0f} against {direct['round_trip_us']:.0f} µs a round trip"],
        ["clone to the exec of PID 1, under strace", f"{ours['exec']:.1f} ms" if ours.get("exec") else "–"],
        ["`slipway --help`", f"{1000 * ours['help']:.1f} ms"]])
    return lines + ["![start of a container](benchmarks/start.svg)", ""]


def init(record):
    managers = record["managers"]
    columns = list(next(iter(managers.values())))
    lines = ["## PID 1", "", f"Each manager is PID 1 of a PID namespace with one static service, medians of {record['runs']} starts (`bench/init.py`).", where(record), ""]
    return lines + table(["PID 1", *columns], [[name, *row.values()] for name, row in managers.items()])


def registry(record):
    lines = ["## Push and pull", "", f"{record['bytes'] / 1e6:.0f} MB that do not compress, in {record['layers']} layers; medians of {record['runs']} (`bench/registry.py`). A pull of slipway verifies, "
             "unpacks and links a root that can be run; skopeo copies blobs.", where(record), ""]
    return lines + table(["", "wall s", "CPU s", "memory MB"], [[name, f"{w['wall_s']:.2f}", f"{w['cpu_s']:.2f}", megabytes(w["memory_bytes"])] for name, w in record["ways"].items()])


def team(record):
    ways = {name: way for name, way in record["ways"].items() if name != "slipway push"}
    push = record["ways"]["slipway push"]
    cells = lambda way, what: [f"{way[what]['wall_s']:.1f}", megabytes(way[what]["wire_bytes"])]
    lines = ["## A colleague's first minutes", "", f"examples/tf29 pushed once ({push['first']['wall_s']:.1f} s, {megabytes(push['first']['wire_bytes'])} MB; with {record['pin']} instead "
             f"{push['changed']['wall_s']:.1f} s, {megabytes(push['changed']['wire_bytes'])} MB) to a registry on loopback;",
             f"from there, with nothing of it on the disk, to a Jupyter that answers, and to the image with the changed pin; medians of {record['runs']}, and all bytes on the loopback",
             "(`bench/team.py`). All pull the same blobs; slipway's `up` verifies them, unpacks, links a root, and starts the workspace inside its sandbox.", where(record), ""]
    return lines + table(["", "to an open notebook, s", "MB", "one pin changed, pull, s", "MB"], [[name, *cells(way, "first"), *cells(way, "changed")] for name, way in ways.items()])


def serving(record):
    ways = {name: way for name, way in record["ways"].items() if isinstance(way, dict)}
    bare = ways["TF_SessionRun, no server"]["p50"]
    lines = ["## Serving", "", f"half_plus_two with three values; the number behind a way is its connections; {record['rounds']} rounds of {record['seconds']:g} s, median round, the client on the same cores "
             "(`bench/serving.py`). With `--rest_api_busy_poll_micros=0` the server sleeps between the requests of one connection, and waking a core is in each.", where(record), ""]
    lines += table(["way, connections", "p50 µs", "above the run", "p99 µs", "requests/s"],
                   [[name, f"{w['p50']:.1f}", "" if name.startswith(("TF_", "GET")) else f"{w['p50'] - bare:.0f}", f"{w['p99']:.0f}", f"{w['rps']:,.0f}"] for name, w in ways.items()])
    held, again = record["request"], record["reload"]
    lines += table(["what", "measured"], [
        ["instructions per JSON value read / written", f"{record['instructions']['read']:.0f} / {record['instructions']['write']:.0f}"],
        [f"request of 224×224×3 values ({held['body MB']:.1f} MB of JSON)", f"{held['peak MB']:.1f} MB above idle"],
        ["exec to ready", f"{1000 * record['start']['ready']:.0f} ms, of which TensorFlow and the model {1000 * record['start']['tensorflow']:.0f} ms"],
        ["a new version under load", f"{again['good']:,} requests answered, {again['failed']} failed"]])
    return lines + ["![median latency](benchmarks/latency.svg)", "![requests per second](benchmarks/throughput.svg)", ""]


CHAPTERS = {"rivals": rivals, "build": build, "workspace": workspace, "registry": registry, "team": team, "init": init, "serving": serving}


def losses(results):
    """Every figure in which somebody else is better."""
    found = []
    if "rivals" in results:
        tools = results["rivals"]["tools"]
        for step in STEPS:
            for key, word, unit in (("wall_s", "time", " s"), ("cpu_s", "CPU", " s"), ("memory_bytes", "memory", " MB"), ("uploaded_bytes", "uploaded", " MB")):
                if (step, word) == ("cold", "uploaded"):
                    continue  # slipway's holds the base, the rivals' does not
                scale = 1e6 if unit == " MB" else 1
                name, best = min(((n, t[step][key]) for n, t in tools.items()), key=lambda pair: pair[1])
                if name != "slipway" and best < 0.95 * tools["slipway"][step][key]:
                    found.append(f"build and push, {step}, {word}: {name} {best / scale:.2f}{unit}, slipway {tools['slipway'][step][key] / scale:.2f}{unit}")
    if "workspace" in results:
        ways = results["workspace"]["ways"]
        for key, word in (("true", "`true`"), ("up", "Jupyter's answer")):
            name, best = min(((n, w[key]) for n, w in ways.items() if key in w), key=lambda pair: pair[1])
            if name != "slipway":
                found.append(f"{word}: {name} {1000 * best:.0f} ms, slipway {1000 * ways['slipway'][key]:.0f} ms")
    if "init" in results:
        managers = results["init"]["managers"]
        for key in ("start ms", "PSS kB", "restart ms", "stop s"):
            numbers = {n: float(row[key]) for n, row in managers.items() if re.fullmatch(r"[\d.]+", row[key])}
            name = min(numbers, key=numbers.get)
            if "slipway-init" in numbers and numbers[name] < numbers["slipway-init"]:
                found.append(f"PID 1, {key}: {name} {numbers[name]:g}, slipway-init {numbers['slipway-init']:g}")
    if "registry" in results:
        ways = results["registry"]["ways"]
        for way in ("push", "pull"):
            for key, word, scale, unit in (("wall_s", "time", 1, "s"), ("cpu_s", "CPU", 1, "s"), ("memory_bytes", "memory", 1e6, "MB")):
                ours, other = (ways[f"{tool} {way}"][key] / scale for tool in ("slipway", "skopeo"))
                if other < 0.95 * ours:
                    found.append(f"{way}, {word}: skopeo {other:.2f} {unit}, slipway {ours:.2f} {unit}")
    if "team" in results:
        ways = {name: way for name, way in results["team"]["ways"].items() if name != "slipway push"}
        for what, word in (("first", "an open notebook from a registry"), ("changed", "pulling one changed pin")):
            for key, scale, unit in (("wall_s", 1, "s"), ("wire_bytes", 1e6, "MB on the wire")):
                name, best = min(((n, way[what][key]) for n, way in ways.items()), key=lambda pair: pair[1])
                if best < 0.95 * ways["slipway up"][what][key]:
                    found.append(f"{word}: {name} {best / scale:.1f} {unit}, slipway {ways['slipway up'][what][key] / scale:.1f} {unit}")
    return found


def page(results):
    lines = ["# Benchmarks", "", "<!-- Made by bench/report.py from bench/results; a test compares. -->", "",
             "`make bench` runs all of this on the machine it is called on (root, Debian 12, 40 GB of disk; a benchmark may take 45 minutes at most) and rewrites this page. Each chapter",
             "names its script and its machine; the results as numbers lie in bench/results.", ""]
    lost = losses(results)
    if lost:
        lines += ["## Where another is better", "", *(f"- {text}" for text in lost), ""]
    for name, chapter in CHAPTERS.items():
        if name in results:
            lines += chapter(results[name])
    return "\n".join(lines).rstrip() + "\n"


# --- plots, README, SPECIFICATION -------------------------------------------------------------------------------------------------


def plots(results):
    made = {}
    if "rivals" in results:
        tools = results["rivals"]["tools"]
        note = short(results["rivals"]) + "; bench/rivals.py"
        made["build.svg"] = plot.bars("Build and push of a TensorFlow environment", note,
                                      [(step, "s", [(n, t[step]["wall_s"], n == "slipway") for n, t in tools.items()]) for step in STEPS[:3]])
        made["upload.svg"] = plot.bars("Uploaded after one changed requirement of 0.3 MB", note,
                                       [("", "MB", [(n, t[STEPS[1]]["uploaded_bytes"] / 1e6, n == "slipway") for n, t in tools.items()])])
    if "workspace" in results:
        ways = results["workspace"]["ways"]
        made["start.svg"] = plot.bars("Starting `true` in an image: the whole command", short(results["workspace"]) + "; bench/workspace.py",
                                      [("", "ms", [(n, 1000 * w["true"], n == "slipway") for n, w in ways.items()])])
    if "serving" in results:
        ways, note = results["serving"]["ways"], short(results["serving"]) + ", client on the same cores; bench/serving.py"
        pick = lambda names, key: [(shown, ways[n][key], shown.startswith("slipway")) for n, shown in names.items() if n in ways]
        one = {"TF_SessionRun, no server": "TF_SessionRun alone", "REST, 1": "slipway-serve REST", "gRPC, 1": "slipway-serve gRPC", "FastAPI, 1": "FastAPI"}
        many = {name.replace(", 1", ", 64"): title for name, title in one.items() if name != "TF_SessionRun, no server"}
        made["latency.svg"] = plot.bars("Median latency of one connection", note, [("", "µs", pick(one, "p50"))])
        made["throughput.svg"] = plot.bars("Requests per second, 64 connections", note, [("", "/s", pick(many, "rps"))])
    return {f"{PLOTS}/{name}": text for name, text in made.items()}


def short(record):
    m = record["machine"]
    return f"{m['date']}, {m['cores']} cores, Linux {m['kernel']}"


def readme(text, results):
    if "rivals" not in results:
        return text
    tools = results["rivals"]["tools"]
    rows = [[name, *(f"{cost[step]['wall_s']:.1f} s, {cost[step]['cpu_s']:.1f} CPU s" for step in STEPS[:2]), f"{megabytes(cost[STEPS[1]]['uploaded_bytes'])} MB"]
            for name, cost in tools.items()]
    lost = losses(results)
    lines = ["![Build and push of a TensorFlow environment: slipway beside docker and buildah](docs/benchmarks/build.svg)", "",
             f"*examples/tf29, built and pushed to a registry on loopback from the same wheels: `bench/rivals.py` on {short(results['rivals'])}. The rivals' base image costs them nothing.*", "",
             *table(["", "everything", "one requirement changed", "uploaded then"], rows)]
    if lost:
        lines += [f"Not everything is better: {lost[0]}. [All comparisons](docs/benchmarks.md), repeated by `make bench`.", ""]
    return re.sub(r"(<!-- benchmarks -->\n).*?(<!-- /benchmarks -->)", lambda m: m.group(1) + "\n".join(lines) + m.group(2), text, flags=re.S)


def figures(results):
    """(what stands before the figure in SPECIFICATION.md, the figure): the text from there to the next `)` is the figure's."""
    made = []
    if "workspace" in results:
        made.append(("`slipway --help` in under 20 ms (measured ", f"{1000 * results['workspace']['ways']['slipway']['help']:.0f} ms"))
    if "build" in results:
        steps = results["build"]["steps"]
        cold = steps["build, cold (downloads there)"]
        made.append(("Memory of a build at most 256 MB (measured ", f"{megabytes(cold['memory_bytes'])} MB for examples/tf29 in an empty store"))
        made.append(("build in under 0.5 s (measured ", f"{steps['build, nothing changed']['wall_s']:.2f} s"))
        made.append(("one script changed: under 1 s (measured ", f"{steps['build, one script changed']['wall_s']:.2f} s"))
    if "rivals" in results:
        tools = results["rivals"]["tools"]
        cold = {name: tool["cold"]["cpu_s"] for name, tool in tools.items()}
        made.append(("(measured, with the push, ", f"{cold['slipway']:.0f} CPU s; " + ", ".join(f"{n} {c:.0f}" for n, c in cold.items() if n != "slipway")))
        made.append(("times less wall time (measured: ", f"{tools['slipway'][STEPS[1]]['wall_s']:.1f} s; " + ", ".join(f"{n} {t[STEPS[1]]['wall_s']:.0f} s" for n, t in tools.items() if n != "slipway")))
    if "init" in results:
        made.append(("first service within 5 ms of exec (measured ", f"{results['init']['managers']['slipway-init']['start ms']} ms from the call of unshare on, median of {results['init']['runs']}"))
    if "serving" in results:
        ways = results["serving"]["ways"]
        made.append(("above TF_SessionRun, client included (measured ", f"{ways['REST, 1']['p50'] - ways['TF_SessionRun, no server']['p50']:.0f} µs"))
        cost = results["serving"]["instructions"]
        made.append(("written in at most 350 (measured ", f"{cost['read']:.0f} and {cost['write']:.0f}"))
    return made


def specification(text, results):
    for before, figure in figures(results):
        start = text.find(before)
        if start < 0:
            raise SystemExit(f"SPECIFICATION.md has no `{before}`")
        start += len(before)
        text = text[:start] + figure + text[text.index(")", start):]
    return text


def documents(results):
    """Every file that the results decide, by its path."""
    made = {"docs/benchmarks.md": page(results), **plots(results)}
    made["README.md"] = readme((ROOT / "README.md").read_text(), results)
    made["SPECIFICATION.md"] = specification((ROOT / "SPECIFICATION.md").read_text(), results)
    return made


def main():
    results = load()
    differ = []
    for name, text in documents(results).items():
        path = ROOT / name
        if path.exists() and path.read_text() == text:
            continue
        differ.append(name)
        if sys.argv[1:] != ["--check"]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    if sys.argv[1:] == ["--check"]:
        print("\n".join(f"{name} is not what bench/results say; run bench/report.py" for name in differ) or "all figures are those of bench/results")
        sys.exit(bool(differ))


if __name__ == "__main__":
    main()

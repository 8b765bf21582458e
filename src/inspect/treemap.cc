// The page that `explain --html` writes: everything in one file, nothing fetched.
#include <nlohmann/json.hpp>

#include "core/text.h"
#include "inspect/account.h"

namespace slip::inspect {
namespace {

using nlohmann::json;

constexpr const char* kHead = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>@TITLE@</title>
<style>
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #57606a; --paper: #ffffff; --line: #d0d7de; --gap: #ffffff;
  --debs: #9ec5e8; --wheels: #f0c27b; --configure: #b7d7a8; --system: #b7d7a8; --files: #d9b3e6; --other: #c9ced6; --cell: #14181d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --dim: #9aa4af; --paper: #12161b; --line: #30363d; --gap: #12161b;
  --debs: #2f5f8a; --wheels: #8a6420; --configure: #3f6b35; --system: #3f6b35; --files: #6d4680; --other: #4a525c; --cell: #f2f5f8; } }
body { margin: 0; padding: 1rem 1.25rem 2rem; background: var(--paper); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.25rem; margin: 0 0 .25rem; }
p { margin: .25rem 0 .75rem; color: var(--dim); max-width: 70rem; overflow-wrap: anywhere; }
#bar { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; margin-bottom: .5rem; }
#legend { display: flex; flex-wrap: wrap; gap: .25rem 1rem; color: var(--dim); }
#legend i { display: inline-block; width: .8rem; height: .8rem; margin-right: .35rem; vertical-align: -1px; border-radius: 2px; }
#map { position: relative; width: 100%; height: 66vh; min-height: 22rem; border: 1px solid var(--line); overflow: hidden; }
.cell { position: absolute; box-sizing: border-box; border: 1px solid var(--gap); color: var(--cell); overflow: hidden; padding: 2px 5px;
  white-space: nowrap; text-overflow: ellipsis; font-size: 12px; line-height: 1.3; text-align: left; cursor: pointer; }
.cell:hover, .cell:focus-visible { outline: 2px solid var(--ink); outline-offset: -2px; }
.layer { position: absolute; box-sizing: border-box; border: 1px solid var(--line); overflow: hidden; font-size: 12px; color: var(--ink); }
.layer > span { position: absolute; left: 5px; top: 1px; max-width: calc(100% - 8px); overflow: hidden; white-space: nowrap;
  text-overflow: ellipsis; font-weight: 600; }
#said { min-height: 2.8rem; margin: .5rem 0 1rem; }
#said b { color: var(--ink); }
button, select { font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--line); border-radius: 4px; padding: .1rem .5rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n, th.n { text-align: right; white-space: nowrap; }
td.w { color: var(--dim); }
</style>
</head>
<body>
<h1>@TITLE@</h1>
<p id="sum"></p>
<div id="bar"><label>Group by <select id="by"><option value="layer">layer</option><option value="kind">kind</option></select></label>
<label>Size <select id="size"><option value="unpacked">unpacked</option><option value="packed">compressed (share of the layer)</option></select></label>
<button id="back" hidden>Show everything</button><span id="legend"></span></div>
<div id="map" role="img" aria-label="Treemap of the image; the table below says the same"></div>
<p id="said" aria-live="polite">Point at a field; click to look into its group.</p>
<table><thead><tr><th>What</th><th>Layer</th><th class="n">Unpacked</th><th class="n">Compressed</th><th class="n">Files</th><th>Because</th></tr></thead><tbody id="rows"></tbody></table>
<script>
"use strict";
const data = )html";

constexpr const char* kTail = R"html(;
const byId = (id) => document.getElementById(id);
const size = (n) => { const u = ["B", "kB", "MB", "GB"]; let i = 0; while (n >= 1000 && i < 3) { n /= 1000; i++; } return (i ? n.toFixed(1) : n) + " " + u[i]; };
const colour = (i) => "var(--" + ({deb: "debs", python: "wheels"}[i.kind] || {configure: "configure", system: "system", files: "files", run: "files"}[data.layers[i.layer].kind] || "other") + ")";
const title = (i) => i.kind === "layer" ? "rest of " + i.name : i.name + " " + i.version;
let only = null;

// Squarified treemap (Bruls, Huizing, van Wijk 2000): rows whose fields are as square as can be.
function place(list, x, y, w, h, put) {
  let total = list.reduce((sum, e) => sum + e.value, 0);
  let rest = list.filter((e) => e.value > 0).sort((a, b) => b.value - a.value);
  while (rest.length && total > 0 && w > 0 && h > 0) {
    const side = Math.min(w, h), scale = w * h / total;
    const worst = (row, sum) => { const s2 = sum * sum * scale; const l2 = side * side; return Math.max(l2 * row[0].value / s2, s2 / (l2 * row[row.length - 1].value)) };
    let row = [rest[0]], sum = rest[0].value;
    for (let i = 1; i < rest.length; i++) {
      const next = row.concat(rest[i]);
      if (worst(next, sum + rest[i].value) > worst(row, sum)) break;
      row = next; sum += rest[i].value;
    }
    const thick = sum * scale / side;
    let at = 0;
    for (const e of row) {
      const length = e.value * scale / thick;
      if (w >= h) put(e, x, y + at, thick, length); else put(e, x + at, y, length, thick);
      at += length;
    }
    if (w >= h) { x += thick; w -= thick; } else { y += thick; h -= thick; }
    rest = rest.slice(row.length); total -= sum;
  }
}

function box(kind, x, y, w, h) {
  const e = document.createElement("div");
  e.className = kind;
  Object.assign(e.style, {left: x + "px", top: y + "px", width: Math.max(0, w) + "px", height: Math.max(0, h) + "px"});
  return e;
}

function say(i) {
  const p = byId("said");
  p.textContent = "";
  const b = document.createElement("b");
  b.textContent = title(i);
  p.append(b, " · " + size(i.unpacked) + " unpacked, about " + size(i.packed) + " compressed, " + i.files + " files · layer " + data.layers[i.layer].name + " · " + i.because.join(" ← "));
}

function draw() {
  const map = byId("map"), key = byId("by").value, what = byId("size").value;
  map.textContent = "";
  const groups = new Map();
  const add = (name, item, value) => {
    if (only !== null && name !== only) return;
    if (!groups.has(name)) groups.set(name, {name, value: 0, items: []});
    const g = groups.get(name);
    g.items.push({value, item});
    g.value += value;
  };
  for (const i of data.items) {
    if (key === "kind") add(i.kind, i, i[what]);
    else for (const part of i.parts) add(data.layers[part.layer].name, i, part[what]);
  }
  const head = 16;
  place([...groups.values()], 0, 0, map.clientWidth, map.clientHeight, (g, x, y, w, h) => {
    const frame = box("layer", x, y, w, h);
    const top = h > 40 && w > 40 ? head : 0;
    if (top) { const t = document.createElement("span"); t.textContent = g.name + "  " + size(g.value); frame.append(t); }
    map.append(frame);
    place(g.items, 1, top, w - 3, h - top - 2, (e, cx, cy, cw, ch) => {
      const c = box("cell", cx, cy, cw, ch);
      c.style.background = colour(e.item);
      if (cw < 12 || ch < 12) c.style.padding = "0";
      if (cw > 38 && ch > 17) c.textContent = e.item.kind === "layer" ? "rest" : e.item.name;
      c.title = title(e.item) + ", " + size(e.value);
      c.onmouseenter = () => say(e.item);
      c.onclick = () => { only = only === null ? g.name : null; draw(); };
      frame.append(c);
    });
  });
  byId("back").hidden = only === null;
}

byId("sum").textContent = data.image + ", " + data.digest + ": " + data.layers.length + " layers, " + size(data.size) + " compressed, " + size(data.unpacked) + " of files, " + data.items.filter((i) => i.kind !== "layer").length + " packages.";
for (const [name, key] of [["Debian packages", "debs"], ["Python packages", "wheels"], ["configuration", "configure"], ["files and steps of the spec", "files"], ["other", "other"]]) {
  const s = document.createElement("span"), i = document.createElement("i");
  i.style.background = "var(--" + key + ")";
  s.append(i, name);
  byId("legend").append(s);
}
for (const i of data.items) {
  const r = document.createElement("tr");
  for (const [text, kind] of [[title(i), ""], [data.layers[i.layer].name, ""], [size(i.unpacked), "n"], [size(i.packed), "n"], [String(i.files), "n"], [i.because.join(" ← "), "w"]]) {
    const c = document.createElement("td");
    c.className = kind;
    c.textContent = text;
    r.append(c);
  }
  byId("rows").append(r);
}
byId("by").onchange = () => { only = null; draw(); };
byId("size").onchange = draw;
byId("back").onclick = () => { only = null; draw(); };
window.onresize = draw;
draw();
</script>
</body>
</html>
)html";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

/// JSON that may stand inside a script element: "<" never appears.
std::string script_json(const json& value) {
  std::string out;
  for (const char c : value.dump(-1, ' ', true, json::error_handler_t::replace)) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string treemap_page(const Account& account, const std::string& image, const Digest& digest) {
  json layers = json::array();
  std::uint64_t size = 0;
  std::uint64_t unpacked = 0;
  for (const LayerCost& layer : account.layers()) {
    layers.push_back({{"name", layer.name}, {"kind", layer.kind}, {"size", layer.size}});
    size += layer.size;
    unpacked += layer.unpacked;
  }
  json items = json::array();
  for (const Item& item : account.items()) {
    json parts = json::array();
    for (const auto& [layer, part] : item.parts) {
      parts.push_back({{"layer", layer}, {"unpacked", part.unpacked}, {"packed", part.packed}});
    }
    items.push_back({{"kind", item.kind},
                     {"name", item.name},
                     {"version", item.version},
                     {"layer", item.layer},
                     {"unpacked", item.unpacked},
                     {"packed", item.packed},
                     {"files", item.files},
                     {"parts", parts},
                     {"because", item.because}});
  }
  const json data = {{"image", image},       {"digest", digest.text()}, {"size", size},
                     {"unpacked", unpacked}, {"layers", layers},        {"items", items}};
  std::string head = kHead;
  constexpr std::string_view kMark = "@TITLE@";
  const std::string title = escaped("What " + image + " is made of");
  for (std::size_t at = head.find(kMark); at != std::string::npos; at = head.find(kMark, at + title.size())) {
    head.replace(at, kMark.size(), title);
  }
  return head + script_json(data) + kTail;
}

}  // namespace slip::inspect

"""Bar charts as SVG that follow the reader's light or dark colours. No library: the same numbers give the same bytes."""

import html

WIDTH, LEFT, BAR, STEP, RIGHT = 760, 170, 20, 28, 110
STYLE = """<style>
svg { background: #ffffff } text { fill: #1f2328; font: 13px sans-serif } .title { font-size: 16px; font-weight: bold }
.panel { font-weight: bold } .note { fill: #59636e; font-size: 12px } .ours { fill: #0969da } .other { fill: #afb8c1 } .axis { stroke: #d1d9e0 }
@media (prefers-color-scheme: dark) {
  svg { background: #0d1117 } text { fill: #e6edf3 } .note { fill: #9198a1 } .ours { fill: #4493f8 } .other { fill: #4b535d } .axis { stroke: #3d444d }
}
</style>"""


def shown(value):
    """Three digits that matter."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def bars(title, note, panels):
    """Horizontal bars, each panel on a linear scale of its own that begins at 0.

    @param panels  (title, unit, [(name, value, ours)])
    """
    parts, y = [], 62 if panels[0][0] else 46
    for panel, unit, rows in panels:
        parts.append(f'<text class="panel" x="16" y="{y}">{html.escape(panel)}</text>')
        largest = max(value for _, value, _ in rows)
        top = y + 10
        for i, (name, value, ours) in enumerate(rows):
            place, length = top + STEP * i, max(1.0, value / largest * (WIDTH - LEFT - RIGHT)) if largest else 1.0
            parts.append(f'<text x="{LEFT - 8}" y="{place + 15}" text-anchor="end">{html.escape(name)}</text>'
                         f'<rect class="{"ours" if ours else "other"}" x="{LEFT}" y="{place}" width="{length:.1f}" height="{BAR}"/>'
                         f'<text x="{LEFT + length + 6:.1f}" y="{place + 15}">{shown(value)} {html.escape(unit)}</text>')
        parts.append(f'<line class="axis" x1="{LEFT}" y1="{top - 4}" x2="{LEFT}" y2="{top + STEP * len(rows) - 4}"/>')
        y = top + STEP * len(rows) + 26
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 6}" viewBox="0 0 {WIDTH} {y + 6}" role="img" '
            f'aria-label="{html.escape(title)}">\n{STYLE}\n<text class="title" x="16" y="28">{html.escape(title)}</text>\n')
    return head + "\n".join(parts) + f'\n<text class="note" x="16" y="{y - 8}">{html.escape(note)}</text>\n</svg>\n'

"""The medians of a report as one SVG: bars of CPU seconds per GB and of MB/s, a group of them for each case."""

WIDTH, BAR, GAP, LEFT, MIDDLE = 860, 16, 14, 190, 70
COLOURS = {"dunlin": "#c2410c"}
OTHER = "#94a3b8"
STYLE = ("text{font:12px system-ui,sans-serif;fill:#0f172a}.name{text-anchor:end}.case{font-weight:600}.head{font-size:14px;"
         "font-weight:600}@media(prefers-color-scheme:dark){text{fill:#e2e8f0}}")


def svg(rows):
    """`rows` have `case`, `client`, `cpu_secs_per_gb`, `mb_per_sec`."""
    half = (WIDTH - LEFT - MIDDLE - 60) / 2
    parts, y = [], 46
    parts.append(f'<text class="head" x="{LEFT}" y="22">CPU seconds per GB, less is better</text>')
    parts.append(f'<text class="head" x="{LEFT + half + MIDDLE}" y="22">MB/s, more is better</text>')
    for case in dict.fromkeys(row["case"] for row in rows):
        group = [row for row in rows if row["case"] == case]
        parts.append(f'<text class="case" x="8" y="{y + 12}">{case}</text>')
        scales = [(half / max(row[key] for row in group), x, key, digits)
                  for key, x, digits in (("cpu_secs_per_gb", LEFT, 2), ("mb_per_sec", LEFT + half + MIDDLE, 0))]
        for row in group:
            parts.append(f'<text class="name" x="{LEFT - 8}" y="{y + 12}">{row["client"]}</text>')
            for scale, x, key, digits in scales:
                width = max(row[key] * scale, 1)
                colour = COLOURS.get(row["client"], OTHER)
                parts.append(f'<rect x="{x}" y="{y}" width="{width:.1f}" height="{BAR - 3}" rx="2" fill="{colour}"/>')
                parts.append(f'<text x="{x + width + 5:.1f}" y="{y + 11}">{row[key]:.{digits}f}</text>')
            y += BAR
        y += GAP
    body = "\n".join(parts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" role="img" '
            f'aria-label="Dunlin beside other clients">\n<style>{STYLE}</style>\n{body}\n</svg>\n')

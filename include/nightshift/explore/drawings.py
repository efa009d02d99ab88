"""Small pictures as SVG text: bars a night, histograms, gaps over time, a matrix of correlations.

Shapes are merged into one path where they share a colour, so a page of 200 columns stays small. Every text
goes through :func:`words`: names and values are other people's, and none of them is ever markup.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from math import isnan

import pandas as pd

from nightshift.explore.columns import Bars, Histogram
from nightshift.explore.examine import Volume
from nightshift.masks import EMAIL

NOW, THEN, BAD = "#3b6ea8", "#d9822b", "#b42318"
LONGEST_WORDS = 300
# Missing shares up to these get the shade beside them.
SHADES = (
    (0.0, ""),
    (0.02, "#f6e3c8"),
    (0.1, "#efc48b"),
    (0.3, "#e39a4b"),
    (0.7, "#c8641f"),
    (1.0, "#8c2f0c"),
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def words(value: object, most: int = LONGEST_WORDS) -> str:
    """Return a text for the page: cut, what looks like an e-mail address masked, escaped."""
    text = EMAIL.sub("[address]", str(value))
    return escape(text if len(text) <= most else f"{text[: most - 1]}…", quote=True)


def number(value: float) -> str:
    """Return a number in a few characters: 1,234 or 0.0123."""
    if isnan(value):
        return "-"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.3g}"


def instant(seconds: float) -> str:
    """Return seconds since 1970 as a date, or a date and a time (UTC)."""
    when = EPOCH + timedelta(seconds=round(seconds))
    return f"{when:%Y-%m-%d}" if (when.hour, when.minute) == (0, 0) else f"{when:%Y-%m-%d %H:%M}"


def volumes(nights: Sequence[Volume], colour: str) -> str:
    """Return one bar a night, what was set aside on top in red, and a tick below a night that failed."""
    width, height = 1000.0, 150.0
    most = max((v.rows + (v.rejected or 0) for v in nights), default=0) or 1
    step = width / max(len(nights), 1)
    bar, scale = step * (0.8 if len(nights) <= 120 else 1.0), height / most
    rows = [(n * step, height - v.rows * scale, bar, v.rows * scale) for n, v in enumerate(nights)]
    aside = [
        (n * step, height - (v.rows + v.rejected) * scale, bar, max(v.rejected * scale, 1.0))
        for n, v in enumerate(nights)
        if v.rejected
    ]
    failed = [(n * step, height + 2, bar, 4.0) for n, v in enumerate(nights) if v.failed]
    shapes = _filled(rows, colour) + _filled(aside, BAD) + _filled(failed, BAD)
    labels = (
        _label(0, height + 22, str(nights[0].night), "start")
        + (_label(width, height + 22, str(nights[-1].night), "end") if len(nights) > 1 else "")
        + _label(width, -5, f"at most {most:,}", "end")
    )
    title = f"rows a night, at most {most:,}"
    return _svg(width, height + 28, shapes + labels, title)


def distribution(drawn: Histogram | Bars, *, times: bool) -> str:
    """Return a column's histogram or bars, the range compared with laid over it."""
    return _bars(drawn) if isinstance(drawn, Bars) else _histogram(drawn, times=times)


def gaps(shares: Sequence[float]) -> str:
    """Return a strip, one cell a span of nights, darker with more values missing; hollow without rows."""
    cell, height = 10.0, 14.0
    boxes: dict[str, list[tuple[float, float, float, float]]] = {}
    for n, share in enumerate(shares):
        shade = "none" if isnan(share) else next(colour for limit, colour in SHADES if share <= limit)
        boxes.setdefault(shade, []).append((n * cell, 0, cell - 1, height))
    full = [(n * cell, 0.0, cell - 1, height) for n in range(len(shares))]
    shapes = _filled(full, "#eef1f4") + "".join(
        _filled(found, "#fff" if shade == "none" else shade) for shade, found in boxes.items() if shade
    )
    return _svg(cell * len(shares), height, shapes, "missing values over time", "strip")


def matrix(correlations: pd.DataFrame) -> str:
    """Return a heat map of correlations, blue below and orange above zero; undefined cells stay white."""
    cell, margin = 26.0, 150.0
    names = [str(name) for name in correlations.columns]
    cells = []
    for row, values in enumerate(correlations.to_numpy()):
        for column, value in enumerate(values):
            if isnan(value):
                continue
            x, y = margin + column * cell, row * cell
            cells.append(
                f'<rect x="{x:.0f}" y="{y:.0f}" width="25" height="25" fill="{_tint(float(value))}">'
                f"<title>{words(names[row], 63)} / {words(names[column], 63)}: {value:.2f}</title></rect>"
            )
            if row != column and abs(value) >= 0.3:
                cells.append(_label(x + 12.5, y + 17, f"{value:.1f}".replace("0.", "."), "middle"))
    side = len(names) * cell
    labels = [_label(margin - 6, n * cell + 17, name, "end", 22) for n, name in enumerate(names)]
    labels += [
        f'<text transform="translate({margin + n * cell + 16:.0f} {side + 6:.0f}) rotate(-90)" '
        f'text-anchor="end">{words(name, 22)}</text>'
        for n, name in enumerate(names)
    ]
    drawing = "".join([*cells, *labels])
    return _svg(margin + side, side + margin, drawing, "rank correlations", "matrix")


def signed_bar(value: float) -> str:
    """Return a bar from zero in the middle to ``value`` (-1 to 1)."""
    start, length = (100 + min(value, 0) * 100, abs(value) * 100)
    shapes = _filled([(start, 2, length, 10)], NOW if value < 0 else THEN)
    return _svg(200, 14, f'{shapes}<path d="M100 0v14" class="axis"/>', f"{value:.2f}", "signed")


def _histogram(drawn: Histogram, *, times: bool) -> str:
    width, height = 300.0, 90.0
    most = max([*drawn.now, *(drawn.then or ())], default=0) or 1
    heights = [share / most * height for share in drawn.now]
    step = width / len(heights)
    gap = 1.0 if len(heights) <= 30 else 0.5
    shapes = _filled(
        [(n * step, height - tall, step - gap, tall) for n, tall in enumerate(heights) if tall], NOW
    )
    if drawn.then is not None:
        outline = "".join(f"V{height - share / most * height:.1f}h{step:.2f}" for share in drawn.then)
        shapes += f'<path class="then" d="M0 {height:.0f}{outline}V{height:.0f}"/>'
    show = instant if times else number
    # A bin of one whole number is centred on it.
    inset = 0.5 if drawn.edges[1] - drawn.edges[0] == 1 and not times else 0.0
    labels = _label(0, height + 14, show(drawn.edges[0] + inset), "start")
    labels += _label(width, height + 14, show(drawn.edges[-1] - inset), "end")
    labels += _label(width, -4, f"{most:.0%}" if most >= 0.1 else f"{most:.1%}", "end")
    axis = f'<path class="axis" d="M0 {height:.0f}h{width:.0f}"/>'
    return _svg(width, height + 18, shapes + axis + labels, "shares of the rows")


def _bars(drawn: Bars) -> str:
    line, left, width = 17.0, 96.0, 300.0
    then = drawn.then or (0.0,) * len(drawn.now)
    most = max([*drawn.now, *then], default=0) or 1
    scale = (width - left - 44) / most
    rows, outlines, labels = [], [], ""
    for n, (label, now, before) in enumerate(zip(drawn.labels, drawn.now, then, strict=True)):
        y = n * line
        rows.append((left, y + 2, now * scale, line - 5))
        outlines.append(f"M{left + before * scale:.1f} {y:.0f}v{line - 1:.0f}")
        labels += _label(left - 5, y + 12, label, "end", 15)
        labels += _label(
            left + max(now, before) * scale + 5, y + 12, f"{now:.0%}" if now >= 0.1 else f"{now:.1%}", "start"
        )
    shapes = _filled(rows, NOW)
    if drawn.then is not None:
        shapes += f'<path class="then" d="{"".join(outlines)}"/>'
    return _svg(width, line * len(drawn.labels), shapes + labels, "shares of the rows")


def _filled(boxes: Iterable[tuple[float, float, float, float]], colour: str) -> str:
    """Return boxes (x, y, width, height) as one path."""
    path = "".join(f"M{x:.1f} {y:.1f}h{w:.1f}v{h:.1f}h-{w:.1f}z" for x, y, w, h in boxes)
    return f'<path fill="{colour}" d="{path}"/>' if path else ""


def _tint(value: float) -> str:
    red, green, blue = (217, 130, 43) if value > 0 else (59, 110, 168)
    strength = min(abs(value), 1.0)
    mixed = (round(255 - (255 - part) * strength) for part in (red, green, blue))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _label(x: float, y: float, text: str, anchor: str, most: int = 40) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words(text, most)}</text>'


def _svg(width: float, height: float, content: str, title: str, kind: str = "plot") -> str:
    # Few columns make a small matrix, not one of large letters.
    size = f' style="width:{width:.0f}px"' if kind == "matrix" else ""
    return (
        f'<svg class="{kind}"{size} viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{words(title)}">{content}</svg>'
    )

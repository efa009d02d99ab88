"""Charts as functions of plain values: numbers and names in, a drawing and its words out."""

from collections.abc import Sequence
from math import isnan

from nightshift.pages.document import Drawing, Label, Outline, Shape

Boxes = list[tuple[float, float, float, float]]
# Missing shares up to these are drawn at the strength beside them.
STRENGTHS = ((0.0, 0.0), (0.02, 0.15), (0.1, 0.35), (0.3, 0.55), (0.7, 0.8), (1.0, 1.0))
CELL, MARGIN = 26.0, 150.0


def night_bars(bars: Sequence[tuple[float | None, str, str]], told: str, ends: tuple[str, str]) -> Drawing:
    """Return one bar a night: (height from 0 to 1, or None, kind of shape, what pointing at it says)."""
    step, height = 9.0, 40.0
    shapes = []
    for n, (share, kind, words) in enumerate(bars):
        tall = height * (share or 0.0)
        shapes.append(Shape(((n * step, height - tall, step - 2, tall),), kind, words))
    return Drawing(len(bars) * step, height, tuple(shapes), told, wide=True, ends=ends)


def volumes(nights: Sequence[tuple[int, int, bool]], kind: str, told: str, ends: tuple[str, str]) -> Drawing:
    """Return one bar a night of (rows, rows set aside, failed): set aside on top, a tick below a night that failed."""
    height = 150.0
    most = max((rows + aside for rows, aside, _ in nights), default=0) or 1
    step = 1000.0 / max(len(nights), 1)
    bar, scale = step * (0.8 if len(nights) <= 120 else 1.0), height / most
    kept: Boxes = [
        (n * step, height - rows * scale, bar, rows * scale) for n, (rows, _, _) in enumerate(nights)
    ]
    aside: Boxes = [
        (n * step, height - (rows + more) * scale, bar, max(more * scale, 1.0))
        for n, (rows, more, _) in enumerate(nights)
        if more
    ]
    failed: Boxes = [(n * step, height + 2, bar, 4.0) for n, (_, _, failed) in enumerate(nights) if failed]
    shapes = (Shape(kept, kind), Shape(aside, "bad"), Shape(failed, "bad"))
    return Drawing(1000, height + 8, shapes, told, wide=True, ends=ends)


def histogram(
    now: Sequence[float], then: Sequence[float] | None, told: str, ends: tuple[str, str]
) -> Drawing:
    """Return shares of the rows a bin, the range compared with laid over it as an outline."""
    width, height = 300.0, 90.0
    most = max([*now, *(then or ())], default=0) or 1
    step = width / len(now)
    gap = 1.0 if len(now) <= 30 else 0.5
    tall = [share / most * height for share in now]
    boxes = [(n * step, height - one, step - gap, one) for n, one in enumerate(tall) if one]
    shapes: list[Shape | Outline] = [Shape(boxes, "now")]
    if then is not None:
        steps = "".join(f"V{height - share / most * height:.1f}h{step:.2f}" for share in then)
        shapes.append(Outline(f"M0 {height:.0f}{steps}V{height:.0f}", "then"))
    shapes.append(Outline(f"M0 {height:.0f}h{width:.0f}", "axis"))
    return Drawing(width, height + 1, tuple(shapes), told, wide=True, ends=ends)


def bars(labels: Sequence[str], now: Sequence[float], then: Sequence[float] | None, told: str) -> Drawing:
    """Return one bar a category with its share, a tick where the range compared with had it."""
    line, left, width = 17.0, 96.0, 300.0
    before = then or (0.0,) * len(now)
    scale = (width - left - 44) / (max([*now, *before], default=0) or 1)
    boxes: Boxes = [(left, n * line + 2, share * scale, line - 5) for n, share in enumerate(now)]
    shapes: list[Shape | Outline | Label] = [Shape(boxes, "now")]
    for n, (label, share, earlier) in enumerate(zip(labels, now, before, strict=True)):
        y = n * line + 12
        cut = label if len(label) <= 15 else f"{label[:14]}…"
        shapes += [
            Label(left - 5, y, cut, "end"),
            Label(left + max(share, earlier) * scale + 5, y, percent(share)),
        ]
    if then is not None:
        ticks = "".join(
            f"M{left + share * scale:.1f} {n * line:.0f}v{line - 1:.0f}" for n, share in enumerate(then)
        )
        shapes.append(Outline(ticks, "then"))
    return Drawing(width, line * len(labels), tuple(shapes), told)


def curves(lines: Sequence[tuple[str, Sequence[float]]], told: str, ends: tuple[str, str]) -> Drawing:
    """Return (kind of line, its values) over the same steps, and the line of 0."""
    width, height = 1000.0, 220.0
    values = [value for _, line in lines for value in line]
    low, high = min([0.0, *values]), max([0.0, *values])
    scale = height / ((high - low) or 1.0)
    longest = max((len(line) for _, line in lines), default=1)
    step = width / max(longest - 1, 1)

    def path(line: Sequence[float]) -> str:
        from_the_end = longest - len(line)
        points = (
            f"{(from_the_end + n) * step:.1f} {(high - value) * scale:.1f}" for n, value in enumerate(line)
        )
        return f"M{'L'.join(points)}"

    zero = Outline(f"M0 {high * scale:.1f}h{width:.0f}", "axis")
    drawn = tuple(Outline(path(line), kind) for kind, line in lines if line)
    return Drawing(width, height + 1, (zero, *drawn), told, wide=True, ends=ends)


def gaps(shares: Sequence[float], told: str) -> Drawing:
    """Return a strip, a cell a span of nights, stronger with more missing; NaN, a span without rows, is hollow."""
    cell, height = 6.0, 14.0
    boxes: dict[float, Boxes] = {}
    for n, share in enumerate(shares):
        box = (n * cell, 0.0, cell - 1, height)
        if isnan(share):
            continue
        boxes.setdefault(-1.0, []).append(box)
        boxes.setdefault(next(found for most, found in STRENGTHS if share <= most), []).append(box)
    ground = Shape(boxes.pop(-1.0, []), "empty")
    marks = [Shape(found, "then", strength=strength) for strength, found in boxes.items() if strength]
    return Drawing(cell * len(shares), height, (ground, *marks), told)


def signed_bar(value: float) -> Drawing:
    """Return a bar of a value from -1 to 1 that starts in the middle."""
    wide = min(abs(value), 1.0) * 70
    box = (70 - wide if value < 0 else 70.0, 2.0, wide, 10.0)
    shapes = (Shape((box,), "now" if value < 0 else "then"), Outline("M70 0v14", "axis"))
    return Drawing(140, 14, shapes, f"{value:.2f}")


def matrix(names: Sequence[str], values: Sequence[Sequence[float]], told: str) -> Drawing:
    """Return a heat map of values from -1 to 1 of n names, shape (n, n); a cell of NaN stays empty."""
    shapes: list[Shape | Label] = []
    for row, line in enumerate(values):
        shapes.append(Label(MARGIN - 6, row * CELL + 17, names[row][:24], "end"))
        shapes += [part for column, value in enumerate(line) for part in _tile(names, row, column, value)]
    deep = len(names) * CELL
    shapes += [
        Label(MARGIN + n * CELL + 16, deep + 12, name[:24], "end", tilted=True)
        for n, name in enumerate(names)
    ]
    return Drawing(MARGIN + deep + 10, deep + 140, tuple(shapes), told)


def _tile(names: Sequence[str], row: int, column: int, value: float) -> list[Shape | Label]:
    if isnan(value):
        return []
    x, y = MARGIN + column * CELL, row * CELL
    kind = "then" if value > 0 else "now"
    told = f"{names[row][:63]} / {names[column][:63]}: {value:.2f}"
    tile = Shape(((x, y, CELL - 1, CELL - 1),), kind, told, strength=min(abs(value), 1.0))
    if row == column or abs(value) < 0.3:
        return [tile]
    return [tile, Label(x + 12.5, y + 17, f"{value:.1f}".replace("0.", "."), "middle")]


def percent(share: float) -> str:
    """Return a share in a few characters: 12% or 3.4%."""
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"

"""What PostgreSQL must be able to hold: our own columns beside a spec's, its names, and how wide a row may be.

Light: specs are read each time DAG files are parsed. ``nightshift.warehouse`` makes the tables from the same
columns, so a name is reserved exactly if a table of ours has it.
"""

import unicodedata
from collections.abc import Iterable, Mapping

BATCH = {"batch_date": "date"}
RAW = {**BATCH, "known_at": "timestamp"}
LABEL = "label"
NO_CLASS = "no_class"  # what was reported, where it is none of the target's classes
LABELS = {**RAW, LABEL: "float", NO_CLASS: "string"}
SNAPSHOT = {**BATCH, LABEL: "float"}
PREDICTIONS = {
    **BATCH,
    "arm": "string",
    "prediction": "float",
    "model_version": "integer",
    "run_id": "string",
    "feature_version": "integer",
}
# Names that a source's columns, and a set's entity and features, must leave to us.
OURS_BESIDE_ROWS = frozenset(RAW)
OURS_BESIDE_FEATURES = frozenset({*RAW, *SNAPSHOT, *PREDICTIONS})
# Every table of PostgreSQL has these already.
SYSTEM = frozenset({"ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"})

NAME_BYTES = 63
COLUMNS = 1600
KEY_COLUMNS = 32
ROW_BYTES = 8160
HEADER_BYTES = 23
# Of a btree's entry, less its own eight bytes.
KEY_BYTES = 2704 - 8
# What the keys of our tables hold beside a spec's key: the batch date, and the arm of predictions.
OUR_KEY_BYTES = 64
OUR_KEY_COLUMNS = 2
# Bytes and alignment of a value. A text is at least its length byte; the long ones move out of the row.
WIDTHS = {
    "boolean": (1, 1),
    "date": (4, 4),
    "integer": (8, 8),
    "float": (8, 8),
    "timestamp": (8, 8),
    "string": (1, 1),
}
# Beyond, a text can be moved out of the row, and leaves so many bytes behind.
INLINE_BYTES, MOVED_BYTES = 23, 18


def check_columns(names: Iterable[str], ours: frozenset[str]) -> None:
    """Raise ValueError, naming each column that no table can have, and why."""
    wrong = list(filter(None, (_wrong(name, ours) for name in names)))
    wrong += _indistinct(names)
    if wrong:
        raise ValueError("; ".join(wrong))


def _wrong(name: str, ours: frozenset[str]) -> str | None:
    size = len(name.encode(errors="replace"))
    if not name.strip():
        return f"{name!r} is no name; a column needs one"
    if size > NAME_BYTES:
        return f"'{name[:80]}' has {size} bytes; PostgreSQL keeps {NAME_BYTES} of a name (an umlaut is two): rename it"
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in name):
        return f"{name!r} holds a control character; rename it"
    if name in ours:
        return f"'{name}' is a name of ours; rename it"
    if name in SYSTEM:
        return f"'{name}' is a column that PostgreSQL gives every table; rename it"
    return None


def _indistinct(names: Iterable[str]) -> list[str]:
    """Return what is wrong with names that are one on every screen: the same letters, otherwise encoded."""
    seen: dict[str, str] = {}
    wrong = []
    for name in names:
        other = seen.setdefault(unicodedata.normalize("NFC", name), name)
        if other != name:
            wrong.append(f"'{name}' is there twice, otherwise encoded ({other!a}, {name!a})")
    return wrong


def check_key(names: list[str]) -> None:
    """Raise ValueError for a key that no table can have."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"'{twice[0]}' is named twice")
    most = KEY_COLUMNS - OUR_KEY_COLUMNS
    if len(names) > most:
        raise ValueError(f"{len(names)} columns; PostgreSQL's keys have room for {most} beside ours")


def check_width(columns: Mapping[str, str], ours: Mapping[str, str]) -> None:
    """Raise ValueError if a table of these columns (name to type) and ours cannot be made, or holds no whole row."""
    kinds = [*columns.values(), *(kind for name, kind in ours.items() if name not in columns)]
    if len(kinds) > COLUMNS:
        raise ValueError(
            f"{len(columns)} columns; PostgreSQL's tables have room for {COLUMNS - len(ours)} beside ours: divide them"
        )
    size = row_bytes(kinds)
    if size > ROW_BYTES:
        raise ValueError(
            f"{len(columns)} columns make rows of {size:,} bytes; PostgreSQL's have room for {ROW_BYTES:,} "
            "(8 a number or timestamp, 4 a date, 1 a boolean): divide them, or leave some out"
        )


def row_bytes(kinds: Iterable[str]) -> int:
    """Return the bytes of a row with a value in every column, its texts empty."""
    kinds = list(kinds)
    size = _aligned(HEADER_BYTES + -(-len(kinds) // 8), 8)
    for width, alignment in map(WIDTHS.__getitem__, kinds):
        size = _aligned(size, alignment) + width
    return _aligned(size, 8)


def _aligned(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment

"""The text of a source's spec: what was found, and in comments what was guessed. Pure."""

import json
import re

from nightshift.drafts.inference import Inferred
from nightshift.freeform import Declared, Jsonable
from nightshift.specs.tables import OURS_BESIDE_ROWS

PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_/.]*")
# What YAML 1.1 takes for something else than text.
WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
OFFSET = (
    "A guess. -1: the night of D collects the day before, the last one that is over.",
    "0: the rows of D are there before D begins, as a plan's are.",
)


def draft(connector: Declared, found: Inferred, *, owner: str, description: str, of_more: str = "") -> str:
    """Return the YAML of a source with this connector.

    ``of_more``: why it declares only some of the columns that its file has; the others are then left out.
    """
    first, last = found.nights[0], found.nights[-1]
    nights = f"the night of {first}" if first == last else f"{len(found.nights)} nights, {first} .. {last}"
    lines = [
        f"# Drafted from {found.rows} rows: {nights}. What says 'guess' is one: read it, then edit it.",
        f"owner: {scalar(owner)}",
        f"description: {scalar(description)}",
        "connector:",
        *_connector(connector, found.doubts),
        *_key(found),
        *_known_at(found),
        *_clock(found),
        *([*(f"# {line}" for line in of_more.splitlines()), "other_columns: ignore"] if of_more else []),
        "columns:",
        *_columns(found),
        "# Guesses: ranges with as much room again on either side; sets of values only where no value came late.",
        "expectations:",
        *(
            f"  - {name}: {flow(arguments)}"
            for item in found.expectations
            for name, arguments in item.items()
        ),
        "# A batch fails when more rows than this break a rule.",
        "budget: {share: 0.05}",
    ]
    return "\n".join(lines) + "\n"


def scalar(value: object) -> str:
    """Return a value as YAML, quoted where YAML would read something else."""
    if isinstance(value, str):
        if PLAIN.fullmatch(value) and value.lower() not in WORDS:
            return value
        # YAML folds the line breaks of Unicode, and refuses what else JSON leaves unescaped.
        return "".join(
            letter if letter.isprintable() else f"\\U{ord(letter):08x}"
            for letter in json.dumps(value, ensure_ascii=False)
        )
    return json.dumps(value)


def prose(text: str) -> str:
    """Return text of data as a comment or a docstring may hold it: one line, and nothing in it that ends either."""
    unquoted = text.replace("\\", "/").replace('"', "'")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in unquoted).split())


def flow(mapping: Jsonable) -> str:
    """Return a mapping on one line."""
    shown = (
        f"[{', '.join(map(scalar, value))}]" if isinstance(value, list) else scalar(value)
        for value in mapping.values()
    )
    return "{" + ", ".join(f"{scalar(key)}: {text}" for key, text in zip(mapping, shown, strict=True)) + "}"


def _connector(connector: Declared, doubts: tuple[str, ...]) -> list[str]:
    lines = []
    for key, value in connector.items():
        if key == "dialect":
            lines += [f"  # A guess: {prose(doubt)}" for doubt in doubts]
        if key == "offset_days":
            lines += [f"  # {line}" for line in OFFSET]
        lines.append(f"  {key}: {flow(value) if isinstance(value, dict) else scalar(value)}")
    return lines


def _key(found: Inferred) -> list[str]:
    best, *others = found.keys
    line = f"key: [{', '.join(map(scalar, best))}]  # guess: unique in what was seen"
    if others:
        shown = "; ".join(" + ".join(names) for names in others[:3])
        line += f"; so are: {prose(shown)}"
    return [*(f"# A guess: {prose(doubt)}" for doubt in found.rows_doubts), line]


def _known_at(found: Inferred) -> list[str]:
    if found.known_at_by_name:
        return [f"known_at: {scalar(found.known_at_by_name)}  # guess: never after the night's cut-off"]
    if found.known_at:
        return [
            "# Only if it says when a row became known; without it, at the cut-off of the night that collected it:",
            f"# known_at: {scalar(found.known_at[0])}",
        ]
    return []


def _clock(found: Inferred) -> list[str]:
    lines = [f"# {prose(doubt)}" for doubt in found.clock.doubts]
    return [*lines, f"timezone: {found.clock.timezone}"] if found.clock.timezone else lines


def _columns(found: Inferred) -> list[str]:
    lines = []
    for name, guess in found.columns.items():
        about: Declared = {"type": guess.type}
        about |= {"nullable": True} if guess.nullable else {}
        about |= {"may_be_empty": True} if guess.may_be_empty else {}
        note = "  # a name of ours: alias it in the source" if name in OURS_BESIDE_ROWS else ""
        lines.append(f"  {scalar(name)}: {flow(about)}{note}")
    return lines

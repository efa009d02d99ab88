"""A notebook that opens exactly one snapshot and looks at it with pandas. Built here; it holds no outputs.

nbformat 4.5, written as JSON: its format is small, and the library that writes it is no part of the runtime.
"""

import json
from typing import Any

from nightshift.explore.examine import LABEL, Exploration
from nightshift.pages.words import plain

OPEN = """\
import hashlib, io, os

import fsspec
import matplotlib.pyplot as plt
import pandas as pd

KEY = {key!r}
SHA256 = {sha256!r}
# A path or URL of the file, if it lies elsewhere than below NIGHTSHIFT_OBJECTS.
PATH = None

location = PATH or os.environ["NIGHTSHIFT_OBJECTS"].rstrip("/") + "/" + KEY
with fsspec.open(location, "rb") as file:
    content = file.read()
found = hashlib.sha256(content).hexdigest()
if found != SHA256:
    raise ValueError(f"{{location}} is not the snapshot: expected sha256 {{SHA256}}, found {{found}}")
rows = pd.read_parquet(io.BytesIO(content))
rows["batch_date"] = pd.to_datetime(rows["batch_date"])
numbers = rows.select_dtypes("number")
rows.shape"""
HEAD = "rows.head()"
DESCRIBE = 'rows.describe(include="all").transpose()'
MISSING = """\
missing = rows.isna().mean().sort_values(ascending=False)
missing[missing > 0]"""
MISSING_BY_NIGHT = """\
missing_by_night = rows.isna().groupby(rows["batch_date"]).mean()
shown = missing_by_night.loc[:, missing_by_night.max() > 0]
if not shown.empty:
    shown.plot(figsize=(12, 4), title="Missing share a night");"""
NIGHTS = """\
rows_by_night = rows.groupby("batch_date").size()
rows_by_night.plot(figsize=(12, 3), title="Rows of the snapshot a night");"""
HISTOGRAMS = """\
drawn = numbers.dropna(axis="columns", how="all")
if not drawn.empty:
    drawn.hist(bins=30, figsize=(14, 2.2 * (len(drawn.columns) // 4 + 1)), layout=(-1, 4))
    plt.tight_layout()"""
CORRELATIONS = """\
correlations = numbers.corr(method="spearman")
correlations.round(2)"""
TARGET = """\
with_label = correlations["label"].drop("label").dropna()
with_label.reindex(with_label.abs().sort_values(ascending=False).index)"""

OF_CLASSES = """\
numbers.groupby(rows["label"]).mean().transpose()"""


def notebook(exploration: Exploration, key: str, sha256: str) -> bytes:
    """Return the notebook of the snapshot at ``key`` of the file store, whose hash is ``sha256``."""
    cells = [
        _text(_about(exploration, key, sha256)),
        _code(OPEN.format(key=key, sha256=sha256)),
        *map(_code, (HEAD, DESCRIBE, MISSING, MISSING_BY_NIGHT, NIGHTS, HISTOGRAMS, CORRELATIONS)),
        *_with_label(exploration),
    ]
    numbered = [{"id": f"cell-{n}", **cell} for n, cell in enumerate(cells)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {
        "cells": numbered,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False).encode()


def _with_label(e: Exploration) -> list[dict[str, Any]]:
    if not e.subject.target:
        return []
    return [_code(OF_CLASSES if e.subject.columns[LABEL] == "string" else TARGET)]


def _about(e: Exploration, key: str, sha256: str) -> str:
    facts = [
        ("nights", str(e.question.nights)),
        ("rows", f"{e.rows:,}, of which {e.sampled:,} are in the snapshot"),
        ("snapshot", f"`{key}` in the file store (`NIGHTSHIFT_OBJECTS`)"),
        ("sha256", f"`{sha256}`"),
        ("spec", f"`{e.subject.spec_sha256}`"),
    ]
    if e.subject.target:
        facts.append(
            (
                "label",
                f"of model `{e.subject.target}`, as it was known at the cut-off of {e.question.nights.last}",
            )
        )
    lines = "\n".join(f"- {name}: {value}" for name, value in facts)
    # A notebook renders Markdown, and HTML in it: the spec's words are words.
    return f"# {plain(e.subject.title)}\n\n{plain(e.subject.description)}\n\n{lines}"


def _text(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source.splitlines(keepends=True)}


def _code(source: str) -> dict[str, Any]:
    empty: dict[str, Any] = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    return {**empty, "source": source.splitlines(keepends=True)}

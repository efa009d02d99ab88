"""The drift report: our decision on all rows, then Evidently's pictures of a bounded sample.

One self-contained page. What comes from data is untrusted: Evidently writes column names and categories
into a script as they are, so both are escaped before it sees them. Rare, long and address-like values are
not shown at all. The page's content security policy lets it fetch nothing.

Importing this module imports Evidently (10 CPU-s); deciding about drift does not.
"""

import os
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nightshift.distributions import FEWEST_ROWS, nameable
from nightshift.masks import masked
from nightshift.pages import Cell, Document, Note, Section, Status, Table, Tone, above
from nightshift.pages.words import html
from nightshift.records.monitoring import DriftResult, FeatureDrift, Reason

# Read by Evidently when it is imported: no usage statistics.
os.environ["DO_NOT_TRACK"] = "1"
with warnings.catch_warnings():
    # Evidently still reads numpy.core.
    warnings.simplefilter("ignore", DeprecationWarning)
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

SAMPLE_ROWS = 2000
# 30 columns of pictures keep the page under 6 MB; Evidently's own scripts are 3.6 MB of it.
MOST_COLUMNS = 30
MOST_CATEGORIES = 15
# A value shown by name stands for at least FEWEST_ROWS rows of the samples, and for this share of them.
SMALLEST_SHARE = 0.005

EMPTY = "<!DOCTYPE html><html><head></head><body></body></html>"
STATUS = {"ok": "no drift", "drifted": "drifted", "too_few_rows": "too few rows to judge"}
TONES: dict[str, Tone] = {
    "ok": "good",
    **dict.fromkeys(("drifted", "breached", "degraded"), "bad"),
}
VERDICTS = {
    "ok": "The night is fine",
    "breached": "The night breached",
    "too_few_rows": "The night was not judged",
}
HEADINGS = ("feature", "PSI", "limit", "noise bound", "missing now", "in training", "importance", "finding")


@dataclass(frozen=True)
class Decided:
    """What was decided of the night, of which drift is half. ``performance``: status and words, if measured."""

    status: str
    retrain: bool
    reason: str
    performance: tuple[str, str] | None = None
    reasons: tuple[Reason, ...] = ()


def render(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    title: str,
    summary: DriftResult,
    decided: Decided | None = None,
    expected: str | None = None,
) -> bytes:
    """Return the report as one UTF-8 HTML page.

    ``decided`` comes first: a night may breach without drift. ``expected``: what the night is worth before its labels,
    in words. ``summary`` is shown in full. Of ``reference`` and
    ``current`` (any number of rows; columns as in the summary, others may be there) at most 2,000 rows each and 30
    columns are drawn, drifted ones first, then by importance. Columns without two values to draw, and those that
    Evidently cannot draw, are named instead. The same arguments draw the same sample.
    """
    shared = [name for name in _by_interest(reference, summary) if name in current.columns]
    drawn = [name for name in shared if _drawable(reference[name]) and _drawable(current[name])][
        :MOST_COLUMNS
    ]
    left_out = [name for name in shared if name not in drawn]
    old, new = (sample(frame[drawn], SAMPLE_ROWS, seed=0) for frame in (reference, current))
    drawing, failed = _drawing(old, new, summary)
    document = Document(
        title=masked(title),
        about="",
        notes=(*_decided(decided), *_expected(expected), _drift(summary), *_shift(summary)),
        sections=(
            *_reasons(decided),
            Section("Drift of the features", _features(summary)),
            Section("Distributions", _note(len(old), len(new), left_out, failed)),
        ),
    )
    return above(document, drawing).encode()


def sample(frame: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """Return at most ``rows`` rows, drawn without replacement and kept in order; all of a smaller frame."""
    if len(frame) <= rows:
        return frame.reset_index(drop=True)
    chosen = np.random.default_rng(seed).choice(len(frame), rows, replace=False)
    return frame.iloc[np.sort(chosen)].reset_index(drop=True)


def shown(text: str) -> str:
    """Return ``text`` for Evidently, which writes it into its script as it is: escaped, addresses struck out."""
    return html(masked(text))


def _by_interest(reference: pd.DataFrame, summary: DriftResult) -> list[str]:
    judged = {f.name: (not (f.drifted or f.ruined), -f.importance) for f in summary.features}
    return sorted(map(str, reference.columns), key=lambda name: judged.get(name, (True, 1.0)))


def _drawable(values: pd.Series) -> bool:
    return int(values.count()) > 1


def _drawing(
    reference: pd.DataFrame, current: pd.DataFrame, summary: DriftResult
) -> tuple[str, dict[str, str]]:
    """Return the pictures, and why a column has none. One that cannot be drawn does not take the others with it."""
    if reference.columns.empty:
        return EMPTY, {}
    try:
        return _draw(reference, current, summary), {}
    except Exception:  # noqa: BLE001 which column it is, Evidently does not say
        failed = _undrawable(reference, current, summary)
    kept = [name for name in reference.columns if name not in failed]
    if not kept:
        return EMPTY, failed
    try:
        return _draw(reference[kept], current[kept], summary), failed
    except Exception as error:  # noqa: BLE001 none of them alone, but all together: the decision is worth a page without pictures
        return EMPTY, {**failed, **dict.fromkeys(map(str, kept), _said(error))}


def _undrawable(reference: pd.DataFrame, current: pd.DataFrame, summary: DriftResult) -> dict[str, str]:
    failed = {}
    for name in reference.columns:
        try:
            _draw(reference[[name]], current[[name]], summary)
        except Exception as error:  # noqa: BLE001 whatever its libraries raise
            failed[str(name)] = _said(error)
    return failed


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:120]}"


def _draw(reference: pd.DataFrame, current: pd.DataFrame, summary: DriftResult) -> str:
    names = _distinct(list(reference.columns))
    numeric = [
        name for name in reference.columns if _is_number(reference[name]) and _is_number(current[name])
    ]
    limits = {f.name: max(f.limit, f.critical) for f in summary.features}
    old, new = reference.copy(), current.copy()
    for name in names:
        if name in numeric:
            old[name], new[name] = old[name].astype("float64"), new[name].astype("float64")
        else:
            old[name], new[name] = _named(old[name], new[name])
    definition = DataDefinition(
        numerical_columns=[names[name] for name in numeric],
        categorical_columns=[name for key, name in names.items() if key not in numeric],
    )
    metrics = [
        ValueDrift(column=name, method="psi", threshold=limits.get(key, 0.2)) for key, name in names.items()
    ]
    old_data, new_data = (Dataset.from_pandas(f.rename(columns=names), definition) for f in (old, new))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(Report(metrics).run(new_data, old_data).get_html_str(as_iframe=False))


def _distinct(columns: list[str]) -> dict[str, str]:
    """Return the name to show for each column, numbered where masking made two alike."""
    names = {name: shown(name) for name in columns}
    if len(set(names.values())) == len(names):
        return names
    return {name: f"{number}. {label}" for number, (name, label) in enumerate(names.items(), start=1)}


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)


def _named(reference: pd.Series, current: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return two columns as escaped category names, rare and unnameable values as "(other)"."""
    both = pd.concat([reference, current]).astype("str")
    frequency = both.value_counts()
    frequent = frequency[frequency >= max(FEWEST_ROWS, SMALLEST_SHARE * len(both))]
    known = {value: shown(value) for value in map(str, frequent.index) if nameable(value)}
    kept = dict(list(known.items())[:MOST_CATEGORIES])

    def name(values: pd.Series) -> pd.Series:
        named = values.astype("str").map(kept).astype("object")
        return named.where(named.notna(), "(other)").where(values.notna(), "(missing)")

    return name(reference), name(current)


def _decided(decided: Decided | None) -> tuple[Note, ...]:
    if decided is None:
        return ()
    then = "; it asks for retraining" if decided.retrain else "; no retraining is asked for"
    words = f"{VERDICTS.get(decided.status, decided.status)}{then}. {masked(decided.reason)}"
    verdict = Note(words, TONES.get(decided.status, "warn"))
    if decided.performance is None:
        return verdict, Note("Performance: nothing was measured.", "quiet")
    status, reason = decided.performance
    return verdict, Note(f"Performance: {status}. {masked(reason)}", TONES.get(status, "warn"))


def _expected(words: str | None) -> tuple[Note, ...]:
    """Return the estimate; it decides nothing, and says so."""
    if words is None:
        return ()
    said = (
        f"Before labels: {masked(words)}. It cannot see that the same rows now end otherwise (concept drift)."
    )
    return (Note(said, "quiet"),)


def _reasons(decided: Decided | None) -> tuple[Section, ...]:
    if decided is None or not decided.reasons:
        return ()
    rows = tuple(
        (
            each.name,
            Status("asks", "bad") if each.asks else "",
            "not judged" if each.value is None else f"{each.value:,.4g}",
            "" if each.limit is None else f"{each.limit:,.4g}",
            masked(each.words),
        )
        for each in decided.reasons
    )
    return (
        Section("What asks for retraining", (Table(("reason", "", "now", "limit", "what it saw"), rows),)),
    )


def _drift(summary: DriftResult) -> Note:
    reasons = "".join(f" {masked(reason)}." for reason in summary.reasons)
    words = f"Drift: {STATUS[summary.status]}, decided on all {summary.rows:,} rows.{reasons}"
    return Note(words, TONES.get(summary.status, "warn"))


def _shift(summary: DriftResult) -> tuple[Note, ...]:
    """Return the evidence over nights in words."""
    found = summary.shift
    if found is None:
        return ()
    moved = "".join(f" {masked(words)}." for words in found.words)
    said = (
        f"Evidence of a shift over {found.nights} nights since training: {found.evidence:,.1f}; without one it passes "
        f"{found.alarm:,.0f} about once a year.{moved}"
    )
    return (Note(said, "warn" if found.evidence >= found.alarm else "quiet"),)


def _features(summary: DriftResult) -> tuple[str | Table, ...]:
    rows = tuple(_row(feature) for feature in sorted(summary.features, key=lambda f: -f.importance))
    return *_overall(summary), Table(HEADINGS, rows)


def _overall(summary: DriftResult) -> tuple[str, ...]:
    if summary.drifted_share is None or summary.prediction_psi is None:
        return ()
    told = (
        f"Importance drifted: {summary.drifted_share:.0%}. "
        f"Predictions: PSI {summary.prediction_psi:.3f}, limit {summary.prediction_limit:.3f}."
    )
    of_classes = [
        f"{masked(each.name)} {each.psi:.3f} of {each.limit:.3f}{' (drifted)' if each.drifted else ''}"
        for each in summary.predictions
    ]
    return (told, f"PSI of each class's probability: {'; '.join(of_classes)}.") if of_classes else (told,)


def _row(feature: FeatureDrift) -> tuple[Cell, ...]:
    finding = "ruined" if feature.ruined else "drifted" if feature.drifted else ""
    numbers = [f"{value:.3f}" for value in (feature.psi, feature.limit, feature.critical)]
    shares = [f"{value:.1%}" for value in (feature.missing_now, feature.missing_then, feature.importance)]
    return masked(feature.name), *numbers, *shares, Status(finding, "bad") if finding else ""


def _note(
    reference_rows: int, current_rows: int, left_out: list[str], failed: dict[str, str]
) -> tuple[str, ...]:
    drawn = (
        f"Drawn by Evidently from a random sample of {current_rows:,} rows of this window and {reference_rows:,} of "
        "the training data; its scores are the sample's. Rare and long values are shown as (other)."
    )
    said = [drawn]
    if left_out:
        names = ", ".join(map(masked, left_out))
        said.append(f"Not drawn (no values, or beyond the {MOST_COLUMNS} columns that fit): {names}.")
    said += [
        f"Not drawn, since Evidently cannot: {masked(name)} ({masked(why)}). It is judged above like the others."
        for name, why in failed.items()
    ]
    return tuple(said)

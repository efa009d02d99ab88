"""The drift report: our decision on all rows, then Evidently's pictures of a bounded sample.

One self-contained page. What comes from data is untrusted: Evidently writes column names and categories
into a script as they are, so both are escaped before it sees them. Rare, long and address-like values are
not shown at all. The page's content security policy lets it fetch nothing.

Importing this module imports Evidently (10 CPU-s); deciding about drift does not.
"""

import os
import warnings
from html import escape

import numpy as np
import pandas as pd

from nightshift.distributions import FEWEST_ROWS, nameable
from nightshift.masks import EMAIL
from nightshift.monitor.drift import DriftResult, FeatureDrift

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

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "font-src data:; img-src data: blob:; base-uri 'none'; form-action 'none'"
)
STYLE = """
.nightshift { font: 15px/1.5 system-ui, sans-serif; color: #1c2330; max-width: 76rem; margin: 2rem auto;
  padding: 0 1.5rem }
.nightshift h1 { font-size: 1.5rem; margin: 0 0 .25rem }
.nightshift h2 { font-size: 1.1rem; margin: 2rem 0 0 }
.nightshift p { margin: .4rem 0 }
.nightshift .status { padding: .1rem .6rem; border-radius: 1rem; font-weight: 600 }
.nightshift .drifted { background: #fbe3df; color: #8c1d0c }
.nightshift .ok { background: #e0f2e4; color: #14532d }
.nightshift .too_few_rows { background: #fdf0d0; color: #6b4a00 }
.nightshift .scroll { overflow-x: auto }
.nightshift table { border-collapse: collapse; width: 100%; margin-top: 1rem }
.nightshift th, .nightshift td { padding: .3rem .7rem; border-bottom: 1px solid #dfe3ea; text-align: right }
.nightshift th { font-weight: 600; background: #f4f6f9 }
.nightshift th:first-child, .nightshift td:first-child { text-align: left }
.nightshift tr.breach td { background: #fdf3f1 }
"""
EMPTY = "<!DOCTYPE html><html><head></head><body></body></html>"
STATUS = {"ok": "no drift", "drifted": "drifted", "too_few_rows": "too few rows to judge"}
HEADINGS = ("feature", "PSI", "limit", "noise bound", "missing now", "in training", "importance", "finding")


def render(reference: pd.DataFrame, current: pd.DataFrame, title: str, summary: DriftResult) -> bytes:
    """Return the report as one UTF-8 HTML page.

    ``summary`` is shown in full. Of ``reference`` and ``current`` (any number of rows; columns as in the
    summary, others may be there) at most 2,000 rows each and 30 columns are drawn, drifted ones first, then
    by importance. Columns without two values to draw, and those that Evidently cannot draw, are named instead. The same
    arguments draw the same sample.
    """
    decided = _decision(title, summary)
    shared = [name for name in _by_interest(reference, summary) if name in current.columns]
    drawn = [name for name in shared if _drawable(reference[name]) and _drawable(current[name])][
        :MOST_COLUMNS
    ]
    left_out = [name for name in shared if name not in drawn]
    old, new = (sample(frame[drawn], SAMPLE_ROWS, seed=0) for frame in (reference, current))
    drawing, failed = _drawing(old, new, summary)
    note = _note(len(old), len(new), left_out, failed)
    return _compose(drawing, title, f"{decided}{note}").encode()


def sample(frame: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """Return at most ``rows`` rows, drawn without replacement and kept in order; all of a smaller frame."""
    if len(frame) <= rows:
        return frame.reset_index(drop=True)
    chosen = np.random.default_rng(seed).choice(len(frame), rows, replace=False)
    return frame.iloc[np.sort(chosen)].reset_index(drop=True)


def shown(text: str) -> str:
    """Return ``text`` for the page: escaped, with what looks like an e-mail address masked."""
    return escape(EMAIL.sub("[address]", text))


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


def _decision(title: str, summary: DriftResult) -> str:
    reasons = "".join(f"<p>{shown(reason)}</p>" for reason in summary.reasons)
    rows = "".join(_row(feature) for feature in sorted(summary.features, key=lambda f: -f.importance))
    head = "".join(f'<th scope="col">{heading}</th>' for heading in HEADINGS)
    table = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    return (
        f"<h1>{shown(title)}</h1>"
        f'<p><span class="status {summary.status}">{STATUS[summary.status]}</span> '
        f"decided on all {summary.rows:,} rows</p>{reasons}{_overall(summary)}{table if rows else ''}"
    )


def _overall(summary: DriftResult) -> str:
    if summary.drifted_share is None or summary.prediction_psi is None:
        return ""
    of_classes = [
        f"{shown(each.name)} {each.psi:.3f} of {each.limit:.3f}{' (drifted)' if each.drifted else ''}"
        for each in summary.predictions
    ]
    classes = f"<p>PSI of each class's probability: {'; '.join(of_classes)}.</p>" if of_classes else ""
    return (
        f"<p>Importance drifted: {summary.drifted_share:.0%}. "
        f"Predictions: PSI {summary.prediction_psi:.3f}, limit {summary.prediction_limit:.3f}.</p>{classes}"
    )


def _row(feature: FeatureDrift) -> str:
    finding = "ruined" if feature.ruined else "drifted" if feature.drifted else ""
    numbers = [f"{value:.3f}" for value in (feature.psi, feature.limit, feature.critical)]
    shares = [f"{value:.1%}" for value in (feature.missing_now, feature.missing_then, feature.importance)]
    cells = "".join(f"<td>{cell}</td>" for cell in [shown(feature.name), *numbers, *shares, finding])
    row = "<tr class='breach'>" if finding else "<tr>"
    return f"{row}{cells}</tr>"


def _note(reference_rows: int, current_rows: int, left_out: list[str], failed: dict[str, str]) -> str:
    names = ", ".join(map(shown, left_out))
    missing = (
        f"<p>Not drawn (no values, or beyond the {MOST_COLUMNS} columns that fit): {names}.</p>"
        if names
        else ""
    )
    missing += "".join(
        f"<p>Not drawn, since Evidently cannot: {shown(name)} ({shown(why)}). It is judged above like the others.</p>"
        for name, why in failed.items()
    )
    return (
        "<h2>Distributions</h2>"
        f"<p>Drawn by Evidently from a random sample of {current_rows:,} rows of this window and "
        f"{reference_rows:,} of the training data; its scores are the sample's. Rare and long values "
        f"are shown as (other).</p>{missing}"
    )


def _compose(drawing: str, title: str, decided: str) -> str:
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{shown(title)}</title><style>{STYLE}</style>"
    )
    page = drawing.replace("<head>", f"<head>{head}", 1)
    return page.replace("<body>", f'<body><main class="nightshift">{decided}</main>', 1)

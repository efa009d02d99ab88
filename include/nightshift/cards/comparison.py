"""Two versions side by side, for a pull request: both on the same frozen holdout, scored now."""

from dataclasses import dataclass

from nightshift.cards.record import Record
from nightshift.metrics import METRICS, better
from nightshift.pages import Document, Link, Part, Section, Table
from nightshift.records.decisions import Scores


@dataclass(frozen=True)
class Side:
    """A version, its metrics on the holdout, and its run."""

    version: int
    metrics: Scores
    run_id: str
    url: str


@dataclass(frozen=True)
class Comparison:
    """``ours``: the version asked about, whose record and holdout it is. ``theirs``: what it is held against."""

    record: Record
    ours: Side
    theirs: Side
    champion: int | None


def compared(found: Comparison) -> Document:
    """Return the comparison as a document."""
    record, ours, theirs = found.record, found.ours, found.theirs
    snapshot, held_out = record.snapshot, record.counts
    return Document(
        title=f"{record.spec.name}: version {ours.version} against version {theirs.version}",
        about=f"{_standing(found)} Both were scored now, on the holdout of version {ours.version}: "
        f"{held_out.holdout_rows} rows, {snapshot.holdout_first} to {snapshot.holdout_last}{_as_what(found)}.",
        sections=(
            Section("Metrics", (_metrics(ours, theirs),)),
            Section("Gates", _gates(record)),
            Section("Links", (_links(found),)),
        ),
    )


def _as_what(found: Comparison) -> str:
    """Return which fits were scored, where a version has two."""
    refit, ours, theirs = found.record.version.refit, found.ours.version, found.theirs.version
    if refit is None:
        return ""
    return (
        f"; version {ours} as it was judged (it serves fitted to {refit.last}), version {theirs} as it serves"
    )


def _standing(found: Comparison) -> str:
    for side in (found.theirs, found.ours):
        if side.version == found.champion:
            return f"Version {side.version} is the champion."
    return "Neither is the champion."


def _metrics(ours: Side, theirs: Side) -> Table:
    rows = []
    for name in sorted({*ours.metrics, *theirs.metrics}):
        mine, other = ours.metrics.get(name), theirs.metrics.get(name)
        difference = None if mine is None or other is None else mine - other
        rows.append(
            (
                name,
                mine,
                other,
                None if difference is None else f"{difference:+.6g}",
                _word(name, mine, other),
            )
        )
    head = ("Metric", f"Version {ours.version}", f"Version {theirs.version}", "Difference", "")
    return Table(head, tuple(rows))


def _word(metric: str, mine: float | None, other: float | None) -> str:
    if mine is None or other is None or metric not in METRICS:
        return ""
    return "same" if mine == other else "better" if better(metric, mine, other) else "worse"


def _gates(record: Record) -> tuple[Part, ...]:
    decision = record.decision
    if decision is None:
        return ("Its training has no decision.",)
    champion = f"version {decision.champion}" if decision.champion is not None else "no champion"
    outcome = "passed" if decision.passed else "rejected"
    rows = tuple((gate.gate, gate.passed, gate.words) for gate in decision.gates)
    return f"Judged against {champion} as of {decision.as_of}: {outcome}.", Table(
        ("Gate", "Passed", "Words"), rows
    )


def _links(found: Comparison) -> Table:
    record = found.record
    runs = tuple(
        (f"MLflow run of version {s.version}", Link(s.run_id, s.url)) for s in (found.ours, found.theirs)
    )
    facts = (
        ("Snapshot (sha256)", record.snapshot.snapshot_id),
        ("Code commit", record.version.code_commit),
        ("Evidence (sha256)", record.decision.evidence_sha256 if record.decision else None),
    )
    return Table((), runs + facts)

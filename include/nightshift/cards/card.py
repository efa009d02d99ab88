"""The model card of a version: what it predicts, what it is made of, how it was judged, and where its limits are.

Every sentence follows from the record. What was not recorded is not on the card, or the card says so.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from nightshift.cards.record import Record
from nightshift.masks import masked
from nightshift.pages import Bullets, Document, Link, Note, Part, Section, Table
from nightshift.records.decisions import Slice
from nightshift.records.ledger import Entry
from nightshift.records.snapshots import EACH_DELIVERY
from nightshift.specs import Model, class_column

# Below this many rows of the holdout a slice's metrics are noise.
FEW_ROWS = 200
# A feature that lacks this share of its values is a limit worth knowing.
MUCH_MISSING = 0.2
MOST_NAMED = 10
SIGNED = {"answer": "Answer", "signed_by": "Signed by", "comment": "Comment", "signed_at": "Signed at"}
SBOM_FILE = "sbom.cdx.json"


def card(record: Record, packages: int) -> Document:
    """Return the card of a version. ``packages``: how many its bill of materials lists."""
    spec = record.spec
    return Document(
        title=f"{spec.name}, version {record.version.version}",
        about=spec.description,
        notes=(_standing(record),),
        sections=(
            Section("What it predicts", (_predicts(spec),)),
            Section("Data", _data(record)),
            Section("Model", (_model(record),)),
            Section("Metrics on the holdout", _metrics(record)),
            Section("Gates and decision", _decision(record)),
            Section("In service", _service(record)),
            Section("Why it was trained", _cause(record)),
            Section("Known limits", (Bullets(tuple(limits(record))),)),
            Section("Made with", _made_with(record, packages)),
        ),
    )


def _standing(record: Record) -> Note:
    """Return what became of the version, in a sentence."""
    decision = record.decision
    if record.promotions:
        last = record.promotions[-1]
        return Note(f"Promoted: champion from the night of {last.effective_from}.", "good")
    if decision is None:
        return Note("Not judged yet: there is no decision.", "warn")
    if not decision.passed:
        failed = ", ".join(gate.gate for gate in decision.gates if not gate.passed)
        return Note(f"Rejected by its gates: {failed or 'see below'}.", "bad")
    return Note("It passed its gates and was never promoted.", "warn")


def limits(record: Record) -> Iterator[str]:
    """Yield what is known to limit the version, a sentence each."""
    yield from _limits_of_the_fits(record)
    yield from _limits_of_the_rows(record)
    if record.spec.near_perfect:
        yield f"A score too good to be true is expected of it: {record.spec.near_perfect.reason}"
    yield from _limits_of_the_judgement(record)
    if record.unseeded:
        yield "Its estimator has a random_state, and none is set: trained again, it may come out otherwise."


def _limits_of_the_rows(record: Record) -> Iterator[str]:
    """Yield what its rows lacked; of an imported version nobody knows which they were."""
    found = record.counts
    if record.version.brought:
        return
    if found.without_rows:
        named = ", ".join(str(night) for night in found.without_rows[:MOST_NAMED])
        # Of what was not drawn, the snapshot does not tell whether it was there.
        is_drawn = record.spec.train.half_life_days or found.fitted_rows >= record.spec.train.max_rows
        what = "a row that was labelled and drawn" if is_drawn else "a labelled row"
        yield f"Nights of these without {what}: {len(found.without_rows)}, the first are {named}."
    for name, share in sorted(found.missing.items()):
        if share >= MUCH_MISSING:
            yield f"{name} is missing in {share:.0%} of the rows it was fitted on."


def _limits_of_the_fits(record: Record) -> Iterator[str]:
    found, snapshot, refit = record.counts, record.snapshot, record.version.refit
    if brought := record.version.brought:
        yield (
            f"Which rows it was fitted on is not known, only what {brought.by} said: none of days after "
            f"{brought.trained_until}."
        )
    else:
        yield (
            f"It was fitted on {found.fitted_nights} nights, {snapshot.train_first} to {snapshot.train_last}, and "
            f"knows no other{' where it was judged' if refit else ''}."
        )
    if refit:
        yield f"What serves was fitted on the nights up to {refit.last}, those that it was judged on among them."
    yield (
        f"It was judged on {found.holdout_rows} rows of {found.holdout_nights} nights, {snapshot.holdout_first} "
        f"to {snapshot.holdout_last}, and on no others."
    )


def _limits_of_the_judgement(record: Record) -> Iterator[str]:
    evaluation = record.evaluation
    if record.decision is None:
        yield "It has not been judged: there is no decision."
        return
    if record.decision.champion is None:
        yield "It was compared with no champion: there was none."
    for name, value in sorted(evaluation.metrics.items()):
        if value is None:
            yield f"{name} is undefined on this holdout."
    few = [
        f"{masked(name)} ({part.rows})" for name, part in evaluation.slices.items() if part.rows < FEW_ROWS
    ]
    if few:
        yield f"Slices with fewer than {FEW_ROWS} rows, whose metrics say little: {', '.join(few[:MOST_NAMED])}."


def _predicts(spec: Model) -> Table:
    return Table(
        (),
        (
            ("Owner", spec.owner),
            ("Task", spec.kind),
            *_truth(spec),
            ("From", f"feature set {spec.features}"),
        ),
    )


def _truth(spec: Model) -> Iterator[tuple[str, str]]:
    target = spec.target
    if target is None:
        yield "Its truth", "is not known: the model has no target, and nothing of it was measured"
        return
    yield "Says", f"P({target.rule})" if spec.kind == "classification" else target.rule
    if spec.classes:
        yield "Of the classes (column)", ", ".join(f"{name} ({class_column(name)})" for name in spec.classes)
    yield "Its truth is complete after", f"{target.matures_after_days} nights"


def _data(record: Record) -> tuple[Part, ...]:
    snapshot, found = record.snapshot, record.counts
    facts = Table(
        (),
        (
            ("Snapshot (sha256)", snapshot.snapshot_id),
            ("File", snapshot.object_key),
            ("Trained as of", snapshot.as_of),
            ("Feature set", f"{snapshot.feature_set}, version {snapshot.feature_version}"),
            _fitted_on(record),
            *_refitted_on(record),
            (
                "Holdout",
                f"{snapshot.holdout_first} to {snapshot.holdout_last}: {found.holdout_rows} rows",
            ),
            ("Lineage id", f"model version {record.id}"),
        ),
    )
    sources = tuple(
        (each.source, each.role, each.batches, each.first, each.last, each.unknown) for each in record.sources
    )
    head = ("Source", "For", "Deliveries", "First night", "Last night", "Of unknown content")
    how = f"Each delivery by its id: {EACH_DELIVERY}; downstream_id is the snapshot's hash."
    return facts, Table(head, sources), how


def _fitted_on(record: Record) -> tuple[str, str]:
    snapshot, brought = record.snapshot, record.version.brought
    if brought:
        return (
            "Fitted",
            f"elsewhere, on days until {brought.trained_until}: so said {brought.by}, who brought it",
        )
    rows, train = record.counts.fitted_rows, record.spec.train
    how = (
        f", drawn by hash so that one of {train.half_life_days} days earlier counts half"
        if train.half_life_days
        else ""
    )
    how += ", the most that are kept: drawn by hash" if rows >= train.max_rows else ""
    return "Fitted on", f"{snapshot.train_first} to {snapshot.train_last}: {rows} rows{how}"


def _refitted_on(record: Record) -> Iterator[tuple[str, str]]:
    refit = record.version.refit
    if refit:
        yield (
            "Fitted again, to serve, on",
            f"{record.snapshot.train_first} to {refit.last}: {refit.rows} rows",
        )


def _of_the_judged(record: Record) -> Iterator[tuple[str, str]]:
    refit = record.version.refit
    if refit:
        yield "Model file that was judged (sha256)", refit.judged_sha256
        yield "Its predictions on the snapshot (sha256)", refit.judged_predictions_sha256


def _model(record: Record) -> Table:
    spec, version = record.spec, record.version
    params = tuple((f"estimator.{name}", value) for name, value in sorted(spec.estimator.params.items()))
    return Table(
        (),
        (
            ("Estimator", spec.estimator.named),
            *params,
            *((f"encoding.{name}", words) for name, words in sorted(record.encodings.items())),
            ("Model file (sha256)", version.artifact_sha256),
            ("Spec (sha256)", version.spec_sha256),
            ("Predictions on its snapshot (sha256)", version.predictions_sha256 or "not recorded"),
            *_of_the_judged(record),
            ("Training", version.training_id),
            ("MLflow run", Link(version.mlflow_run_id, record.url)),
        ),
    )


def _metrics(record: Record) -> tuple[Part, ...]:
    found = record.evaluation
    if record.decision and record.spec.target is None:
        return ("Nothing was measured: there are no labels.",)
    if not found.metrics:
        return ("Not judged yet.",)
    rows = tuple(
        (name, value, *_between(found.intervals.get(name)), (found.champion_metrics or {}).get(name))
        for name, value in sorted(found.metrics.items())
    )
    parts: list[Part] = [Table(("Metric", "This version", "From", "To", "Champion then"), rows)]
    if found.recalibrated:
        parts.append("Of what both would have served: recalibrated each night, by labels known then.")
    if not found.intervals:
        parts.append("The decision kept no intervals.")
    if found.slices:
        parts.append(_slices(found.slices, sorted(found.metrics)))
    return tuple(parts)


def _between(interval: tuple[float, float] | None) -> tuple[float | None, float | None]:
    return interval or (None, None)


def _slices(slices: Mapping[str, Slice], metrics: list[str]) -> Table:
    rows = tuple(
        (masked(name), part.rows, *(part.challenger.get(metric) for metric in metrics))
        for name, part in sorted(slices.items())
    )
    return Table(("Slice", "Rows", *metrics), rows)


def _decision(record: Record) -> tuple[Part, ...]:
    decision = record.decision
    if decision is None:
        return ("There is no decision.",)
    gates = tuple((gate.gate, gate.passed, gate.words) for gate in decision.gates)
    champion = decision.champion
    facts = (
        ("Outcome", "passed" if decision.passed else "rejected"),
        ("Judged against", f"version {champion}" if champion is not None else "no champion"),
        ("As of", decision.as_of),
        ("Reason", decision.reason),
        ("Decided at", decision.decided_at),
        ("Evidence (sha256)", decision.evidence_sha256),
        *_where_recorded(decision, {"approval": "Sign-off", "requested_by": "Asked for by"}),
        *_where_recorded(record.signature, SIGNED),
    )
    return Table(("Gate", "Passed", "In words"), gates), Table((), facts)


def _where_recorded(row: object, names: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for column, name in names.items():
        if (value := getattr(row, column, None)) is not None:
            yield name, value


def _service(record: Record) -> tuple[Part, ...]:
    if not record.promotions:
        return ("It was never promoted.",)
    tables = []
    for entry in record.promotions:
        facts = (
            ("Ledger entry", entry.entry),
            *_where_recorded(entry, {"kind": "Kind"}),
            ("Champion from the night of", entry.effective_from),
            ("Promoted by", _promoter(record, entry)),
            ("Reason", entry.reason),
            ("Promoted at", entry.promoted_at),
            ("Evidence (sha256)", entry.evidence_sha256),
            *_where_recorded(entry, {"entry_sha256": "Entry (sha256)"}),
        )
        tables.append(Table((), facts))
    return tuple(tables)


def _promoter(record: Record, entry: Entry) -> str:
    """Return who promoted it. Of what drift started, Airflow names a person who chose nothing."""
    request = record.request
    if request is None or record.signature or entry.training_id != record.version.training_id:
        return entry.actor
    asked = request.requested_by
    sensor = f"the verdict sensor of retrain_{record.spec.name}, for the night of {request.batch_date}"
    return f"{sensor}; {asked} had that night asked" if asked else sensor


def _cause(record: Record) -> tuple[Part, ...]:
    request = record.request
    if request is None:
        reason = record.decision.reason if record.decision else "not recorded"
        return (f"No request to retrain stands behind it. Its reason: {reason}",)
    drifted = tuple(
        (masked(one.name), one.psi, one.limit, one.missing_then, one.missing_now, one.importance)
        for one in (request.drift.features if request.drift else ())
        if one.drifted or one.ruined
    )
    head = ("Drifted feature", "PSI", "Limit", "Missing then", "Missing now", "Importance")
    return f"The night of {request.batch_date} asked for it: {masked(request.request)}", Table(head, drifted)


def _made_with(record: Record, packages: int) -> tuple[Part, ...]:
    version = record.version
    facts = (
        ("Code commit", version.code_commit),
        ("Lock file (sha256)", version.lock_sha256),
        ("Bill of materials (CycloneDX)", Link(f"{packages} packages with their licences", SBOM_FILE)),
    )
    return (Table((), facts),)

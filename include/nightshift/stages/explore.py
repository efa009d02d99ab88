"""Explore the rows of a range: freeze a sample, draw the page, write the notebook, record who looked and why.

Nothing here changes a partition. The files are named by their content: the same question over the same rows
gives the same files.
"""

import hashlib
import json
from datetime import date

import pandas as pd

from nightshift import explore, featurise, kept, results
from nightshift.calendar import DateRange
from nightshift.errors import NotReady, RequestError, did_you_mean
from nightshift.explore import LABEL, Question, Subject
from nightshift.platform import Platform, Try
from nightshift.platform.inputs import read_labels
from nightshift.records import catalog as records
from nightshift.records import deliveries
from nightshift.records.catalog import Exploration
from nightshift.specs import Model, Source
from nightshift.types import to_parquet
from nightshift.warehouse import Table, feature_table, raw_table


def explore_source(
    platform: Platform, name: str, question: Question, asked: Try, *, actor: str, reason: str
) -> results.Explored:
    """Explore the accepted rows of a source, with the volumes of those that were set aside.

    Raises:
        NotReady: no rows in the range, or in the range compared with.
    """
    source = platform.project.source(name)
    table = raw_table(source)
    subject = Subject(
        key=f"source_{name}",
        title=f"Source {name}",
        description=source.description,
        columns={column: spec.type for column, spec in source.columns.items()},
        identity=tuple(source.key),
        spec_sha256=_sha256_of(source),
    )
    rows = _rows(platform, table, question.nights, f"collect_{name}")
    compared = _rows(platform, table, question.compared, f"collect_{name}") if question.compared else None
    found = explore.examine(subject, question, rows, compared, _set_aside(platform, name, question))
    return _keep(platform, found, rows, asked, actor=actor, reason=reason)


def explore_features(
    platform: Platform,
    name: str,
    question: Question,
    asked: Try,
    *,
    target: str | None,
    actor: str,
    reason: str,
) -> results.Explored:
    """Explore a feature set, beside the label of the model ``target`` as known at the range's last cut-off.

    Raises:
        NotReady: no rows in the range, or in the range compared with.
        RequestError: no such model on this set.
    """
    spec = platform.project.feature_set(name)
    model = _model_on(platform, name, target) if target else None
    columns = {**dict.fromkeys(spec.entity, "string"), **spec.columns}
    subject = Subject(
        key=f"features_{name}",
        title=f"Feature set {name}, version {spec.version}",
        description=spec.description,
        columns={**columns, LABEL: "string" if model.classes else "float"} if model else columns,
        identity=tuple(spec.entity),
        spec_sha256=featurise.definition_sha256(spec),
        target=target,
        classes=model is not None and model.task == "classification",
    )
    ranges = [question.nights, question.compared] if question.compared else [question.nights]
    frames = [_rows(platform, feature_table(spec), nights, f"features_{name}") for nights in ranges]
    if model:
        frames = [
            _with_label(platform, model, frame, nights) for frame, nights in zip(frames, ranges, strict=True)
        ]
    found = explore.examine(subject, question, frames[0], frames[1] if question.compared else None)
    return _keep(platform, found, frames[0], asked, actor=actor, reason=reason)


def _keep(
    platform: Platform, found: explore.Exploration, rows: pd.DataFrame, asked: Try, *, actor: str, reason: str
) -> results.Explored:
    """Write the snapshot, the page and the notebook; record them. Return their keys."""
    subject, question = found.subject, found.question
    folder = kept.explorations(subject.key)
    frozen = explore.sampled(rows, subject.identity, question.sample)
    about = {"subject": subject.key, "nights": question.nights, "spec_sha256": subject.spec_sha256}
    snapshot_key, digest = platform.objects.put_once(folder, to_parquet(frozen, **about), ".parquet")
    report_key, _ = platform.objects.put_once(folder, explore.render(found, digest), ".html")
    notebook = explore.notebook(found, snapshot_key, digest)
    notebook_key, _ = platform.objects.put_once(folder, notebook, ".ipynb")
    compared = question.compared
    platform.warehouse.run(
        records.EXPLORED,
        Exploration(
            subject=subject.key,
            first_night=question.nights.first,
            last_night=question.nights.last,
            compared_first=compared.first if compared else None,
            compared_last=compared.last if compared else None,
            target=subject.target,
            row_count=found.rows,
            snapshot_sha256=digest,
            snapshot_key=snapshot_key,
            report_key=report_key,
            notebook_key=notebook_key,
            spec_sha256=subject.spec_sha256,
            reason=reason,
            actor=actor,
            run_id=asked.run_id,
            try_number=asked.number,
        ),
    )
    return {
        "subject": subject.key,
        "rows": found.rows,
        "sampled": found.sampled,
        "snapshot": snapshot_key,
        "report": report_key,
        "notebook": notebook_key,
    }


def _rows(platform: Platform, table: Table, nights: DateRange, dag: str) -> pd.DataFrame:
    platform.warehouse.ensure(table)
    rows = platform.warehouse.read(table, nights.first, nights.last)
    if rows.empty:
        raise NotReady(
            f"{table.qualified} has no rows in {nights}; run {dag} for these nights, or ask for others"
        )
    return rows


def _set_aside(platform: Platform, name: str, question: Question) -> dict[date, tuple[int, bool]]:
    """Return, a night, the rows that its last judged batch set aside, and whether that batch failed."""
    ranges = [question.nights, *([question.compared] if question.compared else [])]
    batches = platform.warehouse.all(
        deliveries.BATCHES,
        source=name,
        first=min(nights.first for nights in ranges),
        last=max(nights.last for nights in ranges),
    )
    return {batch.batch_date: (batch.rejected, batch.status == "failed") for batch in batches}


def _model_on(platform: Platform, feature_set: str, target: str) -> Model:
    models = {m.name: m for m in platform.project.models.values() if m.features == feature_set and m.target}
    if target not in models:
        raise RequestError(
            f"target: no model '{target[:60]}' on feature set '{feature_set}'{did_you_mean(target[:60], models)}"
        )
    if LABEL in platform.project.feature_set(feature_set).columns:
        raise RequestError(
            f"target: feature set '{feature_set}' has a column '{LABEL}' of its own; leave target empty"
        )
    return models[target]


def _with_label(platform: Platform, model: Model, rows: pd.DataFrame, nights: DateRange) -> pd.DataFrame:
    entity = platform.project.feature_set(model.features).entity
    truth = read_labels(platform, model, nights.first, nights.last)
    if model.classes:
        truth[LABEL] = truth[LABEL].map(dict(enumerate(model.classes))).astype("str")
    return rows.merge(truth, on=entity, how="left", validate="many_to_one")


def _sha256_of(source: Source) -> str:
    return hashlib.sha256(json.dumps(source.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

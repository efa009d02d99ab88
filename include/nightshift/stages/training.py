"""Train and promote. Each step can be repeated: what a training has already done is found by its id."""

import hashlib
import io
import json
import logging
import os
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from datetime import date, timedelta
from importlib.metadata import packages_distributions
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from nightshift import artifacts, metrics, train
from nightshift.calendar import DateRange
from nightshift.environment import environment
from nightshift.errors import Barred, NotReady, RequestError
from nightshift.govern import Ledger, Outcome, Promotion, outcome_of, write_outcome
from nightshift.monitor.profile import build_profile
from nightshift.specs import FeatureSet, Model
from nightshift.stages.clock import require_same_clock
from nightshift.stages.lineage import Origin, freeze, origin
from nightshift.stages.platform import Facts, Platform, Try
from nightshift.stages.scoring import known_labels, own_code
from nightshift.stages.searching import find
from nightshift.train.plots import plots
from nightshift.types import as_numbers, to_frame, to_parquet
from nightshift.warehouse import Json, feature_table, raw_table

log = logging.getLogger(__name__)

REPOSITORY = Path(__file__).resolve().parents[3]
PACKAGES = ("scikit-learn", "skops", "numpy", "pandas")
EXAMPLES = 50  # rows of the holdout whose predictions are kept, for a fresh process to repeat
# With the run of a version: the spec as it was, and what it was trained with.
SPEC_FILE, ENVIRONMENT_FILE = "spec.json", "environment.json"


def snapshot(platform: Platform, name: str, as_of: date, asked: Try) -> Facts:
    """Freeze the rows a training as of ``as_of`` may use: features, and labels known at that cut-off.

    Raises:
        NotReady: too few labelled rows, none in the holdout, or all of one class here or there.
        SpecError: an outcome is none of ``target.classes``.
    """
    require_same_clock(platform)
    model = platform.project.model(name)
    feature_set = platform.project.feature_set(model.features)
    dates = train.training_dates(model, as_of, platform.project.settings.first_night)
    rows, made_of = _known_rows(platform, model, feature_set, dates, as_of)
    held_out = _require_enough(model, rows, dates, as_of)
    # The split is part of what is frozen: the same rows, split otherwise, are another snapshot. So is what their labels
    # mean.
    content = to_parquet(rows, model=name, as_of=as_of, **asdict(dates), target=_definition(model))
    key, digest = platform.objects.put_once(f"snapshots/{name}", content, ".parquet")
    with platform.warehouse.transaction() as cursor:
        cursor.execute(
            "INSERT INTO governance.snapshots (snapshot_id, model, as_of, feature_set, feature_version, object_key, "
            "row_count, train_first, train_last, holdout_first, holdout_last) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (snapshot_id) DO NOTHING",
            (
                digest,
                name,
                as_of,
                feature_set.set,
                feature_set.version,
                key,
                len(rows),
                dates.train_first,
                dates.train_last,
                dates.holdout_first,
                dates.holdout_last,
            ),
        )
        if cursor.rowcount:  # frozen now: the same rows frozen again keep what they were first made of
            freeze(cursor, digest, feature_set, made_of)
    return {"snapshot_id": digest, "rows": len(rows), "holdout_rows": held_out}


def fit(platform: Platform, name: str, snapshot_id: str, asked: Try, *, reason: str) -> Facts:
    """Fit, log and register the version of this training; a retry finds what an earlier try finished.

    Raises:
        RequestError: the model is not trained here.
        FitFailed: its estimator could not be fitted on these rows.
    """
    model = platform.project.model(name)
    if not model.estimator.is_trained:
        raise RequestError(
            f"model '{name}' is not trained here; bring a version: nightshift import {name} FILE --trained-until DATE"
        )
    known = version_of(platform, asked.run_id)
    if known:
        return trained(platform, known)
    facts, rows = read_snapshot(platform, snapshot_id, model)
    return register(
        platform,
        model,
        facts,
        asked,
        reason,
        lambda run_id: _fit_and_log(platform, model, facts, rows, run_id, asked),
    )


def register(
    platform: Platform, model: Model, facts: Facts, asked: Try, reason: str, make: Callable[[str], Facts]
) -> Facts:
    """Make the version of this training: logged and registered in one run, then recorded. Returns what is told of it.

    ``facts``: the snapshot's. ``make``: logs a model in the run of that id, and returns what its version's row says.
    """
    own = provenance(model)
    tags = {**own, "nightshift.reason": reason, "nightshift.snapshot": facts["snapshot_id"]}
    run_id = platform.registry.run_of(model.name, asked.run_id, tags=tags)
    with platform.registry.ending(run_id):
        made = make(run_id)
        version = platform.registry.register(model.name, run_id, tags=tags)
    row = {
        "model": model.name,
        "version": version,
        "mlflow_run_id": run_id,
        "training_id": asked.run_id,
        **{name.removeprefix("nightshift."): value for name, value in own.items()},
        **{name: facts[name] for name in ("snapshot_id", "feature_set", "feature_version")},
        **{name: Json(value) if isinstance(value, dict) else value for name, value in made.items()},
    }
    marks = ", ".join(["%s"] * len(row))
    platform.warehouse.execute(
        f"INSERT INTO governance.versions ({', '.join(row)}) VALUES ({marks})",  # noqa: S608 our own names
        tuple(row.values()),
    )
    return trained(platform, {"version": version, "mlflow_run_id": run_id})


def promote(platform: Platform, name: str, as_of: date, asked: Try, *, actor: str) -> Facts:
    """Make the challenger of a decision that passed the champion: the ledger first, then the alias.

    It takes effect on ``as_of``, or after the last night that has been scored since: a promotion never
    changes a night that is done. ``actor``: who, if the decision needs no signature; else who signed is.

    The training's outcome is written with what decides it, for :func:`conclude`.

    Returns:
        ``outcome``: promoted, rejected, timed out; or stale, if the champion changed while a signature was waited for.

    Raises:
        NotReady: the gates have not run, nobody has signed, or the champion changed since.
        Barred: the challenger is a copy of a version that was taken out of service by hand.
    """
    decision = decision_of(platform, asked.run_id)
    if decision is None:
        raise NotReady(f"training '{asked.run_id}' has no decision; clear 'evaluate'")
    if not decision["passed"]:
        return {"version": decision["challenger"], "outcome": "rejected"}
    ledger = Ledger(platform.warehouse, name)
    entry = ledger.promotion_of(asked.run_id)
    if entry is None:
        signed = _signed(platform, ledger, decision)
        if signed["answer"] != "approved":
            return {"version": decision["challenger"], "outcome": signed["answer"]}
        _refuse(platform, ledger, decision)
        effective_from = first_unscored(platform, name, as_of)
        who = signed["signed_by"] or actor
        entry = ledger.append(training_id=asked.run_id, effective_from=effective_from, actor=who)
    serve_head(platform, ledger)
    return {"version": entry.version, "outcome": "promoted", "effective_from": str(entry.effective_from)}


def serve_head(platform: Platform, ledger: Ledger) -> None:
    """Point the alias at the newest entry of a ledger, and keep outside the database what the ledger is by now.

    The newest also when this repeats an older promotion or rollback.
    """
    with ledger.held() as head:
        if head is not None:
            anchor(platform, ledger, head)
            platform.registry.promote(ledger.model, head.version)


def anchor(platform: Platform, ledger: Ledger, head: Promotion) -> None:
    """Keep the newest seal with the champion's version in the registry, and in the log of this task."""
    sealed = ledger.anchor()
    platform.registry.anchor(ledger.model, head.version, head.entry, sealed)
    log.info(
        "ledger of %s: entry %s, version %s, newest seal %s", ledger.model, head.entry, head.version, sealed
    )


def signature_of(platform: Platform, training_id: str) -> Facts | None:
    """Return what was answered to the decision of a training, or None."""
    return platform.warehouse.row(
        "SELECT answer, signed_by, comment, evidence_sha256 FROM governance.signatures WHERE training_id = %s",
        (training_id,),
    )


def is_stale(ledger: Ledger, decision: Facts) -> bool:
    """Return whether the champion is another than the one that the challenger was compared with."""
    head = ledger.head()
    return (head.version if head else None) != decision["champion"]


def _signed(platform: Platform, ledger: Ledger, decision: Facts) -> Facts:
    """Return the answer to a decision and who gave it; ``stale`` if it was given for another champion than now's."""
    if decision["approval"] == "auto":
        return {"answer": "approved", "signed_by": None}
    signature = signature_of(platform, decision["training_id"])
    if signature is None or signature["evidence_sha256"] != decision["evidence_sha256"]:
        raise NotReady(
            f"training '{decision['training_id']}' is not signed; version {decision['challenger']} is promoted only "
            "once an approver has signed this evidence. Clear 'ask'"
        )
    if signature["answer"] == "approved" and is_stale(ledger, decision):
        _settle(platform, decision, "stale")
        return {**signature, "answer": "stale"}
    return signature


def _refuse(platform: Platform, ledger: Ledger, decision: Facts) -> None:
    """Raise NotReady if the champion is another than the challenger has beaten, Barred if the challenger is barred."""
    if is_stale(ledger, decision):
        _settle(platform, decision, "stale")
        head = ledger.head()
        judged = f"version {decision['champion']}" if decision["champion"] else "no champion"
        raise NotReady(
            f"training '{decision['training_id']}' was judged against {judged}; the champion is version "
            f"{head.version if head else None} now. Train again: it was never compared with that one"
        )
    try:
        ledger.refuse_barred(decision["challenger"])
    except Barred:
        _settle(platform, decision, "barred")
        raise


def first_unscored(platform: Platform, name: str, as_of: date) -> date:
    """Return ``as_of``, or the night after the last one that has been scored since."""
    row = platform.warehouse.row(
        "SELECT max(batch_date) AS last FROM catalog.prediction_batches WHERE model = %s AND batch_date >= %s",
        (name, as_of),
    )
    return row["last"] + timedelta(days=1) if row and row["last"] else as_of


def _settle(platform: Platform, decision: Facts, outcome: Outcome) -> None:
    with platform.warehouse.transaction() as cursor:
        write_outcome(cursor, decision["training_id"], outcome)


def conclude(platform: Platform, asked: Try) -> Facts:
    """Give the request that started this training its outcome as it was written, so that the next one may start.

    Raises:
        NotReady: the training ended without any; its outcome is ``failed``.
    """
    outcome = outcome_of(platform.warehouse, asked.run_id) or "failed"
    platform.warehouse.execute(
        "UPDATE monitoring.retrain_requests SET outcome = %s WHERE training_id = %s", (outcome, asked.run_id)
    )
    if outcome == "failed":
        raise NotReady(f"training '{asked.run_id}' failed; the task that failed says why. The champion stays")
    return {"outcome": outcome}


def read_snapshot(
    platform: Platform, snapshot_id: str, model: Model | None = None
) -> tuple[Facts, pd.DataFrame]:
    """Return a snapshot's facts and rows. ``model``: whose labels they are to be.

    Raises:
        ArtifactRefused: the file is not what was frozen.
        NotReady: there is none, or the model's target is another than the one it was frozen with.
    """
    facts = platform.warehouse.row(
        "SELECT * FROM governance.snapshots WHERE snapshot_id = %s", (snapshot_id,)
    )
    if facts is None:
        raise NotReady(f"no snapshot {snapshot_id}; clear 'snapshot'")
    content = platform.objects.get(facts["object_key"])
    artifacts.check_sha256(content, snapshot_id, f"snapshot {facts['object_key']}")
    table = pq.read_table(io.BytesIO(content))
    if model is not None:
        _require_same_target(model, table.schema.metadata or {}, facts)
    return facts, to_frame(table)


def _definition(model: Model) -> str:
    return model.target.definition if model.target else "none"


def _require_same_target(model: Model, about: dict[bytes, bytes], facts: Facts) -> None:
    """Raise NotReady unless labels of a snapshot mean what the spec declares. Old ones tell their classes only."""
    if b"target" in about:
        frozen, declared = about[b"target"].decode(), _definition(model)
    else:
        frozen, declared = about.get(b"classes", b"[]").decode(), json.dumps(model.classes)
    if frozen != declared:
        raise NotReady(
            f"model '{model.name}': its target is {declared} now; the snapshot as of {facts['as_of']} was frozen with "
            f"{frozen}: its labels mean others. Undo the change, or train again (trigger train_{model.name})"
        )


def _require_enough(model: Model, rows: pd.DataFrame, dates: train.TrainingDates, as_of: date) -> int:
    """Return how many rows are held out. Raises NotReady if they, or those to fit on, are too few or all alike."""
    later = rows["batch_date"] >= pd.Timestamp(dates.holdout_first)
    held_out = int(later.sum())
    if len(rows) - held_out < model.train.min_rows or not held_out:
        raise NotReady(
            f"model '{model.name}' as of {as_of}: {len(rows) - held_out} labelled rows in {dates.train_first}.."
            f"{dates.train_last} (train.min_rows: {model.train.min_rows}), {held_out} in the holdout; "
            f"run features_{model.features} for these nights"
        )
    _require_difference(model, rows[~later]["label"], "to fit on", dates.train_first, dates.train_last)
    _require_difference(model, rows[later]["label"], "held out", dates.holdout_first, dates.holdout_last)
    return held_out


def _require_difference(model: Model, label: pd.Series, what: str, first: date, last: date) -> None:
    """Raise NotReady if all labels are of one class: there is nothing to tell apart, and no gate could judge it."""
    if model.target is None or model.kind == "regression" or label.nunique() > 1:
        return
    number, target = int(label.iloc[0]), model.truth
    only = f"'{model.classes[number]}'" if model.classes else f"{number} ({target.rule}: {bool(number)})"
    raise NotReady(
        f"model '{model.name}': all {len(label)} labels {what}, {first}..{last}, are {only}. More nights may have "
        f"others (train.window_days: {model.train.window_days}, holdout_days: {model.train.holdout_days}), or train as "
        f"of a later night; if the column never says anything else, look at key 'target.{target.form}'"
    )


def _known_rows(
    platform: Platform, model: Model, feature_set: FeatureSet, dates: train.TrainingDates, as_of: date
) -> tuple[pd.DataFrame, Origin]:
    """Return the feature rows with the labels known as of a date, and what they are made of; without a target, all."""
    table, nights = feature_table(feature_set), DateRange(dates.train_first, dates.holdout_last)
    platform.warehouse.ensure(table)
    source = model.target.source if model.target else ""
    if source:
        platform.warehouse.ensure(raw_table(platform.project.source(source)))
    with platform.warehouse.reading() as reading:
        features = reading.read(table, nights.first, nights.last)
        if not source:
            return features.assign(label=np.nan), origin(reading, feature_set, nights, source, ())
        truth, reported = known_labels(reading, platform, model, dates.train_first, as_of)
        made_of = origin(reading, feature_set, nights, source, reported)
    return train.labelled(features, truth, feature_set.entity), made_of


def split(facts: Facts, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows to fit on and the holdout."""
    dates = rows["batch_date"]
    last, first = pd.Timestamp(facts["train_last"]), pd.Timestamp(facts["holdout_first"])
    return rows[dates <= last], rows[dates >= first]


def _fit_and_log(
    platform: Platform, declared: Model, facts: Facts, rows: pd.DataFrame, run_id: str, asked: Try
) -> Facts:
    feature_set = platform.project.feature_set(declared.features)
    fitting, holdout = split(facts, rows)
    found = find(platform, declared, fitting, facts["snapshot_id"], asked.run_id)
    model = found.model
    own = platform.project.own
    pipeline = train.fit(model, feature_set, fitting, fitting["label"], own)
    artifacts.check(pipeline, own.types)
    scores = train.predict(pipeline, holdout, model.classes)
    weights = train.importance(model, pipeline, holdout, holdout["label"])
    features = fitting[list(feature_set.columns)]
    out_of_fold = train.out_of_fold(model, feature_set, fitting, fitting["label"], own)
    profile = build_profile(
        features, out_of_fold, fitting["batch_date"], weights, model.drift, classes=model.classes
    )
    registry = platform.registry
    registry.log(
        run_id,
        params={**_params(train.as_fitted(model, pipeline), facts), **found.params()},
        metrics={**_training_metrics(model, fitting, holdout, out_of_fold, scores), **found.metrics()},
    )
    for file, content in plots(model, holdout["label"].to_numpy(), scores, weights).items():
        registry.log_file(run_id, f"plots/{file}", content)
    registry.log_file(run_id, SPEC_FILE, spec_text(declared))
    registry.log_file(
        run_id, ENVIRONMENT_FILE, {**environment(), "own_code": own.code([model.estimator.named])}
    )
    if model.estimator.path:
        registry.log_file(run_id, f"train_{model.name}.py", train.script(model, facts, pipeline))
    if found.trials:
        registry.log_file(run_id, "trials.json", found.table())
    registry.log_dataset(
        run_id,
        frame=rows.head(100),
        uri=platform.objects.uri(facts["object_key"]),
        name=f"{model.features} as of {facts['as_of']}",
        digest=facts["snapshot_id"],
        target="label",
    )
    content = registry.log_model(
        run_id,
        pipeline,
        example=as_numbers(features.head(50)),
        packages=packages_of(model),
        trusted=artifacts.allowed(own.types),
    )
    return {
        "artifact_sha256": artifacts.seal(content, own.types),
        "own_code": own_code(own, content),
        "profile": profile.to_json(),
        "examples": {
            "predictions": scores[:EXAMPLES].tolist(),
            "features": dict(feature_set.columns),
            "out_of_fold": metrics.score(model.kind, fitting["label"], out_of_fold),
        },
        "predictions_sha256": train.predictions_sha256(train.predict(pipeline, rows, model.classes)),
        "train_first": facts["train_first"],
        "train_last": facts["train_last"],
    }


def _training_metrics(
    model: Model, fitting: Any, holdout: Any, out_of_fold: Any, scores: Any
) -> dict[str, float | None]:
    found = {f"holdout_{k}": v for k, v in metrics.score(model.kind, holdout["label"], scores).items()}
    inside = metrics.score(model.kind, fitting["label"], out_of_fold)
    return {**found, **{f"out_of_fold_{k}": v for k, v in inside.items()}}


def _params(model: Model, facts: Facts) -> Facts:
    named = ("train_first", "train_last", "holdout_first", "holdout_last", "row_count", "feature_version")
    return {
        "estimator": model.estimator.named,
        **model.estimator.params,
        **{f"encoding.{column}": encoding for column, encoding in model.encoding.items()},
        **{name: facts[name] for name in named},
    }


def packages_of(model: Model) -> list[str]:
    """Return what the file of a version needs to be opened, pinned."""
    library = model.estimator.named.partition(".")[0]
    others = packages_distributions().get(library, []) if library != "sklearn" else []
    return [f"{package}=={installed(package)}" for package in (*PACKAGES, *others)]


def version_of(platform: Platform, training_id: str) -> Facts | None:
    """Return the version that a training registered, or None."""
    return platform.warehouse.row(
        "SELECT version, mlflow_run_id, training_id, snapshot_id, artifact_sha256, train_last, "
        "own_code, examples FROM governance.versions WHERE training_id = %s",
        (training_id,),
    )


def decision_of(platform: Platform, training_id: str) -> Facts | None:
    """Return the decision of a training, or None."""
    return platform.warehouse.row("SELECT * FROM governance.decisions WHERE training_id = %s", (training_id,))


def trained(platform: Platform, row: Facts) -> Facts:
    """Return what a task tells of a version."""
    return {
        "version": row["version"],
        "mlflow_run_id": row["mlflow_run_id"],
        "url": platform.registry.url(row["mlflow_run_id"]),
    }


def provenance(model: Model) -> dict[str, str]:
    """Return what a version stands on: spec, code and packages."""
    return {
        "nightshift.spec_sha256": hashlib.sha256(spec_text(model).encode()).hexdigest(),
        "nightshift.code_commit": code_commit(),
        "nightshift.lock_sha256": lock_sha256(),
    }


def spec_text(model: Model) -> str:
    """Return the spec as it is logged with a version's run; its hash is the version's ``spec_sha256``."""
    return json.dumps(model.model_dump(mode="json", by_alias=True), indent=2, sort_keys=True)


def code_commit() -> str:
    """Return the commit of the code that runs, ``+changes`` if files differ from it, or ``unknown``.

    An image has no repository: it carries the commit in ``NIGHTSHIFT_CODE_COMMIT``.
    """
    if os.environ.get("NIGHTSHIFT_CODE_COMMIT"):
        return os.environ["NIGHTSHIFT_CODE_COMMIT"]
    git = ["git", "-c", f"safe.directory={REPOSITORY}", "-C", str(REPOSITORY)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}+changes" if changed else commit


def lock_sha256() -> str:
    """Return the hash of the lock file that is here, or ``unknown`` where there is none."""
    lock = REPOSITORY / "requirements" / "runtime.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else "unknown"

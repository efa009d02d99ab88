"""Train, judge, promote. Each step can be repeated: what a training has already done is found by its id."""

import hashlib
import io
import json
import os
import subprocess
from dataclasses import asdict
from datetime import date, timedelta
from importlib.metadata import packages_distributions
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from nightshift import artifacts, metrics, train
from nightshift.calendar import DateRange
from nightshift.errors import NotReady
from nightshift.govern import Evidence, Ledger, judge
from nightshift.govern.gates import Candidate
from nightshift.monitor.profile import build_profile
from nightshift.specs import Model
from nightshift.stages.collecting import parquet
from nightshift.stages.lineage import freeze, origin
from nightshift.stages.platform import Facts, Platform, Try
from nightshift.stages.scoring import known_labels, load_version
from nightshift.stages.searching import find
from nightshift.warehouse import Json, feature_table, raw_table

REPOSITORY = Path(__file__).resolve().parents[3]
PACKAGES = ("scikit-learn", "skops", "numpy", "pandas")


def snapshot(platform: Platform, name: str, as_of: date, asked: Try) -> Facts:
    """Freeze the rows a training as of ``as_of`` may use: features, and labels known at that cut-off.

    Raises:
        NotReady: too few labelled rows, or none in the holdout.
    """
    model = platform.project.model(name)
    feature_set = platform.project.feature_set(model.features)
    dates = train.training_dates(model, as_of, platform.project.settings.first_night)
    table, target = feature_table(feature_set), model.target.source
    platform.warehouse.ensure(table)
    platform.warehouse.ensure(raw_table(platform.project.source(target)))
    with platform.warehouse.reading() as reading:
        features = reading.read(table, dates.train_first, dates.holdout_last)
        truth, reported = known_labels(reading, platform, model, dates.train_first, as_of)
        nights = DateRange(dates.train_first, dates.holdout_last)
        made_of = origin(reading, feature_set, nights, target, reported)
    rows = train.labelled(features, truth, feature_set.entity)
    held_out = int((rows["batch_date"] >= dates.holdout_first).sum())
    if len(rows) - held_out < model.train.min_rows or not held_out:
        raise NotReady(
            f"model '{name}' as of {as_of}: {len(rows) - held_out} labelled rows in {dates.train_first}.."
            f"{dates.train_last} (train.min_rows: {model.train.min_rows}), {held_out} in the holdout; "
            f"run features_{model.features} for these nights"
        )
    # The split is part of what is frozen: the same rows, split otherwise, are another snapshot.
    content = parquet(rows, model=name, as_of=as_of, **asdict(dates))
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
    """Fit, log and register the version of this training; a retry finds what an earlier try finished."""
    model = platform.project.model(name)
    known = _version_of(platform, asked.run_id)
    if known:
        return _trained(platform, known)
    facts, rows = read_snapshot(platform, snapshot_id)
    provenance = _provenance(model, platform)
    tags = {**provenance, "nightshift.reason": reason, "nightshift.snapshot": snapshot_id}
    run_id = platform.registry.run_of(name, asked.run_id, tags=tags)
    fitted = _fit_and_log(platform, model, facts, rows, run_id, asked)
    version = platform.registry.register(name, run_id, tags=tags)
    platform.registry.finish(run_id)
    platform.warehouse.execute(
        "INSERT INTO governance.versions (model, version, mlflow_run_id, training_id, snapshot_id, artifact_sha256, "
        "spec_sha256, code_commit, lock_sha256, train_first, train_last, feature_set, feature_version, profile) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            name,
            version,
            run_id,
            asked.run_id,
            snapshot_id,
            fitted["artifact_sha256"],
            *provenance.values(),
            facts["train_first"],
            facts["train_last"],
            facts["feature_set"],
            facts["feature_version"],
            fitted["profile"],
        ),
    )
    return _trained(platform, {"version": version, "mlflow_run_id": run_id})


def evaluate(platform: Platform, name: str, as_of: date, asked: Try, *, reason: str) -> Facts:
    """Score challenger and champion on the training's holdout, run the gates, write the decision.

    Raises:
        UnfairHoldout: one of them was trained on a day of the holdout.
    """
    model = platform.project.model(name)
    version = _version_of(platform, asked.run_id)
    if version is None:
        raise NotReady(f"training '{asked.run_id}' has registered no version; clear 'fit'")
    decided = _decision_of(platform, asked.run_id)
    if decided is None:
        evidence = _evidence(platform, model, version)
        _write_decision(platform, model, version, evidence, as_of=as_of, reason=reason)
        decided = _decision_of(platform, asked.run_id) or {}
        platform.registry.log(
            version["mlflow_run_id"],
            metrics={f"holdout_{k}": v for k, v in evidence.challenger.metrics.items()},
            tags={"nightshift.gates": "passed" if decided["passed"] else "failed"},
        )
    return {
        "version": version["version"],
        "champion": decided["champion"],
        "passed": decided["passed"],
        "gates": [f"{g['gate']}: {g['words']}" for g in decided["gates"]],
    }


def promote(platform: Platform, name: str, as_of: date, asked: Try, *, actor: str) -> Facts:
    """Make the challenger of a decision that passed the champion: the ledger first, then the alias.

    It takes effect on ``as_of``, or after the last night that has been scored since: a promotion never
    changes a night that is done.

    Raises:
        NotReady: the gates have not run, or ran against another champion than the one of now.
    """
    decision = _decision_of(platform, asked.run_id)
    if decision is None:
        raise NotReady(f"training '{asked.run_id}' has no decision; clear 'evaluate'")
    if not decision["passed"]:
        return {"version": decision["challenger"], "outcome": "rejected"}
    ledger = Ledger(platform.warehouse, name)
    entry = ledger.promotion_of(asked.run_id)
    if entry is None:
        _require_champion(ledger, decision)
        effective_from = _first_unscored(platform, name, as_of)
        entry = ledger.append(training_id=asked.run_id, effective_from=effective_from, actor=actor)
    head = ledger.head()
    if head is not None:  # the newest entry, also when this repeats an older promotion
        platform.registry.promote(name, head.version)
    return {"version": entry.version, "outcome": "promoted", "effective_from": str(entry.effective_from)}


def _require_champion(ledger: Ledger, decision: Facts) -> None:
    """Raise NotReady unless the champion that the challenger has beaten is still the champion."""
    head = ledger.head()
    champion = head.version if head else None
    if champion != decision["champion"]:
        judged = f"version {decision['champion']}" if decision["champion"] else "no champion"
        raise NotReady(
            f"training '{decision['training_id']}' was judged against {judged}; the champion is version {champion} "
            "now. Train again: it was never compared with that one"
        )


def _first_unscored(platform: Platform, name: str, as_of: date) -> date:
    row = platform.warehouse.row(
        "SELECT max(batch_date) AS last FROM catalog.prediction_batches WHERE model = %s AND batch_date >= %s",
        (name, as_of),
    )
    return row["last"] + timedelta(days=1) if row and row["last"] else as_of


def conclude(platform: Platform, asked: Try) -> Facts:
    """Give the request that started this training its outcome, so that the next one may start.

    Raises:
        NotReady: the training ended without a decision; its outcome is ``failed``.
    """
    row = platform.warehouse.row(
        "SELECT d.passed, p.entry FROM governance.decisions d LEFT JOIN governance.promotions p "
        "USING (training_id) WHERE d.training_id = %s",
        (asked.run_id,),
    )
    decided = row is not None and (row["entry"] is not None or not row["passed"])
    outcome = "failed" if not row or not decided else "promoted" if row["passed"] else "rejected"
    platform.warehouse.execute(
        "UPDATE monitoring.retrain_requests SET outcome = %s WHERE training_id = %s", (outcome, asked.run_id)
    )
    if not decided:
        raise NotReady(f"training '{asked.run_id}' failed; the task that failed says why. The champion stays")
    return {"outcome": outcome}


def read_snapshot(platform: Platform, snapshot_id: str) -> tuple[Facts, pd.DataFrame]:
    """Return a snapshot's facts and rows. Raises ArtifactRefused if the file is not what was frozen."""
    facts = platform.warehouse.row(
        "SELECT * FROM governance.snapshots WHERE snapshot_id = %s", (snapshot_id,)
    )
    if facts is None:
        raise NotReady(f"no snapshot {snapshot_id}; clear 'snapshot'")
    content = platform.objects.get(facts["object_key"])
    artifacts.check_sha256(content, snapshot_id, f"snapshot {facts['object_key']}")
    return facts, pq.read_table(io.BytesIO(content)).to_pandas()


def split(facts: Facts, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows to fit on and the holdout."""
    dates = rows["batch_date"]
    return rows[dates <= facts["train_last"]], rows[dates >= facts["holdout_first"]]


def _fit_and_log(
    platform: Platform, declared: Model, facts: Facts, rows: pd.DataFrame, run_id: str, asked: Try
) -> Facts:
    feature_set = platform.project.feature_set(declared.features)
    fitting, holdout = split(facts, rows)
    found = find(platform, declared, fitting, facts["snapshot_id"], asked.run_id)
    model = found.model
    pipeline = train.fit(model, feature_set, fitting, fitting["label"])
    artifacts.check(pipeline)
    scores = train.predict(pipeline, holdout)
    weights = train.importance(model, pipeline, holdout, holdout["label"])
    features = fitting[list(feature_set.columns)]
    out_of_fold = train.out_of_fold(model, feature_set, fitting, fitting["label"])
    profile = build_profile(features, out_of_fold, fitting["batch_date"], weights, model.drift)
    registry = platform.registry
    registry.log(
        run_id,
        params={**_params(model, facts), **found.params()},
        metrics={**_training_metrics(model, fitting, holdout, out_of_fold, scores), **found.metrics()},
    )
    for file, content in train.plots(model.task, holdout["label"].to_numpy(), scores, weights).items():
        registry.log_file(run_id, f"plots/{file}", content)
    registry.log_file(run_id, "spec.json", declared.model_dump(mode="json", by_alias=True))
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
    content = registry.log_model(run_id, pipeline, example=features.head(50), packages=_packages(model))
    return {"artifact_sha256": artifacts.seal(content), "profile": profile.to_json()}


def _training_metrics(
    model: Model, fitting: Any, holdout: Any, out_of_fold: Any, scores: Any
) -> dict[str, float | None]:
    found = {f"holdout_{k}": v for k, v in metrics.score(model.task, holdout["label"], scores).items()}
    inside = metrics.score(model.task, fitting["label"], out_of_fold)
    return {**found, **{f"out_of_fold_{k}": v for k, v in inside.items()}}


def _params(model: Model, facts: Facts) -> Facts:
    named = ("train_first", "train_last", "holdout_first", "holdout_last", "row_count", "feature_version")
    return {
        "estimator": model.estimator.path,
        **model.estimator.params,
        **{name: facts[name] for name in named},
    }


def _packages(model: Model) -> list[str]:
    library = model.estimator.path.partition(".")[0]
    others = packages_distributions().get(library, []) if library != "sklearn" else []
    return [f"{package}=={installed(package)}" for package in (*PACKAGES, *others)]


def _evidence(platform: Platform, model: Model, version: Facts) -> Evidence:
    facts, rows = read_snapshot(platform, version["snapshot_id"])
    _, holdout = split(facts, rows)

    def candidate(number: int, train_last: date) -> Candidate:
        scores = load_version(platform, model, number)(holdout)
        return Candidate(number, train_last, metrics.score(model.task, holdout["label"], scores))

    head = Ledger(platform.warehouse, model.name).head()
    champion = None
    if head is not None:
        row = platform.warehouse.row(
            "SELECT train_last FROM governance.versions WHERE model = %s AND version = %s",
            (model.name, head.version),
        )
        champion = candidate(head.version, (row or {})["train_last"])
    challenger = candidate(version["version"], version["train_last"])
    return Evidence(facts["holdout_first"], len(holdout), challenger, champion)


def _write_decision(
    platform: Platform, model: Model, version: Facts, evidence: Evidence, *, as_of: date, reason: str
) -> None:
    results = [result.to_dict() for result in judge(model.gates, evidence)]
    champion = evidence.champion
    body = {
        "model": model.name,
        "challenger": version["version"],
        "champion": champion.version if champion else None,
        "snapshot": version["snapshot_id"],
        "artifact": version["artifact_sha256"],
        "challenger_metrics": dict(evidence.challenger.metrics),
        "champion_metrics": dict(champion.metrics) if champion else None,
        "gates": results,
    }
    hashed = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    platform.warehouse.execute(
        "INSERT INTO governance.decisions (training_id, model, challenger, champion, as_of, reason, snapshot_id, "
        "passed, gates, challenger_metrics, champion_metrics, evidence_sha256) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (training_id) DO NOTHING",
        (
            version["training_id"],
            model.name,
            version["version"],
            body["champion"],
            as_of,
            reason,
            version["snapshot_id"],
            all(result["passed"] for result in results),
            Json(results),
            Json(body["challenger_metrics"]),
            Json(body["champion_metrics"]) if champion else None,
            hashed,
        ),
    )


def _version_of(platform: Platform, training_id: str) -> Facts | None:
    return platform.warehouse.row(
        "SELECT version, mlflow_run_id, training_id, snapshot_id, artifact_sha256, train_last "
        "FROM governance.versions WHERE training_id = %s",
        (training_id,),
    )


def _decision_of(platform: Platform, training_id: str) -> Facts | None:
    return platform.warehouse.row("SELECT * FROM governance.decisions WHERE training_id = %s", (training_id,))


def _trained(platform: Platform, row: Facts) -> Facts:
    return {
        "version": row["version"],
        "mlflow_run_id": row["mlflow_run_id"],
        "url": platform.registry.url(row["mlflow_run_id"]),
    }


def _provenance(model: Model, platform: Platform) -> dict[str, str]:
    spec = json.dumps(model.model_dump(mode="json"), sort_keys=True)
    return {
        "nightshift.spec_sha256": hashlib.sha256(spec.encode()).hexdigest(),
        "nightshift.code_commit": code_commit(),
        "nightshift.lock_sha256": _lock_sha256(),
    }


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


def _lock_sha256() -> str:
    lock = REPOSITORY / "requirements" / "runtime.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else "unknown"

"""Train and promote. Each step can be repeated: what a training has already done is found by its id."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from nightshift import artifacts, kept, metrics, results, train
from nightshift.artifacts import own_code
from nightshift.calendar import DateRange
from nightshift.environment import environment
from nightshift.errors import Barred, NotReady, RequestError
from nightshift.govern import Ledger, require_later, require_unseen
from nightshift.monitor import harm
from nightshift.monitor.estimate import learn
from nightshift.monitor.profile import build_profile
from nightshift.platform import Platform, Try
from nightshift.platform.clock import require_same_clock
from nightshift.platform.faults import faulty_nights
from nightshift.platform.fitted import JUDGED_FOLDER
from nightshift.platform.frozen import definition, read_snapshot, split
from nightshift.platform.inputs import known_labels
from nightshift.platform.labels import ensure_reports, partial_nights
from nightshift.platform.lineage import Origin, freeze, origin
from nightshift.platform.papers import decision_of, require_own, version_row
from nightshift.platform.provenance import (
    ENVIRONMENT_FILE,
    SPEC_FILE,
    TRIALS_FILE,
    packages_of,
    provenance,
    spec_text,
)
from nightshift.platform.seen import by_champion
from nightshift.platform.serving import serve_head
from nightshift.records import decisions, monitoring, snapshots, versions
from nightshift.records.decisions import Decision, Outcome
from nightshift.records.profile import Profile
from nightshift.records.snapshots import Snapshot
from nightshift.records.versions import Brought, Examples, Refit, Registered
from nightshift.specs import FeatureSet, Model
from nightshift.stages.searching import find
from nightshift.train.plots import plots
from nightshift.types import as_numbers, to_parquet
from nightshift.warehouse import feature_table

EXAMPLES = 50  # rows of the holdout whose predictions are kept, for a fresh process to repeat


def snapshot(platform: Platform, name: str, as_of: date, asked: Try) -> results.Frozen:
    """Freeze the rows a training as of ``as_of`` may use: features, and labels known at that cut-off.

    Raises:
        NotReady: too few labelled rows, none in the holdout, or all of one class here or there.
        SpecError: an outcome is none of ``target.classes``.
    """
    require_same_clock(platform)
    model = platform.project.model(name)
    require_own(platform, name, asked.run_id)
    feature_set = platform.project.feature_set(model.features)
    dates = train.training_dates(model, as_of, platform.project.settings.first_night)
    known, made_of, left_out = _known_rows(platform, model, feature_set, dates, as_of)
    rows = train.sampled(model.train, known, dates, feature_set.entity)
    told = [
        f"{DateRange(min(nights), max(nights))} ({len(nights)}): {why}" for why, nights in left_out.items()
    ]
    held_out = train.require_enough(model, rows, dates, as_of, len(known), told)
    # The split is part of what is frozen: the same rows, split otherwise, are another snapshot. So is what their labels
    # mean.
    content = to_parquet(rows, model=name, as_of=as_of, **asdict(dates), target=definition(model))
    key, digest = platform.objects.put_once(kept.snapshots(name), content, ".parquet")
    frozen = Snapshot(
        snapshot_id=digest,
        model=name,
        as_of=as_of,
        feature_set=feature_set.set,
        feature_version=feature_set.version,
        object_key=key,
        row_count=len(rows),
        **asdict(dates),
    )
    with platform.warehouse.session() as session:
        if session.run(
            snapshots.FREEZE, frozen
        ):  # the same rows frozen again keep what they were first made of
            freeze(session, digest, feature_set, made_of)
    return {"snapshot_id": digest, "rows": len(rows), "holdout_rows": held_out, "left_out": told}


def fit(platform: Platform, name: str, snapshot_id: str, asked: Try, *, reason: str) -> results.Fitted:
    """Fit, log and register the version of this training; a retry finds what an earlier try finished.

    Raises:
        RequestError: the model is not trained here.
        UnfairHoldout: the champion was fitted on a night, or a row, of the holdout; the gates could not judge what is
            fitted.
        FitFailed: its estimator could not be fitted on these rows.
    """
    model = platform.project.model(name)
    if not model.estimator.is_trained:
        raise RequestError(
            f"model '{name}' is not trained here; bring a version: nightshift import {name} FILE --trained-until DATE"
        )
    require_own(platform, name, asked.run_id)
    known = platform.warehouse.one(versions.OF_TRAINING, training_id=asked.run_id)
    if known:
        return trained(platform, known.version, known.mlflow_run_id)
    frozen, rows = read_snapshot(platform, snapshot_id, model)
    _require_fair(platform, model, frozen, rows)
    return register(
        platform,
        model,
        frozen,
        asked,
        reason,
        lambda run_id: _fit_and_log(platform, model, frozen, rows, run_id, asked),
    )


def _require_fair(platform: Platform, model: Model, frozen: Snapshot, rows: pd.DataFrame) -> None:
    """Raise UnfairHoldout, before anything is fitted, where ``evaluate`` would afterwards."""
    head = Ledger(platform.warehouse, model.name).head()
    if head:
        until = version_row(platform, model.name, head.version).trained_until
        require_later(head.version, until, frozen.holdout_first, train.fair_from(model, until))
        _, holdout = split(frozen, rows)
        champion = by_champion(platform, model, head.version, holdout)
        require_unseen(champion, frozen.as_of, frozen.holdout_first, len(holdout), serves=True)


@dataclass(frozen=True)
class Made:
    """What was logged in a run, for the version's row. ``brought``: of an imported one, by whom.

    ``refit``: of one that serves by another fit than the one that is judged.
    """

    artifact_sha256: str
    own_code: dict[str, str]
    profile: Profile
    examples: Examples
    predictions_sha256: str
    train_first: date
    train_last: date
    brought: Brought | None = None
    refit: Refit | None = None


def register(
    platform: Platform,
    model: Model,
    frozen: Snapshot,
    asked: Try,
    reason: str,
    make: Callable[[str], Made],
) -> results.Fitted:
    """Make the version of this training: logged and registered in one run, then recorded. Returns what is told of it.

    ``make``: logs a model in the run of that id.
    """
    own = provenance(model)
    tags = {**own, "nightshift.reason": reason, "nightshift.snapshot": frozen.snapshot_id}
    run_id = platform.registry.run_of(model.name, asked.run_id, tags=tags)
    with platform.registry.ending(run_id):
        made = make(run_id)
        known = platform.warehouse.all(versions.KNOWN, model=model.name)
        taken = {each.version for each in known if each.mlflow_run_id != run_id}
        version = platform.registry.register(model.name, run_id, tags=tags, taken=taken)
    row = Registered(
        model=model.name,
        version=version,
        mlflow_run_id=run_id,
        training_id=asked.run_id,
        snapshot_id=frozen.snapshot_id,
        feature_set=frozen.feature_set,
        feature_version=frozen.feature_version,
        artifact_sha256=made.artifact_sha256,
        spec_sha256=own["nightshift.spec_sha256"],
        code_commit=own["nightshift.code_commit"],
        lock_sha256=own["nightshift.lock_sha256"],
        train_first=made.train_first,
        train_last=made.train_last,
        profile=made.profile,
        examples=made.examples,
        predictions_sha256=made.predictions_sha256,
        brought=made.brought,
        own_code=made.own_code,
        refit=made.refit,
    )
    platform.warehouse.run(versions.REGISTER, row)
    return trained(platform, version, run_id)


def promote(platform: Platform, name: str, as_of: date, asked: Try, *, actor: str) -> results.Promoted:
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
    decision = decision_of(platform, name, asked.run_id)
    if not decision.passed:
        return {"version": decision.challenger, "outcome": "rejected"}
    ledger = Ledger(platform.warehouse, name)
    entry = ledger.promotion_of(asked.run_id)
    if entry is None:
        answer, signed_by = _signed(platform, ledger, decision)
        if answer != "approved":
            return {"version": decision.challenger, "outcome": answer}
        _refuse(platform, ledger, decision)
        entry = ledger.append(training_id=asked.run_id, effective_from=as_of, actor=signed_by or actor)
    serve_head(platform, ledger)
    return {"version": entry.version, "outcome": "promoted", "effective_from": str(entry.effective_from)}


def _signed(platform: Platform, ledger: Ledger, decision: Decision) -> tuple[str, str | None]:
    """Return the answer to a decision and who gave it; ``stale`` if it was given for another champion than now's."""
    if decision.approval == "auto":
        return "approved", None
    signature = platform.warehouse.one(decisions.SIGNATURE, training_id=decision.training_id)
    if signature is None or signature.evidence_sha256 != decision.evidence_sha256:
        raise NotReady(
            f"training '{decision.training_id}' is not signed; version {decision.challenger} is promoted only "
            "once an approver has signed this evidence. Clear 'ask'"
        )
    if signature.answer == "approved" and ledger.is_past(decision):
        _settle(platform, decision, "stale")
        return "stale", signature.signed_by
    return signature.answer, signature.signed_by


def _refuse(platform: Platform, ledger: Ledger, decision: Decision) -> None:
    """Raise NotReady if the champion is another than the challenger has beaten, Barred if the challenger is barred."""
    if ledger.is_past(decision):
        _settle(platform, decision, "stale")
        head = ledger.head()
        judged = f"version {decision.champion}" if decision.champion else "no champion"
        raise NotReady(
            f"training '{decision.training_id}' was judged against {judged}; the champion is version "
            f"{head.version if head else None} now. Train again: it was never compared with that one"
        )
    try:
        ledger.refuse_barred(decision.challenger)
    except Barred:
        _settle(platform, decision, "barred")
        raise


def _settle(platform: Platform, decision: Decision, outcome: Outcome) -> None:
    platform.warehouse.run(decisions.END, training_id=decision.training_id, outcome=outcome)


def conclude(platform: Platform, asked: Try) -> results.Ended:
    """Give the request that started this training its outcome as it was written, so that the next one may start.

    Raises:
        NotReady: the training ended without any; its outcome is ``failed``.
    """
    ended = platform.warehouse.one(decisions.ENDED, training_id=asked.run_id)
    outcome = ended.outcome if ended else "failed"
    platform.warehouse.run(monitoring.CONCLUDE, outcome=outcome, training_id=asked.run_id)
    if outcome == "failed":
        raise NotReady(f"training '{asked.run_id}' failed; the task that failed says why. The champion stays")
    return {"outcome": outcome}


def _known_rows(
    platform: Platform, model: Model, feature_set: FeatureSet, dates: train.TrainingDates, as_of: date
) -> tuple[pd.DataFrame, Origin, dict[str, list[date]]]:
    """Return the feature rows with the labels known as of a date, what they are made of, and by why, nights left out.

    Without a target, all rows.
    """
    table, nights = feature_table(feature_set), DateRange(dates.train_first, dates.holdout_last)
    platform.warehouse.ensure(table)
    source = model.target.source if model.target else ""
    if source:
        ensure_reports(platform, model)
    with platform.warehouse.reading() as reading:
        features = reading.read(table, nights.first, nights.last)
        # A training would learn what is wrong.
        without = dict.fromkeys(sorted(faulty_nights(reading, feature_set, nights)), "a fault is open")
        features = _without(features, without)
        if not source:
            made_of = origin(reading, feature_set, nights, source, (), without)
            return features.assign(label=np.nan), made_of, _by_why(without)
        truth, reports = known_labels(reading, platform, model, dates.train_first, as_of)
        entity = feature_set.entity
        partial = partial_nights(platform.project.calendar, model, entity, features, reports, as_of)
        features, without = _without(features, partial), without | partial
        made_of = origin(reading, feature_set, nights, source, set(reports["batch_date"].dt.date), without)
    rows = train.labelled(features, truth, entity)
    if rows.empty and len(features) and len(truth):
        raise train.never_met(model, features, truth, entity)
    return rows, made_of, _by_why(without)


def _without(features: pd.DataFrame, nights: Collection[date]) -> pd.DataFrame:
    return features[~features["batch_date"].dt.date.isin(nights)]


def _by_why(without: Mapping[date, str]) -> dict[str, list[date]]:
    found: dict[str, list[date]] = {}
    for night, why in without.items():
        found.setdefault(why, []).append(night)
    return found


def _fit_and_log(
    platform: Platform, declared: Model, frozen: Snapshot, rows: pd.DataFrame, run_id: str, asked: Try
) -> Made:
    feature_set = platform.project.feature_set(declared.features)
    fitting, holdout = split(frozen, rows)
    found = find(platform, declared, fitting, frozen.snapshot_id, asked.run_id)
    model, own = found.model, platform.project.own
    platform.warehouse.rest()  # a fit may take hours
    pipeline = train.fit(model, feature_set, fitting, fitting["label"], own)
    judged = artifacts.written(pipeline, own.types)
    newest = train.drawn(model.train, rows, frozen.holdout_last, feature_set.entity)
    served = _refitted(platform, model, pipeline, newest)
    scores = train.predict(pipeline, holdout, model.classes)
    weights = train.importance(model, pipeline, holdout, holdout["label"])
    features = fitting[list(feature_set.columns)]
    out_of_fold = train.out_of_fold(model, feature_set, fitting, fitting["label"], own)
    profile = _profile(model, features, fitting, out_of_fold, weights)
    registry = platform.registry
    registry.log(
        run_id,
        params={**_params(train.as_fitted(model, pipeline), frozen), **found.params()},
        metrics={**_training_metrics(model, fitting, holdout, out_of_fold, scores), **found.metrics()},
    )
    for file, content in plots(model, holdout["label"].to_numpy(), scores, weights).items():
        registry.log_file(run_id, f"plots/{file}", content)
    registry.log_file(run_id, SPEC_FILE, spec_text(declared))
    registry.log_file(
        run_id, ENVIRONMENT_FILE, {**environment(), "own_code": own.code([model.estimator.named])}
    )
    if model.estimator.path:
        registry.log_file(run_id, f"train_{model.name}.py", train.script(model, frozen, pipeline))
    if found.trials:
        registry.log_file(run_id, TRIALS_FILE, found.table())
    registry.log_dataset(
        run_id,
        frame=rows.head(100),
        uri=platform.objects.uri(frozen.object_key),
        name=f"{model.features} as of {frozen.as_of}",
        digest=frozen.snapshot_id,
        target="label",
    )
    content = registry.log_model(
        run_id,
        served,
        example=as_numbers(features.head(50)),
        packages=packages_of(model),
        trusted=artifacts.allowed(own.types),
    )
    return Made(
        artifact_sha256=artifacts.seal(content, own.types),
        own_code=own_code(own, content) | own_code(own, judged),
        profile=profile,
        examples=Examples(
            predictions=train.predict(served, holdout[:EXAMPLES], model.classes).tolist(),
            features=dict(feature_set.columns),
            out_of_fold=metrics.score(model.kind, fitting["label"], out_of_fold),
        ),
        predictions_sha256=train.predictions_sha256(train.predict(served, rows, model.classes)),
        train_first=frozen.train_first,
        train_last=frozen.train_last,
        refit=_kept(platform, model, frozen, run_id, (judged, pipeline, rows, len(newest))),
    )


def _refitted(platform: Platform, model: Model, judged: Any, rows: pd.DataFrame) -> Any:
    """Return what serves: the same recipe, fitted on ``rows``, the newest among them; or what is judged."""
    if not model.train.refit:
        return judged
    feature_set, recipe = platform.project.feature_set(model.features), train.as_fitted(model, judged)
    return train.fit(recipe, feature_set, rows, rows["label"], platform.project.own)


def _kept(
    platform: Platform,
    model: Model,
    frozen: Snapshot,
    run_id: str,
    judged: tuple[bytes, Any, pd.DataFrame, int],
) -> Refit | None:
    """Keep what is judged in the run beside its refit; return what is recorded of it, None without a refit."""
    if not model.train.refit:
        return None
    content, pipeline, rows, refitted_on = judged
    platform.registry.log_model_file(run_id, JUDGED_FOLDER, content)
    said = train.predict(pipeline, rows, model.classes)
    in_holdout = (rows["batch_date"] >= pd.Timestamp(frozen.holdout_first)).to_numpy()
    return Refit(
        last=frozen.holdout_last,
        rows=refitted_on,
        judged_sha256=artifacts.seal(content, platform.project.own.types),
        judged_predictions_sha256=train.predictions_sha256(said),
        judged_examples=train.predict(pipeline, rows[in_holdout][:EXAMPLES], model.classes).tolist(),
    )


def _profile(
    model: Model, features: pd.DataFrame, fitting: pd.DataFrame, out_of_fold: Any, weights: dict[str, float]
) -> Profile:
    """Return what is watched: the rows that were fitted on, and what predictions of models without them came to."""
    label, nights = fitting["label"], fitting["batch_date"]
    losses = harm.of_training(model.kind, nights, label, out_of_fold, model.classes)
    return build_profile(
        features,
        out_of_fold,
        nights,
        weights,
        model.drift,
        classes=model.classes,
        estimation=learn(model.kind, model.classes, out_of_fold, label, nights),
    ).model_copy(update={"losses": losses})


def _training_metrics(
    model: Model, fitting: Any, holdout: Any, out_of_fold: Any, scores: Any
) -> dict[str, float | None]:
    found = {f"holdout_{k}": v for k, v in metrics.score(model.kind, holdout["label"], scores).items()}
    inside = metrics.score(model.kind, fitting["label"], out_of_fold)
    return {**found, **{f"out_of_fold_{k}": v for k, v in inside.items()}}


def _params(model: Model, frozen: Snapshot) -> dict[str, object]:
    named = ("train_first", "train_last", "holdout_first", "holdout_last", "row_count", "feature_version")
    return {
        "estimator": model.estimator.named,
        **model.estimator.params,
        **{f"encoding.{column}": encoding for column, encoding in model.encoding.items()},
        **{name: getattr(frozen, name) for name in named},
        **({"refit_last": frozen.holdout_last} if model.train.refit else {}),
    }


def trained(platform: Platform, version: int, run_id: str) -> results.Fitted:
    """Return what a task tells of a version."""
    return {"version": version, "mlflow_run_id": run_id, "url": platform.registry.url(run_id)}

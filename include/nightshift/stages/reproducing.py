"""Reproduce: train a version again from nothing but its record, and compare what comes out with what came out then.

Nothing is registered, and no partition changes. What is wrong with the record is refused; what is different of the
code, the packages or the machine is reported.
"""

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightshift import cards, kept, metrics, results, train
from nightshift.environment import environment, lock_sha256
from nightshift.errors import NotReady
from nightshift.freeform import Json
from nightshift.govern import Ledger
from nightshift.platform import Platform, Try
from nightshift.platform import fitted as files
from nightshift.platform.frozen import read_snapshot, split
from nightshift.platform.papers import newest_version, recipe, recorded_spec, version_row
from nightshift.platform.provenance import ENVIRONMENT_FILE, code_commit
from nightshift.records import catalog as records
from nightshift.records import decisions
from nightshift.records.catalog import Reproduced
from nightshift.records.versions import Version
from nightshift.score.recalibration import as_served
from nightshift.specs import FeatureSet, Model

Floats = NDArray[np.float64]


def reproduce(
    platform: Platform, name: str, version: int | None, asked: Try, *, reason: str
) -> results.Reproduced:
    """Train a version again, compare, and write the findings: a row and a page. None: the champion.

    Raises:
        SpecError: no such model, or no such feature set any more.
        NotReady: no such version, or no champion.
        ArtifactRefused: the snapshot, the spec or the model file is not what was recorded.
    """
    recorded = version_row(platform, name, _champion(platform, name) if version is None else version)
    found = _made_again(platform, recorded)
    page = cards.page(cards.report(found)).encode()
    key, _ = platform.objects.put_once(kept.reproductions(name), page, ".html")
    platform.warehouse.run(
        records.REPRODUCED,
        Reproduced(
            model=name,
            version=found.version,
            run_id=asked.run_id,
            equal=found.equal,
            findings=found.findings,
            page_key=key,
            reason=reason,
        ),
    )
    return {
        "version": found.version,
        "equal": found.equal,
        "outcome": cards.verdict(found),
        "different": [f"{each.what}: {each.then} then, {each.now} now" for each in found.differences],
        "page": key,
    }


def _champion(platform: Platform, name: str) -> int:
    newest_version(platform, name)  # says so if there is no such model
    return Ledger(platform.warehouse, name).check(platform.registry.champion(name)).version


def _made_again(platform: Platform, recorded: Version) -> cards.Reproduction:
    _require_trained(recorded)
    spec = recorded_spec(platform, recorded)
    snapshot, rows = read_snapshot(platform, recorded.snapshot_id)
    feature_set = _as_frozen(platform.project.feature_set(spec.features), rows)
    fitting, holdout = split(snapshot, rows)
    then, now = _fitted_again(platform, recorded, spec, feature_set, (fitting, rows), files.judged)
    is_held = rows.index.isin(holdout.index)

    def measured(scores: Floats) -> dict[str, float | None]:
        served = as_served(spec, holdout["batch_date"], scores[is_held], holdout["label"])
        return metrics.score(spec.kind, holdout["label"], served)

    scores = cards.scores(_metrics_then(platform, recorded) or measured(then), measured(now))
    sha256, judged = recorded.predictions_sha256, None
    if recorded.refit:
        judged = _compared(recorded.refit.judged_predictions_sha256, then, now)
        newest = train.drawn(spec.train, rows, recorded.refit.last, feature_set.entity)
        then, now = _fitted_again(platform, recorded, spec, feature_set, (newest, rows), files.serving)
    return cards.Reproduction(
        model=spec.name,
        version=recorded.version,
        snapshot_id=recorded.snapshot_id,
        predictions=_compared(sha256, then, now),
        scores=scores,
        differences=_differences(platform, recorded, spec, feature_set),
        judged=judged,
    )


def _fitted_again(
    platform: Platform,
    recorded: Version,
    spec: Model,
    feature_set: FeatureSet,
    rows: tuple[pd.DataFrame, pd.DataFrame],
    kept: Callable[[Platform, Version], files.File],
) -> tuple[Floats, Floats]:
    """Return what a registered fit says of all rows, and what the same recipe says, fitted again.

    ``rows``: those to fit on, and all. ``kept``: gives the file of the fit.
    """
    fitting, every = rows
    registered = files.opened(platform, kept(platform, recorded), recorded)
    found = recipe(platform, recorded, spec, registered)
    again = train.fit(found, feature_set, fitting, fitting["label"], platform.project.own)
    return train.predict(registered, every, spec.classes), train.predict(again, every, spec.classes)


def _compared(recorded_sha256: str | None, registered: Floats, again: Floats) -> cards.Predictions:
    differing, largest = cards.distance(registered, again)
    return cards.Predictions(
        rows=len(again),
        recorded_sha256=recorded_sha256,
        registered_sha256=train.predictions_sha256(registered),
        again_sha256=train.predictions_sha256(again),
        differing=differing,
        largest=largest,
    )


def _require_trained(recorded: Version) -> None:
    if recorded.brought:
        raise NotReady(
            f"version {recorded.version} of model '{recorded.model}' was brought by {recorded.brought.by}: "
            "there is nothing to train again. Its file is checked against its SHA-256 whenever it is used"
        )


def _as_frozen(feature_set: FeatureSet, rows: pd.DataFrame) -> FeatureSet:
    """Return the set with the columns that the snapshot holds: those the version was trained on, in their order."""
    known = {"batch_date", "label", *feature_set.entity}
    columns = {
        str(name): "string" if isinstance(kind, pd.StringDtype) else "float"
        for name, kind in rows.dtypes.items()
        if name not in known
    }
    return feature_set.model_copy(update={"columns": columns})


def _metrics_then(platform: Platform, recorded: Version) -> dict[str, float | None] | None:
    decision = platform.warehouse.one(decisions.DECISION, training_id=recorded.training_id)
    return decision.challenger_metrics if decision else None


def _differences(
    platform: Platform, recorded: Version, spec: Model, frozen: FeatureSet
) -> tuple[cards.Difference, ...]:
    feature_set = platform.project.feature_set(spec.features)
    then: Json = {
        "code_commit": recorded.code_commit,
        "lock_sha256": recorded.lock_sha256,
        "environment": "not recorded",
        "spec": spec.model_dump(mode="json", by_alias=True),
        "features": {"version": recorded.feature_version, "columns": list(frozen.columns)},
    }
    now: Json = {
        "code_commit": code_commit(),
        "lock_sha256": lock_sha256(),
        "environment": "not compared",
        "spec": then["spec"],
        "features": {"version": feature_set.version, "columns": list(feature_set.columns)},
    }
    run_id, declared = recorded.mlflow_run_id, platform.project.models.get(spec.name)
    if ENVIRONMENT_FILE in platform.registry.files(run_id):
        then["environment"] = json.loads(platform.registry.file(run_id, ENVIRONMENT_FILE))
        now["environment"] = {**environment()}
        if "own_code" in then["environment"]:
            now["environment"]["own_code"] = platform.project.own.code([spec.estimator.named])
    if declared:
        now["spec"] = declared.model_dump(mode="json", by_alias=True)
    return tuple(cards.differences(then, now))

"""Judge: score challenger and champion on the training's holdout, run the gates, write the decision; have it signed."""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from typing import Any

import pandas as pd

from nightshift import kept, results, train
from nightshift.errors import NotReady, RegistryRefused, RequestError
from nightshift.govern import (
    Assessment,
    Doubt,
    Evidence,
    Ledger,
    Refit,
    Trial,
    compare_fits,
    judge,
    too_good,
    unmeasured,
)
from nightshift.govern import evaluate as evaluated
from nightshift.govern import request as signing
from nightshift.govern.evaluation import FEWEST_ROWS
from nightshift.pages import markdown
from nightshift.platform import Platform, Try
from nightshift.platform import fitted as files
from nightshift.platform.fitted import load_version, opened
from nightshift.platform.frozen import read_snapshot, split
from nightshift.platform.papers import decision_of, require_own, trained_version, version_row
from nightshift.platform.seen import by_champion, identity, seen
from nightshift.records import decisions, monitoring
from nightshift.records.decisions import Decision, Outcome, Signature
from nightshift.records.versions import Examples, Version
from nightshift.score.recalibration import on_holdout
from nightshift.specs import BeatsChampion, Model, NoWorseOnSlices
from nightshift.train.plots import gain_plots
from nightshift.warehouse import feature_table

log = logging.getLogger(__name__)
LONGEST_COMMENT = 500
LAST_LOGGED = "evaluation.json"
AGAIN = "again__"  # before the id of a training whose signature came too late


def evaluate(
    platform: Platform, name: str, as_of: date, asked: Try, *, reason: str, requested_by: str | None = None
) -> results.Decided:
    """Score challenger and champion on the training's holdout, run the gates, write the decision.

    The challenger by the fit that has not seen the holdout; what of it would serve, and the champion, as they serve.

    ``requested_by``: the person who started the training by hand; they will not sign it.

    Raises:
        UnfairHoldout: one of them was trained on a day, or a row, of the holdout.
        ArtifactRefused: a file is not what was registered.
    """
    model = platform.project.model(name)
    version = trained_version(platform, name, asked.run_id)
    decided = platform.warehouse.one(decisions.DECISION, training_id=asked.run_id)
    stood = decided is not None
    if decided is None:
        evidence = _evidence(platform, model, version)
        requested_by = requested_by or _first_requested_by(platform, asked.run_id)
        _write_decision(
            platform, model, version, evidence, as_of=as_of, reason=reason, requested_by=requested_by
        )
        decided = decision_of(platform, name, asked.run_id)
    if decided.evaluation:
        _log_once(platform, version.mlflow_run_id, decided, stood=stood)
    return {
        "version": version.version,
        "champion": decided.champion,
        "passed": decided.passed,
        "gates": [f"{result.gate}: {result.words}" for result in decided.gates],
        "by_gate": {
            gate: all(each.passed for each in decided.gates if each.gate == gate)
            for gate in dict.fromkeys(result.gate for result in decided.gates)
        },
    }


def ask_for_signature(
    platform: Platform, name: str, asked: Try, *, airflow_run: str, page: Callable[[str], str]
) -> results.ToSign | None:
    """Return what the approvers are asked (``subject``, ``body``: Markdown; ``approvers``); None if there is nothing.

    Nothing: the gates rejected the challenger, or it has been signed before. ``airflow_run``: the address of the run
    of this training; ``page``: gives the address of a kept file by its key.

    Raises:
        NotReady: the gates have not run.
        RequestError: the only approvers are the person who started the training.
    """
    model, decision = platform.project.model(name), decision_of(platform, name, asked.run_id)
    if not decision.passed or platform.warehouse.one(decisions.SIGNATURE, training_id=asked.run_id):
        return None
    starters = _starters(platform, decision)
    approvers = [user for user in model.approvers if user not in starters]
    if not approvers:
        raise RequestError(
            f"model '{name}': {' and '.join(sorted(starters))} started this training and is its only approver; nobody "
            "signs their own. Add another to approvers, or let another start it"
        )
    version = version_row(platform, name, decision.challenger)
    request = platform.warehouse.one(monitoring.ASKED, training_id=asked.run_id)
    links = {
        "MLflow run": platform.registry.url(version.mlflow_run_id),
        "model card": page(kept.card(name, decision.challenger)),
        "training in Airflow": airflow_run,
    }
    if request and request.report_key:
        links["drift report"] = page(request.report_key)
    asked_for = signing.request(decision, request, links, approvers)
    return {
        "subject": asked_for.title,
        "body": markdown(asked_for, titled=False),
        "approvers": approvers,
    }


@dataclass(frozen=True)
class Answer:
    """What was answered in the UI. ``by`` is None when the time ran out."""

    approved: bool
    by: str | None
    comment: str | None
    at: datetime


def sign(platform: Platform, name: str, asked: Try, answer: Answer) -> results.Signed:
    """Record an answer to the decision of this training; once.

    Raises:
        RequestError: it does not count: it is of nobody who may sign, or its comment is not one.
    """
    decision = decision_of(platform, name, asked.run_id)
    if answer.by is not None:
        _refuse_signature(platform, platform.project.model(name), decision, answer)
    said: Outcome | None = "timed out" if answer.by is None else None if answer.approved else "rejected"
    signature = Signature(
        training_id=asked.run_id,
        model=name,
        answer=said or "approved",
        signed_by=answer.by,
        comment=answer.comment,
        evidence_sha256=decision.evidence_sha256,
        signed_at=answer.at,
    )
    with platform.warehouse.session() as session:
        is_first = session.run(decisions.SIGN, signature)  # the first answer counts
        if said and is_first:
            session.run(decisions.END, training_id=asked.run_id, outcome=said)
        first = session.one(decisions.SIGNATURE, training_id=asked.run_id) or signature
    return {
        "answer": first.answer,
        "signed_by": first.signed_by,
        "comment": first.comment,
        "evidence_sha256": first.evidence_sha256,
    }


def _refuse_signature(platform: Platform, model: Model, decision: Decision, answer: Answer) -> None:
    """Raise RequestError unless the answer is of an approver who did not start the training, its comment text."""
    if answer.by not in model.approvers:
        raise RequestError(
            f"model '{model.name}': {answer.by} is no approver; {', '.join(model.approvers)} may sign"
        )
    if answer.by in _starters(platform, decision):
        raise RequestError(f"model '{model.name}': {answer.by} started this training; nobody signs their own")
    if answer.comment is not None and not _is_comment(answer.comment):
        raise RequestError(
            f"model '{model.name}': comment: expected text of at most {LONGEST_COMMENT} characters"
        )


def _is_comment(given: Any) -> bool:
    # The API takes anything; the warehouse keeps no NUL and no half of a character.
    is_short = isinstance(given, str) and len(given) <= LONGEST_COMMENT
    return is_short and not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in given)


def _starters(platform: Platform, decision: Decision) -> set[str]:
    """Return who started a training by hand: itself, or the run of ``retrain_<model>`` behind it."""
    request = platform.warehouse.one(monitoring.OF_TRAINING, training_id=decision.training_id)
    named = (decision.requested_by, request.requested_by if request else None)
    return {person for person in named if person is not None}


def judge_again(platform: Platform, name: str, asked: Try) -> results.Repeat | None:
    """Return the training to start because the champion changed while this one's signature was waited for, or None.

    It was approved against a champion that is none any more. The request that started it follows to the new one. A
    champion that has seen the holdout leaves nothing to repeat: it knows newer nights than the training would.
    """
    require_own(platform, name, asked.run_id)
    decision = platform.warehouse.one(decisions.DECISION, training_id=asked.run_id)
    signature = platform.warehouse.one(decisions.SIGNATURE, training_id=asked.run_id)
    ledger = Ledger(platform.warehouse, name)
    if not decision or not signature or signature.answer != "approved" or ledger.promotion_of(asked.run_id):
        return None
    if not ledger.is_past(decision):
        return None
    head = ledger.head()
    if head and decision.as_of < _fair_from(platform, name, head.version):
        return None
    again = f"{AGAIN}{asked.run_id}"
    platform.warehouse.run(monitoring.FOLLOW, again=again, training_id=asked.run_id)
    return {
        "training_id": again,
        "as_of": str(decision.as_of),
        "reason": f"the champion became version {head.version if head else None} while version "
        f"{decision.challenger} waited for its signature: {decision.reason}"[:500],
    }


def _fair_from(platform: Platform, name: str, champion: int) -> date:
    return train.fair_from(platform.project.model(name), version_row(platform, name, champion).trained_until)


def _first_requested_by(platform: Platform, training_id: str) -> str | None:
    """Return who stands behind a training that nobody started by hand: who asked for it, or for the one it repeats."""
    starter = platform.warehouse.one(
        decisions.STARTER, training_id=training_id, first=training_id.removeprefix(AGAIN)
    )
    return starter.requested_by if starter else None


def _evidence(platform: Platform, model: Model, version: Version) -> Evidence:
    frozen, rows = read_snapshot(platform, version.snapshot_id, model)
    fitted, holdout = split(frozen, rows)
    pipeline = opened(platform, files.judged(platform, version), version)
    serve = partial(on_holdout, model, rows, holdout_first=frozen.holdout_first)
    challenger_scores = serve(
        lambda some: train.predict(pipeline, some, model.classes), train_last=version.train_last
    )
    challenger = seen(version.version, version.train_last, fitted, holdout, identity(platform, model))
    champion, champion_scores = None, None
    head = Ledger(platform.warehouse, model.name).head()
    if head is not None:
        champion = by_champion(platform, model, head.version, holdout)
        champion_scores = serve(load_version(platform, model, head.version), train_last=champion.train_last)
    evaluation = unmeasured(holdout)
    if model.target:
        evaluation = evaluated(
            model.kind,
            holdout,
            challenger_scores,
            champion_scores,
            slices=model.slices,
            fewest=min([FEWEST_ROWS, *(g.min_rows for g in model.gates if isinstance(g, NoWorseOnSlices))]),
            asked=model.gate_metrics,
        )
    return Evidence(
        as_of=frozen.as_of,
        holdout_first=frozen.holdout_first,
        evaluation=replace(evaluation, recalibrated=model.recalibrate is not None),
        challenger=challenger,
        champion=champion,
        live=_live_features(platform, model),
        doubt=_doubt(platform, model, version, evaluation, fitted, holdout) if model.target else None,
        **_tried(platform, model, version, holdout),
    )


def _doubt(
    platform: Platform,
    model: Model,
    version: Version,
    evaluation: Assessment,
    fitted: pd.DataFrame,
    holdout: pd.DataFrame,
) -> Doubt | None:
    """Return the doubt about a score that is too good to be true: who makes it. None is there without one."""
    inside = version.examples.out_of_fold if version.examples else {}
    label = pd.concat([fitted["label"], holdout["label"]]).to_numpy(dtype="float64")
    found = too_good(model.kind, evaluation.overall.challenger, inside, label)
    if found is None:
        return None
    feature_set = platform.project.feature_set(model.features)
    alone = train.alone(model, feature_set, found[0], fitted, holdout)
    return Doubt(*found, alone, model.near_perfect.reason if model.near_perfect else None)


def _tried(platform: Platform, model: Model, version: Version, holdout: pd.DataFrame) -> dict[str, Any]:
    """Return the parts of the evidence about the file that would serve and, if another was judged, about that too."""
    served = files.serving(platform, version)
    trial, trained = _trial(platform, model, version, served, holdout)
    if version.refit is None:
        return {"trial": trial, "trained": trained}
    judged = files.judged(platform, version)
    judged_trial, of_judged = _trial(platform, model, version, judged, holdout)
    return {
        "trial": trial,
        "trained": _of_both(of_judged, trained),
        "refit": _refit(platform, model, version, (judged, served), holdout),
        "judged_trial": judged_trial,
    }


def _trial(
    platform: Platform, model: Model, version: Version, file: files.File, holdout: pd.DataFrame
) -> tuple[Trial, dict[str, str]]:
    """Return what a fresh process made of a file of the challenger, and its features' types as they were trained."""
    stored = (version.examples or Examples()).features
    examples = holdout.head(len(file.predictions))
    rows = examples.drop(columns="batch_date")
    done = train.try_out(file.content, file.sha256, rows, platform.project.own, model.classes)
    differing = sum(a != b for a, b in zip(done.predictions, file.predictions, strict=False))
    trial = Trial(len(examples), differing, done.milliseconds, len(file.content), done.error)
    return trial, {name: stored.get(name, "unknown") for name in done.features or stored}


def _of_both(judged: dict[str, str], served: dict[str, str]) -> dict[str, str]:
    """Return the features of what is judged and of what would serve; one that only one of them knows is marked."""
    return {
        name: served[name] if name in judged and name in served else "in one of two fits"
        for name in [*served, *judged]
    }


def _refit(
    platform: Platform,
    model: Model,
    version: Version,
    fits: tuple[files.File, files.File],
    holdout: pd.DataFrame,
) -> Refit:
    """Return how what would serve stands to what is judged, on rows that it has seen and the other has not.

    By what they say themselves, not moved by what came true since.
    """
    judged, served = (train.predict(opened(platform, file, version), holdout, model.classes) for file in fits)
    metric = next(gate.metric for gate in model.gates if isinstance(gate, BeatsChampion))
    last = version.trained_until
    return compare_fits(model.kind, holdout, judged, served, metric=metric, last=last)


def _live_features(platform: Platform, model: Model) -> dict[str, str]:
    """Return the type of each feature that the nights deliver: what the spec declares and the table has."""
    spec = platform.project.feature_set(model.features)
    types = platform.warehouse.types(feature_table(spec))
    return {name: types[name] for name in spec.columns if name in types}


def _write_decision(
    platform: Platform,
    model: Model,
    version: Version,
    evidence: Evidence,
    *,
    as_of: date,
    reason: str,
    requested_by: str | None,
) -> None:
    said = tuple(judge(model.gates, evidence))
    champion, evaluation = evidence.champion, evidence.evaluation.record()
    decision = Decision(
        training_id=version.training_id,
        model=model.name,
        challenger=version.version,
        champion=champion.version if champion else None,
        as_of=as_of,
        reason=reason,
        snapshot_id=version.snapshot_id,
        passed=all(result.passed for result in said),
        gates=said,
        challenger_metrics=dict(evaluation.metrics),
        champion_metrics=dict(evaluation.champion_metrics or {}) if champion else None,
        evaluation=evaluation,
        approval=model.approval,
        requested_by=requested_by,
        evidence_sha256="",
    )
    decision = replace(decision, evidence_sha256=_sha256_of(decision, version))
    with platform.warehouse.session() as session:
        if session.run(decisions.DECIDE, decision) and not decision.passed:
            session.run(decisions.END, training_id=version.training_id, outcome="rejected")


def _sha256_of(decision: Decision, version: Version) -> str:
    """Return the hash of what a decision rests on: who was judged, on what, what was measured and said.

    Of the challenger, the hash of what would serve and of what was judged: whoever signs, signs both.
    """
    columns = decision.values()
    named = {name: columns[name] for name in ("model", "challenger", "champion", "evaluation", "gates")}
    body = {**named, "snapshot": decision.snapshot_id, "artifact": version.artifact_sha256}
    if version.refit:
        body["judged"] = version.refit.judged_sha256
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _log_once(platform: Platform, run_id: str, decision: Decision, *, stood: bool) -> None:
    """Log a decision; one that ``stood`` before only if the try that made it was killed before it did.

    Its run may be gone meanwhile, and the decision stands all the same.
    """
    try:
        if not stood or LAST_LOGGED not in platform.registry.files(run_id):
            _log(platform, run_id, decision)
    except (NotReady, RegistryRefused) as error:
        if not stood:
            raise
        log.warning("what was decided is not shown in MLflow: %s", error)


def _log(platform: Platform, run_id: str, decision: Decision) -> None:
    evaluation = decision.measured
    # What a fit says by itself stands as holdout_ already: of two values of one name MLflow shows the larger.
    named = "holdout_recalibrated" if evaluation.recalibrated else "holdout"
    platform.registry.log(
        run_id,
        metrics={f"{named}_{k}": v for k, v in evaluation.metrics.items()},
        tags={"nightshift.gates": "passed" if decision.passed else "failed"},
    )
    for file, content in gain_plots(evaluation).items():
        platform.registry.log_file(run_id, f"plots/{file}", content)
    platform.registry.log_file(run_id, LAST_LOGGED, decision.values()["evaluation"])

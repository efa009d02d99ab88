"""The gate on real nights: leaks of the holdout, artifacts that work nowhere else, slices, signatures, budgets."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from integration.conftest import MODEL, History, with_model
from nightshift import artifacts, stages, train
from nightshift.errors import NotReady, RequestError, UnfairHoldout, WarehouseRefused
from nightshift.govern import Ledger
from nightshift.platform.frozen import read_snapshot
from nightshift.records.snapshots import FREEZE
from nightshift.stages import Answer, Platform, Try
from nightshift.types import to_parquet
from nightshift.warehouse import feature_table

pytestmark = pytest.mark.integration

AS_OF = date(2013, 2, 6)
NOON = datetime(2013, 2, 6, 12, tzinfo=UTC)
ASKED = Try("asked")
FITTED = "fitted"


def judged(platform: Platform, run_id: str, as_of: date = AS_OF, *, by: str | None = None) -> dict[str, Any]:
    """Train up to the decision; ``by``: who started it."""
    asked = Try(run_id)
    frozen = stages.snapshot(platform, MODEL, as_of, asked)
    stages.fit(platform, MODEL, frozen["snapshot_id"], asked, reason="a test")
    return stages.evaluate(platform, MODEL, as_of, asked, reason="a test", requested_by=by)


def better(platform: Platform, **more: Any) -> Platform:
    """Return the platform with a spec that beats the champion of the history, and more of the spec's keys."""
    return with_model(
        platform,
        lambda m: (m["estimator"]["params"].update(max_iter=60, learning_rate=0.05), m.update(more)),
    )


def signed_off(platform: Platform) -> Platform:
    return better(platform, approval="required", approvers=["olga", "ben"])


@pytest.fixture(scope="module")
def _fitted(history: History, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    def go_on(month: Platform) -> None:
        frozen = stages.snapshot(month, MODEL, AS_OF, Try(FITTED))
        stages.fit(better(month), MODEL, frozen["snapshot_id"], Try(FITTED), reason="a test")

    with history.continued(tmp_path_factory.mktemp("fitted"), go_on) as fitted:
        yield fitted


@pytest.fixture
def fitted(_fitted: History, tmp_path: Path) -> Iterator[Platform]:
    """Return the month with a training FITTED of the better spec, that no gate has judged."""
    with _fitted.copied(tmp_path) as platform:
        yield platform


def weighed(platform: Platform, *, by: str | None = None) -> dict[str, Any]:
    """Judge FITTED by the gates of the platform's spec; ``by``: who started it."""
    return stages.evaluate(platform, MODEL, AS_OF, Try(FITTED), reason="a test", requested_by=by)


def decision(platform: Platform, run_id: str) -> dict[str, Any]:
    found = platform.warehouse.row("SELECT * FROM governance.decisions WHERE training_id = %s", (run_id,))
    assert found is not None
    return found


def words(platform: Platform, run_id: str, gate: str) -> tuple[bool, str]:
    (found,) = [g for g in decision(platform, run_id)["gates"] if g["gate"] == gate]
    return found["passed"], found["words"]


# A fair holdout


def planted(platform: Platform, run_id: str, change: Callable[[pd.DataFrame, Any], pd.DataFrame]) -> None:
    """Fit on a snapshot with changed rows, recorded and hashed as any other."""
    frozen = stages.snapshot(platform, MODEL, AS_OF, Try(run_id))
    facts, rows = read_snapshot(platform, frozen["snapshot_id"])
    content = to_parquet(change(rows, facts))
    key, digest = platform.objects.put_once(f"snapshots/{MODEL}", content, ".parquet")
    platform.warehouse.run(FREEZE, replace(facts, snapshot_id=digest, object_key=key))
    stages.fit(platform, MODEL, digest, Try(run_id), reason="planted")


def test_a_row_of_the_holdout_planted_in_the_training_rows_fails_the_gate(loop: Platform) -> None:
    def plant(rows: pd.DataFrame, facts: Any) -> pd.DataFrame:
        stolen = (
            rows[rows["batch_date"] >= pd.Timestamp(facts.holdout_first)]
            .head(1)
            .assign(batch_date=pd.Timestamp(facts.train_last))
        )
        return pd.concat([rows, stolen], ignore_index=True)

    head = Ledger(loop.warehouse, MODEL).head()
    platform = better(loop)
    planted(platform, "planted", plant)
    with pytest.raises(
        UnfairHoldout, match=r"1 of the \d+ rows of the holdout are among the rows it was trained on"
    ):
        stages.evaluate(platform, MODEL, AS_OF, Try("planted"), reason="a test")
    with pytest.raises(NotReady, match="no decision"):
        stages.promote(platform, MODEL, AS_OF, Try("planted"), actor="tester")
    assert Ledger(loop.warehouse, MODEL).head() == head
    assert head is not None
    assert loop.registry.champion(MODEL) == head.version


def test_a_target_that_changed_since_the_snapshot_ends_the_training(loop: Platform) -> None:
    asked, platform = Try("retargeted"), better(loop)
    later = with_model(platform, lambda m: m["target"].update(above=30))
    frozen = stages.snapshot(platform, MODEL, AS_OF, asked)["snapshot_id"]
    told = r'target is {"column": "arr_delay", "above": 30} now; .* with {"column": "arr_delay", "above": 15}'
    with pytest.raises(NotReady, match=told):
        stages.fit(later, MODEL, frozen, asked, reason="a test")
    stages.fit(platform, MODEL, frozen, asked, reason="a test")
    with pytest.raises(NotReady, match=told):
        stages.evaluate(later, MODEL, AS_OF, asked, reason="a test")
    assert stages.evaluate(platform, MODEL, AS_OF, asked, reason="a test")["passed"] is not None


def test_the_rows_of_a_champion_are_looked_at_too(loop: Platform) -> None:
    """A champion trained on a row of this holdout would be flattered by it."""

    def plant(rows: pd.DataFrame, facts: Any) -> pd.DataFrame:
        return pd.concat([rows, later.assign(batch_date=pd.Timestamp(facts.train_last))], ignore_index=True)

    # as of the night after, the holdout is a night later: its last night is none of the first's
    later_facts, later_rows = read_snapshot(
        loop, stages.snapshot(loop, MODEL, AS_OF + timedelta(days=2), Try("later"))["snapshot_id"]
    )
    later = later_rows[later_rows["batch_date"] == pd.Timestamp(later_facts.holdout_last)].head(3)
    platform = better(loop)
    planted(platform, "champion", plant)
    assert stages.evaluate(platform, MODEL, AS_OF, Try("champion"), reason="a test")["passed"]
    stages.promote(platform, MODEL, AS_OF, Try("champion"), actor="tester")
    disjoint = with_model(platform, lambda m: m["train"].update(window_days=6, holdout_days=5, min_rows=100))
    loop.warehouse.execute(
        "ALTER TABLE governance.versions DISABLE TRIGGER append_only; "
        "UPDATE governance.versions SET train_last = train_last - 7 WHERE training_id = 'champion'"
    )
    night = AS_OF + timedelta(days=2)
    frozen = stages.snapshot(disjoint, MODEL, night, Try("after"))["snapshot_id"]
    fair = later_facts.holdout_last + timedelta(days=1 + 5 - 1) + (night - later_facts.holdout_last)
    with pytest.raises(
        UnfairHoldout, match=rf"3 of the \d+ rows of the holdout.* Train as of {fair}, or later"
    ):
        stages.fit(disjoint, MODEL, frozen, Try("after"), reason="a test")
    began = loop.warehouse.rows("SELECT 1 FROM governance.versions WHERE training_id = 'after'")
    assert began == [], "said before anything is fitted"


# The evidence


def sure(confidence: float) -> list[dict[str, Any]]:
    """Return the two gates of every model, the gain to be as sure as that."""
    return [
        {"gate": "minimum_score", "metric": "roc_auc", "value": 0.5},
        {"gate": "beats_champion", "metric": "log_loss", "confidence": confidence},
    ]


def test_a_decision_holds_intervals_slices_and_what_every_gate_said(fitted: Platform) -> None:
    weighed(better(fitted, slices=["origin"], gates=sure(0.9)))
    found = decision(fitted, FITTED)["evaluation"]
    low, high = found["intervals"]["log_loss"]
    assert low < found["metrics"]["log_loss"] < high
    assert found["days"] == 7
    assert {"origin=EWR", "origin=JFK", "origin=LGA"} <= set(found["slices"])
    assert sum(part["rows"] for part in found["slices"].values()) == found["rows"]
    assert "of 1000 resamples of 7 days, 90% asked" in words(fitted, FITTED, "beats_champion")[1]
    assert words(fitted, FITTED, "smoke") == (
        True,
        "a fresh process predicts 50 stored examples identically",
    )
    assert words(fitted, FITTED, "stable_features")[0]


def test_a_gain_that_few_days_make_passes_by_the_point_and_not_with_confidence(fitted: Platform) -> None:
    """Better on these seven days, but not in nearly all of their resamples."""
    assert weighed(better(fitted, gates=sure(0.0)))["passed"]
    assert not judged(better(fitted, gates=sure(0.99)), "sure")["passed"]
    said = words(fitted, "sure", "beats_champion")[1]
    assert 50 < float(said.split("so in ")[1].split("%")[0]) < 99


def test_a_slice_that_got_worse_stops_a_challenger_that_is_better_overall(loop: Platform) -> None:
    """Its training rows from one airport are labelled the wrong way round; the rest are fine."""

    def spoil(rows: pd.DataFrame, facts: Any) -> pd.DataFrame:
        wrong = (rows["batch_date"] <= pd.Timestamp(facts.train_last)) & (rows["origin"] == "LGA")
        return rows.assign(label=rows["label"].where(~wrong, 1 - rows["label"]))

    gates = [
        {"gate": "minimum_score", "metric": "roc_auc", "value": 0.1},
        {"gate": "beats_champion", "metric": "log_loss", "confidence": 0.0},
        {"gate": "no_worse_on_slices", "metric": "log_loss", "value": 0.05},
    ]
    platform = better(loop, slices=["origin"], gates=gates)
    planted(platform, "spoiled", spoil)
    assert not stages.evaluate(platform, MODEL, AS_OF, Try("spoiled"), reason="a test")["passed"]
    passed, said = words(loop, "spoiled", "no_worse_on_slices")
    assert not passed
    assert "log_loss is worse on 1 of 3 slices: origin=LGA" in said


def test_budgets_are_held(fitted: Platform) -> None:
    gates = [
        {"gate": "minimum_score", "metric": "roc_auc", "value": 0.5},
        {"gate": "beats_champion", "metric": "log_loss"},
        {"gate": "latency", "milliseconds": 0.001},
        {"gate": "size", "megabytes": 0.001},
    ]
    assert not weighed(better(fitted, gates=gates))["passed"]
    assert not words(fitted, FITTED, "latency")[0]
    assert not words(fitted, FITTED, "size")[0]


def test_an_artifact_that_a_fresh_process_reads_otherwise_fails(fitted: Platform) -> None:
    fitted.warehouse.execute(
        "ALTER TABLE governance.versions DISABLE TRIGGER append_only; "
        "UPDATE governance.versions SET examples = jsonb_set(examples, '{predictions,3}', '0.123') "
        "WHERE training_id = %s",
        (FITTED,),
    )
    assert not weighed(better(fitted))["passed"]
    passed, said = words(fitted, FITTED, "smoke")
    assert (passed, said) == (False, "a fresh process predicts 1 of 50 stored examples differently")


def test_a_feature_that_the_nights_deliver_as_another_type_fails(fitted: Platform) -> None:
    platform = better(fitted)
    table = feature_table(platform.project.feature_set("departure"))
    fitted.warehouse.execute(f"ALTER TABLE {table.qualified} ALTER distance TYPE text")
    assert not weighed(platform)["passed"]
    passed, said = words(fitted, FITTED, "stable_features")
    assert not passed
    assert "distance: trained float, now string" in said


def test_the_fresh_process_gets_no_secret_and_refuses_another_file(
    still: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "postgresql://somebody:canary@nowhere/x")
    assert not any("canary" in value for value in train.tryout._environment().values())
    head = Ledger(still.warehouse, MODEL).head()
    assert head is not None
    run = still.warehouse.row(
        "SELECT mlflow_run_id FROM governance.versions WHERE version = %s", (head.version,)
    )
    content = still.registry.model_bytes((run or {})["mlflow_run_id"], head.artifact_sha256)
    rows = pd.DataFrame({"distance": [1.0]})
    done = train.try_out(content + b"x", artifacts.seal(content), rows)
    assert "ArtifactRefused" in (done.error or "")


# The signature


@pytest.fixture(scope="module")
def _decided(history: History, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    def go_on(month: Platform) -> None:
        assert judged(signed_off(month), ASKED.run_id, by="admin")["passed"]

    with history.continued(tmp_path_factory.mktemp("decided"), go_on) as decided:
        yield decided


@pytest.fixture
def asked(_decided: History, tmp_path: Path) -> Iterator[Platform]:
    """Return the month with a training ASKED that admin started: it passed its gates and waits for a signature."""
    with _decided.copied(tmp_path) as platform:
        yield signed_off(platform)


def answer(by: str | None, *, approved: bool = True, comment: str | None = "looks right") -> Answer:
    return Answer(approved=approved, by=by, comment=comment, at=NOON)


def asked_of(platform: Platform, asked: Try = ASKED) -> dict[str, Any] | None:
    """Return what the approvers are asked."""
    return stages.ask_for_signature(
        platform, MODEL, asked, airflow_run="http://here", page="http://kept/{}".format
    )


def test_what_is_approved_is_promoted_in_the_name_of_who_signed(asked: Platform) -> None:
    request = asked_of(asked)
    assert request is not None
    assert request["approvers"] == ["olga", "ben"]
    assert "| log_loss |" in request["body"]
    assert f"[model card](http://kept/cards/{MODEL}/" in request["body"]
    assert len(str(request)) < 10_000
    with pytest.raises(NotReady, match="training 'asked' is not signed"):
        stages.promote(asked, MODEL, AS_OF, ASKED, actor="tester")
    stages.sign(asked, MODEL, ASKED, answer("olga"))
    assert stages.promote(asked, MODEL, AS_OF, ASKED, actor="tester")["outcome"] == "promoted"
    entry = asked.warehouse.row(
        "SELECT p.actor, s.comment, s.answer, s.evidence_sha256 = p.evidence_sha256 AS same, s.signed_at "
        "FROM governance.promotions p JOIN governance.signatures s USING (training_id) WHERE training_id = 'asked'"
    )
    assert entry == {
        "actor": "olga",
        "comment": "looks right",
        "answer": "approved",
        "same": True,
        "signed_at": NOON,
    }
    assert stages.conclude(asked, ASKED) == {"outcome": "promoted"}


@pytest.mark.parametrize(("by", "said"), [("olga", "rejected"), (None, "timed out")])
def test_what_is_rejected_or_left_alone_is_not_promoted(asked: Platform, by: str | None, said: str) -> None:
    head = Ledger(asked.warehouse, MODEL).head()
    stages.sign(asked, MODEL, ASKED, answer(by, approved=False))
    assert stages.promote(asked, MODEL, AS_OF, ASKED, actor="tester")["outcome"] == said
    assert stages.conclude(asked, ASKED) == {"outcome": said}
    assert Ledger(asked.warehouse, MODEL).head() == head
    # a second answer does not count
    stages.sign(asked, MODEL, ASKED, answer("ben"))
    assert stages.promote(asked, MODEL, AS_OF, ASKED, actor="tester")["outcome"] == said


def test_nobody_signs_who_may_not(fitted: Platform) -> None:
    platform, asked = signed_off(fitted), Try(FITTED)
    weighed(platform, by="olga")
    request = asked_of(platform, asked)
    assert (request or {})["approvers"] == ["ben"]
    with pytest.raises(RequestError, match="vic is no approver; olga, ben may sign"):
        stages.sign(platform, MODEL, asked, answer("vic"))
    with pytest.raises(RequestError, match="olga started this training; nobody signs their own"):
        stages.sign(platform, MODEL, asked, answer("olga"))
    assert fitted.warehouse.row("SELECT 1 FROM governance.signatures") is None


def test_the_only_approver_cannot_start_what_only_they_could_sign(fitted: Platform) -> None:
    platform = better(fitted, approval="required", approvers=["olga"])
    weighed(platform, by="olga")
    with pytest.raises(RequestError, match="its only approver; nobody signs their own"):
        asked_of(platform, Try(FITTED))


@pytest.mark.parametrize("forged", [None, ("olga", "other"), ("admin", None)])
def test_the_database_takes_no_promotion_without_a_signature_on_its_evidence(
    asked: Platform, forged: tuple[str, str | None] | None
) -> None:
    evidence = decision(asked, "asked")["evidence_sha256"]
    if forged:
        asked.warehouse.execute(
            "INSERT INTO governance.signatures (training_id, model, answer, signed_by, evidence_sha256, signed_at) "
            "VALUES ('asked', %s, 'approved', %s, %s, %s)",
            (MODEL, forged[0], forged[1] or evidence, NOON),
        )
    with pytest.raises(WarehouseRefused, match="training asked of late_arrival is not signed"):
        Ledger(asked.warehouse, MODEL).append(training_id="asked", effective_from=AS_OF, actor="somebody")


def test_a_signature_stays_as_it_was_given(asked: Platform) -> None:
    stages.sign(asked, MODEL, ASKED, answer("olga", approved=False))
    for statement in (
        "UPDATE governance.signatures SET answer = 'approved'",
        "DELETE FROM governance.signatures",
    ):
        with pytest.raises(WarehouseRefused, match="append-only"):
            asked.warehouse.execute(statement)


def test_a_champion_that_changed_meanwhile_makes_the_signature_stale_and_the_training_starts_again(
    loop: Platform,
) -> None:
    platform, asked = signed_off(loop), Try("waiting")
    loop.warehouse.execute(
        "INSERT INTO monitoring.retrain_requests (model, batch_date, status, reason, training_id) "
        "VALUES (%s, %s, 'started', 'drift', 'waiting')",
        (MODEL, AS_OF),
    )
    judged(platform, "waiting", by="olga")
    assert stages.judge_again(platform, MODEL, asked) is None, "nobody has signed"
    meanwhile = better(loop)
    judged(meanwhile, "meanwhile", AS_OF - timedelta(days=1))
    champion = stages.promote(meanwhile, MODEL, AS_OF, Try("meanwhile"), actor="tester")
    assert champion["outcome"] == "promoted"
    stages.sign(platform, MODEL, asked, answer("ben"))
    assert stages.promote(platform, MODEL, AS_OF, asked, actor="tester")["outcome"] == "stale"
    again = stages.judge_again(platform, MODEL, asked)
    assert again is not None
    assert (again["training_id"], again["as_of"]) == ("again__waiting", str(AS_OF))
    assert stages.judge_again(platform, MODEL, asked) == again
    assert stages.conclude(platform, asked) == {"outcome": "stale"}
    request = loop.warehouse.row(
        "SELECT training_id, outcome FROM monitoring.retrain_requests WHERE batch_date = %s", (AS_OF,)
    )
    assert request == {"training_id": "again__waiting", "outcome": None}
    assert judged(platform, "again__waiting")["champion"] == champion["version"]
    assert decision(loop, "again__waiting")["requested_by"] == "olga", (
        "who does not sign the repetition either"
    )


def test_hostile_words_are_shown_and_do_nothing(loop: Platform) -> None:
    platform, asked = signed_off(loop), Try("hostile words")
    frozen = stages.snapshot(platform, MODEL, AS_OF, asked)
    hostile = "</script><script>alert(1)</script> [x](javascript:alert(1)) {{ conn }} | `"
    stages.fit(platform, MODEL, frozen["snapshot_id"], asked, reason=hostile)
    stages.evaluate(platform, MODEL, AS_OF, asked, reason=hostile)
    body = (asked_of(platform, asked) or {})["body"]
    assert "<script>" not in body
    assert not re.search(r"(?<!\\)\]\(javascript", body)

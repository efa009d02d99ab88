"""What `nightshift trigger train_...` says at the end: Airflow's success is not yet a promotion."""

from datetime import UTC, date, datetime

import pytest

from nightshift.cli.decided import decided
from nightshift.database import Database
from nightshift.records import decisions
from nightshift.records.decisions import Decision, Evaluation, GateResult
from nightshift.rows import Command

pytestmark = pytest.mark.integration

GATES = (
    GateResult("minimum_score", "log_loss", False, "log_loss 0.4262, must be at most 0.417"),
    GateResult("smoke", None, True, "a fresh process predicts 50 stored examples identically"),
)


def test_a_training_that_was_rejected_says_so_with_the_gates_that_it_did_not_pass(warehouse):
    decision = Decision(
        training_id="manual__1",
        model="noshow",
        challenger=1,
        champion=None,
        as_of=date(2023, 5, 1),
        reason="first champion",
        snapshot_id="s",
        passed=False,
        gates=GATES,
        challenger_metrics={"log_loss": 0.4262},
        champion_metrics=None,
        evaluation=Evaluation(),
        approval="auto",
        requested_by=None,
        evidence_sha256="e",
        decided_at=datetime(2023, 5, 1, tzinfo=UTC),
    )
    with warehouse.session() as session:
        # Snapshot and version stay out of it.
        session.run(Command("SET LOCAL session_replication_role = replica"))
        session.run(decisions.DECIDE, decision)
    reader = Database(warehouse.url)
    assert decided(reader, "manual__1") == []  # it has not ended
    with warehouse.session() as session:
        session.run(decisions.END, training_id="manual__1", outcome="rejected")
    assert decided(reader, "manual__1") == [
        "version 1 of noshow: rejected\n  minimum_score: log_loss 0.4262, must be at most 0.417"
    ]
    assert decided(reader, "manual__2") == []

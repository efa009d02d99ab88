"""The request for a signature: everything that decides, in Markdown that only shows."""

import re
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from nightshift.govern.request import MOST_SLICES, request
from nightshift.pages import markdown
from nightshift.pages.words import plain
from nightshift.records.decisions import Decision, GateResult
from nightshift.records.monitoring import Asked

HOSTILE = "</script><script>alert(1)</script> [x](javascript:alert(1)) | `a` ![y](z)\n# big"


def decision(champion: int | None = 4, **more: Any) -> Decision:
    theirs = {"roc_auc": 0.7, "log_loss": 0.61} if champion else None
    part = {
        "rows": 900,
        "challenger": {"log_loss": 0.5},
        "champion": {"log_loss": 0.6},
        "gains": {"log_loss": [-0.01, 0.2]},
    }
    row = {
        "training_id": "t",
        "snapshot_id": "s" * 64,
        "as_of": date(2013, 7, 3),
        "passed": True,
        "challenger_metrics": {},
        "champion_metrics": theirs,
        "approval": "required",
        "requested_by": None,
        "model": "late_arrival",
        "challenger": 5,
        "champion": champion,
        "reason": "drift",
        "evidence_sha256": "e" * 64,
        "gates": [
            GateResult("minimum_score", "roc_auc", True, "roc_auc 0.7500, must be at least 0.6"),
            GateResult("beats_champion", "log_loss", True, "log_loss 0.5000 against 0.6100"),
        ],
        "evaluation": {
            "rows": 12_683,
            "days": 14,
            "metrics": {"roc_auc": 0.75, "log_loss": 0.5},
            "champion_metrics": theirs,
            "intervals": {"log_loss": [0.4, 0.6]},
            "gains": {"log_loss": [0.05, 0.15]} if champion else {},
            "slices": {f"origin=A{n}": part for n in range(40)},
        },
        **more,
    }
    return Decision.of(row)


def asked(reason: str = "predictions drifted") -> Asked:
    return Asked(
        batch_date=date(2013, 7, 2),
        request="drift",
        requested_by=None,
        reason=reason,
        report_key=None,
        drift=None,
    )


def told(*given: Any) -> str:
    return markdown(request(*given), titled=False)


def test_it_shows_both_with_intervals_slices_gates_cause_and_links() -> None:
    body = told(decision(), asked(), {"MLflow run": "http://mlflow/1"}, ["olga", "ben_b"])
    for words in (
        "against version 4, on 12,683 rows of 14 days that neither has seen",
        "Asked: olga, ben_b. An answer of anybody else does not count.",
        "| log_loss | 0.5000 | 0.4000 to 0.6000 | 0.6100 | +0.0500 to +0.1500 |",
        "| origin=A0 | 900 | 0.5000 | 0.6000 | -0.0100 to +0.2000 |",
        "the night of 2013-07-02: predictions drifted",
        "- beats_champion: log_loss 0.5000 against 0.6100",
        "[MLflow run](http://mlflow/1)",
        "e" * 64,
    ):
        assert words in body


def test_without_a_champion_there_is_nothing_to_compare() -> None:
    body = told(decision(champion=None), None, {}, ["olga", "ben_b"])
    assert "against no champion" in body
    assert "gain, interval" not in body


def test_a_model_without_labels_says_so_and_shows_no_empty_table() -> None:
    gates = [GateResult("smoke", None, True, "50 of 50 predictions repeated")]
    evaluation = {"rows": 800, "days": 7}
    body = told(decision(champion=None, gates=gates, evaluation=evaluation), None, {}, ["olga"])
    assert "Nothing was measured: there are no labels." in body
    assert "against no champion, on 800 rows of 7 days" in body
    assert "|" not in body


def test_it_stays_small_however_many_slices_there_are() -> None:
    body = told(decision(reason="x" * 500), None, {}, ["olga", "ben_b"])
    assert body.count("| origin=A") == MOST_SLICES
    assert len(body) < 8_000


@pytest.mark.parametrize("where", ["reason", "slice", "verdict"])
def test_what_people_and_data_wrote_is_text(where: str) -> None:
    given, of = decision(), asked("x")
    if where == "slice":
        largest = replace(given.measured.slices["origin=A0"], rows=999)
        given = replace(given, evaluation=replace(given.measured, slices={HOSTILE: largest}))
    elif where == "verdict":
        of = asked(HOSTILE)
    else:
        given = replace(given, reason=HOSTILE)
    body = told(given, of, {}, ["olga", "ben_b"])
    assert "<" not in body
    assert not re.search(r"(?<!\\)\]\(javascript", body)
    assert "![y]" not in body
    assert "\n# big" not in body
    (row,) = [line for line in body.splitlines() if "alert" in line]
    assert row.replace("\\|", "").count("|") == (6 if where == "slice" else 0)


def test_plain_text_stays_readable() -> None:
    assert plain("2 of 3 nights: PSI 0.5") == "2 of 3 nights: PSI 0.5"

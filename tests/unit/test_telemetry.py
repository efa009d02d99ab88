"""What tasks tell: what deploy/metrics reads of it, what a result comes to, what an event holds."""

import json
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import prometheus
import pytest
import yaml

from nightshift.alerts import KINDS
from nightshift.errors import NotReady, SpecError, Unreachable
from nightshift.orchestration import telemetry
from nightshift.orchestration.telemetry import METRICS, counts, samples
from nightshift.specs.derived import OF_THE_PROJECT, STAGES, stage_of
from nightshift.specs.model import Model

DEPLOY = Path(__file__).parents[2] / "deploy" / "metrics"
DOCS = Path(__file__).parents[2] / "docs"
NAME, LABELS = re.compile(r"\bnightshift_\w+"), re.compile(r"(nightshift_\w+)\{([^}]*)\}")
OF_A_TIMER = re.compile(r"_(bucket|count|sum)$")


def mapped() -> dict[str, str]:
    """Return the names in Prometheus, each with Airflow's."""
    mappings = yaml.safe_load((DEPLOY / "statsd-mapping.yaml").read_text())["mappings"]
    return {each["name"]: each["match"].removeprefix("airflow.") for each in mappings}


def expressions() -> list[str]:
    """Return every expression of the rules and of the dashboard."""
    rules = yaml.safe_load((DEPLOY / "prometheus-rules.yaml").read_text())["groups"][0]["rules"]
    board = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    return [rule["expr"] for rule in rules] + asked + [board["templating"]["list"][1]["query"]]


def test_every_metric_has_its_name_in_prometheus_and_no_other_has_one() -> None:
    assert sorted(mapped().values()) == sorted(METRICS)
    for name, of in mapped().items():
        ending = {"counter": "_total", "timer": "_seconds", "gauge": ""}[METRICS[of].kind]
        assert name.endswith(ending) or METRICS[of].kind == "gauge"


def test_rules_and_dashboard_ask_for_names_and_labels_that_are_sent() -> None:
    known, asked = mapped(), expressions()
    assert len(asked) > 20
    for text in asked:
        for name in NAME.findall(text):
            assert OF_A_TIMER.sub("", name) in known, text
        for name, labels in LABELS.findall(text):
            tags = METRICS[known[OF_A_TIMER.sub("", name)]].tags
            assert {label.split("=")[0].rstrip("!") for label in labels.split(",")} <= set(tags), text


def test_every_metric_is_drawn_or_asked_about() -> None:
    used = {OF_A_TIMER.sub("", name) for text in expressions() for name in NAME.findall(text)}
    assert mapped().keys() == used


def test_every_rule_leads_to_a_runbook_that_there_is() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus-rules.yaml").read_text())["groups"][0]["rules"]
    for rule in rules:
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert page == "docs/runbooks.md"
        assert anchor in KINDS


@pytest.fixture(scope="module")
def promtool() -> str:
    found = prometheus.find("promtool")
    return found or pytest.skip("no promtool: tests/prometheus.py fetches it on Debian")


def test_each_rule_fires_with_its_words_and_clears(promtool: str) -> None:
    command = [promtool, "test", "rules", str(DEPLOY / "prometheus-rules-test.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    cases = [
        case
        for test in yaml.safe_load((DEPLOY / "prometheus-rules-test.yaml").read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    fires = {case["alertname"] for case in cases if case["exp_alerts"]}
    rests = [case["alertname"] for case in cases if not case["exp_alerts"]]
    rules = yaml.safe_load((DEPLOY / "prometheus-rules.yaml").read_text())["groups"][0]["rules"]
    assert {rule["alert"] for rule in rules} == fires
    # Before and afterwards.
    assert all(rests.count(rule["alert"]) >= 2 for rule in rules)


def test_the_page_explains_every_metric() -> None:
    page = (DOCS / "metrics.md").read_text()
    for name, metric in METRICS.items():
        assert f"| `{name}` | {metric.kind} | {', '.join(metric.tags) or '-'} | {metric.meaning} |" in page


RETAINED = {
    "as_of": "2013-02-06",
    "dry_run": False,
    "kinds": {
        "reports": {"things": 2, "bytes": 30},
        "mlflow": {"things": 3, "bytes": 70},
        "sketches": {"things": 0, "bytes": 0},
    },
    "waiting": {"things": 2, "bytes": 50},
}


def test_a_retention_tells_of_each_kind_what_went() -> None:
    found = list(samples("retention", "retain", RETAINED, 1.0))
    went = {(each.metric, each.tags["kind"]): each.value for each in found if "kind" in each.tags}
    assert went == {
        ("nightshift.retention.things", "reports"): 2,
        ("nightshift.retention.bytes", "reports"): 30,
        ("nightshift.retention.things", "mlflow"): 1,
        ("nightshift.retention.bytes", "mlflow"): 20,
        ("nightshift.retention.things", "sketches"): 0,
        ("nightshift.retention.bytes", "sketches"): 0,
    }
    assert found[-1].metric == "nightshift.night"


def told(stage: str, task: str, result: Any) -> dict[str, float]:
    return {each.metric: each.value for each in samples(stage, task, result, 1.0)}


def test_a_gate_that_rejects_is_counted_apart() -> None:
    found = samples("train", "evaluate", {"by_gate": {"minimum_score": True, "smoke": False}}, 1.0)
    said = [dict(each.tags) for each in found if each.metric == "nightshift.gates"]
    assert said == [{"gate": "minimum_score", "passed": "yes"}, {"gate": "smoke", "passed": "no"}]


@pytest.mark.parametrize(
    ("stage", "task", "result", "expected"),
    [
        ("retrain", "decide", {"start": True, "reason": "harm"}, {"nightshift.retrainings": 1}),
        ("retrain", "decide", {"start": False, "reason": "calm"}, {}),
        ("retrain", "decide", {"start": False, "guard": "cooldown"}, {"nightshift.retrainings.held": 1}),
        ("retention", "retain", RETAINED | {"dry_run": True}, {}),
        ("train", "conclude", {"outcome": "rejected"}, {"nightshift.trainings": 1}),
        ("alerts", "send", {"delivered": 2, "failed": 1}, {"nightshift.alerts.sent": 2, "nightshift.alerts.unsent": 1}),
        ("score", "beside", {"model": "m", "rows": 3}, {}),
        ("collect", "publish", None, {}),
    ],
)  # fmt: skip
def test_a_result_comes_to_its_numbers(
    stage: str, task: str, result: Any, expected: dict[str, float]
) -> None:
    assert told(stage, task, result) == {"nightshift.task.duration": 1000, **expected}


def test_a_verdict_without_evidence_ends_that_of_a_former_champion() -> None:
    said = told("monitor", "verdict", {"status": "ok", "batch_date": "2013-02-06", "shift": 0.25})
    assert said["nightshift.shift"] == 0.25
    assert said["nightshift.harm"] == 0.0


def test_a_training_that_failed_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, dict]] = []
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
    monkeypatch.setattr(telemetry.stats, "incr", lambda name, count, tags: sent.append((name, tags)))
    dag = SimpleNamespace(dag_id="train_late_arrival")
    telemetry.tell_failure({"dag": dag, "exception": NotReady("training 'x' failed")})
    telemetry.tell_failure({"dag": dag, "exception": Unreachable("the warehouse is away: not known yet")})
    assert sent == [("nightshift.trainings", {"name": "late_arrival", "outcome": "failed"})]


def test_an_event_holds_counts_and_no_words() -> None:
    result = {
        "rows": 3,
        "passed": True,
        "reason": "value 'Jo' of name",
        "gates": ["x"],
        "by_gate": {"x": True},
    }
    assert counts(result) == {"rows": 3, "passed": True}
    assert counts(None) == {}


def test_nothing_is_told_unless_it_is_switched_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime(2013, 2, 6, tzinfo=UTC)
    monkeypatch.delenv("AIRFLOW__NIGHTSHIFT__EVENTS", raising=False)
    assert not telemetry.switched_on()
    telemetry.event("run", now, rows=1)
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("AIRFLOW__NIGHTSHIFT__EVENTS", "stdout")
    telemetry.event("run", now, rows=1)
    assert json.loads(capsys.readouterr().out) == {"at": now.isoformat(), "event": "run", "rows": 1}
    file = tmp_path / "events.jsonl"
    monkeypatch.setenv("AIRFLOW__NIGHTSHIFT__EVENTS", str(file))
    telemetry.event("run", now, rows=2)
    assert json.loads(file.read_text())["rows"] == 2


def test_a_file_that_cannot_be_written_fails_no_task(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW__NIGHTSHIFT__EVENTS", str(tmp_path / "no" / "events.jsonl"))
    ti = SimpleNamespace(task_id="score", start_date=datetime.now(UTC), run_id="r", try_number=1)
    telemetry.tell({"ti": ti, "dag": SimpleNamespace(dag_id="score_m")}, {"rows": 1, "nights": "2013-02-06"})


def test_a_dag_is_of_its_stage_and_spec() -> None:
    assert {stage_of(f"{stage}_x") for stage in STAGES[Model]} == {(stage, "x") for stage in STAGES[Model]}
    assert {stage_of(dag) for dag in OF_THE_PROJECT} == {(dag, "project") for dag in OF_THE_PROJECT}
    with pytest.raises(SpecError, match="of no stage"):
        stage_of("mine")

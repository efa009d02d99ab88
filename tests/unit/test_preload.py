"""Only the parents of tasks take the weight of the ML libraries."""

import sys

import pytest

from nightshift.orchestration import preload


@pytest.mark.parametrize(
    ("argv", "heavy"),
    [
        (["airflow", "scheduler"], True),
        (["airflow", "scheduler", "--skip-serve-logs"], True),
        (["/opt/bin/airflow", "celery", "worker", "-q", "default"], True),
        (["airflow", "api-server"], False),
        (["airflow", "dag-processor"], False),
        (["airflow", "triggerer"], False),
        (["airflow", "celery", "flower"], False),
        (["airflow", "dags", "list", "scheduler"], False),
        (["airflow"], False),
        (["pytest"], False),
    ],
)
def test_only_the_parents_of_tasks_import(
    argv: list[str], heavy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preload, "HEAVY", ("colorsys",))
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    assert preload.preload(argv) == (["colorsys"] if heavy else [])
    assert ("colorsys" in sys.modules) is heavy


def test_a_missing_library_does_not_keep_the_scheduler_from_starting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(preload, "HEAVY", ("no_such_library", "colorsys"))
    assert preload.preload(["airflow", "scheduler"]) == ["colorsys"]
    assert "no_such_library" in caplog.text


@pytest.mark.parametrize(
    ("executor", "heavy"),
    [
        ("LocalExecutor", True),
        ("LocalExecutor,CeleryExecutor", True),
        ("CeleryExecutor", False),
        ("airflow.providers.cncf.kubernetes.executors.kubernetes_executor.KubernetesExecutor", False),
    ],
)
def test_a_scheduler_takes_the_weight_only_where_its_own_children_run_tasks(
    monkeypatch: pytest.MonkeyPatch, executor: str, heavy: bool
) -> None:
    monkeypatch.setattr(preload, "HEAVY", ("colorsys",))
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    assert preload.preload(["airflow", "scheduler"]) == (["colorsys"] if heavy else [])
    assert preload.preload(["airflow", "celery", "worker"]) == ["colorsys"]

"""`nightshift rename` looks for runs that go on: of a feature set, of each version."""

from types import SimpleNamespace
from typing import Any

import pytest

from nightshift.cli import rename
from nightshift.errors import NotReady


class Airflow:
    """Airflow with one run that goes on."""

    def __init__(self, running: str) -> None:
        self.running = running

    def __enter__(self) -> "Airflow":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def runs(self, dag_id: str, **_: Any) -> list[dict[str, str]]:
        return [{"dag_run_id": "night", "state": "running"}] if dag_id == self.running else []


@pytest.mark.parametrize("running", ["features_departure", "explore_features_departure_v2"])
def test_a_run_of_any_version_of_a_set_stands_in_the_way(
    monkeypatch: pytest.MonkeyPatch, running: str
) -> None:
    files = {"planned": "planned", "planned_v2": "planned", "other_v2": "other"}
    sets = {name: SimpleNamespace(name=name, set=of) for name, of in files.items()}
    project = SimpleNamespace(feature_sets=sets)
    monkeypatch.setattr(rename.state, "load", lambda: None)
    monkeypatch.setattr(rename, "Client", SimpleNamespace(of=lambda _: Airflow(running)))
    names = rename._names(project, "features", "departure", "planned")
    assert names == ["departure", "departure_v2"]
    with pytest.raises(NotReady, match=f"{running}: run night is running"):
        rename._require_no_runs("features", names)

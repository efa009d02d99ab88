"""What commands work with is all of one place: what the environment names, or the local stack's."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nightshift.cli import handles, leak_check, registry_check
from nightshift.errors import RequestError

ELSEWHERE = {
    handles.WAREHOUSE: "postgresql://ann@elsewhere/warehouse",
    handles.OBJECTS: "/elsewhere/objects",
    handles.REGISTRY: "http://elsewhere:5000",
}
HERE = ("postgresql://nightshift_operate@here/warehouse", "/here/objects", "http://here:5000")


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a local stack, whose handles are told and not opened; and nothing in the environment."""
    from nightshift import registry, stages

    runtime = SimpleNamespace(
        warehouse_as=lambda role: HERE[0], mlflow_url=HERE[2], mlflow_user="", mlflow_password=""
    )
    monkeypatch.setattr(handles.state, "load", lambda: runtime)
    monkeypatch.setattr(handles.state, "home", lambda: Path("/here"))
    monkeypatch.setattr(handles, "load_project", lambda: None)
    monkeypatch.setattr(registry, "Registry", lambda uri: uri)

    def of(_: Any, registry: str, *, warehouse: str, objects: str) -> tuple[str, str, str]:
        return warehouse, objects, registry

    monkeypatch.setattr(stages.Platform, "of", staticmethod(of))
    for variable in ELSEWHERE:
        monkeypatch.delenv(variable, raising=False)
    for variable in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(variable, "")  # set by what is tested


def test_what_the_environment_names_is_taken_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in ELSEWHERE.items():
        monkeypatch.setenv(variable, value)
    assert handles.platform("operate") == tuple(ELSEWHERE.values())


@pytest.mark.parametrize("variable", [handles.OBJECTS, handles.REGISTRY])
def test_files_and_a_registry_of_elsewhere_are_not_those_of_the_local_warehouse(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, ELSEWHERE[variable])
    assert handles.platform("operate") == HERE


@pytest.mark.parametrize("missing", [handles.OBJECTS, handles.REGISTRY])
def test_a_warehouse_of_elsewhere_has_nothing_to_do_with_local_files_or_a_local_registry(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    for variable in ELSEWHERE.keys() - {missing}:
        monkeypatch.setenv(variable, ELSEWHERE[variable])
    with pytest.raises(RequestError, match=f"NIGHTSHIFT_WAREHOUSE_URL is set: set {missing} too"):
        handles.platform("operate")


def test_what_a_command_does_not_use_need_not_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(handles.WAREHOUSE, ELSEWHERE[handles.WAREHOUSE])
    with pytest.raises(RequestError, match="set MLFLOW_TRACKING_URI too"):
        registry_check._platform("operate")
    with pytest.raises(RequestError, match="set NIGHTSHIFT_OBJECTS too"):
        leak_check.run("departure", [], None)  # type: ignore[arg-type]
    monkeypatch.setenv(handles.REGISTRY, ELSEWHERE[handles.REGISTRY])
    warehouse, _, registry = registry_check._platform("operate")  # type: ignore[misc]
    assert (warehouse, registry) == (ELSEWHERE[handles.WAREHOUSE], ELSEWHERE[handles.REGISTRY])

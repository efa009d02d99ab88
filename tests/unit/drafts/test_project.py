"""`nightshift init`: an empty project, or nothing at all."""

from datetime import date
from pathlib import Path

import pytest

from nightshift.drafts.project import new_project
from nightshift.errors import RequestError, SpecError
from nightshift.root import ENGINE
from nightshift.runtime import settings_file
from nightshift.specs import load_project

FIRST = date(2024, 2, 1)


def test_it_is_sound_and_has_what_airflow_reads(tmp_path: Path) -> None:
    file = new_project(tmp_path / "mine", timezone="Asia/Tokyo", first_night=FIRST)
    project = load_project(file.parent).require_sound()
    assert (project.settings.timezone, project.settings.first_night) == ("Asia/Tokyo", FIRST)
    assert (project.settings.components, project.sources, project.models) == (None, {}, {})
    for name in ("dags", "plugins"):
        ours = {path.name for path in (ENGINE.parent / name).glob("*.py")}
        assert {path.name for path in (tmp_path / "mine" / name).iterdir()} == ours


def test_of_data_of_the_past_it_has_a_last_night(tmp_path: Path) -> None:
    last = date(2024, 3, 1)
    file = new_project(tmp_path / "mine", timezone="UTC", first_night=FIRST, last_night=last)
    assert load_project(file.parent).settings.last_night == last
    with pytest.raises(SpecError, match="last_night"):
        new_project(tmp_path / "other", timezone="UTC", first_night=FIRST, last_night=date(2024, 1, 1))
    assert not (tmp_path / "other").exists()


def test_its_settings_are_those_of_the_example_without_its_upstreams(tmp_path: Path) -> None:
    new_project(tmp_path / "mine", timezone="UTC", first_night=FIRST)
    ours = settings_file.read(ENGINE.parent / "airflow_settings.yaml")
    mine = settings_file.read(tmp_path / "mine/airflow_settings.yaml")
    assert (mine.pools, mine.variables) == (ours.pools, ours.variables)
    assert mine.connections == [c for c in ours.connections if c.conn_id.startswith(("warehouse_", "mlflow"))]


@pytest.mark.parametrize("there", ["include/project.yaml", "notes.txt"])
def test_what_is_there_is_left_as_it_is(tmp_path: Path, there: str) -> None:
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_text("mine")
    with pytest.raises(RequestError, match="is there and not empty"):
        new_project(tmp_path, timezone="UTC", first_night=FIRST)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [Path(there).name]


def test_a_time_zone_that_is_none_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="timezone"):
        new_project(tmp_path / "mine", timezone="Mars/Olympus", first_night=FIRST)
    assert not (tmp_path / "mine").exists()


def test_without_the_engines_dags_it_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="from a checkout"):
        new_project(tmp_path / "mine", timezone="UTC", first_night=FIRST, wiring=tmp_path / "nowhere")

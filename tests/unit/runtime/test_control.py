"""A home folder that others use too: nothing of theirs is written to, nothing of theirs goes."""

from pathlib import Path

import pytest

from nightshift.errors import NotReady
from nightshift.runtime import control, credentials, endpoints, postgres, state
from nightshift.runtime.control import FILES, FOLDERS
from nightshift.runtime.state import Snapshot


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the home folder that commands are about, whose name says nothing."""
    folder = tmp_path / "nightshift-notes"
    folder.mkdir()
    monkeypatch.setenv("NIGHTSHIFT_HOME", str(folder))
    monkeypatch.setattr(postgres, "shelter", lambda home: tmp_path / "shelter")
    return folder


def ran(home: Path) -> None:
    """Have everything there that a stack makes."""
    known = credentials.keep(home)
    state.write_snapshot(Snapshot(endpoints.arrange(home, known, endpoints.PREFERRED), phase="stopped"))
    for name in (*FOLDERS, "upstream"):
        (home / name / "deep").mkdir(parents=True)
        (home / name / "deep" / "file").write_text("ours")
    for name in (*FILES, "credentials.json.before", "runtime.json.4711"):
        (home / name).touch()


def test_a_home_that_is_ours_alone_goes_as_a_whole_with_its_shelter(home: Path, tmp_path: Path) -> None:
    ran(home)
    (tmp_path / "shelter" / "postgres").mkdir(parents=True)
    assert control.purge() == [tmp_path / "shelter", home]
    assert list(tmp_path.iterdir()) == []


def test_what_others_keep_in_our_home_stays(home: Path) -> None:
    ran(home)
    (home / "thesis.tex").write_text("dear")
    (home / "photos").mkdir()
    (home / "objects").rename(home / "photos" / "large disk")
    (home / "objects").symlink_to(home / "photos" / "large disk")
    assert home not in control.purge()
    assert sorted(path.name for path in home.iterdir()) == ["photos", "thesis.tex"]


def test_a_folder_that_was_never_our_home_stays_whatever_its_name(home: Path) -> None:
    (home / "logs").mkdir()
    (home / "logs" / "dear.log").write_text("dear")
    assert control.purge() == []
    assert (home / "logs" / "dear.log").exists()


@pytest.mark.parametrize("name", [*FOLDERS, "upstream"])
def test_a_folder_of_somebody_elses_is_not_written_to(home: Path, name: str) -> None:
    (home / name).mkdir()
    control.check_machine(home)
    (home / name / "dear.cfg").write_text("")
    with pytest.raises(NotReady, match=f"{home / name}: there already, and not ours; set NIGHTSHIFT_HOME"):
        control.check_machine(home)
    credentials.keep(home)
    control.check_machine(home)


def test_what_a_first_start_left_that_was_cut_short_is_ours(home: Path) -> None:
    (home / "logs").mkdir()
    (home / "logs" / "supervisor.log").write_text("error: ...")
    control.check_machine(home)

"""What a project adds to the stack: named in project.yaml, found below the project's folder, refused with its key."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nightshift.errors import SpecError
from nightshift.root import find
from nightshift.specs import load_settings

BRINGS = """
from nightshift.runtime.stack import Component, Extension

DESK = Extension(components=(Component("desk", lambda stack: None, needs=("databases",)),), databases=("fares",))
TAKEN = Extension(components=(Component("mlflow", lambda stack: None),))
NUMBER = 7
"""
ASK = """
import json, sys
from nightshift.errors import SpecError
from nightshift.runtime import components
try:
    print(json.dumps([list(components.table()), components.extension().databases]))
except SpecError as error:
    sys.exit(str(error))
"""


def asked(folder: Path, named: str | None) -> subprocess.CompletedProcess:
    """Ask for the table of a project whose project.yaml names ``named``."""
    (folder / "include").mkdir()
    line = f"components: {named}\n" if named else ""
    (folder / "include/project.yaml").write_text(f"first_night: 2024-01-01\n{line}")
    (folder / "desk").mkdir()
    (folder / "desk/local.py").write_text(BRINGS)
    environment = {key: value for key, value in os.environ.items() if key != "NIGHTSHIFT_INCLUDE"}
    return subprocess.run(
        [sys.executable, "-P", "-c", ASK],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_the_project_adds_stands_below_the_stack(tmp_path: Path) -> None:
    names, databases = json.loads(asked(tmp_path, "desk.local:DESK").stdout)
    assert names[-1] == "desk"
    assert {"postgres", "mlflow", "scheduler"} < set(names)
    assert databases == ["fares"]


def test_a_project_that_adds_nothing_has_no_airline(tmp_path: Path) -> None:
    names, databases = json.loads(asked(tmp_path, None).stdout)
    assert not {"aircraft", "upstream"} & set(names)
    assert databases == []


@pytest.mark.parametrize(
    ("named", "complaint"),
    [
        ("dsk.local:DESK", "project.yaml: key 'components': dsk.local:DESK: No module named 'dsk'"),
        ("desk.local:DESKS", "has no attribute 'DESKS'; expected module:NAME below"),
        ("desk.local:NUMBER", "is a int; expected nightshift.runtime.stack.Extension"),
        ("desk.local:TAKEN", "component 'mlflow': the stack has one of that name; choose another"),
    ],
)
def test_what_cannot_be_added_is_named(tmp_path: Path, named: str, complaint: str) -> None:
    done = asked(tmp_path, named)
    assert done.returncode == 1
    assert complaint in done.stderr


@pytest.mark.parametrize(
    "named", ["desk", "desk:", ":DESK", "desk local:DESK", "desk.local:DESK.more", "../desk:DESK"]
)
def test_what_is_no_name_is_refused_with_its_file(tmp_path: Path, named: str) -> None:
    (tmp_path / "project.yaml").write_text(f"first_night: 2024-01-01\ncomponents: '{named}'\n")
    with pytest.raises(SpecError, match=r"project\.yaml.*components"):
        load_settings(tmp_path)


def test_the_project_is_the_nearest_one_above(tmp_path: Path) -> None:
    deep = tmp_path / "a/b"
    deep.mkdir(parents=True)
    engine = find(None, deep)
    assert (engine / "nightshift").is_dir()
    (tmp_path / "include").mkdir()
    assert find(None, deep) == engine
    (tmp_path / "include/project.yaml").touch()
    assert find(None, deep) == tmp_path / "include"
    assert find("/elsewhere", deep) == Path("/elsewhere")

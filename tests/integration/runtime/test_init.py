"""`nightshift init`: an empty project starts, is healthy, holds no airline, and takes its first source."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nightshift.runtime import endpoints, state
from nightshift.runtime.api import Client
from nightshift.specs.derived import OF_THE_PROJECT, ROLES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
ELSEWHERE = ("NIGHTSHIFT_INCLUDE", "NIGHTSHIFT_HOME", "PYTHONPATH")


@dataclass(frozen=True)
class Shop:
    """A project of its own, used as a person does: by the command, from within its folder."""

    folder: Path
    ports: dict[str, str]

    def nightshift(self, *words: str) -> str:
        """Return what the command prints; it must succeed."""
        kept = {key: value for key, value in os.environ.items() if key not in ELSEWHERE}
        done = subprocess.run(
            [sys.executable, "-P", "-m", "nightshift.cli", *words],
            cwd=self.folder,
            env=kept | self.ports | {"COLUMNS": "200"},
            input="y\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    root = tmp_path_factory.mktemp("init")
    ports = {
        f"NIGHTSHIFT_{name.upper()}_PORT": str(endpoints.any_free_port()) for name in endpoints.PREFERRED
    }
    Shop(root, ports).nightshift("init", "shop", "--timezone", "Europe/Zurich", "--first-night", "2022-01-01")
    shop = Shop(root / "shop", ports)
    try:
        shop.nightshift("up")
        yield shop
    finally:
        shop.nightshift("down", "--purge")


def test_an_empty_project_is_sound_and_its_stack_healthy_without_an_airline(shop: Shop) -> None:
    assert "Sound: 0 sources, 0 feature sets, 0 models." in shop.nightshift("check")
    shown = shop.nightshift("status")
    assert "scheduler" in shown
    assert "aircraft" not in shown
    runtime = state.load(shop.folder / ".nightshift")
    assert (runtime.services, runtime.databases) == ({}, {})
    assert not (runtime.home / "upstream").exists()
    with Client.of(runtime) as airflow:
        airflow.wait_for_dags({*OF_THE_PROJECT})
        assert airflow.import_errors() == []
        assert {c["connection_id"] for c in airflow.get("/connections")["connections"]} == {
            "mlflow",
            *(f"warehouse_{role}" for role in ROLES),
        }
        assert set(airflow.dags()) == {*OF_THE_PROJECT}


def test_its_first_source_is_drafted_and_collected(shop: Shop) -> None:
    days = [f"2022-01-0{day}" for day in range(1, 8)]
    rows = [f"{day},{shop_},{number}" for number, day in enumerate(days) for shop_ in ("Bern", "Chur")]
    (shop.folder / "data").mkdir()
    (shop.folder / "data/sales.csv").write_text("\n".join(["day,shop,sold", *rows]) + "\n")
    drafted = ["source", "sales", "--folder", "data", "--path", "sales.csv", "--date-column", "day"]
    shop.nightshift("new", *drafted)
    assert (shop.folder / "include/sources/sales.yaml").is_file()
    assert "Sound: 1 sources" in shop.nightshift("check")
    shop.nightshift("trigger", "collect_sales", "--from", "2022-01-05", "--leave")
    assert "2" in shop.nightshift("sql", "SELECT count(*) FROM raw.sales").split()

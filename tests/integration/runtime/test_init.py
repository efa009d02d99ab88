"""`nightshift init`: an empty project starts, is healthy, holds no airline, and takes its first source."""

from collections.abc import Iterator

import pytest
from integration import shops
from integration.shops import Shop

from nightshift.runtime.api import Client
from nightshift.specs.derived import OF_THE_PROJECT, ROLES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    root = tmp_path_factory.mktemp("init")
    with shops.opened(root, "--timezone", "Europe/Zurich", "--first-night", "2022-01-01") as shop:
        yield shop


def test_an_empty_project_is_sound_and_its_stack_healthy_without_an_airline(shop: Shop) -> None:
    assert "Sound: 0 sources, 0 feature sets, 0 models." in shop.nightshift("check")
    shown = shop.nightshift("status")
    assert "scheduler" in shown
    assert "aircraft" not in shown
    runtime = shop.runtime
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

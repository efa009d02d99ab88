"""The catalog: datasets from the specs, and one page on which everything leads somewhere and nothing is markup."""

import re
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser

import pytest

from nightshift.catalog import Standing, datasets, document
from nightshift.pages import page
from nightshift.pages.face import POLICY
from nightshift.records.catalog import DescribedColumn, Freshness, Night
from nightshift.specs import Project, load_project

NIGHT = date(2013, 7, 3)
RECORDED = datetime(2013, 7, 3, 5, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> https://evil.example"


class Elements(HTMLParser):
    """All start tags of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def project() -> Project:
    return load_project()


def nights(project: Project, count: int = 40) -> list[Night]:
    """Return a row of catalog.nights for each dataset and each of the last ``count`` nights."""
    return [
        Night(
            kind=each.kind,
            name=each.name,
            batch_date=NIGHT - timedelta(days=back),
            row_count=900 + back,
            status="failed" if back == 2 else "published",
            rejected_share=0.01 if each.kind == "source" else None,
            drift="drifted" if each.kind == "model" and back == 0 else None,
            why="",
            run_id="scheduled",
            recorded_at=RECORDED,
        )
        for each in datasets(project)
        for back in range(count)
    ]


def test_every_source_feature_set_and_model_is_a_dataset_with_its_owner(project: Project) -> None:
    found = {each.id: each for each in datasets(project)}
    assert set(found) == {
        *(f"source.{name}" for name in project.sources),
        *(f"features.{spec.table}" for spec in project.feature_sets.values()),
        *(f"model.{name}" for name in project.models),
    }
    assert found["source.weather"].owner == project.source("weather").owner
    told = {column.name: column for column in found["source.weather"].schema}
    assert told["temp"] == DescribedColumn("temp", "float", True, "degrees Fahrenheit")
    assert told["origin"].nullable is False
    assert set(told) == {"batch_date", "known_at", *project.source("weather").columns}


def test_who_reads_what_is_told_from_both_ends(project: Project) -> None:
    found = {each.id: each for each in datasets(project)}
    assert found["source.arrivals"].read_by == (
        "features.departure_v1",
        "model.arrival_delay",
        "model.late_arrival",
    )
    assert found["features.departure_v1"].read_by == ("model.arrival_delay", "model.late_arrival")
    assert found["model.late_arrival"].reads == ["features.departure_v1", "source.arrivals"]
    assert found["source.weather"].reads == ["connection.weather_files"]
    for each in found.values():
        assert all(each.id in found[reader].reads for reader in each.read_by)


def test_the_same_specs_give_the_same_catalog_and_a_changed_one_another_hash(project: Project) -> None:
    assert datasets(load_project()) == datasets(project)
    weather = project.source("weather")
    changed = weather.model_copy(update={"budget": weather.budget.model_copy(update={"rows": 1})})
    other = project.model_copy(update={"sources": {**project.sources, "weather": changed}})
    hashes = {each.id: each.spec_sha256 for each in datasets(project)}
    assert [each.id for each in datasets(other) if each.spec_sha256 != hashes[each.id]] == ["source.weather"]


def test_every_link_leads_to_a_section_of_the_page(project: Project) -> None:
    text = page(document(datasets(project), nights(project), [], NIGHT))
    found = Elements(text).found
    anchors = {attributes["id"] for _, attributes in found if "id" in attributes}
    links = {attributes["href"] for tag, attributes in found if tag == "a"}
    assert anchors == {each.id for each in datasets(project)}
    assert links == {f"#{anchor}" for anchor in anchors}


def test_charts_have_a_bar_for_each_of_thirty_nights(project: Project) -> None:
    text = page(document(datasets(project), nights(project), [], NIGHT))
    section = text.partition('<section id="model.late_arrival">')[2].partition("<details>")[0]
    rows, drift = re.findall(r"<figure>.*?</figure>", section)
    assert len(re.findall("<rect", rows)) == len(re.findall("<rect", drift)) == 30
    heights = [float(height) for height in re.findall(r'height="([\d.]+)"><title>', rows)]
    assert heights[0] == max(heights) == 40.0, "929 rows, 29 nights ago"
    assert "<title>2013-07-03: drifted</title>" in drift
    assert [float(h) > 0 for h in re.findall(r'height="([\d.]+)"><title>', drift)] == [False] * 29 + [True]


def test_hostile_text_is_text_and_the_page_has_no_script_and_no_address(project: Project) -> None:
    weather = project.source("weather").model_copy(update={"description": HOSTILE, "owner": HOSTILE})
    column = weather.columns["temp"].model_copy(update={"description": HOSTILE})
    weather = weather.model_copy(update={"columns": {**weather.columns, "temp": column}})
    hostile = project.model_copy(update={"sources": {**project.sources, "weather": weather}})
    rows = [replace(night, why=HOSTILE, status=HOSTILE) for night in nights(hostile, 2)]
    text = page(document(datasets(hostile), rows, [], NIGHT))
    assert text.count("&lt;script&gt;alert(1)") > 5
    tags = {tag for tag, _ in Elements(text).found}
    assert not tags & {"script", "img", "iframe", "link", "object", "form", "base"}
    names = {name for _, attributes in Elements(text).found for name in attributes}
    assert not [name for name in names if name.startswith("on") or name in {"src", "action"}]
    policy = next(a["content"] for t, a in Elements(text).found if a.get("http-equiv"))
    assert policy == POLICY
    assert "script-src" not in policy


def test_what_is_stale_is_red_and_named_first(project: Project) -> None:
    fresh = [
        Freshness(
            kind="source",
            name=name,
            newest_batch_date=NIGHT - timedelta(days=back),
            newest_known_at=None,
            recorded_at=RECORDED,
        )
        for name, back in [("weather", 8), ("flights", 0), ("arrivals", 1)]
    ]
    text = page(document(datasets(project), nights(project), fresh, NIGHT))
    first = text[text.index("<h1>") : text.index("<h2>")]
    assert (
        '<p class="note bad">Stale: source.weather (8 nights behind), source.arrivals (1 night behind).'
        in first
    )
    assert text.count('2013-06-25 <span class="status bad">8 nights behind</span>') == 2
    assert '<span class="status quiet">never</span>' in text
    assert "note good" in page(document(datasets(project), nights(project), fresh[1:2], NIGHT))


def test_champion_quarantine_and_where_to_read_on_stand_with_the_dataset(project: Project) -> None:
    standings = {
        "model.late_arrival": Standing(
            champion=(7, NIGHT), links=(("card of version 7", "../cards/late_arrival/7/card.html"),)
        ),
        "source.weather": Standing(
            open_rows=1234, links=(("collect_weather", "http://airflow.example/dags/collect_weather"),)
        ),
    }
    text = page(document(datasets(project), nights(project), [], NIGHT, standings))
    assert text.count("version 7 since 2013-07-03") == 2
    assert text.count('<span class="status warn">1,234 rows</span>') == 2
    assert '<a href="../cards/late_arrival/7/card.html">card of version 7</a>' in text
    assert '<a href="http://airflow.example/dags/collect_weather">collect_weather</a>' in text


def test_a_project_that_has_not_run_yet_has_a_page(project: Project) -> None:
    text = page(document(datasets(project), [], [], NIGHT))
    assert "never" in text
    assert 'id="source.weather"' in text


def test_twenty_five_models_are_a_page_within_a_cpu_second(project: Project) -> None:
    model = project.model("late_arrival")
    models = {f"late_{n}": model.model_copy(update={"name": f"late_{n}"}) for n in range(25)}
    many = project.model_copy(update={"models": models})
    rows = nights(many, 30)
    before = time.process_time()
    text = page(document(datasets(many), rows, [], NIGHT))
    assert time.process_time() - before < 1
    assert len(text) < 1_000_000

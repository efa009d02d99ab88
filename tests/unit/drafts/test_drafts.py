"""`nightshift new` and `nightshift trigger`: what is guessed of rows, what is written of it, what is refused."""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from nightshift import featurise
from nightshift.cli import new, trigger
from nightshift.cli.app import app
from nightshift.collect import Sniffed, connection_of, open_source, sniff
from nightshift.drafts import features as features_text
from nightshift.drafts import inference, look, model, source
from nightshift.drafts import new as drafts
from nightshift.drafts.model import Ask
from nightshift.errors import NotReady, RequestError, SourceError, SpecError
from nightshift.specs import Dialect, Source, load_project
from nightshift.types import DTYPES
from nightshift.validate.batches import gathered

DAY = date(2024, 3, 1)
CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)


def found(batches: dict[date, dict], *, text_is_all: bool = True) -> inference.Inferred:
    frames = {day: pd.DataFrame(columns) for day, columns in batches.items()}
    cutoffs = {day: CUTOFF + (day - DAY) for day in frames}
    return inference.infer(gathered(frames)[0], cutoffs, text_is_all=text_is_all)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2", None], "integer"),
        (["0", "1"], "integer"),
        (["1.0", "2.0"], "float"),
        (["1", "2.5", "nan"], "float"),
        (["1.5e3", "2"], "float"),
        (["1e-05", "2"], "float"),
        (["007", "012"], "string"),
        (["1E5", "2E7", "31"], "string"),
        (["+4915112345678", "+431234567"], "string"),
        (["+3", "-2"], "integer"),
        (["12345678901234567", "12345678901234568"], "integer"),
        (["99999999999999999999999", "1"], "string"),
        (["99999999999999999999999", "0.5"], "string"),
        (["01234", "99999"], "string"),
        (["Yes", "No"], "string"),
        (["0.5", "-0.5"], "float"),
        (["true", "False"], "boolean"),
        (["2024-03-01", "2024/03/02"], "date"),
        (["2024-03-01 05:00", "2024-03-01T06:00:00Z"], "timestamp"),
        (["2024-03-01", "soon"], "string"),
        ([None, None], "string"),
        (["03/04/2024"], "string"),
    ],
)
def test_text_has_the_narrowest_type_that_reads_all_of_it(values: list, kind: str) -> None:
    assert inference.column_type(pd.Series(values, dtype="str"), text_is_all=True) == kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "integer"),
        ([1.0, 2.0], "float"),
        ([True, False], "boolean"),
        (["1", "2"], "string"),
        (["2024-03-01"], "date"),
        ([DAY], "date"),
        ([pd.Timestamp("2024-03-01 05:00", tz="UTC")], "timestamp"),
        ([1, None, 3], "integer"),
        ([1, 2.5], "float"),
    ],
)
def test_values_with_types_keep_them(values: list, kind: str) -> None:
    assert inference.column_type(pd.Series(values, dtype=object), text_is_all=False) == kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1,5", "-200", "2,25"], "float"),
        (["1.200", "-200"], "integer"),
        (["31/12/2004", "01/02/2005"], "date"),
        (["-200", "-200"], "string"),
        (["007", "-200"], "string"),
        (["1.5E5", "x"], "string"),
    ],
)
def test_types_are_guessed_of_what_the_dialect_reads(values: list, kind: str) -> None:
    dialect = Dialect(delimiter=";", decimal=",", thousands=".", dates="%d/%m/%Y", nulls=("-200",))
    assert inference.column_type(pd.Series(values, dtype="str"), text_is_all=True, dialect=dialect) == kind


def test_the_dialect_of_a_file_is_found_and_of_a_plain_one_nothing_is_said(include: Path) -> None:
    rows = [f"{n % 28 + 1:02}/{n // 28 + 1:02}/2022;{n},5;{-200 if n % 9 else n}" for n in range(280)]
    (include.parent / "data/air.csv").write_text("\n".join(["Date;CO;NMHC", *rows]), encoding="latin-1")
    project = load_project(include)
    said, _ = drafts.spelled("air", {**SHOPS, "path": "air.csv", "date_column": "Date"}, None, project)
    dialect = said["dialect"]
    assert (dialect["delimiter"], dialect["decimal"], dialect["dates"]) == (";", ",", "%d/%m/%Y")
    assert dialect["nulls"] == ["-200"]
    assert drafts.spelled("shops", SHOPS, None, project)[0] == SHOPS


def test_a_column_without_a_value_in_a_night_may_be_empty() -> None:
    nights = {
        DAY: {"id": ["a", "b"], "gust": [None, None]},
        DAY + timedelta(1): {"id": ["c"], "gust": ["1.5"]},
    }
    guess = found(nights).columns["gust"]
    assert (guess.type, guess.nullable, guess.may_be_empty) == ("float", True, True)


@pytest.mark.parametrize(
    ("columns", "best"),
    [
        ({"seat": ["a", "b"], "booking_id": ["x", "y"]}, ("booking_id",)),
        ({"level": ["1.5", "2.5"], "shop": ["x", "y"]}, ("shop",)),
        ({"shop": ["x", "x", "y"], "day": ["2024-03-01", "2024-03-02", "2024-03-01"]}, ("shop", "day")),
        ({"id": ["x", None], "shop": ["x", "y"]}, ("shop",)),
        ({"Index": ["5", "9", "7"], "level": ["1", "1", "2"]}, ("Index",)),
        ({"Booking_ID": ["3", "1", "2"], "level": ["9", "8", "7"]}, ("Booking_ID",)),
        ({"Unnamed: 0": ["4", "2", "3"], "level": ["9", "8", "7"]}, ("Unnamed: 0",)),
        ({"n": ["1", "2", "3"], "level": ["9", "8", "7"]}, ("n",)),
        ({f"code{n}": ["a", "a", "b"] for n in range(15)} | {"no": ["1", "2", "3"]}, ("no",)),
        ({"shop": ["x", "x"], "period": ["0.00", "0.02"]}, ("shop", "period")),
        (
            {"a": list("xxxxy"), "b": list("xxxyx"), "c": list("xxyxx"), "d": list("xyxxx")},
            ("a", "b", "c", "d"),
        ),
    ],
)
def test_the_key_is_the_smallest_unique_and_looks_like_an_identifier(columns: dict, best: tuple) -> None:
    assert found({DAY: columns}).keys[0] == best


def test_a_days_number_in_a_series_is_no_key_but_the_date_is() -> None:
    nights = {DAY + timedelta(n): {"day": [str(DAY + timedelta(n))], "rain": [str(n % 3)]} for n in range(9)}
    assert found(nights).keys[0] == ("day",)


def test_a_register_delivered_each_night_has_the_key_of_one_night() -> None:
    register = {"tailnum": ["a", "b"], "seats": ["100", "100"]}
    assert found({DAY: register, DAY + timedelta(1): register}).keys[0] == ("tailnum",)


def test_rows_that_repeat_have_no_key_and_are_shown_with_the_cure() -> None:
    with pytest.raises(NotReady, match=r"rows repeat: 2 of 3 rows .*: shop x, level 1\. .*row_number\(\)"):
        found({DAY: {"shop": ["x", "x", "y"], "level": ["1", "1", "1"]}})


@pytest.mark.parametrize(
    ("measured", "kind", "key"),
    [
        ("sold", "integer", ["day", "shop", "sold"]),
        ("temp", "string", ["day", "temp"]),
        ("note", "string", ["day", "shop", "note"]),
    ],
)
def test_a_key_that_needs_a_measurement_for_a_row_that_came_twice_is_doubted(
    measured: str, kind: str, key: list[str]
) -> None:
    days, random = pd.date_range("2022-01-01", periods=100).repeat(3), np.random.default_rng(0)
    values = {
        "sold": random.integers(20, 40, 300).astype(str),
        "temp": [f"{20 + n / 7:.3f}" for n in range(300)],
        "note": random.choice(["good", "bad"], 300),
    }
    columns = {"day": days.strftime("%Y-%m-%d"), "shop": ["Graz", "Linz", "Wien"] * 100}
    table = pd.DataFrame({**columns, measured: values[measured]}).assign(batch_date=days)
    twice = table.iloc[[7]].assign(**{measured: {"sold": "77", "temp": "77.5", "note": "so so"}[measured]})
    cutoffs = {day.date(): day.to_pydatetime().replace(tzinfo=UTC) for day in table["batch_date"].unique()}
    found = inference.infer(pd.concat([table, twice], ignore_index=True), cutoffs, text_is_all=True)
    assert list(found.keys[0]) == key
    assert found.columns[measured].type == kind
    assert f"{measured} is in the key only to tell 2 of 301 rows apart" in found.rows_doubts[0]
    assert "day + shop would do, but for day 2022-01-03" in found.rows_doubts[0]
    assert f"# A guess: {found.rows_doubts[0]}" in source.draft({}, found, owner="me", description="x")
    assert inference.infer(table, cutoffs, text_is_all=True).rows_doubts == ()


def test_a_measurement_is_no_key_because_few_rows_were_seen() -> None:
    day = {"shop": ["x", "x", "y"], "hour": ["1", "2", "1"], "demand": ["871", "902", "633"]}
    assert found({DAY: day}).keys[0] == ("shop", "hour")


def test_a_fraction_in_a_key_is_read_as_it_is_spelled() -> None:
    seen = found({DAY: {"shop": ["x", "x"], "period": ["0.00", "0.02"]}})
    assert seen.columns["period"].type == "string"
    assert seen.read["period"].tolist() == ["0.00", "0.02"]


def test_no_set_of_values_is_closed_after_few_nights_or_if_one_came_late() -> None:
    def sets(nights: int, last: str) -> list[str]:
        values = [
            {"id": [f"{n}-{m}" for m in range(30)], "kind": ["a", "b", "a"] * 10} for n in range(nights)
        ]
        values[-1]["kind"] = [*["a", "b"] * 10, *[last] * 10]
        seen = found({DAY + timedelta(n): value for n, value in enumerate(values)})
        return [item["expect_column_values_to_be_in_set"]["value_set"] for item in seen.expectations
                if "expect_column_values_to_be_in_set" in item]  # fmt: skip

    assert sets(60, "a") == [["a", "b"]]
    assert sets(60, "c") == []
    assert sets(20, "a") == []


@pytest.mark.parametrize("nights", [1, 2, 3, 7, 100])
def test_a_look_is_at_nights_all_over_the_range_and_on_every_weekday(nights: int) -> None:
    days = [DAY + timedelta(n) for n in range(nights)]
    order = look.spread(days)
    assert sorted(order) == days
    assert {order[0], order[min(1, nights - 1)]} == {days[0], days[-1]}
    if nights == 100:
        assert len({day.weekday() for day in order[:20]}) == 7
        assert len({(day - DAY).days // 10 for day in order[:20]}) == 10


@pytest.mark.parametrize(
    ("moment", "name", "expected"),
    [
        ("2024-02-29 23:00", "published_at", ["published_at"]),
        ("2024-03-01 00:00", "published_at", ["published_at"]),
        ("2024-03-01 00:01", "published_at", []),
    ],
)
def test_known_at_is_never_after_the_cutoff(moment: str, name: str, expected: list[str]) -> None:
    assert found({DAY: {"id": ["a", "b"], name: ["2024-02-29 12:00", moment]}}).known_at == expected


def test_only_a_name_that_says_so_is_taken_for_known_at() -> None:
    rows = {"id": ["a"], "seen_at": ["2024-02-29 20:00"]}
    assert found({DAY: rows}).known_at_by_name is None
    rows["reported_at"] = ["2024-02-29 22:00"]
    assert found({DAY: rows}).known_at_by_name == "reported_at"


@pytest.mark.parametrize(
    ("low", "high", "wide"),
    [
        (0, 10, (0, 20)),
        (-1.6, 35.6, (-40, 80)),
        (5, 5, (0, 10)),
        (0.001, 0.004, (0, 0.007)),
        (-7, -7, (-14, 0)),
        (1e-14, 5e-14, (0, 9e-14)),
        (-1e-14, 5e-14, (-7e-14, 1.1e-13)),
        (0, 5e-324, (0, 1e-323)),
        (-1.7e308, 1.7e308, (-sys.float_info.max, sys.float_info.max)),
        (0, float(2**63), (0, 19 * 10**18)),
    ],
)
def test_a_range_is_widened_in_round_numbers_and_keeps_its_sign(low: float, high: float, wide: tuple) -> None:
    assert inference.widened(low, high) == wide


def test_an_infinity_widens_no_range() -> None:
    rows = {"id": list("abcd"), "level": ["0.5", "inf", "1.5", "-Infinity"]}
    ranges = [item.get("expect_column_values_to_be_between") for item in found({DAY: rows}).expectations]
    assert {"column": "level", "min_value": 0, "max_value": 3} in ranges


@pytest.mark.parametrize(
    "value", ["a: b", "yes", "null", "1", "#x", "[", "a, b", "{date}.csv", "", "ü", '"', "a\u2028b\x7f"]
)
def test_any_text_comes_back_from_the_yaml_that_is_written(value: str) -> None:
    assert yaml.safe_load(f"key: {source.scalar(value)}")["key"] == value
    assert yaml.safe_load(source.flow({"k": [value, "x"], value or "e": 1.5}))["k"] == [value, "x"]


@pytest.fixture
def include(tmp_path: Path) -> Path:
    """Return an empty project, beside it two years of a CSV of two shops that nobody prepared."""
    folder = tmp_path / "include"
    for part in ("sources", "features", "models"):
        (folder / part).mkdir(parents=True)
    (folder / "project.yaml").write_text(
        "timezone: Europe/Vienna\nfirst_night: 2022-01-02\nlast_night: 2023-12-31\n"
    )
    random = np.random.default_rng(0)
    days = [date(2022, 1, 1) + timedelta(n) for n in range(400)]
    rows = [
        f"{day:%Y/%m/%d},{shop},{random.integers(10, 90)},{random.normal(8, 9):.1f},{'' if n % 7 else 'sale'}"
        for n, day in enumerate(days)
        for shop in ("Graz", "Linz, Donau")
    ]
    (tmp_path / "data").mkdir()
    csv = "\n".join(
        ["Day,shop,sold,temp °C,note", *[row.replace("Linz, Donau", '"Linz, Donau"') for row in rows]]
    )
    (tmp_path / "data/shops.csv").write_text(csv)
    for day in days[:30]:
        (tmp_path / f"data/{day}.csv").write_text(f"code,level\nn1,{day.day}.5\nn2,3.25\n")
    return folder


SHOPS = {
    "kind": "files",
    "folder": "data",
    "path": "shops.csv",
    "date_column": "Day",
    "format": "csv",
    "offset_days": -1,
}
DAILY = {"kind": "files", "folder": "data", "path": "{date}.csv", "format": "csv", "offset_days": -1}


def test_a_foreign_csv_becomes_a_source_that_accepts_what_was_looked_at(include: Path) -> None:
    (path,), seen = drafts.new_source("shops", SHOPS, None, include=include)
    spec = load_project(include).require_sound().source("shops")
    assert spec.key == ["Day", "shop"]
    assert {n: c.type for n, c in spec.columns.items()} == {
        "Day": "date", "shop": "string", "sold": "integer", "temp °C": "float", "note": "string",
    }  # fmt: skip
    assert (spec.columns["note"].nullable, spec.columns["note"].may_be_empty) == (True, True)
    assert seen.targets == ["sold", "temp °C"]
    assert "guess" in path.read_text()


@pytest.mark.parametrize(
    ("first", "odd", "zone", "told"),
    [
        # Every hour of the day on which the clocks of Vienna skip one: a logger that keeps winter time.
        (
            "2022-03-26",
            0,
            "Etc/GMT-1",
            "02:15:00, are of an hour that the clocks of Europe/Vienna skip; Etc/GMT-1",
        ),
        (
            "2022-10-29",
            1,
            "Europe/Vienna",
            "02:15:00, are of an hour that the clocks of Europe/Vienna do not show",
        ),
        ("2022-07-01", 0, "Europe/Vienna", ""),
    ],
)
def test_hours_that_no_clock_shows_once_are_timestamps_all_the_same(
    include: Path, tmp_path: Path, first: str, odd: int, zone: str, told: str
) -> None:
    hours = [datetime.fromisoformat(first) + timedelta(minutes=60 * n + 15) for n in range(72)]
    lines = [f"{hour:%d.%m.%Y %H:%M:%S},{n}.5" for n, hour in enumerate(hours)]
    (tmp_path / "data/log.csv").write_text("\n".join(["At,level", *lines]))
    connector = {**SHOPS, "path": "log.csv", "date_column": "At"}
    (path,), seen = drafts.new_source("log", connector, None, include=include)
    spec = load_project(include).require_sound().source("log")
    assert (spec.columns["At"].type, spec.columns["At"].nullable) == ("timestamp", False)
    assert spec.zone_of("At").key == zone
    assert int(seen.read["At"].isna().sum()) <= odd
    assert told in " ".join(seen.clock.doubts)
    assert told in path.read_text()


def test_a_day_that_is_spelled_as_midnight_utc_is_a_date_of_its_own_in_any_zone(
    include: Path, tmp_path: Path
) -> None:
    project = include / "project.yaml"
    project.write_text(project.read_text().replace("Europe/Vienna", "America/New_York"))
    days = [date(2022, 1, 1) + timedelta(n) for n in range(30)]
    (tmp_path / "data/visits.csv").write_text(
        "\n".join(["id,day", *[f"v{d:%j},{d}T00:00:00Z" for d in days]])
    )
    drafts.new_source(
        "visits",
        {**SHOPS, "path": "visits.csv", "date_column": "day", "offset_days": 0},
        None,
        include=include,
    )
    spec = load_project(include).require_sound().source("visits")
    assert spec.columns["day"].type == "date"
    where = connection_of(spec, look.find_connection, tmp_path)
    with open_source(spec, where, ZoneInfo("America/New_York")) as reader:
        assert reader.nights is not None
        assert reader.nights() == days


@pytest.mark.parametrize(
    ("spelled", "told"),
    [
        (lambda n, day: f"{day:%Y%m%d}", ""),
        (lambda n, day: "" if n == 5 else f"{day}", "1 of 30 rows have no day that reads, such as 'nothing'"),
        (
            lambda n, day: "soon" if n == 5 else f"{day:%d.%m.%Y}",
            "such as 'soon'; each goes with the row above it",
        ),
    ],
)
def test_the_column_that_says_the_day_is_a_date_whatever_else_it_could_be(
    include: Path, tmp_path: Path, spelled: Callable[[int, date], str], told: str
) -> None:
    days = [date(2022, 1, 1) + timedelta(n) for n in range(30)]
    lines = [f"v{n},{spelled(n, day)}" for n, day in enumerate(days)]
    (tmp_path / "data/visits.csv").write_text("\n".join(["id,day", *lines]))
    _, seen = drafts.new_source(
        "visits", {**SHOPS, "path": "visits.csv", "date_column": "day"}, None, include=include
    )
    column = load_project(include).require_sound().source("visits").columns["day"]
    assert (column.type, column.nullable) == ("date", False)
    assert told in " ".join(seen.clock.doubts)


def test_days_that_are_spelled_in_two_ways_are_refused_with_the_values(include: Path, tmp_path: Path) -> None:
    lines = [f"v{n},2022-01-{n + 1:02}{'T10:00:00' if n % 2 else ''}" for n in range(30)]
    (tmp_path / "data/visits.csv").write_text("\n".join(["id,day", *lines]))
    with pytest.raises(
        RequestError, match="15 of 30 values of 'day' do not read as date, such as '2022-01-02T10"
    ):
        drafts.new_source(
            "visits", {**SHOPS, "path": "visits.csv", "date_column": "day"}, None, include=include
        )


def test_of_two_identifiers_the_one_that_numbers_the_rows_is_the_key() -> None:
    rows = {"PatientId": ["77", "12", "95"], "AppointmentID": ["5600000", "5600001", "5600002"]}
    assert found({DAY: rows}).keys == [("AppointmentID",), ("PatientId",)]


def test_numbers_that_count_up_get_no_range_that_ends_the_nights_to_come() -> None:
    rows = {"id": ["a", "b"], "AppointmentID": ["5600000", "5600001"], "Age": ["8", "70"]}
    named = [item for each in found({DAY: rows}).expectations for item in each.values()]
    assert [item["column"] for item in named if "column" in item] == ["Age"]


def test_a_number_that_is_only_named_like_an_identifier_has_a_range_unless_it_grows() -> None:
    columns = {
        "customer_id": (70, 9, 40),
        "receipt_no": (100, 200, 300),
        "orderid": (5, 6, 7),
        "amount_paid": (90, 20, 60),
        "humid": (80, 81, 55),
        "zip_code": (10115, 99998, 80331),
        "platform_no": (12, 12, 12),
    }
    nights = {
        DAY + timedelta(days=n): {
            "key": [f"{n}a", f"{n}b"],
            **{name: [1, most[n]] for name, most in columns.items()},
        }
        for n in range(3)
    }
    named = [
        item
        for each in found(nights, text_is_all=False).expectations
        for kind, item in each.items()
        if kind == "expect_column_values_to_be_between"
    ]
    assert [item["column"] for item in named] == ["amount_paid", "humid", "zip_code", "platform_no"]


def test_one_file_a_date_is_looked_at_from_the_first_that_is_there(include: Path, tmp_path: Path) -> None:
    (tmp_path / "data/2022-01-01.csv").unlink()
    _, seen = drafts.new_source("levels", DAILY, None, include=include)
    assert seen.nights[0] == date(2022, 1, 3)
    assert load_project(include).require_sound().source("levels").key == ["code"]


def test_a_night_that_was_asked_for_must_deliver(include: Path) -> None:
    with pytest.raises(SourceError, match=r"no file .*2022-05-31\.csv"):
        drafts.new_source("levels", DAILY, "2022-06-01", include=include)
    with pytest.raises(RequestError, match="outside the project's nights"):
        drafts.new_source("levels", DAILY, "2021-06-01", include=include)
    assert not (include / "sources/levels.yaml").exists()


def test_a_draft_needs_none_of_the_libraries_that_take_seconds_to_import(include: Path) -> None:
    heavy = ["great_expectations", "evidently", "mlflow", "airflow", "sklearn", "alembic"]
    (include.parent / "draft.py").write_text(
        "import sys\n"
        "from nightshift.cli.app import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        f"print('imported:', [name for name in {heavy} if name in sys.modules])\n"
    )
    source = ["source", "shops", "--folder", "data", "--path", "shops.csv", "--date-column", "Day"]
    features = ["features", "selling", "--source", "shops"]
    model = ["model", "sales", "--features", "selling", "--target", "shops.sold"]
    home = {"NIGHTSHIFT_INCLUDE": str(include), "NIGHTSHIFT_HOME": str(include.parent / "home")}
    for asked in (source, features, model):
        done = subprocess.run(
            [sys.executable, str(include.parent / "draft.py"), "new", *asked],
            env=os.environ | home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.rstrip().endswith("imported: []"), done.stdout + done.stderr


def test_the_spelling_of_a_file_is_guessed_once_and_not_a_night(
    include: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sniffed: list[int] = []

    def counted(content: bytes) -> Sniffed:
        sniffed.append(len(content))
        return sniff(content)

    for module in ("nightshift.drafts.look", "nightshift.collect.sniff"):
        monkeypatch.setattr(import_module(module), "sniff", counted)
    _, seen = drafts.new_source("levels", DAILY, None, include=include)
    assert (len(seen.nights), len(sniffed)) == (30, 1)


def test_a_file_a_night_is_spelled_as_all_of_them_are(include: Path) -> None:
    for n in range(60):
        day = date(2022, 1, 1) + timedelta(n)
        rows = [
            f"{day}-{i};{day:%m/%d/%Y};{i}{',5' if n else ''};{'NA' if n and i == 3 else i}" for i in range(5)
        ]
        (include.parent / f"data/us-{day}.csv").write_text("\n".join(["id;on;level;sold", *rows]))
    (path,), _ = drafts.new_source("us", {**DAILY, "path": "us-{date}.csv"}, None, include=include)
    spec = load_project(include).require_sound().source("us")
    assert {n: c.type for n, c in spec.columns.items()} == {
        "id": "string", "on": "date", "level": "float", "sold": "integer",
    }  # fmt: skip
    assert (spec.dialect.dates, spec.dialect.decimal, spec.dialect.nulls) == ("%m/%d/%Y", ",", ("NA",))
    assert "reads as" not in path.read_text()


def test_rows_are_shown_a_line_a_column_within_80_columns_and_dates_as_dates(include: Path) -> None:
    days = [date(2022, 1, 1) + timedelta(n) for n in range(9)]
    rows = [f"{day:%d/%m/%Y};{n},50;{day} 05:30:00;{'long ' * 30}" for n, day in enumerate(days)]
    header = f"Date;CO;seen_at;{'a_name_that_is_long' * 3}"
    (include.parent / "data/air.csv").write_text("\n".join([header, *rows]))
    files = {**SHOPS, "path": "air.csv", "date_column": "Date"}
    _, seen = drafts.new_source("air", files, None, include=include)
    shown = list(new._read(seen))
    assert max(map(len, shown)) <= 80
    assert [line.split() for line in shown[1:7]] == [
        ["Date", "date", "2022-01-01", "2022-01-05", "2022-01-09"],
        ["delivered", "01/01/2022", "05/01/2022", "09/01/2022"],
        ["CO", "float", "0.5", "4.5", "8.5"],
        ["delivered", "0,50", "4,50", "8,50"],
        ["seen_at", "timestamp", *["2022-01-01", "04…", "2022-01-05", "04…", "2022-01-09", "04…"]],
        ["delivered", *["2022-01-01", "05…", "2022-01-05", "05…", "2022-01-09", "05…"]],
    ]
    assert shown[7].startswith("a_name_that_is_longa_na… string    long long")


def test_an_expectation_that_does_not_read_as_it_was_found_is_not_left_behind(
    include: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = source.flow
    monkeypatch.setattr(source, "flow", lambda mapping: flow(mapping).replace("max_value: ", "max_value: 9"))
    with pytest.raises(SpecError, match=r"an expectation does not read as it was found: .*'sold'"):
        drafts.new_source("shops", SHOPS, None, include=include)
    assert not list((include / "sources").iterdir())


def test_nothing_is_written_over(include: Path) -> None:
    path = include / "sources/shops.yaml"
    path.write_text("mine")
    with pytest.raises(RequestError, match="exists already"):
        drafts.new_source("shops", SHOPS, None, include=include)
    assert path.read_text() == "mine"


def test_a_draft_that_is_not_sound_is_not_left_behind(include: Path, tmp_path: Path) -> None:
    (tmp_path / "data/all.csv").write_text("day,known_at\n2022-01-01,1\n")
    with pytest.raises(SpecError, match="'known_at' is a name of ours"):
        drafts.new_source("all", {**SHOPS, "path": "all.csv", "date_column": "day"}, None, include=include)
    assert not (include / "sources/all.yaml").exists()


def shop_rows(spec: Source, include: Path, nights: int = 60) -> pd.DataFrame:
    """Return nights of the shops as the warehouse gives them."""
    from nightshift.collect import connection_of, open_source
    from nightshift.validate import validate_batches

    project = load_project(include)
    where = connection_of(spec, look.find_connection, include.parent)
    with open_source(spec, where, project.calendar.zone) as reader:
        days = [date(2022, 1, 2) + timedelta(n) for n in range(nights)]
        batches = {day: reader.read(day, project.calendar.window(day)) for day in days}
    rows = validate_batches(spec, batches).require_passed().accepted
    cutoffs = rows["batch_date"].map(lambda night: project.calendar.cutoff(night.date()))
    return rows.assign(known_at=pd.to_datetime(cutoffs, utc=True))


def test_a_drafted_module_builds_a_day_from_the_rows_before_it(include: Path) -> None:
    drafts.new_source("shops", SHOPS, None, include=include)
    drafts.new_features("selling", ["shops"], [], include=include)
    project = load_project(include).require_sound()
    spec, rows = project.feature_set("selling"), shop_rows(project.source("shops"), include)
    night = date(2022, 2, 20)
    seen = featurise.visible({"shops": rows}, spec, project.calendar, night)
    built = featurise.compute(spec, featurise.load_build(spec), seen, night)
    assert spec.entity == ["Day", "shop"]
    assert built["Day"].tolist() == ["2022-02-20"] * 2
    assert built["which_shop"].tolist() == built["shop"].tolist()
    of = rows[rows["shop"] == "Graz"].set_index("Day")["sold"].astype(float)
    graz = built[built["shop"] == "Graz"].iloc[0]
    # The row of the 19th is the newest that the night of the 20th knows; 29 nights with its own.
    assert graz["sold_last"] == of["2022-02-19"]
    assert graz["sold_mean_by_shop_28d"] == pytest.approx(of["2022-01-22":"2022-02-19"].mean())


def test_the_mean_is_of_no_identifier_and_of_nothing_that_never_changes(include: Path) -> None:
    days = [date(2022, 1, 1) + timedelta(n) for n in range(40)]
    rows = [
        f"{day},{700 + n // 4 % 7},{90 + n // 2 * 7},5,{n * 3 % 11},{day - timedelta(n % 9)}"
        for n, day in enumerate(days)
    ]
    (include.parent / "data/till.csv").write_text(
        "\n".join(["Day,store_id,bill_id,tills,sold,ordered", *rows])
    )
    drafts.new_source("till", {**SHOPS, "path": "till.csv"}, None, include=include)
    path, left = drafts.new_features("takings", ["till"], [], include=include)
    assert left == {
        "bill_id": "an identifier by its name, of 20 different values",
        "tills": "the same in every row",
        "ordered": "a date; make a number of it, such as the days from then to the row's own day",
    }
    # A name whose values come again is a category; nothing is to be added up of its numbers.
    assert '"store_id_last": "string"' in path.read_text()
    spec = load_project(include).feature_set("takings")
    rows = shop_rows(load_project(include).source("till"), include, 30)
    night = date(2022, 1, 20)
    seen = featurise.visible({"till": rows}, spec, load_project(include).calendar, night)
    built = featurise.compute(spec, featurise.load_build(spec), seen, night)
    assert built["store_id_last"].tolist() == [str(700 + 18 // 4 % 7)]
    assert '"sold_mean_28d": "float"' in path.read_text()
    assert "# Of sold: a guess, the first that is no key or identifier and varies" in path.read_text()


def test_nights_without_rows_are_told_where_all_were_looked_at(include: Path) -> None:
    days = [date(2022, 1, 3) + timedelta(7 * n) for n in range(20)]
    (include.parent / "data/weekly.csv").write_text(
        "Day,sold\n" + "".join(f"{day},{day.day}\n" for day in days)
    )
    (path,), found = drafts.new_source("weekly", {**SHOPS, "path": "weekly.csv"}, None, include=include)
    told = "nights: 114 of 134 have no rows, the first is 2022-01-05; to collect one fails"
    assert told in found.rows_doubts[0]
    assert f"# A guess: {told}" in path.read_text()
    _, found = drafts.new_source("shops", SHOPS, None, include=include)
    assert found.rows_doubts == ()


def test_days_that_a_spreadsheet_writes_with_midnight_behind_them_are_dates(include: Path) -> None:
    days = pd.date_range("2022-01-02", periods=60)
    rows = "".join(
        f"{day.month}/{day.day}/{day.year} 0:00,{day.day % 7},8/{1 + n % 28}/2022 {n % 24}:30\n"
        for n, day in enumerate(days)
    )
    (include.parent / "data/sheet.csv").write_text(f"Day,sold,changed\n{rows}")
    drafts.new_source("sheet", {**SHOPS, "path": "sheet.csv"}, None, include=include)
    spec = load_project(include).source("sheet")
    assert {name: column.type for name, column in spec.columns.items()} == {
        "Day": "date", "sold": "integer", "changed": "timestamp",
    }  # fmt: skip
    assert spec.key == ["Day"]
    assert spec.dialect.timestamps == "%m/%d/%Y %H:%M"
    calendar = load_project(include).calendar
    with open_source(
        spec, connection_of(spec, look.find_connection, include.parent), calendar.zone
    ) as reader:
        read = reader.read(date(2022, 1, 14), calendar.window(date(2022, 1, 14)))
    assert read["Day"].tolist() == ["1/13/2022 0:00"]


def test_hours_that_are_over_are_no_entity_to_predict_and_the_cure_is_told(include: Path) -> None:
    hours = pd.date_range("2022-01-01", periods=24 * 40, freq="h")
    text = "".join(f"{hour:%Y-%m-%d %H:%M},{n % 37}.5\n" for n, hour in enumerate(hours))
    (include.parent / "data/load.csv").write_text(f"time,load\n{text}")
    drafts.new_source("load", {**SHOPS, "path": "load.csv", "date_column": "time"}, None, include=include)
    drafts.new_features("hourly", ["load"], [], include=include)
    with pytest.raises(RequestError, match="the day and the hour in two columns"):
        drafts.new_model("m", Ask("hourly", "load"), "load", include=include)
    assert not (include / "models/m.yaml").exists()


@pytest.mark.parametrize("kind", ["string", "float", "boolean"])
def test_a_column_without_a_value_is_no_feature(include: Path, kind: str) -> None:
    drafts.new_source("shops", SHOPS, None, include=include)
    spec = load_project(include).source("shops")
    empty = {"never": spec.columns["note"].model_copy(update={"type": kind})}
    spec = spec.model_copy(update={"columns": {**spec.columns, **empty}})
    rows = shop_rows(load_project(include).source("shops"), include).assign(
        never=pd.Series(dtype=DTYPES[kind])
    )
    text, left = features_text.draft("f", [spec], owner="me", rows={"shops": rows})
    assert left["never"] == "empty in every row"
    assert "never_last" not in text


def test_an_entity_of_several_columns_is_given_as_an_outcome_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(
        drafts, "new_features", lambda _name, _sources, entity: (asked.append(entity), (Path("f.py"), {}))[1]
    )
    for given in (["--entity", "Day, shop"], ["--entity", "Day", "--entity", "shop"]):
        done = CliRunner().invoke(app, ["new", "features", "f", "--source", "s", *given])
        assert done.exit_code == 0, done.output
    assert asked == [["Day", "shop"]] * 2


def test_a_model_asks_for_what_nothing_says(include: Path) -> None:
    spec = shops(include)
    for column, task in (("shop", None), ("sold", "classification")):
        with pytest.raises(RequestError, match=r"--above, --equals or --classes: what is the positive class"):
            model.draft(Ask("selling", column, task), spec, None, owner="me")
    with pytest.raises(RequestError, match="column 'Day' of source 'shops' is date; a target is a number"):
        model.draft(Ask("selling", "Day"), spec, None, owner="me")


@pytest.mark.parametrize(
    ("kind", "values", "says"),
    [
        ("integer", [0, 0, 0, 1] * 20, "equals: 1,"),
        ("integer", [1, 2] * 30, "equals: 1,"),
        ("integer", [1, 2, 3] * 30, "classes: [1, 2, 3],"),
        ("integer", list(range(60)), None),
        ("integer", [1] * 50 + [2] * 50 + [3], None),
        ("string", ["No", "No", "Yes"] * 20, 'equals: "Yes",'),
        ("string", ["UP", "DOWN", "UP"] * 20, "equals: UP,"),
        ("string", ["good"] * 50 + ["bad"] * 9, "equals: bad,"),
        ("string", ["oak", "fir", "elm"] * 20, "classes: [elm, fir, oak],"),
        ("boolean", [True, False] * 20, "equals: true,"),
        ("float", [0.0, 1.0] * 20, "above: 0,"),
        ("float", [0.5, 1.0, 7.25] * 20, None),
    ],
)
def test_a_target_is_learned_as_what_it_looks_like(
    include: Path, kind: str, values: list, says: str | None
) -> None:
    spec = of_one_column(kind)
    seen = look.Seen(pd.Series(values), rows_a_night=20.0, matures_after=1)
    text = model.draft(Ask("set", "x"), spec, seen, owner="me")
    assert ("task: regression" if says is None else "task: classification") in text
    assert says is None or f"{{source: s, column: x, {says}" in text


@pytest.mark.parametrize(
    ("kind", "values", "says"),
    [
        ("float", [0.0, 1.0, 1.0, 1.0] * 20, "above: 0,"),
        ("float", [1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0] * 10, "above: 4,"),
        ("float", [0.25, 7.5, 7.5] * 20, "above: 0.25,"),
        ("float", [1.0, 2.0, 3.0] * 20, "above: 2,"),
        ("integer", [*[9] * 40, *range(9)], "above: 8,"),
    ],
)
def test_a_number_that_is_to_be_classes_has_rows_of_both(kind: str, values: list, says: str) -> None:
    """Where most rows hold the most there is, nothing is above the median."""
    seen = look.Seen(pd.Series(values), rows_a_night=20.0, matures_after=1)
    text = model.draft(Ask("set", "x", "classification"), of_one_column(kind), seen, owner="me")
    assert f"{{source: s, column: x, {says}" in text
    assert "median" in text or says != "above: 2,"


@pytest.mark.parametrize(
    ("kind", "ask", "says"),
    [
        ("string", {"equals": "UP"}, "equals: UP,"),
        ("integer", {"equals": "7"}, "equals: 7,"),
        ("boolean", {"equals": "false"}, "equals: false,"),
        ("string", {"classes": ("b", "a")}, "classes: [b, a],"),
        ("float", {"above": 2.5}, "above: 2.5,"),
        ("integer", {"task": "regression"}, "matures"),
    ],
)
def test_what_was_asked_is_not_guessed(kind: str, ask: dict, says: str) -> None:
    assert f"column: x, {says}" in model.draft(Ask("set", "x", **ask), of_one_column(kind), None, owner="me")


@pytest.mark.parametrize("ask", [{"equals": "Yes"}, {"classes": ("no", "Yes")}])
def test_a_value_that_is_there_in_another_case_is_asked_for(include: Path, ask: dict) -> None:
    seen = look.Seen(pd.Series(["yes", "no", "yes"] * 20), rows_a_night=20.0, matures_after=1)
    with pytest.raises(RequestError, match=r"'Yes' is in no row of 'x', .* did you mean 'yes'"):
        model.draft(Ask("set", "x", **ask), of_one_column("string"), seen, owner="me")


@pytest.mark.parametrize(
    ("kind", "ask", "says"),
    [
        ("float", {"equals": "1"}, "the column is float; give --above NUMBER"),
        ("integer", {"equals": "x"}, "--equals 'x': the column is integer"),
        ("integer", {"classes": ("1", "x")}, "--classes 'x': the column is integer"),
        ("boolean", {"classes": ("true", "no")}, "--classes 'no': the column is boolean"),
        ("float", {"classes": ("1", "2")}, "--classes '1': the column is float; give --above NUMBER"),
        ("string", {"task": "regression"}, "a regression learns a number"),
        ("string", {"equals": "a", "above": 1.0}, "give one of --above"),
    ],
)
def test_what_cannot_be_learned_is_refused(kind: str, ask: dict, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        model.draft(Ask("set", "x", **ask), of_one_column(kind), None, owner="me")


def of_one_column(kind: str) -> Source:
    """Return a source with a column ``x`` of a type."""
    connector = {"kind": "files", "folder": "d", "path": "{date}.csv"}
    columns = {"id": {"type": "string"}, "x": {"type": kind}}
    about = {"name": "s", "owner": "me", "description": "d"}
    return Source.model_validate({**about, "connector": connector, "columns": columns, "key": ["id"]})


@pytest.mark.parametrize("born", ["1950-02-03", None])
def test_outcomes_are_awaited_from_the_day_that_a_row_is_about(born: str | None) -> None:
    spec = of_one_column("float")
    dates = {name: {"type": "date", "nullable": name == "born"} for name in ("born", "day")}
    content = spec.model_dump() | {"columns": {**dates, **spec.model_dump()["columns"]}}
    rows = pd.DataFrame({"batch_date": [pd.Timestamp(DAY)], "born": pd.to_datetime([born]), "x": [1.0]})
    rows["day"] = pd.Timestamp(DAY) - pd.Timedelta(days=2)
    for key, waits in ((["id", "day"], 2), (["id"], None)):
        seen = look.seen_in(Source.model_validate(content | {"key": key}), "x", rows)
        assert seen is not None
        assert seen.matures_after == waits


def shops(include: Path) -> Source:
    drafts.new_source("shops", SHOPS, None, include=include)
    drafts.new_features("selling", ["shops"], [], include=include)
    return load_project(include).source("shops")


@pytest.mark.parametrize(
    ("task", "says"),
    [
        (None, ["task: regression", "metric: r2, value: 0}", "HistGradientBoostingRegressor"]),
        (
            "classification",
            ["above: 30,", "metric: log_loss, value: 0.636}", "HistGradientBoostingClassifier"],
        ),
    ],
)
def test_a_models_thresholds_are_those_of_a_constant(
    include: Path, task: str | None, says: list[str]
) -> None:
    spec = shops(include)
    values = pd.Series([10.0, 20.0, 30.0] * 20 + [40.0] * 30)
    seen = look.Seen(values, rows_a_night=2.0, matures_after=1)
    text = model.draft(Ask("selling", "sold", task), spec, seen, owner="me")
    for part in says:
        assert part in text
    (include / "models/sales.yaml").write_text(text)
    spec = load_project(include).require_sound().model("sales")
    assert (spec.target.matures_after_days, spec.train.window_days, spec.train.holdout_days) == (1, "all", 60)


@pytest.mark.parametrize(("step", "many", "share"), [(1, 6, 1.0), (1, 6, 0.05), (7, 2, 1.0), (1, 400, 0.01)])
def test_a_drafted_model_asks_for_no_more_labels_than_a_year_brings(
    step: int, many: int, share: float
) -> None:
    """A row a week, or an outcome of one row in twenty: of all rows of a full week no training would have enough."""
    spec = of_one_column("float")
    days = pd.date_range("2022-01-02", periods=364 // step, freq=f"{step}D").repeat(many)
    values = np.where(np.random.default_rng(0).random(len(days)) < share, np.arange(len(days)) / 2, np.nan)
    rows = pd.DataFrame({"batch_date": days, "x": values})
    seen = look.seen_in(spec, "x", rows, all_nights=look.are_all(spec, rows, collected=True))
    drafted = yaml.safe_load(model.draft(Ask("set", "x"), spec, seen, owner="me"))
    known = (
        rows[rows["x"].notna()]
        .groupby("batch_date")
        .size()
        .reindex(pd.date_range(days[0], days[-1]), fill_value=0)
    )
    assert drafted["train"]["min_rows"] <= known.iloc[: -drafted["train"]["holdout_days"]].sum()
    within = known.rolling(drafted["performance"]["window_days"]).sum().median()
    assert drafted["performance"]["min_labels"] <= max(within, 10)


@pytest.mark.parametrize(("nights", "least"), [(123, 158), (300, 600), (800, 913), (50, 30)])
def test_a_drafted_model_can_be_trained_on_what_it_was_drafted_from(nights: int, least: int) -> None:
    """Five labels a night: half of those that lie before a holdout at the end are enough, half a year's at most."""
    days = pd.date_range("2022-01-02", periods=nights).repeat(5)
    rows = pd.DataFrame({"batch_date": days, "x": np.arange(len(days)) / 2})
    seen = look.seen_in(of_one_column("float"), "x", rows, all_nights=True)
    drafted = yaml.safe_load(model.draft(Ask("set", "x"), of_one_column("float"), seen, owner="me"))
    assert drafted["train"]["min_rows"] == least


@pytest.mark.parametrize(
    ("collected", "files", "many", "all_nights"),
    [(True, DAILY, 50, True), (True, SHOPS, 500, True), (False, SHOPS, 50, True), (False, SHOPS, 500, False),
     (False, DAILY, 50, False)],
)  # fmt: skip
def test_a_night_without_rows_had_none_only_where_all_were_looked_at(
    collected: bool, files: dict, many: int, all_nights: bool
) -> None:
    columns = {"Day": {"type": "date"}, "x": {"type": "float"}}
    content = {"name": "s", "owner": "me", "description": "x", "connector": files, "key": ["Day"]}
    spec = Source.model_validate({**content, "columns": columns})
    days = pd.date_range("2020-01-01", periods=many, freq="2D")
    rows = pd.DataFrame({"batch_date": days, "Day": days, "x": 1.5})
    assert look.are_all(spec, rows, collected=collected) is all_nights
    seen = look.seen_in(spec, "x", rows, all_nights=all_nights)
    assert seen is not None
    assert round(seen.rows_a_night, 1) == (0.5 if all_nights else 1.0)


@pytest.mark.parametrize("late", [1, 90])
def test_a_drafted_model_asks_for_a_training_eight_weeks_after_the_last_however_late_labels_come(
    late: int,
) -> None:
    seen = look.Seen(pd.Series([0.5, 1.0, 7.25] * 20), rows_a_night=20.0, matures_after=late)
    spec = yaml.safe_load(model.draft(Ask("set", "x"), of_one_column("float"), seen, owner="me"))
    assert spec["retrain"]["when"]["age_days"] - spec["target"]["matures_after_days"] == 56


def test_a_connection_is_found_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", "postgres://me:p%40ss@db.example:5433/sales?sslmode=require")
    found = look.find_connection("shop")
    assert (found.kind, found.host, found.port, found.schema) == ("postgres", "db.example", 5433, "sales")
    assert (found.login, found.password, found.extra) == ("me", "p@ss", {"sslmode": "require"})
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "fs", "extra": {"path": "/data"}}))
    assert look.find_connection("shop").extra == {"path": "/data"}
    with pytest.raises(SpecError, match="connection 'sohp' is neither in AIRFLOW_CONN_SOHP"):
        look.find_connection("sohp")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["new", "source", "x"], "give one of"),
        (["new", "source", "x", "--folder", "d", "--path", "p", "--query", "q"], "give one of"),
        (
            ["new", "source", "x", "--connection", "c", "--endpoint", "/a", "--parameter", "b"],
            "expected KEY=VALUE",
        ),
        (["new", "source", "x", "--folder", "d", "--path", "p.csv"], "give either {date} in path"),
        (["new", "model", "x", "--features", "f", "--target", "t"], "expected SOURCE.COLUMN"),
        (["new", "features", "x", "--source", "wether"], "did you mean 'weather'?"),
    ],
)
def test_a_wrong_command_is_told_in_words(arguments: list[str], says: str) -> None:
    answer = CliRunner().invoke(app, arguments)
    assert answer.exit_code == 1
    assert says in answer.stderr


@pytest.mark.parametrize(
    ("settings", "says"),
    [(["a"], "expected KEY=VALUE"), (["=a"], "expected KEY=VALUE"), (["reason=b"], "given already")],
)
def test_a_setting_is_a_key_and_a_value_and_given_once(settings: list[str], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        trigger.conf_of({"reason": "why"}, settings)


@pytest.mark.parametrize(
    ("options", "settings", "says"),
    [
        ({"batch_date": "2013-02-30"}, [], "--from: '2013-02-30' is not a calendar date"),
        ({"batch_date": "2013-07-01", "until": "07/02/2013"}, [], "--to: expected a date YYYY-MM-DD"),
        ({"as_of": "now"}, [], "--as-of: expected a date YYYY-MM-DD"),
        ({}, ["compare_from=2013-7-1"], "--set compare_from: expected a date YYYY-MM-DD"),
        ({}, ["batch_date=tomorrow"], "--set batch_date: expected a date YYYY-MM-DD"),
    ],
)
def test_a_wrong_date_is_told_in_words(options: dict, settings: list[str], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        trigger.conf_of(options, settings)


@pytest.mark.parametrize(
    ("conf", "says"),
    [
        ({"batch_date": "2013-07-02", "until": "2013-07-01"}, "until: 2013-07-01 lies before batch_date 2013-07-02"),
        ({"until": "2013-07-01"}, "until: give batch_date too"),
        ({"batch_date": "2013-01-01"}, "batch date 2013-01-01: outside the project's nights"),
        ({"batch_date": "2013-07-01", "until": "2014-01-01"}, "batch date 2014-01-01: outside the project's nights"),
        ({"as_of": "2031-01-01"}, "batch date 2031-01-01: outside the project's nights"),
        ({"compare_from": "2013-07-02", "compare_until": "2013-07-01"}, "compare_until: 2013-07-01 lies before"),
    ],
)  # fmt: skip
def test_nights_that_a_run_would_fail_on_are_refused_before_it(conf: dict, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        trigger.require_nights(load_project().calendar, conf)


def test_airflows_refusal_is_a_sentence_and_no_schema() -> None:
    import httpx

    from nightshift.runtime.api import Client

    detail = "Invalid input for param sample: 5 is less than the minimum of 100\n\nFailed validating in {...}"
    answers = {"/a": {"detail": detail}, "/b": {"detail": [{"loc": ["body", "conf"], "msg": "no object"}]}}
    client = Client("http://airflow", "secret")
    client._http = httpx.Client(
        base_url="http://airflow",
        headers={"Authorization": "Bearer x"},
        transport=httpx.MockTransport(lambda asked: httpx.Response(400, json=answers[asked.url.path[-2:]])),
    )
    with pytest.raises(RequestError) as refused:
        client.get("/a")
    assert (
        str(refused.value) == "GET /a: 400 Invalid input for param sample: 5 is less than the minimum of 100"
    )
    with pytest.raises(RequestError, match=r"GET /b: 400 body\.conf: no object"):
        client.get("/b")


def test_a_dag_whose_spec_is_gone_is_not_waited_for() -> None:
    class Airflow:
        """Airflow shows the DAG for a while after its spec is gone."""

        def dags(self) -> list[str]:
            return ["score_gone", "score_kept", "catalog", "trainings_of_mine"]

    told: list[str] = []
    for dag_id in ("score_gone", "replay_quarantine_gone"):
        with pytest.raises(RequestError, match=f"DAG '{dag_id}' is declared by no spec that loads"):
            trigger.require_dag(Airflow(), dag_id, {"score_kept"}, told.append)
    for dag_id in ("score_kept", "catalog", "trainings_of_mine"):
        trigger.require_dag(Airflow(), dag_id, {"score_kept"}, told.append)
    assert not told


def test_the_parameters_of_a_run_are_those_that_were_given() -> None:
    given = {"batch_date": "2013-07-01", "until": None, "reason": "a=b"}
    assert trigger.conf_of(given, ["downstream=leave", "note=a=b"]) == {
        "batch_date": "2013-07-01",
        "reason": "a=b",
        "downstream": "leave",
        "note": "a=b",
    }


@pytest.mark.parametrize(
    ("value", "shown"), [(1234567.0, "1234567"), (1234616.75, "1234616.75"), (0.1, "0.1"), (1e300, "1e+300")]
)
def test_a_threshold_is_written_to_its_last_digit(value: float, shown: str) -> None:
    assert model._shown(value) == shown


def declared(name: str, columns: dict[str, str], key: str) -> Source:
    return Source.model_validate(
        {
            "name": name,
            "owner": "a",
            "description": "",
            "connector": {"kind": "files", "folder": "x", "path": "{date}.csv"},
            "columns": {each: {"type": kind} for each, kind in columns.items()},
            "key": [key],
            "expectations": [{"expect_table_row_count_to_be_between": {"min_value": 1}}],
        }
    )


LONG = "average_time_spent_on_site_per_session_minutes"


@pytest.mark.parametrize(
    ("sources", "features"),
    [
        (
            [declared("visits", {"visit_id": "string", LONG: "float"}, "visit_id")],
            {LONG[:36], f"{LONG[:36]}_2"},
        ),
        (
            [
                declared("class", {"visit_id": "string", "size": "float"}, "visit_id"),
                declared("measured", {"day": "date", "temp": "float"}, "day"),
                declared("w2", {"day": "date", "temp": "float"}, "day"),
            ],
            {"size", "temp_mean_28d", "temp_mean_28d_2"},
        ),
    ],
)
def test_no_feature_of_a_draft_has_the_name_of_another_and_none_is_a_word_of_python(
    sources: list[Source], features: set[str], tmp_path: Path
) -> None:
    text, _ = features_text.draft("drafted", sources, owner="me")
    (tmp_path / "drafted.py").write_text(text)
    told = runpy.run_path(str(tmp_path / "drafted.py"))
    assert told["FEATURES"]["columns"].keys() == features
    inputs = {
        each.name: pd.DataFrame(
            {name: pd.Series([], dtype=DTYPES[column.type]) for name, column in each.columns.items()}
        ).assign(batch_date=pd.Series([], dtype="datetime64[s]"))
        for each in sources
    }
    assert features <= set(told["build"](inputs, DAY).columns)


ENDS = 'x\n    raise SystemExit("ran")  # """ \\\r\u2028\x85\x0cimport os'


def test_no_text_of_the_data_or_of_a_header_is_code_of_a_drafted_module(tmp_path: Path) -> None:
    sources = [
        declared(
            "plan",
            {'x""";raise SystemExit("ran")#': "string", 'y"""\\': "date"},
            'x""";raise SystemExit("ran")#',
        ),
        declared("came", {"no": "string", "kind": "string"}, "no"),
    ]
    rows = {"came": pd.DataFrame({"no": [str(n) for n in range(60)], "kind": ["PAST"] * 40 + [ENDS] * 20})}
    text, left = features_text.draft("drafted", sources, owner="me", rows=rows)
    assert 'y"""\\' in left
    (tmp_path / "drafted.py").write_text(text)
    told = runpy.run_path(str(tmp_path / "drafted.py"))
    inputs = {each.name: pd.DataFrame({name: ["a"] for name in each.columns}) for each in sources}
    inputs["came"] = rows["came"]
    inputs = {name: frame.assign(batch_date=pd.Timestamp(DAY)) for name, frame in inputs.items()}
    built = told["build"](inputs, DAY)
    assert built.iloc[:, -1].tolist() == [pytest.approx(1 / 3)]


@pytest.mark.parametrize("ask", [{}, {"equals": ENDS}])
@pytest.mark.parametrize("others", [["a"] * 30, ["a"] * 20 + ["b"] * 20])
def test_no_text_of_the_data_is_a_key_of_a_drafted_model(ask: dict, others: list[str]) -> None:
    seen = look.Seen(pd.Series([*others, *[ENDS] * 20]), rows_a_night=20.0, matures_after=1)
    content = yaml.safe_load(model.draft(Ask("set", "x", **ask), of_one_column("string"), seen, owner="me"))
    assert ENDS in [content["target"].get("equals"), *content["target"].get("classes", [])]
    assert content["owner"] == "me"

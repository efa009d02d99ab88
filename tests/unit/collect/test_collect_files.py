"""File sources: which file a date names, what is read of it, and what is told when it is not there."""

import bz2
import gzip
import io
import lzma
import os
import re
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from nightshift import collect as collecting
from nightshift.collect import Connection, connection_of, open_source
from nightshift.collect.archives import BadArchive, TooLarge, read_whole
from nightshift.errors import SchemaMismatch, SourceError, SpecError
from nightshift.landing import parquet, rows_of
from nightshift.specs import Source
from nightshift.types import content_sha256
from nightshift.validate import Known, validate_batches

DAY = date(2013, 2, 8)
WINDOW = (datetime(2013, 2, 7, 5, tzinfo=UTC), datetime(2013, 2, 8, 5, tzinfo=UTC))
HOME = ZoneInfo("UTC")


def collect(spec, day, window, connection, home=HOME):
    return collecting.collect(spec, day, window, connection, home)


def source(path="{date}.csv", **connector):
    return Source.model_validate(
        {
            "name": "weather",
            "owner": "tests",
            "description": "",
            "connector": {"kind": "files", "connection": "files", "path": path, **connector},
            "columns": {"id": {"type": "string"}},
            "key": ["id"],
        }
    )


def read(folder, spec, day=DAY):
    return collect(spec, day, WINDOW, Connection("files", extra={"path": str(folder)}))


@pytest.mark.parametrize(
    ("pattern", "name", "offset"),
    [
        ("{date}.csv", "2013-02-08.csv", 0),
        ("{date}.csv", "2013-02-07.csv", -1),
        ("{date:%Y/%m/%d}/w.csv", "2013/02/08/w.csv", 0),
        ("w-{date:%Y%m%d}.csv", "w-20130208.csv", 0),
    ],
)
def test_a_date_names_its_file(tmp_path, pattern, name, offset):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("id,temp\na,1\n")
    assert read(tmp_path, source(pattern, offset_days=offset)).to_dict("list") == {"id": ["a"], "temp": ["1"]}


def test_csv_values_stay_text_and_only_empty_fields_are_null(tmp_path):
    (tmp_path / "2013-02-08.csv").write_text(
        'id,temp,note\n007,NA,""\n8,,"a, ""b""\nc"\n', encoding="utf-8-sig"
    )
    frame = read(tmp_path, source())
    assert frame["id"].tolist() == ["007", "8"]
    assert frame["temp"].iloc[0] == "NA"
    assert pd.isna(frame["temp"].iloc[1])
    assert frame["note"].tolist() == ["", 'a, "b"\nc']


def test_two_sources_read_their_own_columns_of_one_file(tmp_path):
    (tmp_path / "2013-02-08.csv").write_text("id,temp,late,late\na,1,yes,no\n")
    whole = source()
    left = Source.model_validate({**whole.model_dump(), "other_columns": "ignore"})
    assert list(read(tmp_path, left).columns) == ["id"]
    both = {"columns": {"id": {"type": "string"}, "late": {"type": "string"}}}
    with pytest.raises(SourceError, match="column 'late' is delivered more than once"):
        read(tmp_path, left.model_validate({**left.model_dump(), **both}))


def test_a_header_alone_is_no_rows(tmp_path):
    (tmp_path / "2013-02-08.csv").write_text("id,temp\n")
    frame = read(tmp_path, source())
    assert list(frame.columns) == ["id", "temp"]
    assert len(frame) == 0


def test_a_compressed_file_is_read(tmp_path):
    (tmp_path / "2013-02-08.csv.gz").write_bytes(gzip.compress(b"id\na\n"))
    assert read(tmp_path, source("{date}.csv.gz"))["id"].tolist() == ["a"]


def test_parquet_keeps_its_types_and_integers_beside_nulls(tmp_path):
    written = pd.DataFrame({"id": ["a", "b"], "n": pd.array([2**60 + 1, None], dtype="Int64")}, index=[5, 6])
    written.to_parquet(tmp_path / "2013-02-08.parquet")
    frame = read(tmp_path, source("{date}.parquet", format="parquet"))
    assert frame["n"].tolist() == [2**60 + 1, None]
    assert frame["id"].tolist() == ["a", "b"]


BROKEN = [
    (b'id,temp\na,"1\nb,2\n', "the quote opened on line 2 is never closed"),
    (b"", "empty: zero bytes"),
    (b"\n \n", "empty: zero bytes"),
    (b"id,temp\na,1\nb\n", "not a CSV table: line 3 has 1 fields, the header has 2"),
    (b"id,temp\na,1,2\n", "not a CSV table: line 2 has 3 fields, the header has 2"),
    (b"id,temp\n\xff\xfe,1\n", "not UTF-8 text"),
    (b"\xff\xfei\x00d\x00", "not UTF-8"),
]


@pytest.mark.parametrize(("content", "message"), BROKEN)
def test_a_broken_csv_file_is_told_with_its_full_path(tmp_path, content, message):
    (tmp_path / "2013-02-08.csv").write_bytes(content)
    with pytest.raises(SourceError, match=message) as raised:
        read(tmp_path, source())
    assert str(tmp_path / "2013-02-08.csv") in str(raised.value)


def test_a_large_parquet_file_comes_in_frames_also_where_its_last_row_has_a_date_beyond_python(tmp_path):
    rows = 100_003
    days = [15_000] * (rows - 1) + [4_000_000]  # since 1970; the last one is in the year 12921
    table = pa.table({"id": pa.array(map(str, range(rows))), "day": pa.array(days, pa.date32())})
    pyarrow.parquet.write_table(table, tmp_path / "2013-02-08.parquet")
    spec = source("{date}.parquet", format="parquet")
    with open_source(spec, Connection("files", extra={"path": str(tmp_path)}), HOME) as reader:
        sizes = reader.take(DAY, WINDOW, lambda frames: [len(frame) for frame in frames])
        frame = reader.read(DAY, WINDOW)
    assert sizes == [100_000, 3]
    assert frame["id"].to_list() == list(map(str, range(rows)))
    assert frame["day"].iloc[[0, -1]].astype("str").to_list() == ["2011-01-26", "12921-08-18"]


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64()])
def test_a_date_beyond_python_changes_no_value_beside_it(tmp_path, kind):
    """Those of its column and of others are dates still: what is declared a timestamp is set aside as ever."""
    columns = {
        name: {"type": of, "nullable": True} for name, of in {"at": "timestamp", "until": "date"}.items()
    }
    not_null = [{"expect_column_values_to_not_be_null": {"column": "id"}}]
    spec = source("{date}.parquet", format="parquet", folder=str(tmp_path), connection=None).model_dump()
    changes = {
        "columns": {"id": {"type": "string"}, **columns},
        "expectations": not_null,
        "budget": {"share": 1.0},
    }
    spec = Source.model_validate({**spec, **changes})
    found = {}
    for far in (1, 4_000_000, -800_000):
        days = {"at": [15_000, None, 15_001], "until": [1, far, None]}
        arrays = {
            name: pa.array(values, pa.int32()).cast(pa.date32()).cast(kind) for name, values in days.items()
        }
        pyarrow.parquet.write_table(
            pa.table({"id": ["a", "b", "c"], **arrays}), tmp_path / "2013-02-08.parquet"
        )
        content = parquet(read(tmp_path, spec))
        checked = validate_batches(spec, {DAY: rows_of(content)})
        aside = checked.rejected
        found[far] = (
            checked.accepted["until"].tolist(),
            aside[["row_number", "rule", "column_name", "value"]].to_numpy().tolist(),
        )
    ever = [[1, "type", "at", "2011-01-26"], [3, "type", "at", "2011-01-27"]]
    assert found[1] == ([pd.Timestamp("1970-01-02")], ever)
    for far, text in ((4_000_000, "12921-08-18"), (-800_000, "-221-09-04")):
        assert found[far] == ([], [ever[0], [2, "type", "until", text], ever[1]])


def test_a_csv_file_whose_last_line_is_not_plain_is_read_once_and_whole(tmp_path):
    line = "x" * 998 + "\n"
    (tmp_path / "2013-02-08.csv").write_text("id\n" + line * 9_000 + '5" pipe\n')
    frame = read(tmp_path, source())
    assert (len(frame), frame["id"].iloc[0], frame["id"].iloc[-1]) == (9_001, "x" * 998, '5" pipe')
    (tmp_path / "2013-02-08.csv").write_text("id\n" + line * 9_000 + '"never closed\n')
    with pytest.raises(SourceError, match="the quote opened on line 9002 is never closed"):
        read(tmp_path, source())


def typed(columns, **changes):
    """A source of Parquet whose bad rows are set aside, however many they are."""
    spec = source("{date}.parquet", format="parquet").model_dump()
    expected = [{"expect_column_values_to_not_be_null": {"column": "id"}}]
    return Source.model_validate(
        {
            **spec,
            "columns": {"id": {"type": "string"}, **columns},
            "expectations": expected,
            "budget": {"share": 1.0},
            **changes,
        }
    )


@pytest.mark.parametrize("stored", [pa.string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_a_text_is_read_by_its_clock_however_its_file_stores_it(tmp_path, stored):
    """A category of pandas is a dictionary of Parquet."""
    texts = pa.array(["2013-02-08 10:00", None, "2013-02-09 10:00"]).cast(stored)
    pyarrow.parquet.write_table(
        pa.table({"id": ["a", "b", "c"], "at": texts}), tmp_path / "2013-02-08.parquet"
    )
    spec = typed({"at": {"type": "timestamp", "nullable": True}}, timezone="Australia/Sydney")
    [content] = [parquet(read(tmp_path, spec))]
    at = validate_batches(spec, {DAY: rows_of(content)}).accepted["at"]
    assert at.iloc[[0, 2]].astype("str").tolist() == [
        "2013-02-07 23:00:00+00:00",
        "2013-02-08 23:00:00+00:00",
    ]
    # As older deliveries were kept.
    kept = parquet(pd.DataFrame({"id": ["a"], "at": pd.Categorical(["2013-02-08 10:00"])}))
    [again] = validate_batches(spec, {DAY: rows_of(kept)}).accepted["at"]
    assert again == at.iloc[0]
    (tmp_path / "2013-02-08.parquet").rename(tmp_path / "all.parquet")
    picked = source("all.parquet", format="parquet", date_column="at")
    assert read(tmp_path, picked)["id"].tolist() == ["a", "b"]


def test_bytes_that_are_no_text_set_their_row_aside_alone(tmp_path):
    """Writers do not look. Accepted, they ended the night where its rows were hashed."""
    ends = pa.array([0, 2, 5, 7], pa.int32()).buffers()[1]
    texts = pa.Array.from_buffers(pa.string(), 3, [None, ends, pa.py_buffer(b"ok\xff\xfebgo")])
    pyarrow.parquet.write_table(
        pa.table({"id": ["a", "b", "c"], "name": texts}), tmp_path / "2013-02-08.parquet"
    )
    spec = typed({"name": {"type": "string"}})
    checked = validate_batches(spec, {DAY: rows_of(parquet(read(tmp_path, spec)))})
    assert checked.accepted["name"].tolist() == ["ok", "go"]
    assert checked.rejected[["rule", "value"]].to_numpy().tolist() == [["type", r"b'\xff\xfeb'"]]
    assert len(content_sha256(checked.accepted)) == 66


def test_a_uuid_of_parquet_is_text_as_one_of_a_database_is(tmp_path):
    given = UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
    ids = pa.array([given.bytes, None], pa.uuid())
    pyarrow.parquet.write_table(pa.table({"id": ["a", "b"], "of": ids}), tmp_path / "2013-02-08.parquet")
    spec = typed({"of": {"type": "string", "nullable": True}})
    checked = validate_batches(spec, {DAY: rows_of(parquet(read(tmp_path, spec)))})
    assert checked.accepted["of"].astype(object).where(checked.accepted["of"].notna(), None).tolist() == [
        str(given),
        None,
    ]


def test_what_is_ignored_is_not_looked_at(tmp_path):
    """A time to the nanosecond, which Python has not; a zone that nobody knows."""
    others = {
        "at": pa.array([5], pa.time64("ns")),
        "to": pa.array([0], pa.timestamp("us", tz="Nowhere/Else")),
    }
    pyarrow.parquet.write_table(pa.table({"id": ["a"], **others}), tmp_path / "2013-02-08.parquet")
    assert read(tmp_path, typed({}, other_columns="ignore")).columns.tolist() == ["id"]
    with pytest.raises(SourceError, match=r"column 'to' is in time zone"):
        read(tmp_path, typed({}))


def test_a_broken_parquet_file_is_told(tmp_path):
    (tmp_path / "2013-02-08.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(SourceError, match="not Parquet"):
        read(tmp_path, source("{date}.parquet", format="parquet"))


def test_a_missing_file_names_path_and_date(tmp_path):
    with pytest.raises(SourceError, match="source 'weather', connection 'files': no file ") as raised:
        read(tmp_path, source(offset_days=-1))
    assert f"{tmp_path / '2013-02-07.csv'} (rows of 2013-02-07)" in str(raised.value)


ESCAPES = [
    "../{date}.csv",
    "a/../../{date}.csv",
    "/etc/{date}",
    "..\\{date}.csv",
    "file:///etc/{date}",
    "{date:%Y/../../..}/{date}",
    "{date:/etc/%Y%j}",
]


@pytest.mark.parametrize("path", ESCAPES)
def test_no_path_leads_out_of_the_folder(tmp_path, path):
    with pytest.raises(SpecError, match="leads out of the source's folder"):
        read(tmp_path, source(path))


def test_no_link_leads_out_of_the_folder(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret").write_text("id\na\n")
    (inside / "2013-02-08.csv").symlink_to(tmp_path / "secret")
    with pytest.raises(SpecError, match="is a link out of"):
        read(inside, source())


@pytest.mark.parametrize(
    "path", ["{date.year}.csv", "{date!r}.csv", "{date[0]}", "{date}{other}", "{date:{date}}", "{date"]
)
def test_only_the_date_is_a_placeholder(tmp_path, path):
    with pytest.raises(SpecError, match=r"source 'weather', key 'connector.path'"):
        read(tmp_path, source(path))


@pytest.mark.parametrize(
    ("kind", "days"),
    [
        ("csv", ["2013-02-08", "2013-02-09", "2013-02-08"]),
        ("csv", ["2013-02-08T10:00:00Z", "2013-02-09T00:00:00Z", "2013-02-08 11:00"]),
        ("parquet", [date(2013, 2, 8), date(2013, 2, 9), date(2013, 2, 8)]),
        ("parquet", [datetime(2013, 2, 8, 10), datetime(2013, 2, 9), datetime(2013, 2, 8, 11)]),  # noqa: DTZ001
    ],
)
def test_a_date_column_picks_the_rows_of_one_file(tmp_path, kind, days):
    frame = pd.DataFrame({"id": ["a", "b", "c"], "day": days})
    if kind == "csv":
        frame.to_csv(tmp_path / "all", index=False)
    else:
        frame.to_parquet(tmp_path / "all")
    assert read(tmp_path, source("all", format=kind, date_column="day"))["id"].tolist() == ["a", "c"]


def test_one_file_is_read_once_for_all_dates(tmp_path):
    path = tmp_path / "all.csv"
    path.write_text("id,day\na,2013-02-08\nb,2013-02-09\n")
    connection = Connection("files", extra={"path": str(tmp_path)})
    with open_source(source("all.csv", date_column="day"), connection, HOME) as reader:
        first = reader.read(DAY, WINDOW)["id"].tolist()
        path.unlink()
        assert [first, reader.read(date(2013, 2, 9), WINDOW)["id"].tolist()] == [["a"], ["b"]]


def nights_of(folder, spec, days, home=HOME):
    with open_source(spec, Connection("files", extra={"path": str(folder)}), home) as reader:
        return {day: reader.read(day, WINDOW)["id"].tolist() for day in days}


def test_of_a_months_file_each_night_reads_its_own_rows_and_none_is_lost(tmp_path):
    rows = "a,2013-01-31\nb,2013-02-01\nx,2013-01-31\ny,soon\nc,2013-02-28\n"
    (tmp_path / "2013-01.csv").write_text("id,day\nz,2013-01-01\n")
    (tmp_path / "2013-02.csv").write_text("id,day\n" + rows)
    spec = source("{date:%Y-%m}.csv", date_column="day")
    days = [date(2013, 1, 31), date(2013, 2, 1), date(2013, 2, 2), date(2013, 2, 28)]
    assert list(nights_of(tmp_path, spec, days).values()) == [[], ["a", "b", "x", "y"], [], ["c"]]
    with open_source(spec, Connection("files", extra={"path": str(tmp_path)}), HOME) as reader:
        assert reader.nights is None
    (tmp_path / "2013-03.csv").write_text("id,day\na,2013-02-08\n")
    with pytest.raises(
        SourceError, match=r"none of 1 rows is of a day whose file this is, but of 2013-02-08"
    ):
        nights_of(tmp_path, spec, [date(2013, 3, 1)])
    with pytest.raises(SourceError, match="no file"):
        nights_of(tmp_path, spec, [date(2013, 4, 1)])


def test_a_row_without_a_readable_date_goes_once_with_the_row_above_it(tmp_path):
    rows = "x,soon\na,2013-02-08\nb,\nc,2013-02-30\nd,2013-02-09\ne,8 Feb\nf,2013-02-08\ng,2013-02-09 \n"
    (tmp_path / "all.csv").write_text("id,day\n" + rows)
    days = [date(2013, 2, n) for n in range(1, 29)]
    spec = source("all.csv", date_column="day")
    found = {day: ids for day, ids in nights_of(tmp_path, spec, days).items() if ids}
    assert found == {DAY: ["x", "a", "b", "c", "f"], date(2013, 2, 9): ["d", "e", "g"]}
    assert nights_of(tmp_path, spec, [date(2013, 2, 9), DAY]) == {
        date(2013, 2, 9): ["d", "e", "g"],
        DAY: found[DAY],
    }


def test_a_date_column_that_is_there_twice_is_refused_by_name(tmp_path):
    (tmp_path / "f.csv").write_text("id,day,day\na,2013-02-08,2013-02-09\n")
    with pytest.raises(SourceError, match="column 'day' is delivered more than once; rename one of them"):
        read(tmp_path, source("f.csv", date_column="day"))


def test_a_parquet_column_that_is_there_twice_is_refused_by_name(tmp_path):
    table = pa.table([["a"], [1], [2]], names=["id", "n", "n"])
    pa.parquet.write_table(table, tmp_path / "2013-02-08.parquet")
    with pytest.raises(SourceError, match="column 'n' is delivered more than once; rename one of them"):
        read(tmp_path, source("{date}.parquet", format="parquet"))


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_column_that_is_there_twice_in_one_of_several_files_is_refused_or_left_out(tmp_path, form):
    for file, names in (("a", ["id", "n", "n"]), ("b", ["n", "id", "n"])):
        table = pa.table([["x"], ["y"], ["z"]], names=names)
        write = pa.parquet.write_table if form == "parquet" else pa.csv.write_csv
        write(table, tmp_path / f"2013-02-08-{file}.{form}")
    spec = source(f"{{date}}-*.{form}", format=form)
    with pytest.raises(SourceError, match="column 'n' is delivered more than once; rename one of them"):
        read(tmp_path, spec)
    left = Source.model_validate({**spec.model_dump(), "other_columns": "ignore"})
    assert read(tmp_path, left).to_dict("list") == {"id": ["x", "y"]}


@pytest.mark.parametrize("zone", ["Mars/Base", "UTC+01:00", "+0100"])
def test_a_parquet_column_of_no_known_zone_is_refused_by_name(tmp_path, zone):
    stamps = pa.array([0], pa.timestamp("us", zone))
    pa.parquet.write_table(pa.table({"id": ["a"], "at": stamps}), tmp_path / "2013-02-08.parquet")
    with pytest.raises(
        SourceError, match=re.escape(f"column 'at' is in time zone '{zone}', which is none; write it in")
    ):
        read(tmp_path, source("{date}.parquet", format="parquet"))


def test_a_column_without_one_readable_date_is_told(tmp_path):
    (tmp_path / "all.csv").write_text("id,day\na,08/02/2013\nb,09/02/2013\n")
    with pytest.raises(
        SourceError, match=r"none of 2 values reads as a date, such as '08/02/2013'.*dialect.dates"
    ):
        read(tmp_path, source("all.csv", date_column="day"))
    spec = source("all.csv", date_column="day", dialect={"dates": "%d/%m/%Y"})
    assert read(tmp_path, dated(spec, "date"))["id"].tolist() == ["a"]


def dated(spec, kind, **changes):
    columns = {"id": {"type": "string"}, "day": {"type": kind}}
    return Source.model_validate({**spec.model_dump(), "columns": columns, **changes})


@pytest.mark.parametrize(
    ("zone", "text", "night"),
    [
        (None, "2012-05-07T23:30:00Z", date(2012, 5, 9)),
        (None, "2012-05-07 23:30", date(2012, 5, 8)),
        ("UTC", "2012-05-07 23:30", date(2012, 5, 9)),
        ("America/New_York", "2012-05-07 09:59", date(2012, 5, 8)),
        ("America/New_York", "2012-05-07 10:00", date(2012, 5, 9)),
        (None, "2012-05-07T23:59:59.999999+10:00", date(2012, 5, 8)),
    ],
)
def test_an_instant_is_of_the_day_it_falls_on_where_the_project_is(tmp_path, zone, text, night):
    (tmp_path / "all.csv").write_text(f"id,day\na,{text}\n")
    home = ZoneInfo("Australia/Sydney")
    whole = source("all.csv", date_column="day", offset_days=-1)
    spec = dated(whole, "timestamp", timezone=zone or home.key)
    found = nights_of(tmp_path, spec, [date(2012, 5, n) for n in range(5, 12)], home)
    assert [day for day, ids in found.items() if ids] == [night]


@pytest.mark.parametrize(
    ("home", "edge"),
    [("Europe/Berlin", "9999-12-31T23:59:59Z"), ("America/New_York", "0001-01-01T00:00:00Z")],
)
def test_an_instant_of_no_day_here_goes_with_the_row_above_it_and_is_set_aside(tmp_path, home, edge):
    (tmp_path / "all.csv").write_text(f"id,day\na,2013-02-08T12:00:00Z\nb,{edge}\nc,2013-02-09T12:00:00Z\n")
    zone = ZoneInfo(home)
    not_null = [{"expect_column_values_to_not_be_null": {"column": "id"}}]
    changes = {"budget": {"share": 1.0}, "timezone": home, "expectations": not_null}
    spec = dated(source("all.csv", date_column="day", offset_days=-1), "timestamp", **changes)
    days = [date(2013, 2, 9), date(2013, 2, 10)]
    assert list(nights_of(tmp_path, spec, days, zone).values()) == [["a", "b"], ["c"]]
    with open_source(spec, Connection("files", extra={"path": str(tmp_path)}), zone) as reader:
        rows = {day: reader.read(day, WINDOW) for day in days}
    checked = validate_batches(spec, rows, Known(home=zone))
    assert checked.rejected[["row_number", "rule"]].to_numpy().tolist() == [[2, "other_night"]]


def test_several_files_of_a_night_are_one_table_in_the_order_of_their_names(tmp_path):
    (tmp_path / "2013-02-08").mkdir()
    for name, rows in {"b.csv": "temp,id\n2,b\n", "a.csv": "id,temp\na,1\n", "c[1].csv": "id,temp\n"}.items():
        (tmp_path / "2013-02-08" / name).write_text(rows)
    (tmp_path / "2013-02-08" / "notes.txt").write_text("no table")
    found = read(tmp_path, source("{date}/*.csv"))
    assert found.to_dict("list") == {"id": ["a", "b"], "temp": ["1", "2"]}
    assert read(tmp_path, source("{date}/c[1]*"))["id"].tolist() == []
    with pytest.raises(SourceError, match=r"no file .*2013-02-08/x\*\.csv \(rows of 2013-02-08\)"):
        read(tmp_path, source("{date}/x*.csv"))


@pytest.mark.parametrize("lacking", ["a.csv", "b.csv", "c.csv"])
def test_the_file_of_several_that_lacks_a_column_is_named(tmp_path, lacking):
    for name in ("a.csv", "b.csv", "c.csv"):
        (tmp_path / name).write_text(
            "id,day\na,2013-02-08\n" if name == lacking else "id,temp,day\na,1,2013-02-08\n"
        )
    spec = source("*.csv", date_column="day")
    with pytest.raises(SchemaMismatch, match=rf"{lacking} has no column 'temp', which .*/[abc]\.csv has"):
        read(tmp_path, spec)
    left = dated(spec, "date", other_columns="ignore")
    assert read(tmp_path, left)["id"].tolist() == ["a", "a", "a"]


def test_several_files_share_one_limit_and_lead_out_of_no_folder(tmp_path):
    (tmp_path / "in").mkdir()
    for n in range(3):
        (tmp_path / f"in/2013-02-08-{n}.csv").write_bytes(b"id\n" + b"x\n" * 300_000)
    assert len(read(tmp_path / "in", source("{date}*.csv", max_megabytes=2))) == 900_000
    with pytest.raises(
        SourceError, match=r"2013-02-08-1\.csv: larger than 0 MB; raise connector.max_megabytes"
    ):
        read(tmp_path / "in", source("{date}*.csv", max_megabytes=1))
    (tmp_path / "secret").write_text("id\na\n")
    (tmp_path / "in/2013-02-08-9.csv").symlink_to(tmp_path / "secret")
    with pytest.raises(SpecError, match="is a link out of"):
        read(tmp_path / "in", source("{date}*.csv"))


def test_several_files_below_a_url(tmp_path):
    for name in ("a", "b"):
        with fsspec.open(f"memory://several/2013-02-08/{name}.csv", "w") as file:
            file.write(f"id\n{name}\n")
    frame = collect(
        source("{date}/*.csv"), DAY, WINDOW, Connection("files", extra={"path": "memory://several"})
    )
    assert frame["id"].tolist() == ["a", "b"]


def stream(name, content):
    with pa.CompressedOutputStream(out := pa.BufferOutputStream(), name) as file:
        file.write(content)
    return out.getvalue().to_pybytes()


def zipped(**members):
    with zipfile.ZipFile(out := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


ROWS = b"id\n" + b"".join(b"row %d\n" % n for n in range(3000))
PACKED = {
    "gz": gzip.compress(ROWS),
    "bz2": bz2.compress(ROWS),
    "xz": lzma.compress(ROWS),
    "zst": stream("zstd", ROWS),
    "zip": zipped(**{"all.csv": ROWS, "__MACOSX/._all.csv": b"\0"}),
}


@pytest.mark.parametrize("kind", PACKED)
def test_a_packed_file_is_read_to_its_end_or_refused(tmp_path, kind):
    def unpacked(content):
        (tmp_path / f"2013-02-08.csv.{kind}").write_bytes(content)
        return read(tmp_path, source(f"{{date}}.csv.{kind}", max_megabytes=1))

    whole = PACKED[kind]
    assert len(unpacked(whole)) == 3000
    for cut in (1, 5, 9, len(whole) // 2, len(whole) - 1):
        with pytest.raises(SourceError, match=rf"csv\.{kind}: (cut short|not a whole zip)"):
            unpacked(whole[:-cut])
    with pytest.raises(SourceError, match=rf"csv\.{kind}: (\d+ bytes follow the end|cut short)"):
        unpacked(whole + b"garbage")
    with pytest.raises(SourceError, match=rf"csv\.{kind}: (not a|cut short, or not a)"):
        unpacked(b"id\nplain text that nobody packed\n")


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst", "zip"])
def test_a_bomb_is_given_up_at_the_limit(tmp_path, kind):
    zeros = bytes(30 * 2**20)
    pack = {
        "gz": gzip.compress,
        "bz2": bz2.compress,
        "xz": lzma.compress,
        "zst": lambda content: stream("zstd", content),
        "zip": lambda content: zipped(x=content),
    }
    (tmp_path / f"2013-02-08.csv.{kind}").write_bytes(pack[kind](zeros))
    tracemalloc.start()
    with pytest.raises(SourceError, match=r"larger than 4 MB; raise connector.max_megabytes"):
        read(tmp_path, source(f"{{date}}.csv.{kind}", max_megabytes=4))
    assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("beside", ["__MACOSX/d/._a.csv", "d/.DS_Store", "d/._a.csv", "d/desktop.ini"])
def test_what_a_desktop_leaves_in_a_zip_is_no_file_of_it(tmp_path, beside):
    (tmp_path / "2013-02-08.zip").write_bytes(zipped(**{beside: b"\0", "d/a.csv": b"id\na\n"}))
    assert read(tmp_path, source("{date}.zip"))["id"].to_list() == ["a"]


def test_a_zip_of_two_files_is_refused_by_their_names(tmp_path):
    (tmp_path / "2013-02-08.zip").write_bytes(zipped(**{"a.csv": b"id\na\n", "b.csv": b"id\nb\n"}))
    with pytest.raises(SourceError, match=r"exactly one file, this one holds 2: 'a\.csv', 'b\.csv'"):
        read(tmp_path, source("{date}.zip"))
    (tmp_path / "2013-02-08.zip").write_bytes(zipped())
    with pytest.raises(SourceError, match="this one holds 0: none"):
        read(tmp_path, source("{date}.zip"))


def test_a_large_parquet_file_is_refused_by_what_it_would_take(tmp_path):
    pd.DataFrame({"id": ["same"] * 600_000}).to_parquet(tmp_path / "2013-02-08.parquet")
    with pytest.raises(SourceError, match="600000 rows of 1 columns take more than 1 MB"):
        read(tmp_path, source("{date}.parquet", format="parquet", max_megabytes=1))


LOOKS = [
    ("id;temp\na;1,5\nb;2,5\n", "utf-8", 'write connector.dialect: {delimiter: ";", decimal: ","}'),
    ("id;temp\na;1\nb;2\n", "utf-8", 'write connector.dialect: {delimiter: ";"}'),
    ("id\ttemp\na\t1\nb\t2\n", "utf-8", r'write connector.dialect: {delimiter: "\\t"}'),
    ("id,temp\nKöln,1\nb,2\n", "cp1252", 'write connector.dialect: {encoding: "cp1252"}'),
    ("id,temp\nKöln,1\nb,2\n", "utf-16", 'write connector.dialect: {encoding: "utf-16"}'),
    ("Weather\nof today\nid,temp\na,1\nb,2\n", "utf-8", "write connector.dialect: {skip_lines: 2}"),
]


@pytest.mark.parametrize(("text", "encoding", "says"), LOOKS)
def test_a_file_in_another_dialect_is_told_with_what_to_write(tmp_path, text, encoding, says):
    (tmp_path / "2013-02-08.csv").write_bytes(text.encode(encoding))
    with pytest.raises((SourceError, SchemaMismatch), match=says):
        read(tmp_path, source())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (gzip.compress(b"id\na\n", mtime=0), r"it is packed by gzip: let its name end in \.gz"),
        (b"PK\x03\x04\x14\x00", r"it is a zip archive .* or an Excel workbook"),
        (b"PAR1\x15\x04\xff", "it is Parquet: write connector.format: parquet"),
    ],
)
def test_a_file_that_is_no_csv_is_told_with_what_it_is(tmp_path, content, told):
    (tmp_path / "2013-02-08.csv").write_bytes(content)
    with pytest.raises((SourceError, SchemaMismatch), match=told):
        read(tmp_path, source())


def test_a_renamed_date_column_is_a_changed_schema(tmp_path):
    (tmp_path / "all.csv").write_text("id,days\na,2013-02-08\n")
    with pytest.raises(SchemaMismatch, match=r"no column 'day'.*did you mean 'days'"):
        read(tmp_path, source("all.csv", date_column="day"))


def test_an_fsspec_url_is_read_and_its_login_not_told():
    with fsspec.open("memory://upstream/2013-02-08.csv", "w") as file:
        file.write("id\na\n")
    frame = collect(source(), DAY, WINDOW, Connection("files", extra={"path": "memory://upstream"}))
    assert frame["id"].tolist() == ["a"]
    secret = Connection("files", extra={"path": "memory://user:pass@upstream"})
    with pytest.raises(SourceError) as raised:
        collect(source(), DAY, WINDOW, secret)
    assert "pass" not in str(raised.value)


class Trickle(io.RawIOBase):
    """A stream as fsspec opens a file behind HTTP that does not say how long it is: a read gives what has come."""

    def __init__(self, content, fails=None):
        self.rest, self.fails = io.BytesIO(content), fails

    def readable(self):
        return True

    def read(self, most=-1):
        part = self.rest.read(min(most, 7) if most >= 0 else 7)
        if self.fails and not part:
            raise self.fails
        return part


class ItsOwn(Exception):
    """What the library of a storage raises: no OSError."""


def stored_as(opened):
    """An fsspec storage whose every file is ``opened()``."""

    class Storage(fsspec.AbstractFileSystem):
        protocol, cachable = "trickle", False

        def _open(self, path, mode="rb", **how):
            return opened()

        def ls(self, path, detail=True, **how):
            raise ItsOwn("no credentials")

    fsspec.register_implementation("trickle", Storage, clobber=True)
    return Connection("files", extra={"path": "trickle://bucket"})


def test_a_file_that_comes_in_parts_is_read_to_its_end():
    content = b"id\n" + b"".join(b"row %d\n" % n for n in range(1000))
    frame = collect(source(), DAY, WINDOW, stored_as(lambda: Trickle(content)))
    assert frame["id"].tolist() == [f"row {n}" for n in range(1000)]
    packed = collect(source("{date}.csv.gz"), DAY, WINDOW, stored_as(lambda: Trickle(gzip.compress(content))))
    assert packed.equals(frame)
    with pytest.raises(TooLarge):
        read_whole(Trickle(content), "a.csv", 100)
    assert read_whole(Trickle(b"x" * 100), "a.csv", 100) == b"x" * 100


@pytest.mark.parametrize("path", ["{date}.csv", "{date}*.csv"])
def test_what_a_storage_raises_of_its_own_is_told_by_file(path):
    storage = stored_as(lambda: Trickle(b"id\na\n", fails=ItsOwn("not all bytes came")))
    with pytest.raises(
        SourceError, match=r"connection 'files': trickle://bucket/2013-02-08.*; check the folder"
    ):
        collect(source(path), DAY, WINDOW, storage)


def test_an_unknown_protocol_is_told():
    with pytest.raises(SourceError, match="check the folder, its path and rights"):
        collect(source(), DAY, WINDOW, Connection("files", extra={"path": "nosuch://bucket"}))


def test_a_connection_without_a_folder_is_told():
    with pytest.raises(SourceError, match="no folder; put"):
        collect(source(), DAY, WINDOW, Connection("files"))


def in_folder(folder, path="{date}.csv", **connector):
    return source(path, connection=None, folder=str(folder), **connector)


def no_connection(name):
    raise AssertionError(f"a folder needs no connection, {name!r} was asked for")


@pytest.mark.parametrize(
    "written", ["{tmp}/data/rain", "data/rain", "file://{tmp}/data/rain", "data/../data/rain/"]
)
def test_a_folder_needs_no_connection_and_starts_beside_include(tmp_path, written):
    (tmp_path / "data/rain").mkdir(parents=True)
    (tmp_path / "data/rain/2013-02-08.csv").write_text("id\na\n")
    spec = in_folder(written.format(tmp=tmp_path))
    found = collect(spec, DAY, WINDOW, connection_of(spec, no_connection, tmp_path))
    assert found["id"].tolist() == ["a"]


def test_a_path_leads_out_of_no_folder_either(tmp_path):
    spec = in_folder("data", "../{date}.csv")
    with pytest.raises(SpecError, match="leads out of the source's folder"):
        collect(spec, DAY, WINDOW, connection_of(spec, no_connection, tmp_path))


def test_a_folder_without_the_file_is_named(tmp_path):
    spec = in_folder("data")
    with pytest.raises(SourceError, match=r"source 'weather', folder 'data': no file .*2013-02-08\.csv"):
        collect(spec, DAY, WINDOW, connection_of(spec, no_connection, tmp_path))


@pytest.mark.parametrize(
    ("connector", "says"),
    [
        ({"folder": "data"}, "give either folder .* or connection"),
        ({"connection": None}, "give either folder .* or connection"),
        ({"connection": None, "folder": "s3://key:secret@bucket/data"}, "secrets belong into"),
    ],
)
def test_a_place_is_a_folder_or_a_connection(connector, says):
    with pytest.raises(ValueError, match=says):
        source(**connector)


def test_dates_may_be_spelled_with_slashes_year_first(tmp_path):
    (tmp_path / "all.csv").write_text("day,id\n2013/02/07,a\n2013/02/08,b\n")
    assert read(tmp_path, source("all.csv", date_column="day"))["id"].tolist() == ["b"]


@pytest.mark.parametrize(
    ("end", "packed"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]
)
def test_a_file_of_many_streams_is_read_to_its_end(end: str, packed: Callable[[bytes], bytes]) -> None:
    """As bgzip writes it, and whoever appends to what is there; parts end anywhere in them."""
    parts = [os.urandom(n * 7_000) for n in range(40)]
    assert read_whole(io.BytesIO(b"".join(map(packed, parts))), f"a.csv.{end}", 2**30) == b"".join(parts)
    with pytest.raises(BadArchive, match=r"bytes follow the end|cut short"):
        read_whole(io.BytesIO(packed(parts[3]) + b"more"), f"a.csv.{end}", 2**30)
    with pytest.raises(BadArchive, match="cut short"):
        read_whole(io.BytesIO(packed(parts[30])[:-9]), f"a.csv.{end}", 2**30)

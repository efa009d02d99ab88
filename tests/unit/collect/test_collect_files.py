"""File sources: which file a date names, what is read of it, and what is told when it is not there."""

import gzip
from datetime import UTC, date, datetime

import pandas as pd
import pytest

from nightshift.collect import Connection, collect, connection_of, open_source
from nightshift.errors import SchemaMismatch, SourceError, SpecError
from nightshift.specs import Source

DAY = date(2013, 2, 8)
WINDOW = (datetime(2013, 2, 7, 5, tzinfo=UTC), datetime(2013, 2, 8, 5, tzinfo=UTC))


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
    # A declared column that is there twice stays so: which of the two counts, validation would have to guess.
    assert list(read(tmp_path, left.model_validate({**left.model_dump(), **both})).columns) == [
        "id", "late", "late",
    ]  # fmt: skip


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
    (b"", "empty: zero bytes"),
    (b"\n \n", "empty: zero bytes"),
    (b"id,temp\na,1\nb\n", "not a CSV table: .*Expected 2 columns, got 1"),
    (b"id,temp\na,1,2\n", "not a CSV table: .*Expected 2 columns, got 3"),
    (b"id,temp\n\xff\xfe,1\n", "not UTF-8 text"),
    (b"\xff\xfei\x00d\x00", "not UTF-8"),
]


@pytest.mark.parametrize(("content", "message"), BROKEN)
def test_a_broken_csv_file_is_told_with_its_full_path(tmp_path, content, message):
    (tmp_path / "2013-02-08.csv").write_bytes(content)
    with pytest.raises(SourceError, match=message) as raised:
        read(tmp_path, source())
    assert str(tmp_path / "2013-02-08.csv") in str(raised.value)


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
    "{date:/etc/%Y}",
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
    with open_source(source("all.csv", date_column="day"), connection) as reader:
        first = reader.read(DAY, WINDOW)["id"].tolist()
        path.unlink()
        assert [first, reader.read(date(2013, 2, 9), WINDOW)["id"].tolist()] == [["a"], ["b"]]


def test_a_row_without_a_readable_date_belongs_to_no_night_and_is_told(tmp_path):
    (tmp_path / "all.csv").write_text("id,day\na,2013-02-08\nb,\nc,8 Feb\n")
    with pytest.raises(SourceError, match="column 'day': 2 values are no dates"):
        read(tmp_path, source("all.csv", date_column="day"))


def test_a_renamed_date_column_is_a_changed_schema(tmp_path):
    (tmp_path / "all.csv").write_text("id,days\na,2013-02-08\n")
    with pytest.raises(SchemaMismatch, match=r"no column 'day'.*did you mean 'days'"):
        read(tmp_path, source("all.csv", date_column="day"))


def test_an_fsspec_url_is_read_and_its_login_not_told():
    import fsspec

    with fsspec.open("memory://upstream/2013-02-08.csv", "w") as file:
        file.write("id\na\n")
    frame = collect(source(), DAY, WINDOW, Connection("files", extra={"path": "memory://upstream"}))
    assert frame["id"].tolist() == ["a"]
    secret = Connection("files", extra={"path": "memory://user:pass@upstream"})
    with pytest.raises(SourceError) as raised:
        collect(source(), DAY, WINDOW, secret)
    assert "pass" not in str(raised.value)


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

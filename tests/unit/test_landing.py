"""The file of a landing holds what was delivered, to the value; the same rows are the same bytes."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightshift.collect.sql import _frame
from nightshift.errors import SourceError
from nightshift.landing import delivered, in_blocks, landed_file, parquet, rows_of, same_rows, stacked

json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
driver = st.one_of(
    st.decimals(allow_nan=False),
    st.binary(max_size=5),
    st.uuids(),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.datetimes(timezones=st.just(UTC)),
)


def there_and_back(values: list[Any]) -> list[Any]:
    return rows_of(parquet(pd.DataFrame({"x": pd.Series(values, dtype=object)})))["x"].to_list()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(json_like, driver), min_size=1, max_size=6))
def test_whatever_is_delivered_comes_back_as_it_was(values: list[Any]) -> None:
    back = there_and_back(values)
    for came, kept in zip(values, back, strict=True):
        if came is None:
            assert pd.isna(kept)
        else:
            assert (repr(kept), type(kept)) == (repr(came), type(came)) or kept == came


@pytest.mark.parametrize(
    "values",
    [
        [2**53 + 1, None, *range(10**18, 10**18 + 20)],
        [2**64 - 1, 5],
        [1, 2.5, 2**53 + 1],
        ["a", {"$decimal": "1"}, ["b"], 5, True],
        ["\ud83d", "ok"],
        [Decimal("1.10"), Decimal(2), Decimal("Infinity")],
        [datetime(9999, 12, 31, tzinfo=UTC), datetime(1, 1, 1)],  # noqa: DTZ001 as delivered
        [b"\xff", UUID(int=1), date(1, 1, 1), time(1, 2), timedelta(days=-1, microseconds=1)],
        [pd.Timestamp("2013-02-08T00:00:00.123456789Z"), "x"],
    ],
    ids=lambda values: type(values[0]).__name__,
)
def test_what_one_dtype_cannot_hold_is_kept(values: list[Any]) -> None:
    assert list(map(repr, there_and_back(values))) == list(map(repr, values))
    frame = pd.DataFrame({"x": pd.Series(values, dtype=object)})
    assert parquet(frame) == parquet(frame.copy())


def test_names_that_cannot_be_written_are_told_apart() -> None:
    frame = pd.DataFrame([[1, "a", 2]], columns=pd.Index(["x", "\ud83d", "x"], dtype=object))
    assert list(rows_of(parquet(frame)).columns) == ["x", "\\ud83d", "x (2)"]


def test_what_is_nested_beyond_reason_is_refused_by_row() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(SourceError, match="column 'x', row 2: nested too deeply"):
        there_and_back([1, deep])


def test_integers_of_one_frame_stay_integers_beside_floats_of_another() -> None:
    frames = [pd.DataFrame({"x": [2**53 + 1]}), pd.DataFrame({"x": [0.5]})]
    assert stacked(frames)["x"].to_list() == [2**53 + 1, 0.5]


def test_integers_of_one_frame_stay_integers_beside_a_frame_without_them() -> None:
    frames = [pd.DataFrame({"x": [2**53 + 1], "y": ["a"]}), pd.DataFrame({"y": ["b"]})]
    assert stacked(frames)["x"].dropna().to_list() == [2**53 + 1]


def landed(frames: list[pd.DataFrame], folder: Path, most: int) -> Path:
    _, file = landed_file(in_blocks(frames, most), folder)
    assert isinstance(file, Path)
    return file


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(json_like, driver), min_size=3, max_size=9), st.integers(1, 2))
def test_whatever_is_delivered_in_blocks_comes_back_as_it_does_as_one(values: list[Any], most: int) -> None:
    frame = pd.DataFrame({"x": pd.Series(values, dtype=object)})
    with TemporaryDirectory() as folder:
        file = landed([frame], Path(folder), most)
        night = delivered(lambda: file.open("rb"), most)
        assert (night.rows, night.columns) == (len(values), ("x",))
        back = [value for block in night.each() for value in block["x"]]
    for one, other in zip(back, there_and_back(values), strict=True):
        if not isinstance(other, list | dict) and pd.isna(other):
            assert pd.isna(one)
        else:
            # A column that one block could hold as a timestamp or a decimal holds the same instant, or number.
            assert repr(one) == repr(other) or one == other


def test_a_night_of_one_block_is_the_file_that_it_always_was(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": [1, None, 2**60], "t": ["a", "b", None], "x": [1, "2", [3]]}, dtype=object)
    cut = [frame.iloc[:1], frame.iloc[1:1], frame.iloc[1:]]
    assert landed_file(in_blocks(cut, 3), tmp_path) == (3, parquet(frame))
    assert landed_file(in_blocks([frame.iloc[:0]], 3), tmp_path) == (0, parquet(frame.iloc[:0]))


def test_a_file_of_blocks_depends_on_its_rows_and_not_on_how_they_came(tmp_path: Path) -> None:
    rows = [{"n": n, "t": str(n), "late": None if n < 7 else n * 1.5, "m": n or "none"} for n in range(20)]
    frame = pd.DataFrame(rows, dtype=object)
    files = [
        landed([frame.iloc[n : n + step] for n in range(0, 20, step)], tmp_path, 6) for step in (20, 1, 7, 6)
    ]
    assert len({file.read_bytes() for file in files}) == 1
    found = pq.ParquetFile(files[0])
    assert [found.metadata.row_group(n).num_rows for n in range(found.num_row_groups)] == [6, 6, 6, 2]
    kinds = {field.name: (str(field.type), field.metadata is not None) for field in found.schema_arrow}
    assert kinds == {
        "n": ("int64", False),
        "t": ("large_string", False),
        "late": ("double", False),
        "m": ("string", True),
    }


def test_columns_that_only_some_blocks_have_are_null_in_the_others(tmp_path: Path) -> None:
    frames = [pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"b": ["x", "y"]}), pd.DataFrame({"a": [3]})]
    file = landed(frames, tmp_path, 2)
    night = delivered(lambda: file.open("rb"), 2)
    assert night.columns == ("a", "b")
    assert stacked(list(night.each())).astype(object).where(lambda f: f.notna(), None).to_numpy().tolist() == [
        [1, None], [2, None], [None, "x"], [None, "y"], [3, None],
    ]  # fmt: skip


def test_what_is_nested_too_deeply_is_told_by_its_row_in_the_night(tmp_path: Path) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    frame = pd.DataFrame({"x": pd.Series([1, 2, 3, deep], dtype=object)})
    with pytest.raises(SourceError, match="column 'x', row 4: nested too deeply"):
        landed_file(in_blocks([frame], 2), tmp_path)


def test_clocks_of_before_time_zones_are_kept_wherever_pieces_of_an_answer_end() -> None:
    """A sentinel of 1900 has an offset with seconds, in the session of a zone that had such a clock."""
    local, cet = timezone(timedelta(minutes=19, seconds=32)), timezone(timedelta(hours=1))
    old, new = datetime(1900, 1, 1, tzinfo=local), datetime(2013, 1, 1, tzinfo=cet)
    pieces = [_frame(["since"], [(old,), (None,)]), _frame(["since"], [(new,)])]
    for whole, values in ((pieces[0], [old, None]), (stacked(pieces), [old, None, new])):
        back = rows_of(parquet(whole))["since"]
        assert [None if pd.isna(value) else value for value in back] == values


def written_otherwise(frame: pd.DataFrame, path: Path) -> Path:
    """Write a landing's file as other libraries, or beside other nights, would."""
    table = pq.read_table(BytesIO(parquet(frame)))
    table = table.set_column(0, "x", table.column(0).cast(pa.string()).dictionary_encode())
    pq.write_table(table.replace_schema_metadata({"written": "otherwise"}), path, compression="snappy")
    return path


def test_rows_are_the_same_whatever_else_their_file_tells(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": ["a", "b", None], "n": pd.array([1, 2, None], "Int64"), "f": [0.0, 1.5, None]})
    frame["mixed"] = pd.Series([1, "a", None], dtype=object)
    other = written_otherwise(frame, tmp_path / "other")
    assert other.read_bytes() != parquet(frame)
    assert same_rows(parquet(frame), other, 2)
    among = frame.assign(x=pd.Categorical(frame["x"], ["zz", "b", "a"]), n=frame["n"].astype(object))
    assert same_rows(parquet(among), parquet(frame), 2)


def test_rows_are_the_same_whatever_type_other_nights_gave_a_column_of_nulls() -> None:
    whole = pd.DataFrame({"n": [1, 2], "note": pd.Series([None, "late"], dtype=object)})
    alone = pd.DataFrame({"n": [1], "note": pd.Series([None], dtype=object)})
    text = whole.astype({"note": "str"}).iloc[:1].reset_index(drop=True)
    assert same_rows(parquet(alone), parquet(text), 2)
    assert not same_rows(parquet(alone), parquet(text.assign(note="late")), 2)


def test_instants_are_the_same_in_whatever_unit_they_were_written() -> None:
    at = pd.Series(pd.to_datetime(["2013-02-08 12:00:00.123456", "2013-02-09 00:00:00.000000"], utc=True))
    files = [parquet(pd.DataFrame({"at": at.astype(f"datetime64[{unit}, UTC]")})) for unit in ("us", "ns")]
    assert same_rows(*files, 2)
    later = pd.DataFrame({"at": (at + pd.Timedelta(microseconds=1)).astype("datetime64[us, UTC]")})
    assert not same_rows(files[0], parquet(later), 2)


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.assign(f=[-0.0, 1.5, None]),
        lambda f: f.assign(f=[0.0, 1.5, 0.0]),
        lambda f: f.assign(f=pd.array([0, 1, None], "Int64")),
        lambda f: f.assign(x=["a", "b", ""]),
        lambda f: f.assign(mixed=["1", '"a"', None]),
        lambda f: f.iloc[::-1].reset_index(drop=True),
        lambda f: f.iloc[:2],
        lambda f: f.rename(columns={"x": "y"}),
        lambda f: f.drop(columns="x"),
    ],
)
def test_rows_that_differ_in_one_value_are_others(change: Any) -> None:
    frame = pd.DataFrame({"x": ["a", "b", None], "f": [0.0, 1.5, None]})
    frame["mixed"] = pd.Series([1, "a", None], dtype=object)
    assert not same_rows(parquet(frame), parquet(change(frame)), 2)

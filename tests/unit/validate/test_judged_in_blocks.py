"""A night judged in blocks comes to what it comes to as one: rows, verdicts, words and report."""

import tracemalloc
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_validation_properties import SPEC, frames, relaxed
from weather_batches import BETWEEN, DAY, batch, source, with_values

from nightshift.landing import Delivered, delivered, in_blocks, landed_file, parquet, rows_of
from nightshift.specs import Source
from nightshift.stages import filing
from nightshift.stages.filing import kept_in
from nightshift.validate import Known, Validation, validate_batches

OTHER = DAY + timedelta(days=1)
MOST = 7


def landed(frame: pd.DataFrame, folder: Path, most: int) -> Delivered:
    """Return a night as it is read back from its file, landed and read so many rows at a time."""
    _, file = landed_file(in_blocks([frame], most), folder)
    if isinstance(file, bytes):
        (folder / "whole.parquet").write_bytes(file)
        file = folder / "whole.parquet"
    return delivered(lambda: file.open("rb"), most)


def in_both_ways(
    spec: Source, nights: dict[date, pd.DataFrame], folder: Path, known: Known | None = None, most: int = MOST
) -> tuple[Validation, Validation]:
    """Return nights judged as one, and in blocks; having compared everything that is told of them."""
    bare = {day: frame.drop(columns="batch_date", errors="ignore") for day, frame in nights.items()}
    one = validate_batches(spec, {day: rows_of(parquet(frame)) for day, frame in bare.items()}, known)
    folders = {day: folder / f"{day} {most}" for day in bare}
    for each in folders.values():
        each.mkdir()
    found = {day: landed(frame, folders[day], most) for day, frame in bare.items()}
    many = validate_batches(spec, found, known, most=most)
    assert many.verdicts == one.verdicts
    assert many.report == one.report
    pd.testing.assert_frame_equal(many.accepted, one.accepted)
    pd.testing.assert_frame_equal(many.rejected, one.rejected)
    for rule in (None, "type", BETWEEN, "unique_key"):
        numbers = [{day: list(n) for day, n in each.numbers(rule).items()} for each in (one, many)]
        assert numbers[0] == numbers[1]
    return one, many


def several(rows: int = 40, **columns: list[Any]) -> pd.DataFrame:
    """Return a good night; ``columns``: values of its last rows."""
    frame = batch(rows)
    for name, values in columns.items():
        whole = frame[name].astype(object).to_list()
        frame[name] = pd.Series([*whole[: rows - len(values)], *values], dtype=object)
    return frame


def twins(*pairs: tuple[int, int], **changed: Any) -> pd.DataFrame:
    """Return a night in which row b (counted from 0) is row a again, with ``changed`` values."""
    frame = several().astype(object)
    for a, b in pairs:
        frame.loc[b] = frame.loc[a]
        for name, value in changed.items():
            frame.loc[b, name] = value
    return frame


UNIQUE = {"expect_column_values_to_be_unique": {"column": "gust"}}
COMPOUND = {"expect_compound_columns_to_be_unique": {"column_list": ["station", "gust"]}}
MEAN = {"expect_column_mean_to_be_between": {"column": "temp", "max_value": 32.9}}
COUNT = {"expect_table_row_count_to_be_between": {"min_value": 39, "max_value": 40}}
LOST = {"expect_column_proportion_of_unique_values_to_be_between": {"column": "gust", "min_value": 0.01}}
# What is hostile in it, and what its spec says.
HOSTILE: dict[str, tuple[pd.DataFrame, dict[str, Any]]] = {
    "a good night": (several(), {}),
    "exactly two blocks": (batch(14), {}),
    "one block and a row": (batch(8), {}),
    "one block": (batch(7), {}),
    "no row": (batch(0), {}),
    "a bad value in the last block": (several(temp=[-5.0]), {}),
    "nothing in the last block": (several(temp=[None] * 7), {"budget": {"share": 1, "rows": 100}}),
    "nothing in the first block only": (with_values(several(), "gust", 7, None), {}),
    "nothing but in the last row": (several(gust=[None] * 39 + [1.0]), {}),
    "a lost column": (several(gust=[None] * 40), {}),
    "a missing column": (several().drop(columns="gust"), {}),
    "a missing column, forgiven": (several().drop(columns="gust"), {"schema_changes": "warn"}),
    "a column more": (several().assign(more=1), {}),
    "a key again in another block": (twins((3, 30)), {}),
    "a key again in the same block": (twins((3, 4)), {}),
    "a key that contradicts in another block": (twins((3, 30), temp=77.0), {}),
    "a key three times": (twins((3, 20), (3, 39)), {"budget": {"share": 1, "rows": 100}}),
    "a key again of a row that is set aside": (twins((3, 30), temp=-1.0), {}),
    "keys again and contradicting, over the budget": (
        pd.concat([several(), several(), several().assign(temp=50.0)], ignore_index=True),
        {},
    ),
    "keys of a float, and nothing beside it": (
        several(temp=[0.0, -0.0, 1.5, 1.5], gust=[None, float("nan"), None, 2.0]),
        {"key": ["temp"], "budget": {"share": 1, "rows": 100}},
    ),
    "types that differ by block": (
        several(hour=[2**60 + 1, 2.0, "3", Decimal("4"), 5.5], temp=[1, 2, Decimal("3.5"), True]),
        {},
    ),
    "decimals of several lengths": (several(temp=[Decimal("1.5"), *[Decimal("1234567.5")] * 6] * 5), {}),
    "decimals of several scales": (several(temp=[Decimal("1.5"), *[Decimal("7.25")] * 6] * 5), {}),
    "clocks of several zones": (
        several(seen_at=[datetime(2013, 2, 7, tzinfo=ZoneInfo("America/New_York"))] * 9),
        {},
    ),
    "text where a date was": (several(day=["2013-02-08"] * 9), {}),
    "a retyped column": (several(hour=["x"] * 30), {}),
    "objects": (several(station=[{"a": [1]}, "\ud800", "E\0R"]), {}),
    "infinities": (several(temp=[float("inf"), float("-inf"), float("nan")]), {}),
    "over the budget": (several(temp=[-5.0] * 9, station=["BOS"] * 3), {}),
    "a value twice, blocks apart": (
        several(gust=[1.0, *[None] * 20, 1.0]),
        {"expectations": [UNIQUE], "budget": {"share": 1, "rows": 100}},
    ),
    "two columns twice, blocks apart": (
        several(gust=[20.0] * 40),
        {"expectations": [COMPOUND, UNIQUE], "budget": {"share": 1, "rows": 100}},
    ),
    "batch rules that hold": (
        several(),
        {"expectations": [{BETWEEN: {"column": "temp", "min_value": 0}}, COUNT, LOST]},
    ),
    "batch rules that fail for the rows of the last block": (several(temp=[90.0]), {"expectations": [MEAN]}),
    "a batch rule that counts accepted rows": (twins((3, 30), (4, 31)), {"expectations": [COUNT]}),
    "a batch rule with nothing to judge": (several(gust=[None] * 40), {"expectations": [LOST]}),
    "old events": (
        several(seen_at=[datetime(2013, 1, 7, tzinfo=UTC)] * 40),
        {"freshness": {"column": "seen_at", "within_hours": 30}},
    ),
    "the newest event is a row that goes for its key": (
        twins((3, 39), seen_at=datetime(2013, 2, 7, 23, tzinfo=UTC)),
        {"freshness": {"column": "seen_at", "within_hours": 2}, "budget": {"share": 1, "rows": 100}},
    ),
}
KNOWN = Known(cutoffs={DAY: datetime(2013, 2, 8, tzinfo=UTC), OTHER: datetime(2013, 2, 9, tzinfo=UTC)})


@pytest.mark.parametrize("what", HOSTILE)
def test_a_night_in_blocks_comes_to_the_same(what: str, tmp_path: Path) -> None:
    frame, changes = HOSTILE[what]
    for most in (MOST, 39):
        in_both_ways(source(**changes), {DAY: frame}, tmp_path, KNOWN, most)


def test_the_table_holds_every_verdict() -> None:
    """So the comparison above is of more than good nights."""
    found = [
        validate_batches(source(**changes), {DAY: frame.drop(columns="batch_date")}, KNOWN).verdicts[DAY]
        for frame, changes in HOSTILE.values()
    ]
    assert {verdict.cause for verdict in found} == {"", "empty", "schema", "rules"}
    assert any(verdict.passed and verdict.rejected for verdict in found)


def test_large_and_small_nights_of_one_run_are_judged_as_if_alone(tmp_path: Path) -> None:
    days = [DAY + timedelta(days=n) for n in range(6)]
    sizes = dict(zip(days, (3, 3, 20, 2, 0, 30), strict=True))
    nights = {day: several(rows).assign(day=day) for day, rows in sizes.items()}
    nights[days[1]] = nights[days[1]].drop(columns="gust")
    nights[days[3]]["temp"] = [-1.0, 5.0]
    spec = source(schema_changes="warn", budget={"share": 0.5, "rows": 100})
    one, _ = in_both_ways(spec, nights, tmp_path)
    assert [one.verdicts[day].collected for day in days] == list(sizes.values())


@pytest.mark.parametrize("most", [1, 5, MOST, 100])
def test_rows_are_mended_and_discarded_by_their_number_in_the_night(most: int, tmp_path: Path) -> None:
    fixes = {"double": {"column": "temp", "multiply": 2}, "zero": {"column": "temp", "replace": {-1: 0}}}
    frame = several(temp=[-1.0, -1.0, -3.0])
    nights = {DAY: frame, OTHER: frame.assign(day=OTHER)}
    known = Known(
        mended=[
            (DAY, "double", np.array([1, 8, 40])),
            (DAY, "zero", np.array([39, 38])),
            (OTHER, "zero", np.array([39])),
        ],
        discarded={DAY: np.array([7, 14, 15]), OTHER: np.array([40])},
    )
    spec = source(fixes=fixes, budget={"share": 1, "rows": 100})
    one, _ = in_both_ways(spec, nights, tmp_path, known, most)
    assert {day: list(numbers) for day, numbers in one.numbers().items()} == {
        DAY: [7, 14, 15, 40],
        OTHER: [38, 40],
    }
    assert one.accepted["temp"].iloc[[0, 6]].tolist() == [60.0, 60.0]


@relaxed
@given(frames, st.integers(1, 4))
def test_whatever_comes_blocks_decide_nothing(
    tmp_path_factory: pytest.TempPathFactory, frame: pd.DataFrame, most: int
) -> None:
    folder = tmp_path_factory.mktemp("nights")
    nights = {day: rows.reset_index(drop=True) for day, rows in frame.groupby("batch_date")}
    in_both_ways(SPEC, nights or {DAY: frame}, folder, most=most)


def most_bytes(rows: int, folder: Path) -> int:
    """Return the most memory that a night takes that is landed and judged in blocks of 1,000 rows."""
    folder.mkdir()
    pool, arrow = pa.default_memory_pool(), [0]

    def delivered_frames() -> Iterator[pd.DataFrame]:
        for start in range(0, rows, 500):
            part = batch(500).drop(columns="batch_date")
            yield part.assign(hour=part["hour"] + start, temp=part["temp"].mask(part["hour"] % 250 == 7))

    def watched(each: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in each:
            yield frame
            arrow.append(pool.bytes_allocated())

    tracemalloc.start()
    _, file = landed_file(watched(in_blocks(delivered_frames(), 1_000)), folder)
    assert isinstance(file, Path)
    night = delivered(lambda: file.open("rb"), 1_000)
    again = Delivered(night.rows, night.columns, lambda: watched(night.each()))
    spec = source(expectations=[{"expect_table_row_count_to_be_between": {"min_value": 1}}])
    found = validate_batches(spec, {DAY: again}, most=1_000, keep=partial(kept_in, folder))
    (part,) = found.parts
    assert [len(block) for block in part.accepted()] == [996] * (rows // 1_000)
    assert [len(block) for block in part.rejected()] == [4] * (rows // 1_000)
    traced = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return traced + max(arrow)


def test_of_a_night_in_blocks_a_number_a_row_is_held_and_no_row(tmp_path: Path) -> None:
    most_bytes(2_000, tmp_path / "first")  # what is imported and compiled
    few, many = most_bytes(4_000, tmp_path / "few"), most_bytes(16_000, tmp_path / "many")
    assert (many - few) / 12_000 < 32  # bytes; a row of these takes more than a hundred


def test_blocks_of_which_nothing_is_accepted_are_filed_as_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filing, "BLOCK_ROWS", MOST)
    spec = source(budget={"share": 1.0, "rows": 1000})
    bad = several(5 * MOST).astype(object)
    wrong = np.arange(len(bad)) // MOST % 4 != 0  # all of three blocks
    bad.loc[wrong, "temp"] = "hot"

    def content(frame: pd.DataFrame, name: str) -> str:
        (tmp_path / name).mkdir()
        found = {DAY: landed(frame.drop(columns="batch_date", errors="ignore"), tmp_path / name, MOST)}
        checked = validate_batches(spec, found, most=MOST, keep=partial(kept_in, tmp_path / name))
        assert checked.verdicts[DAY].accepted == 2 * MOST
        return filing.contents_of(spec, checked, [DAY], tmp_path / name)[DAY][0]

    assert content(bad, "with") == content(bad[~wrong].reset_index(drop=True), "without")

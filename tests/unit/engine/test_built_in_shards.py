"""A night that is built a shard at a time comes to what all its rows come to, and is refused if it does not."""

import io
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from nightshift.calendar import Calendar, DateRange
from nightshift.engine import building, dealing, merging
from nightshift.engine.building import Builder, Built, built
from nightshift.engine.compute import Engine, Here
from nightshift.engine.files import filed
from nightshift.engine.parts import BuildJob, Dealt, Part
from nightshift.engine.shards import RECEIPT, planned_build
from nightshift.errors import ArtifactRefused, BatchRejected, NotReady
from nightshift.featurise import load_build
from nightshift.featurise.shards import dealt, hashes
from nightshift.platform.blocks import Blocks, content_of
from nightshift.platform.looking import Origins
from nightshift.specs import FeatureSet
from nightshift.stages.features import _origins
from nightshift.types import DTYPES, content_sha256, declared, to_arrow
from nightshift.warehouse import Table
from nightshift.warehouse.database import in_blocks

NIGHT = date(2013, 2, 8)
NIGHTS = DateRange(date(2013, 2, 7), NIGHT)
SPEC = FeatureSet.model_validate(
    {
        "name": "trips",
        "owner": "me",
        "description": "",
        "version": 1,
        "entity": ["rider", "trip"],
        "inputs": {"trips": {}, "earlier": {"look_back_days": 3}, "prices": {}},
        "columns": {"paid": "float", "trips": "integer", "before": "float", "price": "float"},
        "shards": {"by": ["rider"]},
        "path": Path("trips.py"),
    }
)
RIDERS = ["", "ä", "a", "B", "zoë", "🚲", "10", "9", None]


def frame(rows: int, night: date, seed: int) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "batch_date": pd.Series([pd.Timestamp(night)] * rows, dtype=DTYPES["date"]),
            "rider": pd.Series(
                [RIDERS[n] for n in draw.integers(0, len(RIDERS), rows)], dtype=DTYPES["string"]
            ),
            "trip": pd.Series([f"{seed}-{n}" for n in draw.permutation(rows)], dtype=DTYPES["string"]),
            "paid": draw.normal(size=rows),
            "known_at": pd.Series([pd.Timestamp(night, tz="UTC")] * rows, dtype=DTYPES["timestamp"]),
        }
    )


def inputs() -> dict[str, pd.DataFrame]:
    nights = {"trips": NIGHTS.dates, "earlier": [date(2013, 2, 4), date(2013, 2, 6), NIGHT]}
    found = {
        name: pd.concat([frame(200, night, seed) for seed, night in enumerate(days)], ignore_index=True)
        for name, days in nights.items()
    }
    prices = frame(9, NIGHTS.first, 7)
    return {
        **found,
        "prices": pd.concat([prices, prices.assign(batch_date=found["trips"]["batch_date"].iloc[-1])])
        .drop(columns="rider")
        .reset_index(drop=True),
    }


MODULE = """
'Trips.'
import pandas as pd
FEATURES = {}


def build(seen, batch_date):
    trips, earlier = seen["trips"], seen["earlier"]
    trips["rider"] = trips["rider"].fillna("nobody")  # a module may change what it is given
    of = trips.groupby("rider")["paid"]
    before = earlier.assign(rider=earlier["rider"].fillna("nobody")).groupby("rider")["paid"].mean()
    return pd.DataFrame(
        {
            "rider": trips["rider"],
            "trip": trips["trip"],
            "paid": trips["paid"],
            "trips": of.transform("size"),
            "before": trips["rider"].map(before),
            "price": seen["prices"]["paid"].sum(),
        }
    )
"""
ACROSS = MODULE.replace('"paid": trips["paid"],', '"paid": trips["paid"] - trips["paid"].mean(),')
ONE_NAME = MODULE.replace('"rider": trips["rider"],', '"rider": "x",').replace(
    "    )\n", "    ).drop_duplicates('trip')\n"
)


def of_shards(
    numbers: int,
    folder: Path,
    module: str = MODULE,
    frames: dict[str, pd.DataFrame] | None = None,
    engine: Engine = Here(),  # noqa: B008 it holds nothing
) -> dict[date, Built]:
    given = inputs() if frames is None else frames
    spec = SPEC.model_copy(update={"path": folder / "trips.py"})
    spec.path.write_text(module)
    tables = {name: Table("raw", name, declared(frame), key=("batch_date",)) for name, frame in given.items()}
    rows = max(len(given[name]) for name in ("trips", "earlier"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dealing, "SHARD_ROWS", -(-rows // numbers))
        shards = dealing.shards(Rows(given), spec, tables, NIGHTS, folder)
    assert shards.count == numbers
    builder = Builder(spec, load_build(spec), Calendar(ZoneInfo("UTC"), NIGHTS.first))
    return built(builder, shards, NIGHTS, engine, folder)


@dataclass
class Rows:
    """A warehouse of frames."""

    frames: dict[str, pd.DataFrame]

    def read(self, table: Table, first: date, last: date) -> pd.DataFrame:
        frame = self.frames[table.name]
        return frame[frame["batch_date"].between(pd.Timestamp(first), pd.Timestamp(last))].reset_index(
            drop=True
        )

    def count(self, table: Table, first: date, last: date) -> int:
        return len(self.read(table, first, last))

    def blocks(self, table: Table, first: date, last: date, rows: int) -> Iterator[pa.Table]:
        return in_blocks(table.arrow(self.read(table, first, last)).to_batches(), 70)


OTHER_PROCESS = """
import sys
from pathlib import Path
from nightshift.engine import shards
plan = shards.opened(Path(sys.argv[1]))
for number in reversed(range(len(plan.shards))):
    print(shards.RECEIPT.dump_json(shards.worked(plan, number)).decode())
"""


class OtherProcess(Here):
    """Shards are built by a process that is given the plan alone, the last one first."""

    @contextmanager
    def started(self, folder: Path) -> Iterator[Here]:
        yield self

    def build(self, job: BuildJob, shards: Sequence[Dealt], folder: Path) -> list[list[Part]]:
        plan = planned_build(job, shards, folder)
        command = [sys.executable, "-c", OTHER_PROCESS, plan]
        lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
        return [RECEIPT.validate_json(line) for line in reversed(lines)]


def content(night: Built) -> str:
    return content_of(map(content_sha256, night.rows.each()))


def rows(night: Built) -> pd.DataFrame:
    return pd.concat(night.rows.each(), ignore_index=True)


@pytest.mark.parametrize("numbers", [2, 3, 40])
@pytest.mark.parametrize("block", [50, 64, 200_000])
def test_nights_come_to_the_same_however_they_are_dealt(
    numbers: int, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "BLOCK_ROWS", block)
    monkeypatch.setattr(merging, "PIECE_ROWS", 3)
    whole, found = of_shards(1, tmp_path), of_shards(numbers, tmp_path)
    for night in NIGHTS.dates:
        assert content(found[night]) == content(whole[night])
        pd.testing.assert_frame_equal(rows(found[night]), rows(whole[night]))
        assert found[night].rows.rows == whole[night].rows.rows == 200
        assert sorted(found[night].of) == sorted(whole[night].of)
        assert max(map(len, found[night].rows.each())) <= block
        assert content(whole[night]).startswith("2-" if block > 200 else "3-")
    assert len(list(whole[NIGHT].rows.each())) == -(-200 // block)


def test_another_process_builds_the_same_nights_from_the_plan_alone(tmp_path: Path) -> None:
    here, there = of_shards(3, tmp_path), of_shards(3, tmp_path, engine=OtherProcess())
    assert [content(there[night]) for night in NIGHTS.dates] == [
        content(here[night]) for night in NIGHTS.dates
    ]


def test_a_worker_where_the_set_is_defined_otherwise_refuses(tmp_path: Path) -> None:
    class Changed(Here):
        def build(self, job: BuildJob, shards: Sequence[Dealt], folder: Path) -> list[list[Part]]:
            job.spec.path.write_text(MODULE.replace("mean", "median"))
            return super().build(job, shards, folder)

    with pytest.raises(
        ArtifactRefused, match=r"trips.py: defines feature set 'trips' otherwise .* same image"
    ):
        of_shards(3, tmp_path, engine=Changed())


@pytest.mark.parametrize("what", ["rows", "part", "block"])
def test_a_file_of_a_night_that_is_not_what_was_written_is_refused(tmp_path: Path, what: str) -> None:
    class Altered(Here):
        def build(self, job: BuildJob, shards: Sequence[Dealt], folder: Path) -> list[list[Part]]:
            if what == "rows":
                alter(folder, what)
            found = super().build(job, shards, folder)
            if what == "part":
                alter(folder, what)
            return found

    def read() -> None:
        night = of_shards(3, tmp_path, engine=Altered())[NIGHT]
        alter(tmp_path, "block")
        rows(night)

    with pytest.raises(ArtifactRefused, match="it is not what was stored"):
        read()


def alter(folder: Path, what: str) -> None:
    for file in folder.glob(f"*.{what}"):
        changed = bytearray(file.read_bytes())
        changed[len(changed) // 2] ^= 1
        file.write_bytes(changed)


def test_what_belongs_together_stays_together_in_every_input() -> None:
    shards = dealt(SPEC, inputs(), 5)
    homes: dict[object, set[int]] = {}
    for number, shard in enumerate(shards):
        for name in ("trips", "earlier"):
            for rider in (
                shard[name]["rider"].astype(object).where(shard[name]["rider"].notna(), None).unique()
            ):
                homes.setdefault(rider, set()).add(number)
        assert len(shard["prices"]) == len(inputs()["prices"]), "has no rider: each shard sees all of it"
    assert len(homes) == len(RIDERS)
    assert {len(where) for where in homes.values()} == {1}
    assert sum(len(shard["trips"]) for shard in shards) == len(inputs()["trips"])


def test_a_hash_knows_no_neighbours() -> None:
    frame = inputs()["trips"]
    assert (hashes(frame, ["rider"])[7:9] == hashes(frame.iloc[7:9], ["rider"])).all()


def test_a_definition_that_looks_across_shards_is_refused_in_its_first_ones(tmp_path: Path) -> None:
    with pytest.raises(
        BatchRejected,
        match=r"rows of two shards come out otherwise .* in paid.*another rider.*check features trips --shards",
    ):
        of_shards(2, tmp_path, ACROSS)


def test_an_entity_of_two_shards_is_refused(tmp_path: Path) -> None:
    frames = inputs()
    doubled = (
        frames["trips"]
        .assign(rider=frames["trips"]["rider"].astype(object).map(lambda r: f"{r}2"))
        .astype({"rider": DTYPES["string"]})
    )
    frames["trips"] = pd.concat([frames["trips"], doubled]).sort_values(
        "batch_date", kind="stable", ignore_index=True
    )
    with pytest.raises(BatchRejected, match="two shards have rows of rider='x', trip='0-"):
        of_shards(40, tmp_path, ONE_NAME, frames)


def test_a_night_without_rows_of_an_input_is_not_ready_in_shards_as_in_one(tmp_path: Path) -> None:
    frames = inputs()
    frames["trips"] = frames["trips"][frames["trips"]["batch_date"] < pd.Timestamp(NIGHT)]
    for numbers in (1, 3):
        folder = tmp_path / str(numbers)
        folder.mkdir()
        with pytest.raises(NotReady, match="'trips', 2013-02-08: source 'trips' has no rows"):
            of_shards(numbers, folder, frames=frames)


def test_merged_rows_are_in_the_order_of_their_key_and_none_is_lost(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    key = pd.DataFrame({"a": draw.choice(RIDERS[:-1], 900), "b": [f"{n:x}" for n in range(900)]}).astype(
        DTYPES["string"]
    )
    table = to_arrow(key.sort_values(["a", "b"]), {"a": "string", "b": "string"})
    shard = pa.array(draw.integers(0, 7, 900))
    files = []
    for n in range(8):
        sink = io.BytesIO()
        merging.in_pieces(table.filter(pa.compute.equal(shard, n)), sink)
        files.append(filed(sink.getvalue(), tmp_path, "part"))
    merged = pa.Table.from_batches(merging.merged(files, ["a", "b"]))
    assert merged.equals(table.combine_chunks())
    assert files[7].stat().st_size > 0, "an empty file is a file"


def test_each_nth_row_is_the_same_of_any_blocks() -> None:
    frame = pd.DataFrame({"n": range(103)})
    for step in (1, 2, 7, 103, 500):
        for most in (1, 10, 103, None):
            assert list(Blocks.of(frame, most).every(step)["n"]) == list(range(0, 103, step))


def of_shard(rows: dict[str, pd.DataFrame], *riders: str) -> dict[str, pd.DataFrame]:
    """Return the rows of some riders, and of what is not dealt all."""
    return {name: f[f["rider"].isin(riders)] if "rider" in f else f for name, f in rows.items()}


@pytest.mark.parametrize("first", ["b", "a"])
def test_a_faults_sources_are_asked_of_the_shard_with_most_inputs(tmp_path: Path, first: str) -> None:
    """None has all: one rider has not ridden tonight, the other one never before."""
    given = inputs()
    given["trips"] = given["trips"].assign(rider="a")
    given["earlier"] = given["earlier"].assign(rider="b")
    shards = [of_shard(given, rider) for rider in (first, "b" if first == "a" else "a")]
    source = SimpleNamespace(key=["trip"], known_at=None)

    assert asked(tmp_path, MODULE, shards, source)(NIGHT, ["price"]) == {"price": ["prices"]}


def test_a_source_that_cannot_be_named_fails_no_build(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = SimpleNamespace(key=None, known_at=None)
    assert asked(tmp_path, MODULE, [inputs()], broken)(NIGHT, ["price"]) == {}
    assert "features trips, 2013-02-08: where price come from is not known" in caplog.text


def asked(folder: Path, module: str, shards: list[dict[str, pd.DataFrame]], source: object) -> Origins:
    spec = SPEC.model_copy(update={"path": folder / "trips.py"})
    spec.path.write_text(module)
    builder = Builder(spec, load_build(spec), Calendar(ZoneInfo("UTC"), NIGHTS.first))
    platform = SimpleNamespace(project=SimpleNamespace(sources=dict.fromkeys(SPEC.inputs, source)))
    return _origins(platform, builder, SimpleNamespace(count=len(shards), load=shards.__getitem__))

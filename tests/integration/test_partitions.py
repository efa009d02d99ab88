"""Exactly-once effect per partition, on a real PostgreSQL."""

from collections.abc import Iterator
from datetime import date

import pandas as pd
import pyarrow as pa
import pytest

from nightshift.errors import NotReady, Superseded, WarehouseRefused
from nightshift.warehouse import Table, Warehouse

pytestmark = pytest.mark.integration

TABLE = Table(
    "raw", "things", {"batch_date": "date", "name": "string", "size": "float"}, ("batch_date", "name")
)
NIGHT = date(2013, 2, 1)


def rows(count: int, size: float = 1.0, night: date = NIGHT) -> pd.DataFrame:
    return pd.DataFrame({"batch_date": night, "name": [f"n{i:06}" for i in range(count)], "size": size})


def test_a_partition_is_replaced_whole_also_by_fewer_rows(warehouse: Warehouse) -> None:
    warehouse.ensure(TABLE)
    for count in (10, 9):
        with warehouse.write(warehouse.lease(TABLE, [NIGHT], "test")) as write:
            write.replace(TABLE, rows(count))
    assert len(warehouse.read(TABLE, NIGHT, NIGHT)) == 9


def test_an_older_try_writes_nothing(warehouse: Warehouse) -> None:
    warehouse.ensure(TABLE)
    orphan = warehouse.lease(TABLE, [NIGHT], "first try")
    with warehouse.write(warehouse.lease(TABLE, [NIGHT], "second try")) as write:
        write.replace(TABLE, rows(3))
    with pytest.raises(Superseded, match="second try"), warehouse.write(orphan) as write:
        write.replace(TABLE, rows(5))
    assert len(warehouse.read(TABLE, NIGHT, NIGHT)) == 3


def test_one_who_tries_another_arm_supersedes_nobody(warehouse: Warehouse) -> None:
    warehouse.ensure(TABLE)
    champion = warehouse.lease(TABLE, [NIGHT], "champion", "champion")
    shadow = warehouse.lease(TABLE, [NIGHT], "shadow", "shadow")
    with warehouse.write(champion) as write:
        write.replace(TABLE, rows(3))
    with warehouse.write(shadow) as write:
        write.replace(TABLE, rows(4))
    warehouse.lease(TABLE, [NIGHT], "champion again", "champion")
    with pytest.raises(Superseded, match="champion again"), warehouse.write(champion) as write:
        write.replace(TABLE, rows(5))


def test_a_night_read_in_blocks_is_whole_and_in_the_order_of_its_key(warehouse: Warehouse) -> None:
    warehouse.ensure(TABLE)
    other = date(2013, 2, 2)
    with warehouse.write(warehouse.lease(TABLE, [NIGHT, other], "test")) as write:
        write.replace(TABLE, pd.concat([rows(3, night=other), rows(10).sample(frac=1, random_state=0)]))
    with warehouse.reading() as reading:
        found = [block["name"].to_pylist() for block in reading.blocks(TABLE, NIGHT, NIGHT, 4)]
        assert list(reading.blocks(TABLE, date(2013, 2, 3), date(2013, 2, 3), 4)) == []
        assert reading.dates(TABLE, NIGHT, date(2013, 2, 9)) == [NIGHT, other]
    names = list(rows(10)["name"])
    assert found == [names[:4], names[4:8], names[8:]]


def test_rows_that_come_piece_by_piece_replace_a_partition_and_the_refused_one_is_named(
    warehouse: Warehouse,
) -> None:
    warehouse.ensure(TABLE)
    whole = TABLE.arrow(rows(50))
    lease = warehouse.lease(TABLE, [NIGHT], "test")
    with warehouse.write(lease) as write:
        assert write.replace(TABLE, lambda: whole.to_batches(max_chunksize=7)) == 50
    twice = [*whole.to_batches(max_chunksize=7), *whole.slice(20, 1).to_batches()]
    with (
        pytest.raises(WarehouseRefused, match="row batch_date='2013-02-01', name='n000020': duplicate key"),
        warehouse.write(lease) as write,
    ):
        write.replace(TABLE, lambda: twice)
    assert len(warehouse.read(TABLE, NIGHT, NIGHT)) == 50


def test_what_giving_rows_raises_is_raised_as_it_is_and_the_partition_stands(warehouse: Warehouse) -> None:
    warehouse.ensure(TABLE)
    lease = warehouse.lease(TABLE, [NIGHT], "test")
    with warehouse.write(lease) as write:
        write.replace(TABLE, rows(50))

    def pieces() -> Iterator[pa.RecordBatch]:
        yield from TABLE.arrow(rows(7)).to_batches()
        raise NotReady("the file is gone")

    with pytest.raises(NotReady, match="the file is gone"), warehouse.write(lease) as write:
        write.replace(TABLE, pieces)
    assert len(warehouse.read(TABLE, NIGHT, NIGHT)) == 50

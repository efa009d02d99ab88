"""What replacing a partition costs, against a bare COPY of the same encoded bytes: 1 and 5 million flights.

    PYTHONPATH=. python benchmarks/write.py [million ...]

On a PostgreSQL of its own: the real flights of 2013, again and again, as one partition. The replacement is what
every stage does: lease, delete of what was there, COPY from Arrow into a table with its primary key, one
transaction. The bare COPY goes into a table without a key. Beside it, what the warehouse does not do: the partition
as a table of its own, filled, given its key, and attached in the place of the one before; and a key that ends with the
generation, so that no new row meets the deleted one of its key. One transaction each. Wall time,
the best of three, alternating; what the first write costs, when nothing is there to delete, is told beside it. The bar
is 60 % of the bare COPY's speed at 1 million rows; the exit code is 1 below it.
"""

import io
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

import pandas as pd
import psycopg2
import pyarrow as pa

from examples.nyc_flights import upstream
from features import server
from nightshift.specs import load_project
from nightshift.warehouse import Table, Warehouse, migrate, raw_table

NIGHT, BAR, ROUNDS = date(2013, 7, 1), 0.6, 3
COPY_BYTES = 1 << 20  # psycopg2's own 8 KB a read make it a third slower


def flights(table: Table, rows: int) -> pa.Table:
    """Return so many flights, each copy of the year with ids of its own, encoded as the stages encode."""
    year = upstream.schedule(upstream.read_flights()).to_pandas()
    copies = [year.assign(flight_id=year["flight_id"] + f"-{n}") for n in range(-(-rows // len(year)))]
    frame = pd.concat(copies, ignore_index=True).head(rows)
    frame = frame.sort_values("flight_id", ignore_index=True)
    return table.arrow(frame.assign(batch_date=NIGHT, known_at=frame["published_at"]))


def replace(warehouse: Warehouse, table: Table, rows: pa.Table) -> None:
    """Replace the partition, as a stage does."""
    with warehouse.write(warehouse.lease(table, [NIGHT], "benchmark")) as write:
        write.replace(table, rows)


def bare_copy(url: str, content: bytes) -> None:
    """COPY the bytes into an empty table without a key."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("TRUNCATE bare")
        cursor.copy_expert("COPY bare FROM STDIN (FORMAT binary)", io.BytesIO(content), COPY_BYTES)


def attach(url: str, content: bytes) -> None:
    """Fill a table of the night, give it its key, and attach it in the place of the one that there is."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS parts (LIKE raw.flights, PRIMARY KEY (batch_date, flight_id)) "
            "PARTITION BY LIST (batch_date)"
        )
        cursor.execute("CREATE TABLE next (LIKE raw.flights)")
        cursor.copy_expert("COPY next FROM STDIN (FORMAT binary)", io.BytesIO(content), COPY_BYTES)
        # The check spares the attachment its look at every row.
        cursor.execute(
            "ALTER TABLE next ADD PRIMARY KEY (batch_date, flight_id), ADD CHECK (batch_date = %s)", (NIGHT,)
        )
        cursor.execute("SELECT to_regclass('now')")
        if cursor.fetchone() != (None,):
            cursor.execute("ALTER TABLE parts DETACH PARTITION now")
            cursor.execute("DROP TABLE now")
        cursor.execute("ALTER TABLE parts ATTACH PARTITION next FOR VALUES IN (%s)", (NIGHT,))
        cursor.execute("ALTER TABLE next RENAME TO now")


def regenerate(url: str, content: bytes) -> None:
    """COPY the rows as a new generation, part of the key, and delete the one that there is."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS generations (LIKE raw.flights, generation bigint NOT NULL DEFAULT 0, "
            "PRIMARY KEY (batch_date, flight_id, generation))"
        )
        cursor.execute("SELECT coalesce(max(generation), 0) + 1 FROM generations")
        [made] = cursor.fetchone()
        cursor.execute("DELETE FROM generations WHERE batch_date = %s", (NIGHT,))
        # In production the writer would encode it with the rows.
        cursor.execute("ALTER TABLE generations ALTER generation SET DEFAULT %s", (made,))
        cursor.execute(
            "SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute "
            "WHERE attrelid = 'bare'::regclass AND attnum > 0"
        )
        [columns] = cursor.fetchone()
        copy = f"COPY generations ({columns}) FROM STDIN (FORMAT binary)"
        cursor.copy_expert(copy, io.BytesIO(content), COPY_BYTES)


def seconds(action: Callable[[], None]) -> float:
    """Return how long it takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def measure(url: str, millions: int) -> float:
    """Print both speeds; return the replacement's share of the bare COPY's."""
    warehouse, table = Warehouse(url), raw_table(load_project().source("flights"))
    warehouse.ensure(table)
    rows = flights(table, millions * 1_000_000)
    with warehouse.transaction() as cursor:
        cursor.execute("TRUNCATE raw.flights")
    first = rows.num_rows / seconds(lambda: replace(warehouse, table, rows))
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        encoded = io.BytesIO()
        cursor.copy_expert("COPY raw.flights TO STDOUT (FORMAT binary)", encoded)
        cursor.execute("DROP TABLE IF EXISTS bare")
        cursor.execute("CREATE TABLE bare (LIKE raw.flights)")
    regenerate(url, encoded.getvalue())
    taken: dict[str, list[float]] = {"replace": [], "bare": [], "attach": [], "generation": []}
    for _ in range(ROUNDS):
        taken["bare"].append(seconds(lambda: bare_copy(url, encoded.getvalue())))
        taken["replace"].append(seconds(lambda: replace(warehouse, table, rows)))
        taken["attach"].append(seconds(lambda: attach(url, encoded.getvalue())))
        taken["generation"].append(seconds(lambda: regenerate(url, encoded.getvalue())))
    best = {name: rows.num_rows / min(times) for name, times in taken.items()}
    share = best["replace"] / best["bare"]
    print(
        f"{millions} million rows of {len(table.columns)} columns, {encoded.tell() / 1e6:.0f} MB: "
        f"replace {best['replace']:,.0f} rows/s (the first write {first:,.0f}), "
        f"bare COPY {best['bare']:,.0f} rows/s, share {share:.2f}; "
        f"attached {best['attach']:,.0f} rows/s, share {best['attach'] / best['bare']:.2f}; "
        f"by generation {best['generation']:,.0f} rows/s, share {best['generation'] / best['bare']:.2f}"
    )
    with warehouse.transaction() as cursor:
        cursor.execute("DROP TABLE parts, generations")
    return share


def main() -> None:
    """Measure, hold against the bar."""
    with tempfile.TemporaryDirectory(prefix="nightshift-benchmark-") as folder:
        Path(folder).chmod(0o755)
        with server(Path(folder)) as url:
            migrate(url)
            shares = [measure(url, int(millions)) for millions in sys.argv[1:] or ["1", "5"]]
    sys.exit(0 if shares[0] >= BAR else f"below {BAR}")


if __name__ == "__main__":
    main()

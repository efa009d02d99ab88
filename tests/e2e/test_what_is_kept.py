"""What all those runs left behind: facts in XCom and never rows (S5), secrets nowhere (S4)."""

import base64
import json
from collections.abc import Iterator

import pytest
from psycopg2 import sql

from e2e.conftest import NIGHTS
from examples.nyc_flights.demo import Demo
from nightshift.warehouse import Warehouse

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

MOST_XCOM_BYTES = 10_240


def test_xcom_holds_facts_never_rows(loop: Demo) -> None:
    metadata = Warehouse(loop.runtime.airflow_database_url)
    entries = metadata.rows("SELECT dag_id, task_id, key, value::text AS value FROM xcom")
    assert entries
    large = {
        (e["dag_id"], e["task_id"], e["key"]): len(e["value"])
        for e in entries
        if len(e["value"]) > MOST_XCOM_BYTES
    }
    assert not large
    named = "SELECT flight_id, tailnum FROM raw.flights WHERE batch_date = %s"
    words = {word for row in loop.warehouse.rows(named, (NIGHTS[0],)) for word in row.values() if word}
    assert len(words) > 1_000
    text = "\n".join(e["value"] for e in entries)
    assert [word for word in words if word in text] == []


def test_no_secret_is_in_xcom_logs_rendered_fields_or_reports(loop: Demo) -> None:
    secrets = json.loads((loop.runtime.home / "credentials.json").read_text())
    secrets |= secrets.pop("added")
    assert secrets["warehouse"] in loop.runtime.warehouse_url
    marks = [(name, mark) for name, secret in secrets.items() for mark in spellings(secret)]
    found = {
        f"{name} in {place}" for place, content in haystack(loop) for name, mark in marks if mark in content
    }
    assert found == set()


def spellings(secret: str) -> list[bytes]:
    """Return the secret raw, and as base64 at each of the three offsets at which it can be embedded."""
    raw = secret.encode()
    shifted = [base64.b64encode(b"\0" * n + raw + b"\0" * 3) for n in range(3)]
    # The ends share characters with what stands beside the secret.
    return [raw, *(text[4:-8] for text in shifted)]


def haystack(loop: Demo) -> Iterator[tuple[str, bytes]]:
    """Yield (place, content): every log, report, artifact, and every row of Airflow's and MLflow's databases."""
    home = loop.runtime.home
    for folder in ("logs", "objects", "mlflow-artifacts"):
        for path in sorted((home / folder).rglob("*")):
            if path.is_file():
                yield str(path.relative_to(home)), path.read_bytes()
    for url in (loop.runtime.airflow_database_url, loop.runtime.mlflow_database_url):
        database = Warehouse(url)
        for row in database.rows("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'"):
            query = sql.SQL("SELECT t::text AS text FROM {} t").format(sql.Identifier(row["name"]))
            yield row["name"], "\n".join(r["text"] for r in database.rows(query)).encode()

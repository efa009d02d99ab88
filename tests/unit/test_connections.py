"""Airflow's connections as URLs: what they say of TLS is kept, nothing else of their extra."""

import pytest
from airflow.sdk import Connection

from nightshift.orchestration.connections import postgres_url


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("", ""),
        ("?sslmode=require", "?sslmode=require"),
        (
            "?sslmode=verify-full&sslrootcert=%2Fcerts%2Fca.pem",
            "?sslmode=verify-full&sslrootcert=%2Fcerts%2Fca.pem",
        ),
        ("?options=-c+role%3Dwarehouse&sslmode=require", "?sslmode=require"),
        ("?sslmode=", ""),
    ],
)
def test_a_connections_tls_is_kept(asked: str, kept: str) -> None:
    plain = "://nightshift_score:p%40ss@db.internal:5433/warehouse"
    found = Connection.from_uri(f"postgres{plain}{asked}", conn_id="warehouse_score")
    assert postgres_url(found) == f"postgresql{plain}{kept}"

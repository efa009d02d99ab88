"""How the programs of PostgreSQL are told where a database is."""

from nightshift.runtime.postgres import login


def test_programs_are_told_all_that_an_address_says() -> None:
    url = "postgresql://u:p%40w@h:5433/warehouse?sslmode=verify-full&sslrootcert=/etc/ca.pem&sslcert=/c&sslkey=/k"
    more = "&options=-c%20statement_timeout%3D0&connect_timeout=5&application_name=nightly"
    assert login(url + more) == {
        "PGHOST": "h",
        "PGPORT": "5433",
        "PGUSER": "u",
        "PGPASSWORD": "p@w",
        "PGDATABASE": "warehouse",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/etc/ca.pem",
        "PGSSLCERT": "/c",
        "PGSSLKEY": "/k",
        "PGOPTIONS": "-c statement_timeout=0",
        "PGCONNECT_TIMEOUT": "5",
        "PGAPPNAME": "nightly",
    }

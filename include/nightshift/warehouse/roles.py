"""The logins of the warehouse: each kind of stage has one, owns nothing, and may do what its statements do.

The migrator owns it all. Roles are created by whoever administers the server; `nightshift migrate` grants to those
that are there, again each time, so that a table or a role that came later has its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nightshift.specs.derived import ROLES, login_of

READ, ADD = "SELECT", "SELECT, INSERT"
KEEP = "SELECT, INSERT, UPDATE"
REPLACE = "SELECT, INSERT, DELETE"
KINDS = ("TABLES", "SEQUENCES", "FUNCTIONS")
SCHEMAS = (
    "raw",
    "quarantine",
    "features",
    "predictions",
    "labels",
    "adhoc",
    "monitoring",
    "catalog",
    "governance",
    "alerts",
)


@dataclass(frozen=True)
class Grants:
    """``tables``: privileges on fixed tables and views. ``schemas``: on all tables of a schema, also those to come.

    ``makes``: schemas in which it has the tables of specs made.
    """

    tables: Mapping[str, str] = field(default_factory=dict)
    schemas: Mapping[str, str] = field(default_factory=dict)
    makes: tuple[str, ...] = ()

    def __or__(self, other: "Grants") -> "Grants":
        return Grants(
            {**other.tables, **self.tables, **_both(self.tables, other.tables)},
            {**other.schemas, **self.schemas, **_both(self.schemas, other.schemas)},
            tuple(dict.fromkeys((*self.makes, *other.makes))),
        )


def _both(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    # A privilege granted twice is granted once.
    return {name: f"{one[name]}, {other[name]}" for name in one.keys() & other.keys()}


def _each(privileges: str, *tables: str) -> dict[str, str]:
    return dict.fromkeys(tables, privileges)


CLOCK = Grants({"catalog.clock": KEEP, "catalog.batches": READ})
WRITER = Grants({"catalog.leases": KEEP}) | CLOCK
PUBLISHER = Grants({"catalog.announcements": KEEP, "catalog.feature_batches": READ})
# Who asks for a night's sketch makes the one that is not there.
SKETCHER = Grants(_each(KEEP, "catalog.feature_edges", "catalog.feature_sketches"))
# Who reads labels derives from the raw rows those that are not kept.
LABELS = Grants({"catalog.label_batches": READ, "catalog.batches": READ}, _each(READ, "labels", "raw"))
COLLECT = (
    Grants(
        {
            **_each(KEEP, "catalog.landings", "catalog.batches", "catalog.readings"),
            "quarantine.rows": REPLACE,
            "quarantine.resolutions": READ,
        },
        {"raw": REPLACE},
        ("raw",),
    )
    | WRITER
    | PUBLISHER
)
FEATURES = (
    Grants(
        {"catalog.feature_batches": KEEP, "catalog.feature_inputs": REPLACE, "monitoring.faults": KEEP},
        {"raw": READ, "features": REPLACE},
        ("raw", "features"),
    )
    | SKETCHER
    | WRITER
    | PUBLISHER
)
SCORE = (
    Grants(
        {
            **_each(KEEP, "catalog.prediction_batches", "catalog.prediction_sketches"),
            **_each(KEEP, "catalog.profile_counts"),
            "monitoring.faults": READ,
            **_each(READ, "governance.promotions", "governance.versions", "governance.decisions"),
        },
        {"raw": READ, "features": READ, "predictions": REPLACE, "adhoc": REPLACE},
        ("raw", "features", "predictions", "adhoc"),
    )
    | LABELS
    | WRITER
    | PUBLISHER
)
LEDGER = Grants(
    _each(ADD, "governance.promotions", "governance.outcomes", "governance.bars")
    | _each(READ, "governance.versions", "governance.decisions", "governance.signatures")
    | _each(READ, "governance.renames", "governance.seals", "governance.sealed_rows")
    | {"catalog.prediction_batches": READ}
)
TRAIN = (
    Grants(
        {
            **_each(ADD, "governance.snapshots", "governance.versions", "governance.decisions"),
            **_each(ADD, "governance.signatures", "governance.trials"),
            **_each(KEEP, "governance.reproductions", "monitoring.replays", "monitoring.gains"),
            **_each(ADD, "catalog.snapshot_inputs", "catalog.snapshot_sources"),
            **_each(READ, "catalog.feature_batches", "catalog.feature_inputs", "catalog.landings"),
            **_each(READ, "monitoring.verdicts", "monitoring.performance", "monitoring.faults"),
            "monitoring.retrain_requests": "SELECT, UPDATE (training_id, outcome)",
        },
        {"raw": READ, "features": READ},
        ("raw", "features"),
    )
    | LABELS
    | CLOCK
    | LEDGER
)
MONITOR = (
    Grants(
        {
            **_each(KEEP, "monitoring.performance_history", "monitoring.verdicts", "monitoring.probations"),
            **_each(KEEP, "monitoring.estimates", "monitoring.arrivals", "catalog.profile_counts"),
            "monitoring.retrain_requests": ADD,
            **_each(READ, "catalog.prediction_batches", "catalog.batches", "catalog.feature_batches"),
            **_each(READ, "catalog.prediction_sketches", "monitoring.faults", "monitoring.gains"),
            **_each(READ, "governance.promotions", "governance.versions", "governance.decisions"),
            **_each(READ, "governance.snapshots", "governance.outcomes"),
            # It keeps the labels of all who read them.
            **_each(KEEP, "catalog.label_batches", "catalog.leases"),
            "monitoring.outcomes": "SELECT, INSERT, UPDATE, DELETE",
        },
        {**_each(READ, "raw", "features", "predictions"), "labels": REPLACE},
        ("raw", "features", "predictions", "labels"),
    )
    | SKETCHER
)
# What retention reads, marks and takes away.
RETAIN = Grants(
    _each(KEEP, "catalog.retentions")
    | _each("SELECT, INSERT, UPDATE, DELETE", "catalog.retired")
    | _each("SELECT, DELETE", "catalog.prediction_sketches", "catalog.profile_counts", "catalog.events")
    | _each("SELECT, UPDATE", "quarantine.rows")
    | _each(READ, "catalog.explorations", "governance.snapshots", "governance.reproductions")
    | _each(READ, "governance.outcomes")
    | {"monitoring.verdicts": "SELECT, DELETE, UPDATE (report_key)"}
)
OPERATE = (
    Grants(
        {"quarantine.resolutions": ADD, "quarantine.open_rows": READ, "monitoring.retrain_requests": READ}
        | {"monitoring.faults": KEEP},
    )
    | RETAIN
    | COLLECT
    | SCORE
    | LEDGER
)
READER = Grants(schemas=dict.fromkeys(SCHEMAS, READ))
DESCRIBE = (
    Grants({"catalog.datasets": REPLACE, "catalog.explorations": KEEP}, makes=("raw", "features")) | READER
)
# What is wrong is seen in every schema; what is written is about alerts alone.
ALERTS = (
    Grants(
        {
            **_each("SELECT, INSERT, UPDATE, DELETE", "alerts.open", "alerts.declared"),
            **_each(ADD, "alerts.events", "alerts.silences"),
            **_each(KEEP, "alerts.outbox", "alerts.pulse"),
        }
    )
    | READER
)
GRANTS: Mapping[str, Grants] = {
    "collect": COLLECT,
    "features": FEATURES,
    "score": SCORE,
    "train": TRAIN,
    "monitor": MONITOR,
    "operate": OPERATE,
    "describe": DESCRIBE,
    "alerts": ALERTS,
    "reader": READER,
}


def grant(cursor: Any) -> None:
    """Give each role that is there what it needs, and nothing else. ``cursor``: psycopg2's, of the tables' owner."""
    cursor.execute(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", ([login_of(role) for role in ROLES],)
    )
    there = {row[0] for row in cursor.fetchall()}
    cursor.execute(
        "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = ANY(%s) AND c.relkind IN ('r', 'p', 'v')",
        (list(SCHEMAS),),
    )
    known = {row[0] for row in cursor.fetchall()}
    cursor.execute(
        "SELECT proowner::regrole::text, current_database() FROM pg_proc WHERE proname = 'make_table'"
    )
    found = cursor.fetchone()
    if found is None:  # migrated to a revision before the roles
        return
    owner, database = found
    cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s)", (list(SCHEMAS),))
    schemas = [row[0] for row in cursor.fetchall()]
    for role, grants in GRANTS.items():
        if (login := login_of(role)) in there:
            cursor.execute("; ".join(_statements(login, grants, known, schemas, owner)))
    cursor.execute("SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()")
    if there and cursor.fetchone()[0]:
        quoted = '"' + database.replace('"', '""') + '"'
        cursor.execute(f"GRANT CONNECT ON DATABASE {quoted} TO {', '.join(sorted(there))}")


def _statements(
    login: str, grants: Grants, known: Iterable[str], schemas: Iterable[str], owner: str
) -> list[str]:
    """Return what grants it. ``known``: tables that are there; ``schemas`` too: a revision before may have fewer."""
    every, to = ", ".join(schemas), f"TO {login}"
    granted = {name: what for name, what in grants.schemas.items() if name in schemas}
    makes = [name for name in grants.makes if name in schemas]
    nothing = [f"REVOKE ALL ON ALL {kind} IN SCHEMA {every} FROM {login}" for kind in KINDS]
    defaults = f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA"
    nothing.append(f"{defaults} {every} REVOKE ALL ON TABLES FROM {login}")
    nothing.append(f"REVOKE ALL ON SCHEMA {every} FROM {login}")
    used = {name.partition(".")[0] for name in grants.tables if name in known} | {*granted, *makes}
    functions = [f"{schema}.ensure_table" for schema in makes]
    functions += ["predictions.ensure_view"] if "predictions" in makes else []
    return [
        *nothing,
        f"GRANT USAGE ON SCHEMA {', '.join(sorted(used))} {to}",
        *(f"GRANT {what} ON {table} {to}" for table, what in grants.tables.items() if table in known),
        *(f"GRANT {what} ON ALL TABLES IN SCHEMA {name} {to}" for name, what in granted.items()),
        *(f"{defaults} {name} GRANT {what} ON TABLES {to}" for name, what in granted.items()),
        *(f"GRANT EXECUTE ON FUNCTION {function} {to}" for function in functions),
    ]

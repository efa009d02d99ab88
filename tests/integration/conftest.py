"""A month of real nights with a champion, made once: each test gets a copy of its own to change or to break."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from io import StringIO
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest
import sqlalchemy

from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.govern import Ledger
from nightshift.objects import Objects
from nightshift.registry import LEDGER, Registry
from nightshift.specs import Model, load_project
from nightshift.stages import Platform, Try
from nightshift.warehouse import Warehouse, migrate

MODEL = "late_arrival"
FIRST, LAST = date(2013, 1, 2), date(2013, 2, 8)
# Trained on 6 to 19 January, judged on 20 to 26 January.
CHAMPION_AS_OF = date(2013, 1, 28)
SCORED = DateRange(date(2013, 1, 28), date(2013, 2, 5))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what begins with a month of nights: it is made once a process, so `make test` runs these together."""
    for item in items:
        if "history" in getattr(item, "fixturenames", ()):
            item.add_marker("history")


def small(model: Model) -> Model:
    """Return the model with windows and an estimator that train in a second."""
    changed = model.model_dump(by_alias=True)
    # Without a refit: tests train again within days, which a refit's nights would make unfair. test_refit.py has one.
    changed["train"] = {"window_days": 14, "holdout_days": 7, "min_rows": 500, "refit": False}
    changed["estimator"]["params"] |= {"max_iter": 25, "learning_rate": 0.2}
    # The two that every model has; what else ours asks of its real self is not asked of this one.
    changed |= {"gates": changed["gates"][:2], "slices": [], "recalibrate": None}
    changed["gates"][0]["value"] = 0.55
    # Seven days and a second's training make sure of little: the point decides. test_gates.py asks for more.
    changed["gates"][1]["confidence"] = 0.0
    return Model.model_validate(changed)


def with_model(platform: Platform, change: Callable[[dict], object]) -> Platform:
    """Return the platform with its model's spec changed."""
    content = platform.project.model(MODEL).model_dump(by_alias=True)
    change(content)
    project = platform.project.model_copy(update={"models": {MODEL: Model.model_validate(content)}})
    return replace(platform, project=project)


def redelivered(platform: Platform, statement: str, values: Sequence[object] = ()) -> int:
    """Change rows of raw.arrivals, and the records of their batches with them, as another delivery does."""
    changed = platform.warehouse.execute(statement, values)
    platform.warehouse.execute(
        "UPDATE catalog.batches SET recorded_at = clock_timestamp() WHERE source = 'arrivals'"
    )
    return changed


def train(platform: Platform, as_of: date, run_id: str, *, promote: bool = True) -> dict:
    """Train as of a date, up to the decision, or with the promotion; return what the last step says."""
    asked = Try(run_id)
    frozen = stages.snapshot(platform, MODEL, as_of, asked)
    stages.fit(platform, MODEL, frozen["snapshot_id"], asked, reason="test")
    decided = stages.evaluate(platform, MODEL, as_of, asked, reason="test")
    return stages.promote(platform, MODEL, as_of, asked, actor="tester") if promote else decided


@dataclass(frozen=True)
class History:
    """What copies are made of: nights in a database and files, and the version that is champion at their end."""

    database: str
    objects: Path
    champion: int
    servers: tuple[str, str]
    connections: dict

    @contextmanager
    def copied(self, folder: Path) -> Iterator[Platform]:
        """Yield a copy as a platform of its own, with the alias where its ledger wants it."""
        postgres_url, mlflow_url = self.servers
        name = f"loop_{uuid4().hex}"
        _admin(postgres_url, f"CREATE DATABASE {name} TEMPLATE {self.database}")
        shutil.copytree(self.objects, folder / "objects")
        project = load_project()
        registry, warehouse = Registry(mlflow_url), Warehouse.keeping(_beside(postgres_url, name))
        self.as_in(registry, warehouse)
        yield Platform(
            project=project.model_copy(update={"models": {MODEL: small(project.model(MODEL))}}),
            warehouse=warehouse,
            registry=registry,
            objects=Objects(str(folder / "objects")),
            connection=self.connections.__getitem__,
        )
        warehouse.rest()
        _admin(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")

    def as_in(self, registry: Registry, warehouse: Warehouse) -> None:
        """Have the registry, which all copies share, hold the aliases and the anchors of this one."""
        registry.promote(MODEL, self.champion)
        for model in registry._client.search_registered_models():
            if model.name != MODEL and model.aliases:
                registry.withdraw(model.name)
            ledger = Ledger(warehouse, model.name)
            for version in registry._versions(model.name):
                for key, value in version.tags.items():
                    if key.startswith(LEDGER) and ledger.verify([value]):
                        registry._client.delete_model_version_tag(model.name, str(version.version), key)

    @contextmanager
    def continued(self, folder: Path, go_on: Callable[[Platform], object]) -> Iterator["History"]:
        """Yield the history of what happens next: once for all tests that begin with it."""
        with self.copied(folder) as platform:
            go_on(platform)
            platform.warehouse.rest()  # what is copied may have no connection
            champion = platform.registry.champion(MODEL)
            assert champion
            database = platform.warehouse.url.rpartition("/")[2]
            yield replace(self, database=database, objects=folder / "objects", champion=champion)


@pytest.fixture(scope="session")
def history(
    postgres_url: str, mlflow_url: str, connections: dict, tmp_path_factory: pytest.TempPathFactory
) -> History:
    """Collect, build, train and score: the nights of FIRST .. LAST, the champion, the predictions of SCORED."""
    database, objects = "history", tmp_path_factory.mktemp("history")
    _admin(postgres_url, f"CREATE DATABASE {database}")
    url = _beside(postgres_url, database)
    migrate(url)
    project = load_project()
    project = project.model_copy(update={"models": {MODEL: small(project.model(MODEL))}})
    platform = Platform(
        project, Warehouse(url), Registry(mlflow_url), Objects(str(objects)), connections.__getitem__
    )
    nights, asked = DateRange(FIRST, LAST), Try("history")
    for source in project.sources_of(MODEL):
        stages.collect(platform, source, nights, asked)
        stages.validate(platform, source, nights, asked)
    stages.build_features(platform, project.model(MODEL).features, nights, asked)
    promoted = train(platform, CHAMPION_AS_OF, "history")
    assert promoted["outcome"] == "promoted"
    stages.score(platform, MODEL, SCORED, asked)
    return History(database, objects, promoted["version"], (postgres_url, mlflow_url), connections)


@pytest.fixture
def loop(history: History, tmp_path: Path) -> Iterator[Platform]:
    """Return a copy of the month."""
    with history.copied(tmp_path) as platform:
        yield platform


@pytest.fixture(scope="module")
def _still(history: History, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with history.copied(tmp_path_factory.mktemp("still")) as platform:
        yield platform


@pytest.fixture
def still(_still: Platform, history: History) -> Platform:
    """Return a copy that a module's tests share: for what must be refused, and change nothing."""
    history.as_in(_still.registry, _still.warehouse)
    return _still


@dataclass(frozen=True)
class Ops:
    """An upstream database of the test's own: some nights of schedule and arrivals."""

    url: str

    def run(self, statement: str, values: tuple = ()) -> int:
        """Run one statement; return the number of rows it touched."""
        with closing(psycopg2.connect(self.url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.rowcount

    def serve(self, platform: Platform) -> Platform:
        """Return the platform with this database behind its connection ``ops``."""
        driver = self.url.replace("postgresql:", "postgresql+psycopg2:", 1)
        ours = replace(platform.connection("ops"), engine=lambda: sqlalchemy.create_engine(driver))
        return replace(platform, connection=lambda name: ours if name == "ops" else platform.connection(name))


@pytest.fixture
def ops(upstream, postgres_url: str) -> Iterator[Ops]:
    """Return the upstream's days around LAST, to change at will."""
    name = f"ops_{uuid4().hex}"
    _admin(postgres_url, f"CREATE DATABASE {name}")
    copy = Ops(_beside(postgres_url, name))
    with closing(psycopg2.connect(upstream.ops_url)) as source, source.cursor() as reading:
        for table in ("schedule", "arrivals"):
            reading.execute(
                "SELECT string_agg(format('%%I %%s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum) "
                "FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0",
                (f"ops.{table}",),
            )
            (columns,) = reading.fetchone()
            rows = StringIO()
            wanted = f"SELECT * FROM ops.{table} WHERE flight_date BETWEEN '2013-02-05' AND '2013-02-09'"
            reading.copy_expert(f"COPY ({wanted}) TO STDOUT", rows)
            rows.seek(0)
            copy.run("CREATE SCHEMA IF NOT EXISTS ops")
            copy.run(f"CREATE TABLE ops.{table} ({columns})")
            with closing(psycopg2.connect(copy.url)) as target, target, target.cursor() as writing:
                writing.copy_expert(f"COPY ops.{table} FROM STDIN", rows)
    yield copy
    _admin(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


def _admin(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(statement)


def _beside(url: str, database: str) -> str:
    return f"{url.rpartition('/')[0]}/{database}"

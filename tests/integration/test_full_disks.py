"""A disk that is full: what fails says so, what was there stands, and once there is room the same work succeeds."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.errors import Unreachable
from nightshift.objects import Objects
from nightshift.runtime import postgres
from nightshift.runtime.endpoints import any_free_port
from nightshift.stages import Platform, Try
from nightshift.warehouse import Table, Warehouse, migrate
from tests.conftest import PASSWORD, _answers
from tests.integration.conftest import LAST, MODEL

pytestmark = pytest.mark.integration

NIGHT = date(2013, 2, 1)
TABLE = Table("raw", "things", {"batch_date": "date", "name": "string"}, ("batch_date", "name"))
MEGABYTE = 1 << 20


@pytest.fixture
def disk(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Return a disk of its own, of so many megabytes: a file system in memory, which only root may mount."""
    # Not below the tests' own folder: the account that PostgreSQL runs as may not enter it.
    folder = Path(tempfile.mkdtemp(prefix="nightshift-disk-", dir="/var/tmp"))
    size = f"size={request.param}m,mode=755"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)
    folder.rmdir()


def fill(disk: Path, leave: int = 0) -> Path:
    """Fill a disk but for ``leave`` bytes; return the file that does."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        room = shutil.disk_usage(disk).free - leave
        os.posix_fallocate(file.fileno(), 0, room)
    return filler


@pytest.mark.parametrize("disk", [8], indirect=True)
def test_a_night_that_the_files_have_no_room_for_fails_in_words_and_succeeds_later(
    loop: Platform, disk: Path
) -> None:
    shutil.copytree(loop.objects.root, disk / "objects", dirs_exist_ok=True)
    there = replace(loop, objects=Objects(str(disk / "objects")))
    before = stated(there)
    night = DateRange(LAST, LAST)
    # The same rows are the same file: of a file that is there, nothing would be written.
    shutil.rmtree(disk / "objects" / "landed" / "weather" / str(LAST))
    filler = fill(disk)
    with pytest.raises(Unreachable, match=r"no room is left .*nightshift retention"):
        stages.collect(there, "weather", night, Try("full"))
    assert not list(disk.rglob("*.part"))
    assert stated(there) == before
    filler.unlink()
    assert stages.collect(there, "weather", night, Try("full", 2))["rows"] > 0
    assert stages.score(there, MODEL, DateRange(date(2013, 2, 5), date(2013, 2, 5)), Try("after"))["rows"] > 0


def stated(platform: Platform) -> tuple[object, ...]:
    """Return who is champion, and what was predicted."""
    rows = platform.warehouse.rows(
        f"SELECT count(*) AS rows, md5(string_agg(prediction::text, '|' ORDER BY batch_date, flight_id)) AS hash "
        f"FROM predictions.{MODEL}_champion"
    )
    return platform.registry.champion(MODEL), rows


@dataclass
class SmallServer:
    """A PostgreSQL whose data lies on the small disk, started anew as the supervisor would."""

    server: postgres.Server
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def up(self) -> None:
        """Return once it answers, started again if it has ended."""
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                self.server.command(self.port),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                **self.server.account.identity,
            )
        deadline = time.monotonic() + 60
        while not _answers(self.url):
            if self.process.poll() is not None:
                return self.up()
            assert time.monotonic() < deadline, "the server does not come back"
            time.sleep(0.5)
        return None


@pytest.fixture
def small_server(disk: Path) -> Iterator[SmallServer]:
    server = SmallServer(postgres.prepare(disk, PASSWORD), any_free_port())
    assert server.server.data.is_relative_to(disk)
    server.up()
    yield server
    assert server.process is not None
    server.process.send_signal(signal.SIGINT)
    server.process.wait(60)


@pytest.mark.parametrize("disk", [700], indirect=True)
def test_a_partition_that_the_warehouse_has_no_room_for_stands_as_it_was(
    disk: Path, small_server: SmallServer
) -> None:
    migrate(small_server.url)
    warehouse = Warehouse(small_server.url)
    warehouse.ensure(TABLE)
    written(warehouse, 10)
    filler = fill(disk, 20 * MEGABYTE)
    with pytest.raises(Unreachable):
        written(warehouse, 3_000_000)
    filler.unlink()
    small_server.up()
    assert len(warehouse.read(TABLE, NIGHT, NIGHT)) == 10
    written(warehouse, 1000)
    assert len(warehouse.read(TABLE, NIGHT, NIGHT)) == 1000


def written(warehouse: Warehouse, count: int) -> None:
    frame = pd.DataFrame({"batch_date": NIGHT, "name": [f"n{i:08}" for i in range(count)]})
    with warehouse.write(warehouse.lease(TABLE, [NIGHT], f"{count} rows")) as write:
        write.replace(TABLE, frame)

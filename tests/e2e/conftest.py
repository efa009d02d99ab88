"""One real stack for all end-to-end tests, and the loop closed on it once, through the real scheduler."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from examples.nyc_flights.demo import MODEL, Demo, load_history, run_night, set_aside
from nightshift import processes
from nightshift.calendar import DateRange
from nightshift.runtime import endpoints, state
from nightshift.runtime.api import Client
from nightshift.warehouse import Warehouse

PATIENCE_MS = 60_000
SIZE = {"width": 1400, "height": 900}
Photograph = Callable[[Page, str], None]
CHAMPION_AS_OF = date(2013, 3, 4)
# What the champion and its challenger are trained on: the winter, and the weeks before the nights.
HISTORY = [
    DateRange(date(2013, 1, 2), date(2013, 3, 4)),
    DateRange(date(2013, 4, 25), date(2013, 6, 27)),
]
NIGHTS = [date(2013, 6, 28), date(2013, 6, 29), date(2013, 6, 30)]
SECONDS = 300
# Text that must stay text: it is stored with the promotion, never rendered, never run.
HOSTILE_REASON = "first champion {{ conn.warehouse.password }} '); DROP TABLE raw.flights; --"


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Return a running stack of the tests' own: its addresses, Airflow's API as admin, the warehouse.

    NIGHTSHIFT_E2E_HOME, for writing tests: a stack in that folder is used, and left running.
    """
    kept = os.environ.get("NIGHTSHIFT_E2E_HOME")
    home = Path(kept) if kept else tmp_path_factory.mktemp("stack") / "home"
    try:
        nightshift(home, "up")  # one that does not come up in time runs on: it is ended too
        runtime = state.load(home)
        with Client.of(runtime) as api:
            demo = Demo(runtime, api, Warehouse(runtime.warehouse_url))
            set_aside(demo)
            yield demo
    finally:
        if not kept:
            nightshift(home, "down")
            left = processes.marked(home)
            nightshift(home, "down", "--purge", "--yes")
            assert left == [], "processes of the stack are left"


@pytest.fixture(scope="package")
def loop(stack: Demo) -> Demo:
    """Return the stack once three nights have run: history, a champion of the winter, then night by night."""
    if not stack.api.runs(f"train_{MODEL}"):
        winter, spring = HISTORY
        load_history(stack, winter)  # in their order: a night's faults are told by the nights before it
        with ThreadPoolExecutor() as threads:
            beside = threads.submit(load_history, stack, spring)
            stack.run(f"train_{MODEL}", conf={"as_of": str(CHAMPION_AS_OF), "reason": HOSTILE_REASON})
            beside.result()
        for night in NIGHTS:
            run_night(stack, night)
            stack.ended(f"monitor_{MODEL}", stack.api.wait_for_run(f"monitor_{MODEL}", str(night), SECONDS))
    return stack


def nightshift(home: Path, *words: str) -> None:
    """Run the command on the stack in ``home``, its ports free ones."""
    ports = {
        f"NIGHTSHIFT_{name.upper()}_PORT": str(endpoints.any_free_port()) for name in endpoints.PREFERRED
    }
    chosen = {} if (home / "runtime.json").exists() else ports
    environment = os.environ | chosen | {"NIGHTSHIFT_HOME": str(home)}
    command = [sys.executable, "-m", "nightshift.cli", *words]
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    if done.returncode:
        raise RuntimeError(f"nightshift {' '.join(words)}: {done.stdout[-3000:]}{done.stderr[-3000:]}")


@pytest.fixture(scope="module")
def visitor(chromium: Browser) -> BrowserContext:
    """Return a browser that nobody has logged in with."""
    return new_context(chromium)


@pytest.fixture
def photograph(tmp_path: Path) -> Photograph:
    """Return a function that keeps a picture of a page, also in the folder NIGHTSHIFT_SCREENSHOTS."""
    folders = [tmp_path, *map(Path, filter(None, [os.environ.get("NIGHTSHIFT_SCREENSHOTS")]))]

    def take(shown: Page, name: str) -> None:
        # Charts and popovers move into place.
        shown.wait_for_timeout(1_000)
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            shown.screenshot(path=folder / f"{name}.png")

    return take


def new_context(chromium: Browser) -> BrowserContext:
    """Return a browser that shares nothing with others, and is patient with a busy stack."""
    context = chromium.new_context(viewport=SIZE)
    context.set_default_timeout(PATIENCE_MS)
    return context


def log_in(context: BrowserContext, stack: Demo, user: str) -> None:
    """Log a browser in through the form."""
    page = context.new_page()
    page.goto(f"{stack.runtime.airflow_url}/dags")
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(stack.runtime.passwords[user])
    page.keyboard.press("Enter")
    # One of the first: the list shows fifty, and there are more.
    expect(page.get_by_role("link", name="collect_flights", exact=True)).to_be_visible()
    page.close()

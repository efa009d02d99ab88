"""Leaks: planted ones are caught, each by the attack that is made for it; what is sound stays the same, bit for bit."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from nightshift.calendar import Calendar
from nightshift.featurise import Build, load_build, visible
from nightshift.featurise.leaks import ATTACKS, LONE_ROWS, WAYS, Case, Frames, check, differing
from nightshift.featurise.purity import suspects
from nightshift.root import INCLUDE
from nightshift.specs import FeatureSet
from nightshift.specs.features import load_feature_set

NIGHT = date(2013, 2, 8)
CALENDAR = Calendar(ZoneInfo("America/New_York"), date(2013, 1, 2))
DECLARED = '''"""Trips."""
import pandas as pd
FEATURES = {
    "owner": "me", "version": 1, "entity": ["trip"],
    "inputs": {"trips": {}, "reports": {"look_back_days": 3}}, "columns": {"late": "float", "kind": "string"},
}
'''
SOUND = """
def build(inputs, batch_date):
    trips, reports = inputs["trips"], inputs["reports"]
    return pd.DataFrame({"trip": trips["trip"], "kind": trips["kind"], "late": reports["delay"].mean()})
"""
# Remembers what it was given first: right in a process of its own, wrong in any other.
REMEMBERS_INPUTS = """
SEEN = {}
def build(inputs, batch_date):
    reports = SEEN.setdefault("reports", inputs["reports"])
    return pd.DataFrame({"trip": inputs["trips"]["trip"], "kind": "x", "late": reports["delay"].mean()})
"""
COUNTS_CALLS = """
CALLS = []
def build(inputs, batch_date):
    CALLS.append(1)
    return pd.DataFrame({"trip": inputs["trips"]["trip"], "kind": "x", "late": float(len(CALLS))})
"""
BY_CHANCE = """
import numpy as np
def build(inputs, batch_date):
    return pd.DataFrame({"trip": inputs["trips"]["trip"], "kind": "x", "late": np.random.default_rng().random()})
"""


def case(folder: Path, body: str) -> Case:
    """Return a night of two sources, five trips and reports a night, with a module of this body."""
    path = folder / "trips.py"
    path.write_text(DECLARED + body)
    spec = load_feature_set(path)
    return Case(
        spec, CALENDAR, NIGHT, rows(), {"trips": ["trip"], "reports": ["trip"]}, lambda: load_build(spec)
    )


def rows() -> dict[str, pd.DataFrame]:
    nights = [NIGHT + timedelta(days=n) for n in range(-5, 3) for _ in range(5)]
    shared = {
        "batch_date": pd.to_datetime(nights).astype("datetime64[s]"),
        "known_at": pd.to_datetime([CALENDAR.cutoff(night) for night in nights], utc=True),
        "trip": [f"{night}-{n % 5}" for n, night in enumerate(nights)],
    }
    return {
        "trips": pd.DataFrame({**shared, "kind": ["x", "y", "z", "x", None] * 8}),
        "reports": pd.DataFrame({**shared, "delay": np.arange(40.0) ** 2}),
    }


def changed(attacked: Case) -> dict[str, list[str]]:
    """Return the columns that changed, by the attack that changed them."""
    return {finding.attack: finding.columns for finding in check(attacked) if finding.changed}


def test_a_sound_set_stays_the_same_under_every_attack(tmp_path: Path) -> None:
    findings = check(case(tmp_path, SOUND))
    assert [finding.attack for finding in findings] == [*ATTACKS, *WAYS]
    assert {(finding.rows, finding.changed) for finding in findings} == {(5, 0)}
    # an attack that touches nothing would prove nothing
    assert {f.attack: f.touched for f in findings if f.touched} == {
        "later rows changed": 20,
        "later rows added": 60,
        "later batches added": 60,
        "later rows removed": 20,
    }


HOLDS_ITS_TARGET = """
def build(inputs, batch_date):
    trips, reports = inputs["trips"], inputs["reports"]
    own = reports.set_index("trip")["delay"].reindex(trips["trip"]).to_numpy(dtype="float64")
    return pd.DataFrame({"trip": trips["trip"], "kind": trips["kind"], "late": WHAT})
"""


@pytest.mark.parametrize(
    ("what", "caught"),
    [
        ("own", True),
        ("(own > 700).astype('float64')", True),
        ("trips['kind'].map({'x': 1.0})", False),
        ('reports[reports["batch_date"] < pd.Timestamp(batch_date)]["delay"].mean()', False),
    ],
)
def test_a_set_that_holds_its_models_target_is_caught_under_whatever_name(
    tmp_path: Path, what: str, caught: bool
) -> None:
    attacked = replace(case(tmp_path, HOLDS_ITS_TARGET.replace("WHAT", what)), targets={"reports": ["delay"]})
    (finding,) = [finding for finding in check(attacked) if finding.attack == "own outcome changed"]
    assert finding.touched == 5
    assert finding.columns == (["late"] if caught else [])


@pytest.mark.parametrize("dtype", ["float64", "Int64", "boolean", "str", "datetime64[s]"])
def test_another_outcome_is_another_value_of_any_type(tmp_path: Path, dtype: str) -> None:
    values = {"boolean": [True, False], "str": ["a", "b"], "datetime64[s]": ["2013-02-08", "2013-02-09"]}
    frames = rows()
    kind = pd.Series(values.get(dtype, [0, 1]) * 20).astype(dtype)
    frames["trips"] = frames["trips"].assign(kind=kind)
    body = SOUND.replace('trips["kind"]', 'trips["kind"].astype("str")')
    attacked = replace(case(tmp_path, body), frames=frames, targets={"trips": ["kind"]})
    (finding,) = [finding for finding in check(attacked) if finding.attack == "own outcome changed"]
    assert (finding.touched, finding.changed, finding.columns) == (5, 5, ["kind"])


def sees_what_was_known_later(frames: Frames, spec: FeatureSet, calendar: Calendar, night: date) -> dict:
    """The engine without its filter on ``known_at``."""
    known = {
        name: frame.assign(known_at=pd.Timestamp(calendar.cutoff(night))) for name, frame in frames.items()
    }
    return visible(known, spec, calendar, night)


def sees_later_batches(frames: Frames, spec: FeatureSet, calendar: Calendar, night: date) -> dict:
    """The engine without the ends of its look-back."""
    cutoff = pd.Timestamp(calendar.cutoff(night))
    return {name: frame[frame["known_at"] <= cutoff] for name, frame in frames.items()}


def sees_all(frames: Frames, spec: FeatureSet, calendar: Calendar, night: date) -> dict:
    """The engine without any filter."""
    return dict(frames)


@pytest.mark.parametrize(
    ("see", "caught_by"),
    [
        (sees_what_was_known_later, {"later rows added"}),
        (sees_later_batches, {"later batches added", "built alone"}),
        (sees_all, {*ATTACKS, "built alone"}),
    ],
)
def test_an_engine_that_shows_too_much_is_caught(tmp_path: Path, see: Callable, caught_by: set[str]) -> None:
    assert changed(replace(case(tmp_path, SOUND), see=see)).keys() == caught_by


@pytest.mark.parametrize(
    ("body", "caught_by"),
    [
        (REMEMBERS_INPUTS, {"built in a range", "built after later nights"}),
        (COUNTS_CALLS, {"built twice", "built in a range", "built after later nights"}),
        (BY_CHANCE, {*ATTACKS, *WAYS}),
    ],
)
def test_a_module_with_a_memory_or_by_chance_is_caught(
    tmp_path: Path, body: str, caught_by: set[str]
) -> None:
    assert changed(case(tmp_path, body)) == {attack: ["late"] for attack in caught_by}


def test_a_module_that_fails_on_what_it_must_not_see_has_seen_it(tmp_path: Path) -> None:
    def see(frames: Frames, *_: object) -> dict:
        return {name: frame[frame["batch_date"] == pd.Timestamp(NIGHT)] for name, frame in frames.items()}

    found = changed(replace(case(tmp_path, SOUND), see=see))
    assert found.keys() == {"later rows added"}
    assert "not unique" in found["later rows added"][0]


SPEC = FeatureSet.model_validate(
    {
        "name": "trips",
        "owner": "me",
        "description": "",
        "version": 1,
        "entity": ["trip"],
        "inputs": {"trips": {}},
        "columns": {"size": "float", "count": "integer", "flag": "boolean", "kind": "string"},
        "path": Path("trips.py"),
    }
)
STORED = pd.DataFrame(
    {"trip": ["a", "b"], "size": [0.1, np.nan], "count": [1, 2], "flag": [True, False], "kind": ["x", None]}
)


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        ({}, (0, [])),
        ({"count": [1.0, 2.0], "flag": [1.0, 0.0]}, (0, [])),  # as compute() gives them
        ({"size": [np.nextafter(0.1, 1), np.nan]}, (1, ["size"])),
        ({"size": [0.1, 0.0]}, (1, ["size"])),
        ({"size": [-0.1, -np.nan]}, (1, ["size"])),
        ({"kind": ["x", "y"], "count": [1, 3]}, (1, ["count", "kind"])),
        ({"trip": ["a", "c"]}, (2, [LONE_ROWS])),
    ],
)
def test_rows_are_compared_bit_for_bit(other: dict, differs: tuple[int, list[str]]) -> None:
    assert differing(SPEC, STORED, STORED.assign(**other)) == differs
    assert differing(SPEC, STORED.assign(**other)[::-1], STORED) == differs


def test_a_snapshot_need_not_hold_every_row_but_none_of_its_own() -> None:
    assert differing(SPEC, STORED, STORED.head(1)) == (1, [LONE_ROWS])
    assert differing(SPEC, STORED, STORED.head(1), partly=True) == (0, [])
    assert differing(SPEC, STORED.head(1), STORED, partly=True) == (1, [LONE_ROWS])


@pytest.mark.parametrize(
    ("line", "asks"),
    [
        ("datetime.now()", "the clock; use batch_date"),
        ("dt.date.today()", "the clock; use batch_date"),
        ("pd.Timestamp.now()", "the clock; use batch_date"),
        ("pd.Timestamp('now')", "the clock; use batch_date"),
        ("pd.to_datetime('Today')", "the clock; use batch_date"),
        ("pd.DatetimeIndex(['2013-01-01', 'now'])", "the clock; use batch_date"),
        ("pd.date_range(end='today', periods=3)", "the clock; use batch_date"),
        ("np.datetime64('now', 'D')", "the clock; use batch_date"),
        ("np.datetime64('today') - np.timedelta64(1, 'D')", "the clock; use batch_date"),
        ("time.time()", "the clock; use batch_date"),
        ("clock = datetime.utcnow", "the clock; use batch_date"),
        ("open('x')", "a file; declare a source"),
        ("pd.read_csv('x')", "a file; declare a source"),
        ("Path('x').read_text()", "a file; declare a source"),
        ("np.load('x')", "a file; declare a source"),
        ("urllib.request.urlopen('x')", "the network; declare a source"),
        ("requests.get('x')", "the network; declare a source"),
        ("os.environ['X']", "the environment; write a literal"),
        ("os.getenv('X')", "the environment; write a literal"),
        ("np.random.normal()", "chance without a seed; use numpy.random.default_rng"),
        ("np.random.default_rng()", "chance without a seed; use numpy.random.default_rng"),
        ("np.random.default_rng(None)", "chance without a seed; use numpy.random.default_rng"),
        ("np.random.default_rng(seed=None)", "chance without a seed; use numpy.random.default_rng"),
        ("frame.sample(3, random_state=None)", "chance without a seed; use numpy.random.default_rng"),
        ("random.random()", "chance without a seed; use numpy.random.default_rng"),
        ("frame.sample(3)", "chance without a seed; use numpy.random.default_rng"),
        ("frame['kind'].map(hash)", "a number that differs from process to process; use hashlib"),
        ("hash('text') % 97", "a number that differs from process to process; use hashlib"),
        ("eval('1')", "code that cannot be read here"),
    ],
)
def test_what_a_module_must_not_ask_is_named_with_its_line(tmp_path: Path, line: str, asks: str) -> None:
    path = tmp_path / "trips.py"
    path.write_text(IMPORTS + f"def build(inputs, batch_date):\n    {line}\n")
    (found,) = suspects(path)
    assert found.line == len(IMPORTS.splitlines()) + 2
    assert found.asks.startswith(asks)
    assert found.text in line


IMPORTS = """import datetime as dt, os, random, time, urllib.request, requests
from datetime import datetime
from pathlib import Path
import numpy as np, pandas as pd
"""


@pytest.mark.parametrize(
    "line",
    [
        "np.random.default_rng(7).normal()",
        "random.Random(7).random()",
        "frame.sample(3, random_state=0)",
        "today = inputs['trips']; today.groupby('kind')",
        "time = frame['time']; time.dt.hour",
        "pd.Timestamp(batch_date) - pd.Timedelta(days=1)",
        "frame['when'].isin(['now', 'today'])",
        "np.random.default_rng(seed=0)",
        "platform = frame['platform']; platform.max()",
        "pd.util.hash_pandas_object(frame); frame.hash.max()",
        "hash = frame['kind']; hash + 1",
        "'now() and open() in words'",
    ],
)
def test_what_a_module_may_do_is_not_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "trips.py"
    path.write_text(
        "import random\nimport numpy as np, pandas as pd\ndef build(inputs, batch_date):\n    " + line
    )
    assert suspects(path) == []


@pytest.mark.parametrize("path", sorted((INCLUDE / "features").glob("*.py")), ids=lambda path: path.stem)
def test_our_own_modules_ask_nothing(path: Path) -> None:
    assert suspects(path) == []


def test_loading_afresh_forgets(tmp_path: Path) -> None:
    made = case(tmp_path, COUNTS_CALLS)
    builds: list[Build] = [made.load(), made.load()]
    assert [made.built(build, NIGHT)["late"].max() for build in builds] == [1.0, 1.0]

"""Patience, excuses and pauses, without a clock or a process."""

import pytest

from nightshift.runtime import components
from nightshift.runtime.stack import Component
from nightshift.runtime.state import Record
from nightshift.runtime.unit import LONGEST_PAUSE, STEADY_AFTER, Unit

TABLE = components.table()
RECORD = Record(pid=10, started=20, since=30.0)


def service() -> Unit:
    component = Component("x", lambda stack: RECORD, patience_at_start=100, patience=40)
    unit = Unit(component)
    unit.began(RECORD, now=0)
    return unit


def test_a_start_has_its_own_patience() -> None:
    unit = service()
    unit.note(False, now=99)
    assert not unit.overdue(100)
    assert unit.overdue(101)


def test_once_well_the_patience_is_shorter() -> None:
    unit = service()
    unit.note(True, now=10)
    unit.note(False, now=11)
    assert not unit.overdue(50)
    assert unit.overdue(51)


def test_what_cannot_be_known_is_no_fault() -> None:
    unit = service()
    unit.note(True, now=10)
    unit.note(False, now=11)
    unit.note(None, now=49)
    assert not unit.overdue(80)
    assert unit.overdue(90)


def test_waiting_for_another_is_no_fault_and_forgets_the_pauses() -> None:
    unit = service()
    for now in range(5):
        unit.failed("", now)
    unit.excuse(now=500)
    assert unit.try_again_at == 500
    assert not unit.overdue(501)
    unit.failed("", now=501)
    assert unit.try_again_at == 501


def test_a_well_component_is_never_overdue() -> None:
    unit = service()
    unit.note(True, now=1)
    assert not unit.overdue(10_000)


def test_pauses_grow_up_to_a_bound() -> None:
    unit = service()
    pauses = []
    for _ in range(9):
        unit.failed("", now=0)
        pauses.append(unit.try_again_at)
    assert pauses == [0, 1, 2, 4, 8, 16, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]


def test_lasting_well_forgets_earlier_failures() -> None:
    unit = service()
    unit.failed("", now=0)
    unit.began(RECORD, now=0)
    unit.note(True, now=STEADY_AFTER - 1)
    assert unit.failures == 1
    unit.note(True, now=STEADY_AFTER + 1)
    assert unit.failures == 0


def test_an_adopted_service_keeps_its_count_of_restarts() -> None:
    unit = Unit(TABLE["scheduler"])
    unit.adopted(Record(pid=10, started=20, since=30.0, restarts=4), now=0)
    assert unit.starts - 1 == 4
    assert unit.overdue(TABLE["scheduler"].patience + 1)


def test_a_step_without_a_process_is_done_at_once() -> None:
    unit = Unit(TABLE["databases"])
    unit.began(None, now=0)
    assert unit.settled
    assert unit.well


def test_a_given_server_is_watched_but_not_started() -> None:
    unit = Unit(TABLE["postgres"])
    unit.began(None, now=0)
    assert unit.settled
    assert not unit.well
    unit.note(True, now=1)
    assert unit.well


@pytest.mark.parametrize("component", TABLE.values(), ids=lambda c: c.name)
def test_components_need_only_what_stands_above_them(component: Component) -> None:
    above = list(TABLE)[: list(TABLE).index(component.name)]
    assert set(component.needs) <= set(above)

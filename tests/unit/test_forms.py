"""Manual runs: what the form admits, and what the task refuses of what the REST API let through."""

import re
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Param
from airflow.sdk.exceptions import ParamValidationError

from nightshift.cli.trigger import LINES, NUMBERS, SWITCHES, conf_of
from nightshift.errors import RequestError
from nightshift.orchestration import forms
from nightshift.orchestration.forms import LONGEST_REASON, checked
from nightshift.specs import ROW_RULES, load_project
from nightshift.validate import blocks, violations

ALLOWED = forms.RANGE
REPLAY = forms.replay(load_project().source("weather"))


def resolved(param: Param, value: Any) -> Any:
    return copy(param).resolve(value)  # which keeps what it was given


EXPLORE = forms.explore(["late_arrival"])
FORMS = [
    forms.REPRODUCE,
    forms.RECONCILE,
    forms.RANGE,
    forms.FEATURES,
    forms.NIGHT,
    forms.TRAIN,
    forms.COUNT,
    REPLAY,
    forms.explore(),
    EXPLORE,
]


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_form_is_a_valid_run(form: dict[str, Param]) -> None:
    values = {key: param.resolve() for key, param in form.items()}
    assert checked(None, values, form) == values
    assert checked({}, values, form) == values


@pytest.mark.parametrize("form", [*FORMS, forms.ROLLBACK])
def test_every_field_is_typed_and_explained(form: dict[str, Param]) -> None:
    for key, param in form.items():
        assert param.schema.get("type") or param.schema.get("enum"), key
        assert param.schema["title"], key
        assert param.schema["description_md"], key


@pytest.mark.parametrize(
    ("param", "value"),
    [
        (forms.BATCH_DATE, "yesterday"),
        (forms.BATCH_DATE, "2013-02-30"),
        (forms.BATCH_DATE, "'; drop table x"),
        (forms.BATCH_DATE, "../2013"),
        (forms.BATCH_DATE, 20130208),
        (forms.UNTIL, "2013-2-8"),
        (forms.DOWNSTREAM, "burn"),
        (forms.DOWNSTREAM, None),
        (forms.DEFINITION, "mine"),
        (forms.DEFINITION, None),
        (forms.REASON, "x" * (LONGEST_REASON + 1)),
        (forms.REASON, 5),
        (EXPLORE["sample"], 99),
        (EXPLORE["sample"], 200_001),
        (EXPLORE["sample"], "50000"),
        (EXPLORE["sample"], None),
        (EXPLORE["target"], "another"),
        (EXPLORE["compare_from"], "last week"),
        (EXPLORE["compare_until"], "2013-02-30"),
        (REPLAY["action"], "no_win"),
        (REPLAY["action"], None),
        (REPLAY["rule"], ""),
        (REPLAY["rule"], "x" * 201),
        (forms.ROLLBACK["version"], 0),
        (forms.ROLLBACK["version"], "2"),
        (forms.ROLLBACK["version"], 1.5),
        (forms.ROLLBACK["reason"], ""),
        (forms.ROLLBACK["batch_date"], "yesterday"),
        (forms.RECONCILE["grace_hours"], -1),
        (forms.RECONCILE["grace_hours"], None),
        (forms.VERSION, 0),
        (forms.VERSION, 2**31),
        (forms.VERSION, "7"),
        (forms.VERSION, 1.5),
    ],
)
def test_the_form_refuses(param: Param, value: Any) -> None:
    with pytest.raises(ParamValidationError):
        resolved(param, value)


def test_a_reason_may_be_as_long_as_the_form_says() -> None:
    reason = "x" * LONGEST_REASON
    assert checked({"reason": reason}, {"reason": reason}, forms.NIGHT)["reason"] == reason
    assert resolved(forms.REASON, reason) == reason


@pytest.mark.parametrize(
    ("conf", "says"),
    [
        ({"batchdate": "2013-02-08"}, "unknown parameter 'batchdate'; did you mean 'batch_date'?"),
        ({"as_of": "2013-02-08"}, "unknown parameter 'as_of'; known: batch_date, downstream, reason, until"),
        ({"batch_date\n": "2013-02-08"}, "unknown parameter 'batch_date\n'"),
        ({"x; id>/tmp/p": 1}, "unknown parameter 'x; id>/tmp/p'"),
        ({5: 1}, "unknown parameter '5'"),
    ],
)
def test_a_key_that_no_form_has_is_refused(conf: dict[Any, Any], says: str) -> None:
    with pytest.raises(RequestError, match=re.escape(says)):
        checked(conf, {}, ALLOWED)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"reason": "x" * (LONGEST_REASON + 1)}, "reason: expected text of at most 500 characters"),
        ({"reason": 1_000_000}, "reason: expected text"),
        ({"reason": ["a"]}, "reason: expected text"),
        ({"reason": {"a": 1}}, "reason: expected text"),
        ({"downstream": "burn"}, "downstream: expected one of changed, wake, leave, got 'burn'"),
        ({"downstream": "wake\n"}, "downstream: expected"),
        ({"downstream": None}, "downstream: expected"),
        ({"downstream": ["wake"]}, "downstream: expected"),
        ({"definition": "mine"}, "definition: expected one of same, changed, got 'mine'"),
        ({"definition": None}, "definition: expected"),
        ({"sample": 99}, "sample: expected a whole number from 100 to 200000, got '99'"),
        ({"sample": 1_000_000_000}, "sample: expected"),
        ({"sample": 500.5}, "sample: expected"),
        ({"sample": True}, "sample: expected"),
        ({"sample": "500; drop"}, "sample: expected"),
        ({"sample": None}, "sample: expected"),
        ({"target": ["late_arrival"]}, "target: expected the name of a model"),
        ({"version": 0}, "version: expected a version's number, got '0'"),
        ({"version": -1}, "version: expected"),
        ({"version": 2**31}, "version: expected"),
        ({"version": True}, "version: expected"),
        ({"version": "7; drop"}, "version: expected"),
        ({"version": 1.5}, "version: expected"),
        ({"reason": "a\0b"}, "reason: holds '\\x00', which no text may"),
        ({"reason": "\x1b[31mred"}, "reason: holds '\\x1b'"),
        ({"reason": "half \ud83d"}, "reason: holds '\\ud83d'"),
        ({"target": "late\0arrival"}, "target: holds '\\x00'"),
        ({"compare_from": {"a": ["b\0"]}}, "compare_from: holds '\\x00'"),
        ({"compare_until": "x" * 200_000}, "compare_until: expected text of at most 100000 characters"),
    ],
)
def test_the_task_looks_again(params: dict[str, Any], says: str) -> None:
    form = {"downstream": "wake", "definition": "same", **params}
    with pytest.raises(RequestError, match=re.escape(says)):
        checked(params, {"sample": 500, **form}, forms.FEATURES | EXPLORE | forms.REPRODUCE)


@pytest.mark.parametrize(
    "conf",
    [lambda m: {"reason": m}, lambda m: {"downstream": m}, lambda m: {m: 1}],
    ids=["reason", "downstream", "key"],
)
def test_a_megabyte_is_answered_in_a_line(conf: Callable[[str], dict[str, Any]]) -> None:
    sent = conf("x" * 1_000_000)
    with pytest.raises(RequestError) as refused:
        checked(sent, sent, ALLOWED)
    assert len(str(refused.value)) < 300


def test_a_form_without_a_choice_downstream_needs_none() -> None:
    assert checked({"reason": "why"}, {"reason": "why"}, forms.NIGHT) == {
        "reason": "why",
        "batch_date": None,
    }


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({}, "reason: say what is wrong with the champion"),
        ({"reason": " \n"}, "reason: say what is wrong with the champion"),
        ({"reason": "bad", "version": 0}, "version: expected a version's number, got '0'"),
        ({"reason": "bad", "version": "1; drop"}, "version: expected"),
        ({"reason": "bad", "version": True}, "version: expected"),
        ({"reason": "bad", "to": 1}, "unknown parameter 'to'"),
    ],
)
def test_a_rollback_says_why_and_names_a_version_by_its_number(typed: dict[str, Any], says: str) -> None:
    empty = {key: param.value for key, param in forms.ROLLBACK.items() if key != "reason"}
    with pytest.raises(RequestError, match=re.escape(says)):
        checked(typed, {**empty, **typed}, forms.ROLLBACK)
    values = checked({}, {**empty, "reason": "bad", "version": 3}, forms.ROLLBACK)
    assert (values["version"], values["reason"]) == (3, "bad")


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"batch_date": "2013-02-08", "until": "2013-02-01"}, "until: 2013-02-01 lies before batch_date"),
        ({"until": "2013-02-01"}, "until: give batch_date too"),
        (
            {"compare_from": "2013-02-08", "compare_until": "2013-02-01"},
            "compare_until: 2013-02-01 lies before",
        ),
        ({"batch_date": "2013-02-08", "until": "2033-02-01"}, "until: a range holds at most 1100 nights"),
        ({"action": "discard"}, "reason: needed to discard rows"),
        ({"action": "discard", "reason": " "}, "reason: needed to discard rows"),
        ({"rule": "not_null"}, "rule: 'revalidate' judges the whole night; leave the rule empty"),
        ({"imported": "a" * 64}, "imported, trained_until: give both, or neither"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(typed: dict[str, Any], says: str) -> None:
    form = next(form for form in (REPLAY, EXPLORE, forms.TRAIN) if typed.keys() <= form.keys())
    empty = {key: param.value for key, param in form.items()}
    with pytest.raises(RequestError, match=re.escape(says)):
        checked(typed, {**empty, **typed}, form)


def test_a_replay_offers_what_its_source_declares_in_words() -> None:
    action, rule = REPLAY["action"].schema, REPLAY["rule"].schema
    assert action["enum"] == ["revalidate", "recollect", "discard", "wind_in_knots", "no_wind"]
    assert set(action["values_display"]) == set(action["enum"])
    assert action["values_display"]["wind_in_knots"] == (
        "wind_in_knots: multiply wind_speed by 1.15078, and judge again"
    )
    assert action["values_display"]["no_wind"] == "no_wind: empty wind_speed, and judge again"
    assert rule["examples"][:2] == ["expect_column_values_to_be_in_set", "expect_column_values_to_be_between"]
    assert "enum" not in rule, "a rule of an older spec may be named"


def test_the_rules_offered_are_those_that_rows_are_set_aside_by() -> None:
    """All that :mod:`nightshift.validate` names of rows; not the schema of a batch, nor `discarded` rows."""
    text = "".join(Path(each.__file__).read_text() for each in (violations, blocks))
    named = set(re.findall(r'Violation\(\s*"(\w+)"', text)) | set(
        re.findall(r'"(\w+)": (?:wrong|null|inf|repeated|different)', text)
    )
    assert named - {"discarded", "schema"} == set(ROW_RULES)


@pytest.mark.parametrize("hours", [-1, 1.5, True, "24", 10_000])
def test_grace_is_a_whole_number_of_hours(hours: Any) -> None:
    with pytest.raises(RequestError, match="grace_hours: expected a whole number from 0 to 720"):
        checked({}, {"grace_hours": hours, "reason": None}, forms.RECONCILE)


def test_the_shell_knows_which_fields_take_numbers_and_which_are_switches() -> None:
    every = {**EXPLORE, **REPLAY, **forms.ROLLBACK, **forms.RECONCILE, **forms.TRAIN, **forms.FEATURES}
    every |= {**forms.RETENTION, **forms.REPLAY_POLICIES, **forms.PREDICT}
    assert {key for key, param in every.items() if param.schema.get("type") == "boolean"} == SWITCHES
    assert conf_of({}, ["dry_run=false"]) == {"dry_run": False}
    assert conf_of({}, ["dry_run=no"]) == {"dry_run": "no"}
    numbers = {key for key, param in every.items() if "integer" in str(param.schema.get("type"))}
    assert numbers == NUMBERS
    assert {key for key, param in every.items() if "array" in str(param.schema.get("type"))} - {
        "rules"
    } == LINES
    assert conf_of({}, ["keys=a,1", "keys=b", "every=14"]) == {"keys": ["a,1", "b"], "every": 14}
    typed = conf_of({}, ["version=3", "reason=3", "sample=many"])
    assert typed == {"version": 3, "reason": "3", "sample": "many"}


PREDICT = {"batch_date": None, "keys": None, "where": None, "reason": None}


@pytest.mark.parametrize(
    ("conf", "says"),
    [
        ({}, "give either keys or where"),
        ({"keys": [], "where": []}, "give either keys or where"),
        ({"keys": ["a"], "where": ["b=c"]}, "give either keys or where"),
        ({"keys": "a; DROP TABLE x"}, "keys: expected a list"),
        ({"keys": {"a": 1}}, "keys: expected a list"),
        ({"keys": [1]}, "keys: expected a list"),
        ({"keys": ["x" * 501]}, "keys: expected a list"),
        ({"keys": ["x"] * 10_001}, "keys: expected a list"),
        ({"where": [["a=b"]]}, "where: expected a list"),
        ({"where": 5}, "where: expected a list"),
        ({"wher": ["a=b"]}, r"unknown parameter 'wher'; did you mean 'where'\?"),
    ],
)
def test_what_is_asked_of_the_champion_is_lines_of_keys_or_of_conditions(conf: dict, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        checked(conf, {**PREDICT, **conf}, forms.PREDICT)


def test_lines_are_handed_on_as_they_are() -> None:
    given = {"where": ["origin=JFK'; --"]}
    assert checked(given, {**PREDICT, **given}, forms.PREDICT)["where"] == ["origin=JFK'; --"]


def test_a_silence_is_a_form_of_its_own_and_its_end_no_end_of_nights() -> None:
    form = forms.silence(["harm"])
    given = {"kind": "harm", "subject": "*", "owner": "me", "silent_until": "2026-12-01", "reason": "r"}
    assert forms.checked(given, given, form) == given
    with pytest.raises(RequestError, match="owner: say who answers"):
        forms.checked(given, {**given, "owner": " "}, form)


def test_a_test_of_a_receiver_names_one_that_is_declared() -> None:
    form = forms.alerts(["team"])
    for receiver in (None, "team"):
        assert forms.checked({}, {"receiver": receiver, "reason": None}, form)["receiver"] == receiver
    with pytest.raises(RequestError, match="receiver: expected the name of a receiver"):
        forms.checked({}, {"receiver": "nobody", "reason": None}, form)

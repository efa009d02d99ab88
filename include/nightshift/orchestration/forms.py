"""The forms of manual runs: each field once, as a JSON schema, which Airflow's form, its API and the task go by.

Airflow judges each field alone, and only where a run is made: so the rules between fields stand here (``RULES``). The
API server asks them before there is a run (:mod:`nightshift.orchestration.form_check`), the task once more:
the REST API accepts keys that no form has.

Beyond JSON schema a field may say ``expected``: what a wrong value is answered with.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow.sdk import Param

from nightshift.calendar import parse_date, range_of
from nightshift.errors import RequestError, did_you_mean
from nightshift.freeform import Conf
from nightshift.specs import LONGEST_RULE, REPLAY_ACTIONS, Source, require_replay

LONGEST_REASON = 500
LONGEST_TEXT = 100_000
# NUL and the other control characters but newline and tab; half a surrogate pair, which JSON can spell.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
LARGEST_VERSION = 2**31 - 1  # of the warehouse's integers
FEWEST_SAMPLED, MOST_SAMPLED = 100, 200_000
Form = Mapping[str, Param]


def _date(title: str, description: str) -> Param:
    return Param(None, type=["null", "string"], format="date", title=title, description_md=description)


REASON = Param(
    None,
    type=["null", "string"],
    maxLength=LONGEST_REASON,
    title="Reason",
    description_md="Why this run was started by hand. Kept with what it changes.",
)
BATCH_DATE = _date("Batch date", "The night to run, `YYYY-MM-DD`. Empty: the run's own night.")
UNTIL = _date("Until", "For a range: its last night, inclusive.")
DOWNSTREAM = Param(
    "changed",
    enum=["changed", "wake", "leave"],
    title="Downstream",
    description_md="`changed`: what follows runs for the nights whose content is new. `wake`: it runs for every night. "
    "`leave`: only this DAG's partitions are replaced.",
)
DEFINITION = Param(
    "same",
    enum=["same", "changed"],
    title="Definition",
    description_md="`same`: a definition that differs from the one that built this version's other nights is refused. "
    "`changed`: it is changed on purpose; rebuild all of the version's nights with it.",
)
RANGE = {"batch_date": BATCH_DATE, "until": UNTIL, "downstream": DOWNSTREAM, "reason": REASON}
FEATURES = {**RANGE, "definition": DEFINITION}
COUNT = {"batch_date": BATCH_DATE, "until": UNTIL, "reason": REASON}
NIGHT = {"batch_date": BATCH_DATE, "reason": REASON}
RETENTION = {
    "batch_date": BATCH_DATE,
    "dry_run": Param(
        True,
        type="boolean",
        expected="true or false",
        title="Dry run",
        description_md="Only say what would go. The schedule's own runs take it away, whatever stands here.",
    ),
    "reason": REASON,
}
SHA256 = r"^[0-9a-f]{64}\Z"  # not $, which admits a line feed
TRAIN = {
    "as_of": _date("As of", "Train on what the night of this date knew. Empty: the run's own night."),
    "imported": Param(
        None,
        type=["null", "string"],
        pattern=SHA256,
        expected="a SHA-256 in hexadecimal",
        title="Imported file",
        description_md="Instead of a training: the SHA-256 of a fitted model that `nightshift import` has received.",
    ),
    "trained_until": _date("Trained until", "The last day that the imported model was trained on."),
    "reason": REASON,
}
LONGEST_GRACE_HOURS = 24 * 30
GRACE = Param(
    24,
    type="integer",
    minimum=0,
    maximum=LONGEST_GRACE_HOURS,
    title="Grace, in hours",
    description_md="Runs and versions younger than this may belong to a training that still runs: they are left alone.",
)
RECONCILE = {"grace_hours": GRACE, "reason": REASON}
VERSION = Param(
    None,
    type=["null", "integer"],
    minimum=1,
    maximum=LARGEST_VERSION,
    expected="a version's number",
    title="Version",
    description_md="The version of the model, a number as in its model card. Empty: the champion.",
)
ROLLBACK = {
    "version": Param(
        None,
        **{
            **VERSION.schema,
            "description_md": "The former champion to go back to: a number. Empty: the one before the champion of now. "
            "A number that never was champion is answered with those that were.",
        },
    ),
    # No default: Airflow makes no run without it, and the form waits for it.
    "reason": Param(
        type="string",
        minLength=1,
        maxLength=LONGEST_REASON,
        pattern=r"\S",
        missing="say what is wrong with the champion; it is kept in the ledger",
        title="Reason",
        description_md="**Required.** What is wrong with the champion of now. Kept in the ledger.",
    ),
    "as_of": _date(
        "As of",
        "The night to begin with, if it is later than the first one that is not scored yet. Else empty.",
    ),
    "batch_date": _date("Score again from", "The first night to score again, `YYYY-MM-DD`. Empty: none."),
    "until": _date("Score again until", "The last night to score again: the last one that was scored."),
    "downstream": DOWNSTREAM,
}
REPRODUCE = {"version": VERSION, "reason": REASON}
MOST_ASKED, LONGEST_ASKED = 10_000, 500


def _lines(title: str, description: str) -> Param:
    items = {"type": "string", "maxLength": LONGEST_ASKED}
    return Param(
        None,
        type=["null", "array"],
        items=items,
        maxItems=MOST_ASKED,
        expected=f"a list of at most {MOST_ASKED} lines of at most {LONGEST_ASKED} characters",
        title=title,
        description_md=description,
    )


def _night(title: str, description: str, missing: str) -> Param:
    """A night that must be given: without a default Airflow makes no run, and the form waits for it."""
    return Param(type="string", format="date", title=title, description_md=description, missing=missing)


def _number(given: int, least: int, most: int, title: str, description: str) -> Param:
    return Param(given, type="integer", minimum=least, maximum=most, title=title, description_md=description)


REPLAY_POLICIES = {
    "first": _night(
        "From", "**Required.** As of when the first champion is trained.", "say from which night"
    ),
    "last": _night("To", "**Required.** The last night, inclusive.", "say until which night"),
    "every": _number(7, 1, 90, "Every", "Nights from one candidate to the next."),
    "starts": _number(4, 1, 50, "Starts", "With how many candidates to begin, one by one: how much is luck."),
    "changes": _lines(
        "Changes",
        "Of the spec, each replayed beside it: `train.window_days=45` a line, several with commas between. Values "
        "as in the file: `estimator.params.max_iter=300`, `slices=[shop, region]`.",
    ),
    "reason": REASON,
}
PREDICT = {
    "batch_date": BATCH_DATE,
    "keys": _lines(
        "Keys",
        "One entity a line; several columns as in a CSV file, in the order of the feature set's `entity`.",
    ),
    "where": _lines(
        "Where",
        "Instead of keys: `column=value` a line, of the entity or a feature. All must hold; of one column, any.",
    ),
    "reason": REASON,
}
ACTIONS = {
    "revalidate": "judge again by the spec as it is now",
    "recollect": "collect from the upstream again",
    "discard": "the rows stay out; needs a reason",
}


def replay(source: Source) -> dict[str, Param]:
    """Return the form of a replay of a source's quarantine: its own fixes and rules are offered."""
    told = {**ACTIONS, **{name: f"{fix}, and judge again" for name, fix in source.fixes.items()}}
    return {
        "batch_date": BATCH_DATE,
        "until": UNTIL,
        "action": Param(
            "revalidate",
            type="string",
            enum=[*REPLAY_ACTIONS, *source.fixes],
            values_display={name: f"{name}: {words}" for name, words in told.items()},
            title="Action",
            description_md="What to do about the rows that were set aside.",
        ),
        "rule": Param(
            None,
            type=["null", "string"],
            minLength=1,
            maxLength=LONGEST_RULE,
            # A list to choose from, not to be held to: what is set aside may have broken a rule of an older spec.
            examples=source.rules,
            expected=f"the name of a rule, of at most {LONGEST_RULE} characters, or nothing",
            title="Rule",
            description_md="For `discard` and for a fix: only rows that break this rule, as `quarantine.rows` names "
            "it. Empty: whichever rule they break.",
        ),
        "reason": REASON,
        "downstream": DOWNSTREAM,
    }


def alerts(receivers: Sequence[str]) -> dict[str, Param]:
    """Return the form of a look for alerts; ``receivers``: those that a test message may go to."""
    return {
        "receiver": Param(
            None,
            type=["null", "string"],
            enum=[*receivers, None],
            expected="the name of a receiver",
            title="Test a receiver",
            description_md="Sends it a test message. Empty: none.",
        ),
        "reason": REASON,
    }


def _text(title: str, description: str, missing: str, most: int = 200) -> Param:
    """A text that must be given."""
    return Param(
        type="string",
        minLength=1,
        maxLength=most,
        pattern=r"\S",
        missing=missing,
        title=title,
        description_md=description,
    )


def silence(kinds: Sequence[str]) -> dict[str, Param]:
    """Return the form of a silence."""
    return {
        "kind": Param(
            "*",
            type="string",
            enum=["*", *kinds],
            title="Kind",
            description_md="Which alerts, by what is wrong. `*`: each kind.",
        ),
        "subject": _text(
            "Subject", "**Required.** As in the message, `model:NAME`; `*` is each.", "say of what"
        ),
        "owner": _text(
            "Owner", "**Required.** Who answers for the silence.", "say who answers for the silence"
        ),
        "silent_until": _text(
            "Until",
            "**Required.** `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM`, by the project's clock.",
            "say until when",
            40,
        ),
        "reason": _text("Reason", "**Required.** Why nobody need be told.", "say why", LONGEST_REASON),
    }


def explore(targets: Sequence[str] = ()) -> dict[str, Param]:
    """Return the form of an exploration; ``targets``: the models whose label may be joined."""
    target = Param(
        targets[0] if targets else None,
        type=["null", "string"],
        enum=[*targets, None],
        expected="the name of a model",
        title="Target",
        description_md="The model whose label is set beside the features. Empty: none.",
    )
    return {
        "batch_date": _date(
            "Batch date", "The first night to look at, `YYYY-MM-DD`. Empty: the run's own night."
        ),
        "until": UNTIL,
        "compare_from": _date("Compare from", "The first night of a range to compare with. Empty: none."),
        "compare_until": _date("Compare until", "The last night of that range, inclusive."),
        "sample": Param(
            50_000,
            type="integer",
            minimum=FEWEST_SAMPLED,
            maximum=MOST_SAMPLED,
            title="Sample",
            description_md="The most rows that the snapshot keeps, and that pictures are drawn from.",
        ),
        **({"target": target} if targets else {}),
        "reason": REASON,
    }


def checked(conf: Conf | None, params: Conf, form: Form) -> Conf:
    """Return the parameters of a run.

    Raises:
        RequestError: a key that the form does not have, a text that no table holds, a value that is none of its
            field's, fields that contradict each other.
    """
    for key in conf or {}:
        if key not in form:
            raise RequestError(f"unknown parameter '{str(key)[:60]}'{did_you_mean(str(key)[:60], form)}")
    values = {key: params.get(key) for key in form}
    _check_texts("", values)
    for key, param in form.items():
        _check_field(key, values[key], param.schema)
    require_consistent(values)
    return values


def require_consistent(values: Conf) -> None:
    """Raise RequestError for fields that contradict each other; ``values`` may be a part of a form."""
    for keys, rule in RULES.items():
        if values.keys() & keys:
            rule(values, *keys)


def _check_field(key: str, value: Any, schema: Mapping[str, Any]) -> None:
    """Raise RequestError unless a value is what its field's schema says."""
    from jsonschema import Draft202012Validator

    if "missing" in schema and not str(value or "").strip():
        raise RequestError(f"{key}: {schema['missing']}")
    if schema.get("format") == "date":
        if value is not None:
            parse_date(value, key)
        return
    # A number that JSON spells 5.0 is an integer to JSON schema, and none to a table.
    if isinstance(value, float) or not Draft202012Validator(schema).is_valid(value):
        raise RequestError(f"{key}: expected {_expected(schema)}, got {str(value)[:60]!r}")


def _expected(schema: Mapping[str, Any]) -> str:
    if "expected" in schema:
        return str(schema["expected"])
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    if "minimum" in schema:
        return f"a whole number from {schema['minimum']} to {schema['maximum']}"
    return f"text of at most {schema['maxLength']} characters"


def _check_texts(key: str, given: Any) -> None:
    """Raise RequestError for a text anywhere in ``given`` that PostgreSQL or a terminal would choke on."""
    if isinstance(given, Mapping):
        for name, part in given.items():
            _check_texts(key or str(name), part)
    elif isinstance(given, list):
        for part in given:
            _check_texts(key, part)
    elif isinstance(given, str):
        _check_text(key, given)


def _check_text(key: str, given: str) -> None:
    wrong = CONTROL.search(given)
    if wrong:
        raise RequestError(f"{key}: holds {wrong[0]!r}, which no text may; take it out")
    if len(given) > LONGEST_TEXT:
        raise RequestError(f"{key}: expected text of at most {LONGEST_TEXT} characters")


def _both_or_neither(values: Conf, file: str, until: str) -> None:
    if (values.get(file) is None) != (values.get(until) is None):
        raise RequestError(
            f"{file}, {until}: give both, or neither; the gates judge a model on days later than those it was "
            "trained on"
        )


def _either(values: Conf, one: str, other: str) -> None:
    if bool(values.get(one)) == bool(values.get(other)):
        raise RequestError(f"give either {one} or {other}: which entities are to be scored")


def _replay(values: Conf, *keys: str) -> None:
    require_replay(*(values.get(key) for key in keys))


# What must hold between fields, by the fields it is about.
RULES: dict[tuple[str, ...], Callable[..., Any]] = {
    ("batch_date", "until"): range_of,
    ("compare_from", "compare_until"): range_of,
    ("first", "last"): range_of,
    ("imported", "trained_until"): _both_or_neither,
    ("keys", "where"): _either,
    ("action", "rule", "reason"): _replay,
}

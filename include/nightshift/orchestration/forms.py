"""The forms of manual runs: typed parameters, checked by Airflow's form, and again by :func:`checked`.

The REST API accepts keys that no form has, and JSON schema's ``$`` admits a newline: so the task looks again.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow.sdk import Param

from nightshift.errors import RequestError, did_you_mean
from nightshift.specs import REPLAY_ACTIONS

LONGEST_REASON = 500
LONGEST_TEXT = 100_000
# NUL and the other control characters but newline and tab; half a surrogate pair, which JSON can spell.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
LARGEST_VERSION = 2**31 - 1  # of the warehouse's integers
FEWEST_SAMPLED, MOST_SAMPLED = 100, 200_000


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
CHOICES = {"downstream": DOWNSTREAM, "definition": DEFINITION}

RANGE = {"batch_date": BATCH_DATE, "until": UNTIL, "downstream": DOWNSTREAM, "reason": REASON}
FEATURES = {**RANGE, "definition": DEFINITION}
COUNT = {"batch_date": BATCH_DATE, "until": UNTIL, "reason": REASON}
NIGHT = {"batch_date": BATCH_DATE, "reason": REASON}
SHA256 = r"^[0-9a-f]{64}$"
TRAIN = {
    "as_of": _date("As of", "Train on what the night of this date knew. Empty: the run's own night."),
    "imported": Param(
        None,
        type=["null", "string"],
        pattern=SHA256,
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
ROLLBACK = {
    "version": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        title="Version",
        description_md="The former champion to go back to. Empty: the one before the champion of now.",
    ),
    "reason": Param(
        None,
        type=["null", "string"],
        minLength=1,
        maxLength=LONGEST_REASON,
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
VERSION = Param(
    None,
    type=["null", "integer"],
    minimum=1,
    maximum=LARGEST_VERSION,
    title="Version",
    description_md="The version of the model. Empty: the champion.",
)
REPRODUCE = {"version": VERSION, "reason": REASON}
MOST_ASKED, LONGEST_ASKED = 10_000, 500


def _lines(title: str, description: str) -> Param:
    items = {"type": "string", "maxLength": LONGEST_ASKED}
    return Param(
        None,
        type=["null", "array"],
        items=items,
        maxItems=MOST_ASKED,
        title=title,
        description_md=description,
    )


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
RULE = Param(
    None,
    type=["null", "string"],
    minLength=1,
    maxLength=200,
    title="Rule",
    description_md="For `discard` and for a fix: only rows that break this rule, as `quarantine.rows` names it. "
    "Empty: whichever rule they break.",
)


def replay(fixes: Iterable[str]) -> dict[str, Param]:
    """Return the form of a replay of the quarantine of a source with these declared fixes."""
    action = Param(
        "revalidate",
        enum=[*REPLAY_ACTIONS, *fixes],
        title="Action",
        description_md="`revalidate`: judge again by the spec as it is now. `recollect`: from the upstream again. "
        "`discard`: the rows stay out; needs a reason. Or a fix that the source declares.",
    )
    return {
        "batch_date": BATCH_DATE,
        "until": UNTIL,
        "action": action,
        "rule": RULE,
        "reason": REASON,
        "downstream": DOWNSTREAM,
    }


def explore(targets: Sequence[str] = ()) -> dict[str, Param]:
    """Return the form of an exploration; ``targets``: the models whose label may be joined."""
    target = Param(
        targets[0] if targets else None,
        type=["null", "string"],
        enum=[*targets, None],
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


def checked(conf: Mapping[str, Any] | None, params: Mapping[str, Any], allowed: set[str]) -> dict[str, Any]:
    """Return the parameters of a run.

    Raises:
        RequestError: an unknown key, a reason too long or not text, a text that no table holds, a choice that is none
            of the form's, a number out of bounds, a rollback without a reason.
    """
    for key in conf or {}:
        if key not in allowed:
            raise RequestError(f"unknown parameter '{str(key)[:60]}'{did_you_mean(str(key)[:60], allowed)}")
    values = {key: params.get(key) for key in allowed}
    reason = values.get("reason")
    if reason is not None and not (isinstance(reason, str) and len(reason) <= LONGEST_REASON):
        raise RequestError(f"reason: expected text of at most {LONGEST_REASON} characters")
    _check_texts("", values)
    for key in values.keys() & CHOICES.keys():
        # A list: a list or a mapping sent as the choice has no hash.
        options: list[Any] = CHOICES[key].schema["enum"]
        if values[key] not in options:
            raise RequestError(f"{key}: expected one of {', '.join(options)}, got {str(values[key])[:60]!r}")
    _check_exploration(values)
    _check_governing(values)
    _check_asked(values)
    _check_import(values)
    return values


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


def _check_asked(values: Mapping[str, Any]) -> None:
    for key in values.keys() & {"keys", "where"}:
        if not _are_lines(values[key]):
            raise RequestError(
                f"{key}: expected a list of at most {MOST_ASKED} lines of at most {LONGEST_ASKED} characters"
            )
    if values.keys() >= {"keys", "where"} and bool(values["keys"]) == bool(values["where"]):
        raise RequestError("give either keys or where: which entities are to be scored")


def _are_lines(given: Any) -> bool:
    if given is None:
        return True
    is_list = isinstance(given, list) and len(given) <= MOST_ASKED
    return is_list and all(isinstance(line, str) and len(line) <= LONGEST_ASKED for line in given)


def _check_import(values: Mapping[str, Any]) -> None:
    file, until = values.get("imported"), values.get("trained_until")
    if (file is None) != (until is None):
        raise RequestError(
            "imported, trained_until: give both, or neither; the gates judge a model on days later than those it was "
            "trained on"
        )
    if file is not None and not (isinstance(file, str) and re.fullmatch(r"[0-9a-f]{64}", file)):
        raise RequestError(f"imported: expected a SHA-256 in hexadecimal, got {str(file)[:60]!r}")


def _check_governing(values: Mapping[str, Any]) -> None:
    version, hours = values.get("version"), values.get("grace_hours", 0)
    # type(), not isinstance: True is an int too.
    if version is not None and not (type(version) is int and 1 <= version <= LARGEST_VERSION):
        raise RequestError(f"version: expected a version's number, got {str(version)[:60]!r}")
    if values.keys() >= ROLLBACK.keys() and not (values["reason"] or "").strip():
        raise RequestError("reason: say what is wrong with the champion; it is kept in the ledger")
    if type(hours) is not int or not 0 <= hours <= LONGEST_GRACE_HOURS:
        raise RequestError(
            f"grace_hours: expected a whole number from 0 to {LONGEST_GRACE_HOURS}, got {str(hours)[:60]!r}"
        )


def _check_exploration(values: Mapping[str, Any]) -> None:
    sample, target = values.get("sample", FEWEST_SAMPLED), values.get("target")
    # type(), not isinstance: True is an int too.
    if type(sample) is not int or not FEWEST_SAMPLED <= sample <= MOST_SAMPLED:
        raise RequestError(
            f"sample: expected a whole number from {FEWEST_SAMPLED} to {MOST_SAMPLED}, got {str(sample)[:60]!r}"
        )
    if target is not None and not isinstance(target, str):
        raise RequestError("target: expected the name of a model")

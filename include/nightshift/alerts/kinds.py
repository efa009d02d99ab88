"""What can be wrong: each kind of alert with how bad it is, and what to do. docs/runbooks.md has an entry for each."""

from dataclasses import dataclass
from datetime import timedelta

from nightshift.specs.alerts import Severity

AT_ONCE = timedelta()
# What a promotion or a restart passes through is nobody's business.
PASSES = timedelta(minutes=10)


@dataclass(frozen=True)
class Kind:
    """``action``: what to do, in a sentence. ``hold``: for how long it must be so before anybody is told.

    ``follows``: it is muted while what its subject stands on is wrong in a kind that ``leads``.
    """

    severity: Severity
    action: str
    hold: timedelta = AT_ONCE
    follows: bool = False
    leads: bool = False


KINDS: dict[str, Kind] = {
    "night_missing": Kind(
        "error",
        "See in Airflow which run failed, waits, or is paused; clear it, or trigger the date.",
        follows=True,
        leads=True,
    ),
    "spec_broken": Kind(
        "error", "Mend the file: `nightshift doctor` and Airflow's import errors say why.", hold=PASSES
    ),
    "source_refused": Kind(
        "error", "Read the data docs of the night; mend the upstream or the spec; clear collect.", leads=True
    ),
    "source_over_budget": Kind(
        "error", "Read which rules set rows aside; mend the upstream, the rule or the budget.", leads=True
    ),
    "source_stale": Kind(
        "error", "Ask the upstream why its newest events are old; clear collect.", leads=True
    ),
    "fault": Kind(
        "error", "Look at the columns; mend the source, or close the fault if the rows are right.", leads=True
    ),
    "features_refused": Kind(
        "error",
        "Is the DAG paused? Switch it on, and trigger the night. Else read the log of build, mend it, clear it.",
        follows=True,
        leads=True,
    ),
    "no_champion": Kind("error", "Train the model, or see why its training was not promoted.", hold=PASSES),
    "alias_differs": Kind(
        "critical", "Trigger reconcile_registry: the alias follows the ledger.", hold=PASSES
    ),
    "ledger_broken": Kind(
        "critical", "Somebody changed the ledger: run `nightshift verify`, and trust nothing yet."
    ),
    "harm": Kind("warning", "Look at the report; a training is asked for unless a guard holds it back."),
    "shift": Kind("warning", "Look at the report; a training is asked for unless a guard holds it back."),
    "training_failed": Kind("error", "Read the log of the training's failed task; clear it."),
    "training_rejected": Kind("warning", "Read which gates failed: the same rows will say the same again."),
    "breaker": Kind(
        "warning", "Nothing trains for four weeks: look at why trainings lose, or train by hand."
    ),
    "signature_waits": Kind("warning", "An approver answers under Required actions in Airflow."),
    "probation_lost": Kind(
        "error", "See that the version before serves again, and why the gates let this one pass."
    ),
    "quarantine_grows": Kind(
        "warning", "Replay the quarantine: mend the rows, or discard them with a reason."
    ),
    "disk": Kind("critical", "Free room, or run retention; nothing is written once the disk is full."),
    "component_down": Kind(
        "critical", "See its log; `nightshift status` says what it waits for.", hold=PASSES
    ),
    "receiver_fails": Kind(
        "error", "Mend the receiver's connection; `nightshift alerts send-test` tries it."
    ),
}

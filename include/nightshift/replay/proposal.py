"""What a spec would say of a policy that a replay has measured, and what of the spec that policy had not."""

from nightshift import train
from nightshift.replay.policies import DECLARED, NEVER, OF_A_FILE, days_of
from nightshift.retrain import CLOSES_AFTER
from nightshift.specs import Model

# Reasons that a replay cannot look at.
NOT_REPLAYED = {"psi", "degraded"}
LONGEST_RETRY = 366


def proposed(policy: str, model: Model) -> str:
    """Return it in words, nothing of what the spec says already. ``model``: the spec that the policy was replayed with.

    A calendar counts from training to training, ``age_days`` from the last night that a version was fitted on.
    """
    change, _, name = policy.rpartition(": ")
    keys = [*([change] if change else []), *_keys(name, model)]
    said = f" Proposed for the file of the model: {', '.join(keys)}." if keys else ""
    others = _others(name, model)
    return said + (f" In the file, but not in this policy: {'; '.join(others)}." if others else "")


def _keys(name: str, model: Model) -> list[str]:
    if name == NEVER:
        return [f"retrain.when.{reason}={'false' if on is True else 'null'}" for reason, on in _asking(model)]
    days = days_of(name)
    if days is None:
        return []
    age = days + train.days_behind(model)
    keys = [f"retrain.when.age_days={age}"] if age != model.retrain.when.age_days else []
    # Old is old until something is promoted: without this, a training that was not is tried again before its calendar.
    if _is_gated(name) and days != model.retrain.retry_days and days <= LONGEST_RETRY:
        keys.append(f"retrain.retry_days={days}")
    return keys


def _others(name: str, model: Model) -> list[str]:
    """Return, in words, what else decides on trainings of this spec."""
    days = days_of(name)
    if days is None and name != DECLARED:
        return []
    asking = [reason for reason, _ in _asking(model)]
    gates = [gate.gate for gate in model.gates]
    found: dict[str, list[str]] = {
        "reasons": [each for each in asking if (each != "age_days" if days else each in NOT_REPLAYED)],
        "gates": [each for each in gates if each in OF_A_FILE or (days and not _is_gated(name))],
        "guards": _holding(model, days, gated=_is_gated(name)) if days else [],
    }
    return [f"{kind} {', '.join(dict.fromkeys(words))}" for kind, words in found.items() if words]


def _holding(model: Model, days: int, *, gated: bool) -> list[str]:
    """Return the guards that a training every so many days runs into."""
    guards = model.retrain
    holds = {
        "cooldown_days": guards.cooldown_days > days,
        "budget": guards.budget.trainings * days < guards.budget.days,
        "give_up_after": gated and CLOSES_AFTER.days > days,
    }
    return [name for name, does in holds.items() if does]


def _asking(model: Model) -> list[tuple[str, object]]:
    return [(reason, limit) for reason, limit in model.retrain.when if limit]


def _is_gated(name: str) -> bool:
    return name.endswith(", gated")

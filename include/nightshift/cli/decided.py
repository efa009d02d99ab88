"""How a training ended that was started by hand: a run of Airflow's succeeds also when its gates say no."""

from nightshift.database import Database
from nightshift.records import decisions


def decided(database: Database, training_id: str) -> list[str]:
    """Return a sentence on what became of a training's challenger, with each gate that it did not pass."""
    decision = database.one(decisions.DECISION, training_id=training_id)
    ended = database.one(decisions.ENDED, training_id=training_id)
    if decision is None or ended is None:
        return []
    failed = [f"\n  {gate.gate}: {gate.words}" for gate in decision.gates if not gate.passed]
    return [f"version {decision.challenger} of {decision.model}: {ended.outcome}{''.join(failed)}"]

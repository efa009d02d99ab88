"""Versions and decisions as rows, without a training behind them: for tests of what the database itself refuses."""

from datetime import date

from nightshift.govern import Ledger
from nightshift.warehouse import Warehouse

MODEL = "late_arrival"
FROM = date(2013, 2, 1)


def judged(
    warehouse: Warehouse, version: int, champion: int | None, *, model: str = MODEL, **facts: str
) -> str:
    """Write a version with a decision that passed against ``champion``; return its training's id."""
    own = f"{model} {version}"
    snapshot = facts.get("snapshot", f"snapshot of {own}")
    warehouse.execute(
        "INSERT INTO governance.snapshots (snapshot_id, model, as_of, feature_set, feature_version, object_key, "
        "row_count, train_first, train_last, holdout_first, holdout_last) VALUES (%s, %s, '2013-02-01', 'f', 1, 'k', "
        "1, '2013-01-02', '2013-01-20', '2013-01-21', '2013-01-27') ON CONFLICT DO NOTHING",
        (snapshot, model),
    )
    warehouse.execute(
        "INSERT INTO governance.versions (model, version, mlflow_run_id, training_id, snapshot_id, artifact_sha256, "
        "spec_sha256, code_commit, lock_sha256, train_first, train_last, feature_set, feature_version, profile) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, 'c', 'l', '2013-01-02', '2013-01-20', 'f', 1, '{}')",
        (
            model,
            version,
            own,
            own,
            snapshot,
            facts.get("artifact", f"artifact of {own}"),
            facts.get("spec", f"spec of {own}"),
        ),
    )
    # Older databases know of no approval: it is named only where it is asked for.
    more = {"approval": facts["approval"]} if "approval" in facts else {}
    warehouse.execute(
        "INSERT INTO governance.decisions (training_id, model, challenger, champion, as_of, reason, snapshot_id, "
        f"passed, gates, challenger_metrics, evidence_sha256{''.join(f', {name}' for name in more)}) "
        f"VALUES (%s, %s, %s, %s, '2013-02-01', 'because', %s, true, '[]', '{{}}', %s{', %s' * len(more)})",
        (own, model, version, champion, snapshot, f"evidence of {own}", *more.values()),
    )
    return own


def promoted(warehouse: Warehouse, *versions: int, model: str = MODEL) -> Ledger:
    """Promote these versions in turn, a day apart from ``FROM`` on; return the ledger."""
    ledger = Ledger(warehouse, model)
    champion = None
    for number, version in enumerate(versions):
        training = judged(warehouse, version, champion, model=model)
        ledger.append(training_id=training, effective_from=FROM.replace(day=1 + number), actor="tester")
        champion = version
    return ledger

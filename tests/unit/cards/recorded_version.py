"""The record of a version, as a training with everything leaves it; a test changes what it is about."""

from datetime import UTC, date, datetime
from typing import Any

from nightshift.cards import Record
from nightshift.cards.record import Counts
from nightshift.records.decisions import Decision, Signature
from nightshift.records.ledger import Entry
from nightshift.records.monitoring import Asked
from nightshift.records.snapshots import Deliveries, Snapshot
from nightshift.records.versions import Version
from nightshift.rows import Row
from nightshift.specs import Model

ATTACK = "</script><script>alert(1)</script>"
IMAGE = "<img src=x onerror=alert(1)>"
QUOTED = "\" onmouseover='alert(1)"
MOMENT = datetime(2013, 2, 6, 5, 30, tzinfo=UTC)
SPEC = {
    "name": "late_arrival",
    "owner": "flight-operations",
    "description": "Probability of a late arrival.",
    "task": "classification",
    "features": "departure",
    "target": {"source": "arrivals", "column": "arr_delay", "above": 15},
    "estimator": {
        "class": "sklearn.ensemble.HistGradientBoostingClassifier",
        "params": {"max_iter": 25, "random_state": 0},
    },
    "gates": [
        {"gate": "minimum_score", "metric": "roc_auc", "value": 0.6},
        {"gate": "beats_champion", "metric": "log_loss"},
    ],
}
VERSION = {
    "model": "late_arrival",
    "version": 7,
    "mlflow_run_id": "1f0c",
    "training_id": "retrain__late_arrival__2013-02-06",
    "snapshot_id": "5" * 64,
    "artifact_sha256": "a" * 64,
    "spec_sha256": "b" * 64,
    "code_commit": "c" * 40,
    "lock_sha256": "d" * 64,
    "predictions_sha256": "e" * 64,
    "train_first": date(2013, 1, 15),
    "train_last": date(2013, 1, 28),
    "feature_set": "departure",
    "feature_version": 1,
    "examples": None,
    "brought": None,
    "own_code": None,
    "refit": None,
}
SNAPSHOT = {
    "snapshot_id": "5" * 64,
    "model": "late_arrival",
    "row_count": 16_600,
    "object_key": f"snapshots/late_arrival/{'5' * 64}.parquet",
    "as_of": date(2013, 2, 6),
    "feature_set": "departure",
    "feature_version": 1,
    "train_first": date(2013, 1, 15),
    "train_last": date(2013, 1, 28),
    "holdout_first": date(2013, 1, 29),
    "holdout_last": date(2013, 2, 4),
}
COUNTS = Counts(11_000, 5_600, 14, 7, (date(2013, 1, 20),), {"temp": 0.31, "distance": 0.0})
SOURCES = [
    {
        "role": "features",
        "source": "weather",
        "batches": 20,
        "first": date(2013, 1, 15),
        "last": date(2013, 2, 4),
        "unknown": 0,
    }
]
EVALUATION = {
    "metrics": {"log_loss": 0.4512347, "roc_auc": 0.71},
    "champion_metrics": {"log_loss": 0.47, "roc_auc": 0.69},
    "intervals": {"log_loss": [0.44, 0.46], "roc_auc": None},
    "slices": {
        "carrier=UA": {"rows": 1500, "challenger": {"log_loss": 0.44, "roc_auc": 0.7}, "champion": None},
        "carrier=OO": {"rows": 12, "challenger": {"log_loss": 0.61, "roc_auc": None}, "champion": None},
    },
}
DECISION = {
    "training_id": "retrain__late_arrival__2013-02-06",
    "model": "late_arrival",
    "challenger": 7,
    "snapshot_id": "5" * 64,
    "champion": 3,
    "passed": True,
    "as_of": date(2013, 2, 6),
    "reason": "drift on 2 of 3 nights",
    "gates": [
        {
            "gate": "minimum_score",
            "metric": "roc_auc",
            "passed": True,
            "words": "roc_auc 0.7100, at least 0.6",
        },
        {"gate": "beats_champion", "metric": "log_loss", "passed": True, "words": "log_loss 0.4512 < 0.4700"},
    ],
    "challenger_metrics": EVALUATION["metrics"],
    "champion_metrics": EVALUATION["champion_metrics"],
    "evidence_sha256": "f" * 64,
    "decided_at": MOMENT,
    "evaluation": EVALUATION,
    "approval": "required",
    "requested_by": "otto",
}
PROMOTION = {
    "entry": 4,
    "model": "late_arrival",
    "version": 7,
    "training_id": "retrain__late_arrival__2013-02-06",
    "entry_sha256": None,
    "effective_from": date(2013, 2, 6),
    "actor": "olga",
    "reason": "drift on 2 of 3 nights",
    "promoted_at": MOMENT,
    "evidence_sha256": "f" * 64,
    "kind": "promotion",
}
SIGNATURE = {
    "training_id": "retrain__late_arrival__2013-02-06",
    "model": "late_arrival",
    "evidence_sha256": "f" * 64,
    "answer": "approved",
    "signed_by": "vera",
    "comment": "looks right",
    "signed_at": MOMENT,
}
DRIFTED = {
    "psi": 0.9,
    "limit": 0.3,
    "critical": 0.01,
    "missing_then": 0.0,
    "missing_now": 0.5,
    "importance": 0.2,
    "ruined": False,
}
UNDRIFTED = {
    "rows": 900,
    "status": "drifted",
    "drifted_share": 0.2,
    "prediction_psi": 0.1,
    "prediction_limit": 0.3,
    "prediction_drifted": False,
    "reasons": [],
}
REQUEST = {
    "batch_date": date(2013, 2, 5),
    "request": "temp drifted",
    "reason": "temp drifted",
    "requested_by": None,
    "report_key": None,
    "drift": {
        **UNDRIFTED,
        "features": [
            {"name": "temp", "drifted": True, **DRIFTED},
            {"name": "calm", "drifted": False, **DRIFTED},
        ],
    },
}
# The row types of a record's fields: a test says what it changes as plain values.
ROWS: dict[str, type[Row]] = {
    "version": Version,
    "snapshot": Snapshot,
    "sources": Deliveries,
    "decision": Decision,
    "promotions": Entry,
    "request": Asked,
    "signature": Signature,
}


def spec(**change: Any) -> Model:
    return Model.model_validate({**SPEC, **change})


def record(**change: Any) -> Record:
    """Return the record, with fields of its own replaced."""
    whole: dict[str, Any] = {
        "spec": spec(),
        "version": VERSION,
        "snapshot": SNAPSHOT,
        "counts": COUNTS,
        "sources": SOURCES,
        "decision": DECISION,
        "promotions": [PROMOTION],
        "request": REQUEST,
        "url": "http://mlflow.example/#/experiments/1/runs/1f0c",
        "signature": SIGNATURE,
    }
    return Record(**{name: _typed(name, given) for name, given in (whole | change).items()})


def _typed(name: str, given: Any) -> Any:
    if name not in ROWS or given is None:
        return given
    if isinstance(given, list):
        return [ROWS[name].of(each) for each in given]
    return ROWS[name].of(given)


def hostile(attack: str) -> Record:
    """Return a record in which whatever people, sources or data name is the attack."""
    slices = {f"carrier={attack}": {"rows": 12, "challenger": {"log_loss": 0.4, attack: 1.0}}}
    evaluation = {**EVALUATION, "metrics": {"log_loss": 0.4, attack: None}, "slices": slices}
    gates = [{"gate": attack, "metric": None, "passed": False, "words": attack}]
    named = {"name": attack, "drifted": True, **DRIFTED}
    return record(
        spec=spec(
            owner=attack.replace("\n", " ")[:100],  # a name is one line
            description=attack,
            estimator={"class": "sklearn.linear_model.Ridge", "params": {attack: attack}},
        ),
        sources=[{**SOURCES[0], "source": attack}],
        decision={
            **DECISION,
            "reason": attack,
            "gates": gates,
            "evaluation": evaluation,
            "requested_by": attack,
        },
        promotions=[{**PROMOTION, "actor": attack, "reason": attack}],
        request={**REQUEST, "request": attack, "drift": {**UNDRIFTED, "features": [named]}},
        url=f"javascript:{attack}",
        signature={**SIGNATURE, "signed_by": attack, "comment": attack},
    )

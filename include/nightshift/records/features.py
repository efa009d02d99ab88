"""Feature partitions and predictions: what was built and scored, of which content, from which deliveries."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal

from nightshift.records.deliveries import Content, Night, Span
from nightshift.rows import JSON, Command, Query, Row, select, stamped, upsert


@dataclass(frozen=True, kw_only=True)
class FeatureBatch(
    Row, table="catalog.feature_batches", key=("feature_set", "feature_version", "batch_date")
):
    """A built night: the hash of its content, and of the definition that built it."""

    feature_set: str
    feature_version: int
    batch_date: date
    row_count: int
    content_sha256: str
    code_sha256: str
    run_id: str
    built_at: datetime = stamped()


# A hash of the first kind (``earlier``) stands while it holds: after an upgrade no night is news that is not.
BUILT = upsert(
    FeatureBatch,
    content_sha256="CASE WHEN feature_batches.content_sha256 = %(earlier)s THEN %(earlier)s "
    "ELSE excluded.content_sha256 END",
)
_OF_SET = "feature_set = %(feature_set)s AND feature_version = %(version)s"
NIGHTS = Query(
    f"SELECT batch_date FROM catalog.feature_batches WHERE {_OF_SET} "
    "AND batch_date BETWEEN %(first)s AND %(last)s ORDER BY batch_date",
    Night,
)
# A build takes its lease before it reads anything. ``table``: the set's, as leases spell it.
UNFINISHED = Query(
    "SELECT DISTINCT batch_date FROM catalog.leases WHERE table_name = %(table)s AND batch_date = ANY(%(nights)s) "
    f"EXCEPT SELECT batch_date FROM catalog.feature_batches WHERE {_OF_SET} ORDER BY batch_date",
    Night,
)
# What lies before the first night that was built is history: nobody waits for it.
NEVER_BEGUN = Query(
    "SELECT night::date AS batch_date "
    "FROM generate_series(%(first)s::date, %(last)s::date, interval '1 day') night "
    f"WHERE night > (SELECT min(batch_date) FROM catalog.feature_batches WHERE {_OF_SET}) "
    "EXCEPT SELECT batch_date FROM catalog.leases WHERE table_name = %(table)s "
    f"EXCEPT SELECT batch_date FROM catalog.feature_batches WHERE {_OF_SET} ORDER BY batch_date",
    Night,
)
NEWEST = Query(
    f"SELECT batch_date FROM catalog.feature_batches WHERE {_OF_SET} "
    "ORDER BY batch_date DESC LIMIT %(count)s",
    Night,
)
OTHERWISE_DEFINED = Query(
    "SELECT count(*) AS nights, min(batch_date) AS first, max(batch_date) AS last FROM catalog.feature_batches "
    f"WHERE {_OF_SET} AND code_sha256 <> ALL(%(codes)s) AND NOT batch_date BETWEEN %(first)s AND %(last)s",
    Span,
)
CONTENTS_OF_SET = Query(
    f"SELECT batch_date, content_sha256 FROM catalog.feature_batches WHERE {_OF_SET} "
    "AND batch_date BETWEEN %(first)s AND %(last)s",
    Content,
)
CONTENTS = Query(
    "SELECT batch_date, content_sha256 FROM catalog.feature_batches "
    "WHERE feature_set || '_v' || feature_version = %(name)s AND batch_date BETWEEN %(first)s AND %(last)s",
    Content,
)


@dataclass(frozen=True, kw_only=True)
class Definition(Row):
    """The hash of a definition that built some night."""

    code_sha256: str


DEFINITIONS = Query(f"SELECT DISTINCT code_sha256 FROM catalog.feature_batches WHERE {_OF_SET}", Definition)
REDEFINE = Command(
    f"UPDATE catalog.feature_batches SET code_sha256 = %(now)s WHERE {_OF_SET} AND code_sha256 = ANY(%(before)s)"
)


@dataclass(frozen=True, kw_only=True)
class Input(Row):
    """A raw batch that feature partitions saw rows of, and its landing; None: not known."""

    source: str
    source_batch_date: date
    landed_sha256: str | None
    landed_by: str | None


INPUTS = Query(
    "SELECT DISTINCT source, source_batch_date, landed_sha256, landed_by FROM catalog.feature_inputs "
    f"WHERE {_OF_SET} AND batch_date BETWEEN %(first)s AND %(last)s AND batch_date <> ALL(%(left_out)s::date[])",
    Input,
)


@dataclass(frozen=True)
class Recalibration:
    """The offset that a night's predictions were moved by, and from how many nights and labels it was found.

    ``offsets``: in logits, of several classes one each by its text, or in the unit of the target.
    """

    offsets: Mapping[str, float]
    nights: int
    labels: int
    format: Literal[1] = 1


@dataclass(frozen=True, kw_only=True)
class PredictionBatch(Row, table="catalog.prediction_batches", key=("model", "batch_date", "arm")):
    """A scored night of an arm: by which version, from which features. None: scored before this was kept.

    ``recalibration``: None where the predictions are as the version says.
    """

    model: str
    batch_date: date
    arm: str = "champion"
    model_version: int
    row_count: int
    run_id: str
    feature_set: str | None
    feature_version: int | None
    features_sha256: str | None
    recalibration: Annotated[Recalibration | None, JSON] = None
    scored_at: datetime = stamped()


SCORED = upsert(PredictionBatch)
PREDICTED = select(PredictionBatch, "model = %(model)s AND batch_date = %(batch_date)s AND arm = 'champion'")
# Of a night that both arms have, the asked one comes last.
PREDICTED_NIGHTS = select(
    PredictionBatch,
    "model = %(model)s AND arm IN ('champion', %(arm)s) AND batch_date BETWEEN %(first)s AND %(last)s",
    order="batch_date, arm = %(arm)s",
)
SCORED_NIGHTS = select(
    PredictionBatch,
    "model = %(model)s AND batch_date BETWEEN %(first)s AND %(last)s",
    order="batch_date, arm",
)
_OF_CHAMPION = "model = %(model)s AND arm = 'champion'"
# Announced to a DAG which never began with it: a scoring takes its lease before it reads anything. ``run``: whose own
# leases do not count; ``asset``, ``table``: features and predictions, as they are spelled there. What was said within
# a minute of the night's own announcement may only just be on its way.
NEVER_SCORED = Query(
    "SELECT said.batch_date FROM catalog.announcements said "
    "JOIN catalog.announcements own ON own.asset = said.asset AND own.batch_date = %(night)s "
    "WHERE said.asset = %(asset)s AND said.announced AND said.batch_date BETWEEN %(first)s AND %(last)s "
    "AND said.decided_at < own.decided_at - interval '1 minute' "
    f"AND said.batch_date > (SELECT min(batch_date) FROM catalog.prediction_batches WHERE {_OF_CHAMPION}) "
    f"AND said.batch_date NOT IN (SELECT batch_date FROM catalog.prediction_batches WHERE {_OF_CHAMPION}) "
    "AND said.batch_date NOT IN (SELECT batch_date FROM catalog.leases WHERE table_name = %(table)s "
    "AND arm = 'champion' AND NOT starts_with(holder, %(run)s || ' (try ')) ORDER BY batch_date",
    Night,
)
# Likewise; ``table``: under which a monitoring takes its lease. What nothing was said of is still to be said, whichever
# run has scored it.
NEVER_WATCHED = Query(
    "SELECT scored.batch_date FROM catalog.prediction_batches scored "
    "LEFT JOIN catalog.announcements said ON said.asset = %(asset)s AND said.batch_date = scored.batch_date "
    "WHERE scored.model = %(model)s AND scored.arm = 'champion' "
    "AND scored.batch_date BETWEEN %(first)s AND %(last)s "
    "AND (said.batch_date IS NULL OR scored.run_id = %(run)s "
    "OR (said.announced AND said.decided_at < (SELECT scored_at - interval '1 minute' "
    f"FROM catalog.prediction_batches WHERE {_OF_CHAMPION} AND batch_date = %(night)s))) "
    "AND scored.batch_date > (SELECT min(batch_date) FROM catalog.leases WHERE table_name = %(table)s) "
    "AND scored.batch_date NOT IN (SELECT batch_date FROM catalog.leases WHERE table_name = %(table)s) "
    "ORDER BY batch_date",
    Night,
)
SCORED_SINCE = select(
    PredictionBatch,
    "model = %(model)s AND batch_date >= %(night)s AND arm = 'champion'",
    order="batch_date DESC LIMIT 1",
)

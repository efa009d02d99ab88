"""Labels: from which batch, and by which definition of the target, a partition of them was derived."""

from dataclasses import dataclass
from datetime import date, datetime

from nightshift.records.deliveries import Night
from nightshift.rows import Query, Row, stamped, upsert


@dataclass(frozen=True, kw_only=True)
class LabelBatch(Row, table="catalog.label_batches", key=("model", "batch_date")):
    """What a night's batch of the target's source reported, as a model's labels.

    ``judged_at``: when that batch was recorded; None: its rows have no record, and are derived anew each time.
    ``definition``: what a label means, as JSON.
    """

    model: str
    batch_date: date
    source: str
    judged_at: datetime | None
    definition: str
    row_count: int
    content_sha256: str
    run_id: str
    derived_at: datetime = stamped()


DERIVED = upsert(LabelBatch)
_CURRENT = (
    "SELECT batch_date FROM catalog.label_batches l JOIN catalog.batches b USING (source, batch_date) "
    "WHERE l.model = %(model)s AND source = %(source)s AND l.definition = %(definition)s "
    "AND l.judged_at = b.recorded_at AND batch_date BETWEEN %(first)s AND %(last)s"
)
# Of the batches as they are, and of what labels mean now.
CURRENT = Query(f"{_CURRENT} ORDER BY batch_date", Night)
STALE = Query(
    "SELECT batch_date FROM catalog.batches WHERE source = %(source)s AND published_sha256 IS NOT NULL "
    f"AND batch_date BETWEEN %(first)s AND %(last)s AND batch_date NOT IN ({_CURRENT}) "
    "ORDER BY batch_date DESC LIMIT %(most)s",
    Night,
)

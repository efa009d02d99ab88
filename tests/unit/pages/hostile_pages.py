"""Every page there is, made of text that attacks it: of the sources, of the data, of the people."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import explored_nights
import recorded_version
import synthetic_nights
import weather_batches

from nightshift.cards import Difference, Predictions, Reproduction, card, compared, report, scores
from nightshift.cards.comparison import Comparison, Side
from nightshift.catalog import Dataset, Standing, document
from nightshift.explore import render as explored
from nightshift.govern.request import request
from nightshift.monitor.report import Decided
from nightshift.monitor.report import render as drift_report
from nightshift.pages import Document
from nightshift.records.catalog import DescribedColumn, Freshness, Night
from nightshift.validate import data_docs, validate

NIGHT = date(2013, 7, 3)
ADDRESS, TELEPHONE = "ann@canary.example", "212-555-0123"
# Markup of every kind, words without an end, and people's own data.
ATTACK = (
    "</script><script>alert(1)</script><img src=x onerror=alert(1)> \" onmouseover='alert(1) | `a` "
    f"[d](javascript:alert(1)) **x** <!-- {'W' * 120}"
)
PERSONAL = f"{ATTACK} {ADDRESS} {TELEPHONE}"


def model_card() -> Document:
    """A card whose record is the attack wherever people, sources or data name something."""
    found = recorded_version.hostile(ATTACK)
    slices = {f"carrier={PERSONAL}": {"rows": 12, "challenger": {"log_loss": 0.4}}}
    evaluation = {**recorded_version.EVALUATION, "slices": slices}
    named = {"name": PERSONAL, "drifted": True, **recorded_version.DRIFTED}
    drift = {**recorded_version.UNDRIFTED, "features": [named]}
    asked = {**recorded_version.REQUEST, "request": PERSONAL, "drift": drift}
    theirs = recorded_version.record(
        decision={**recorded_version.DECISION, "evaluation": evaluation}, request=asked
    )
    assert found.decision
    assert theirs.decision
    decision = replace(found.decision, evaluation=theirs.decision.evaluation)
    return card(replace(found, decision=decision, request=theirs.request), 9)


def comparison() -> Document:
    """Two versions whose metrics and gates are the attack."""
    sides = [
        Side(version, {"log_loss": 0.5, ATTACK: 1.0}, ATTACK, f"javascript:{ATTACK}") for version in (7, 3)
    ]
    return compared(Comparison(recorded_version.hostile(ATTACK), *sides, champion=3))


def reproduction() -> Document:
    """A version made again where everything has the attack's name."""
    said = Predictions(10, "a" * 64, "a" * 64, "b" * 64, 3, 0.5)
    found = scores({ATTACK: 0.1, "log_loss": 0.5}, {"log_loss": 0.75})
    return report(Reproduction(ATTACK, 7, "5" * 64, said, found, (Difference(ATTACK, ATTACK, ATTACK),)))


def sign_off() -> Document:
    """A request for a signature; its slices are data."""
    part = {
        "rows": 900,
        "challenger": {"log_loss": 0.5},
        "champion": {"log_loss": 0.6},
        "gains": {"log_loss": [0, 1]},
    }
    evaluation = {
        **{
            "rows": 12_683,
            "days": 14,
            "metrics": {"log_loss": 0.5, ATTACK: 1.0},
            "champion_metrics": {"log_loss": 0.6},
        },
        **{"intervals": {}, "gains": {}, "slices": {f"carrier={PERSONAL}": part}},
    }
    gates = [{"gate": "beats_champion", "metric": "log_loss", "passed": True, "words": ATTACK}]
    decided = {**recorded_version.DECISION, "reason": ATTACK, "gates": gates, "evaluation": evaluation}
    asked = {**recorded_version.REQUEST, "reason": PERSONAL}
    found = recorded_version.record(decision=decided, request=asked)
    assert found.decision
    links = {"MLflow run": "javascript:alert(1)", "card": "http://a.example/1"}
    return request(found.decision, found.request, links, ["olga"])


def catalog() -> Document:
    """A source, a feature set and a model, the attack in all that a spec or a night can say."""
    schema = (DescribedColumn("temp", "float", True, ATTACK),)
    recorded = datetime(2013, 7, 3, 5, tzinfo=UTC)
    datasets = [
        Dataset(
            kind,
            name,
            ATTACK,
            ATTACK,
            schema,
            [ATTACK, "source.weather"],
            "a" * 64,
            (ATTACK, "model.late_arrival"),
        )
        for kind, name in [("source", "weather"), ("features", "departure_v1"), ("model", "late_arrival")]
    ]
    nights = [
        Night(
            kind=each.kind,
            name=each.name,
            batch_date=NIGHT - timedelta(days=back),
            row_count=900 + back,
            status=ATTACK if back else "published",
            rejected_share=0.01,
            drift="drifted",
            why=PERSONAL,
            run_id="scheduled",
            recorded_at=recorded,
        )
        for each in datasets
        for back in range(20)
    ]
    fresh = [
        Freshness(
            kind="source",
            name="weather",
            newest_batch_date=NIGHT - timedelta(days=8),
            newest_known_at=None,
            recorded_at=recorded,
        )
    ]
    standing = Standing(
        (7, NIGHT), 1234, ((ATTACK, f"javascript:{ATTACK}"), ("card", "../cards/late_arrival/7/card.html"))
    )
    return document(datasets, nights, fresh, NIGHT, {each.id: standing for each in datasets})


DOCUMENTS: dict[str, Callable[[], Document]] = {
    "card": model_card,
    "comparison": comparison,
    "reproduction": reproduction,
    "sign-off": sign_off,
    "catalog": catalog,
}


def docs_of_data() -> str:
    """Data docs of a night that failed by values that attack, and of one that passed."""
    bad = weather_batches.with_values(
        weather_batches.batch(), "station", 30, f"{TELEPHONE} {ADDRESS} {ATTACK}"
    )
    rules: list[dict[str, Any]] = [
        {"expect_column_values_to_be_in_set": {"column": "station", "value_set": [ATTACK]}},
        {"expect_column_distinct_values_to_be_in_set": {"column": "station", "value_set": ["EWR"]}},
    ]
    spec = weather_batches.source(description=ATTACK, expectations=rules)
    return data_docs(spec, validate(spec, bad, [weather_batches.DAY]), [weather_batches.DAY])


def exploration() -> str:
    """An exploration of columns and categories that attack, beside an earlier range."""
    hostile = explored_nights.hostile
    texts = dict.fromkeys((explored_nights.QUOTED, "comment", "contact", "person", "friend"), "string")
    own = {explored_nights.ATTACK: "float", ADDRESS: "float", **texts}
    columns = {**explored_nights.COLUMNS, **own}
    now, then = hostile(0, 3000), hostile(1, 3000)
    found = explored_nights.compared(now, then, columns=columns, title=f"Source {ATTACK}", description=ATTACK)
    return explored(found, "b" * 64).decode()


def drift() -> str:
    """A drift report of columns and categories that attack."""
    reference, current = synthetic_nights.hostile(0, 3000), synthetic_nights.hostile(1, 3000)
    current["x0"] += 2
    summary = synthetic_nights.decided(reference, current)
    said = Decided("breached", True, PERSONAL, ("degraded", PERSONAL))
    return drift_report(reference, current, f"late_arrival {ATTACK}", summary, said).decode()


PAGES: dict[str, Callable[[], str]] = {
    "data docs": docs_of_data,
    "exploration": exploration,
    "drift report": drift,
}

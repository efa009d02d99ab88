"""The card: what was recorded is on it, what was not is not, and nothing in it runs."""

import re
from dataclasses import replace
from datetime import date
from typing import Any

import pandas as pd
import pytest
from recorded_version import (
    ATTACK,
    COUNTS,
    DECISION,
    EVALUATION,
    IMAGE,
    PROMOTION,
    QUOTED,
    REQUEST,
    VERSION,
    hostile,
    record,
    spec,
)

from nightshift.cards import card, counts, markdown, page
from nightshift.cards.card import limits
from nightshift.pages import Document, Link, Section, Table

FENCED = "a | b `c` [d](javascript:alert(1))\n# e"


@pytest.mark.parametrize("attack", [ATTACK, IMAGE, QUOTED])
def test_what_people_and_data_name_is_text_on_the_page(attack: str) -> None:
    shown = page(card(hostile(attack), 9))
    for raw in (attack, "<script", "</script", "<img", "onmouseover='"):
        assert raw not in shown
    tags = set(re.findall(r"</?([a-z0-9]+)", shown))
    assert tags <= {
        *(
            "html",
            "head",
            "meta",
            "title",
            "style",
            "body",
            "main",
            "section",
            "h1",
            "h2",
            "p",
            "ul",
            "li",
            "a",
        ),
        *("div", "table", "thead", "tbody", "tr", "th", "td", "code"),
    }
    assert re.findall(r'href="([^"]*)"', shown) == ["sbom.cdx.json"], "an address that is none leads nowhere"
    assert not re.search(r"<[^>]*\son\w+=", shown)


def test_an_attack_is_there_to_be_read() -> None:
    shown = page(card(hostile(ATTACK), 9))
    assert shown.count("&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;") >= 12


@pytest.mark.parametrize("attack", [ATTACK, IMAGE, QUOTED, FENCED])
def test_what_people_and_data_name_is_text_in_markdown(attack: str) -> None:
    shown = markdown(card(hostile(attack), 9))
    assert "<script" not in shown
    assert "<img" not in shown
    assert "[d](" not in shown
    links = re.findall(r"(?<!\\)\]\(<?([^)>]*)", shown)
    assert links == ["sbom.cdx.json"]
    columns = None
    for line in shown.splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else None
        assert columns is None or cells in (columns, None), f"a cell broke its table: {line}"
        columns = cells
    assert [line for line in shown.splitlines() if line.startswith("# ")] == ["# late_arrival, version 7"]


def test_the_page_may_fetch_nothing() -> None:
    shown = page(card(record(), 9))
    assert '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'' in shown
    assert not re.search(r"\b(src|action)=|url\(", shown)


@pytest.mark.parametrize("render", [markdown, page])
def test_the_card_says_what_was_recorded(render: Any) -> None:
    shown = re.sub(r"\\", "", render(card(record(), 263)))
    for fact in (
        "Probability of a late arrival.",
        "flight-operations",
        "P(arrivals.arr_delay &gt; 15)",
        "2013-01-15 to 2013-01-28: 11000 rows",
        "2013-01-29 to 2013-02-04: 5600 rows",
        "model version late_arrival/7",
        "sklearn.ensemble.HistGradientBoostingClassifier",
        "estimator.max_iter",
        "0.451235",  # the metric
        "carrier=UA",
        "roc_auc 0.7100, at least 0.6",
        "olga",
        *("otto", "vera", "looks right", "approved"),
        "2013-02-06 05:30:00+00:00",
        "The night of 2013-02-05 asked for it: temp drifted",
        "263 packages with their licences",
        *("5" * 64, "a" * 64, "b" * 64, "c" * 40, "d" * 64, "e" * 64, "f" * 64),
    ):
        assert fact in shown, fact
    assert "calm" not in shown, "a feature that did not drift caused nothing"


def test_the_interval_stands_beside_its_metric() -> None:
    lines = markdown(card(record(), 9)).splitlines()
    assert "| log_loss | 0.451235 | 0.44 | 0.46 | 0.47 |" in lines
    assert "| roc_auc | 0.71 | - | - | 0.69 |" in lines


def test_a_decision_of_before_intervals_still_gives_its_metrics() -> None:
    older = {**DECISION, "evaluation": None}
    lines = markdown(card(record(decision=older), 9)).splitlines()
    assert "| log_loss | 0.451235 | - | - | 0.47 |" in lines
    assert "The decision kept no intervals." in lines
    assert not [line for line in lines if line.startswith("| Slice")]


def test_a_decision_of_before_signatures_shows_none() -> None:
    older = {**DECISION, "approval": "auto", "requested_by": None}
    shown = markdown(card(record(decision=older, signature=None), 9))
    assert not [word for word in ("Asked for by", "Signed by", "Answer") if word in shown]


def test_a_version_that_was_neither_judged_nor_promoted_says_so() -> None:
    shown = markdown(card(record(decision=None, promotions=[], request=None), 9))
    for sentence in ("Not judged yet.", "There is no decision.", "It was never promoted."):
        assert sentence in shown
    assert "- It has not been judged: there is no decision." in shown


def test_what_drift_promoted_names_the_sensor_and_who_had_the_night_ask() -> None:
    entry = {**PROMOTION, "actor": "admin", "training_id": VERSION["training_id"]}
    sensor = "the verdict sensor of retrain_late_arrival, for the night of 2013-02-05"
    for asked, said in [(None, sensor), ("otto", f"{sensor}; otto had that night asked")]:
        found = record(promotions=[entry], signature=None, request={**REQUEST, "requested_by": asked})
        assert f"| Promoted by | {said} |" in markdown(card(found, 9))
    assert "| Promoted by | admin |" in markdown(card(record(promotions=[entry]), 9)), "who signed, promoted"


def test_limits_follow_from_facts() -> None:
    assert list(limits(record())) == [
        "It was fitted on 14 nights, 2013-01-15 to 2013-01-28, and knows no other.",
        "It was judged on 5600 rows of 7 nights, 2013-01-29 to 2013-02-04, and on no others.",
        "Nights of these without a labelled row: 1, the first are 2013-01-20.",
        "temp is missing in 31% of the rows it was fitted on.",
        "Slices with fewer than 200 rows, whose metrics say little: carrier=OO (12).",
    ]
    first = {**DECISION, "champion": None, "evaluation": {**EVALUATION, "metrics": {"roc_auc": None}}}
    found = list(limits(record(unseeded=True, decision=first)))
    assert "It was compared with no champion: there was none." in found
    assert "roc_auc is undefined on this holdout." in found
    assert (
        "Its estimator has a random_state, and none is set: trained again, it may come out otherwise."
        in found
    )


def test_of_an_imported_version_nobody_says_which_rows_it_was_fitted_on() -> None:
    """Its snapshot holds those that it was judged on, and others that it may never have seen."""
    by = {
        "file_sha256": "a" * 64,
        "by": "vic",
        "trained_until": date(2013, 1, 20),
        "reason": "from a notebook",
    }
    assert list(limits(record(version={**VERSION, "train_last": date(2013, 1, 20), "brought": by})))[:3] == [
        "Which rows it was fitted on is not known, only what vic said: none of days after 2013-01-20.",
        "It was judged on 5600 rows of 7 nights, 2013-01-29 to 2013-02-04, and on no others.",
        "Slices with fewer than 200 rows, whose metrics say little: carrier=OO (12).",
    ]


def test_a_night_of_which_nothing_was_drawn_is_not_told_to_have_no_label() -> None:
    empty = replace(COUNTS, without_rows=(date(2013, 1, 2),))
    for half_life, says in (
        (None, "without a labelled row: 1"),
        (3, "without a row that was labelled and drawn: 1"),
    ):
        found = list(limits(record(counts=empty, spec=spec(train={"half_life_days": half_life}))))
        assert any(says in words for words in found), found


def test_a_snapshot_is_counted_night_by_night() -> None:
    nights = pd.to_datetime(["2013-01-15", "2013-01-15", "2013-01-28", "2013-02-04"]).astype("datetime64[s]")
    rows = pd.DataFrame(
        {"batch_date": nights, "flight_id": list("abcd"), "temp": [None, 1.0, None, None], "label": 1.0}
    )
    found = counts(record().snapshot, rows, ["flight_id"])
    assert (found.fitted_rows, found.holdout_rows) == (3, 1)
    assert (found.fitted_nights, found.holdout_nights) == (2, 1)
    assert len(found.without_rows) == 21 - 3
    assert found.missing == {"temp": pytest.approx(2 / 3)}


@pytest.mark.parametrize(
    ("href", "leads"),
    [
        ("http://mlflow.example/#/runs/1", True),
        ("https://mlflow.example/a", True),
        ("sbom.cdx.json", True),
        ("javascript:alert(1)", False),
        ("JavaScript:alert(1)", False),
        ("data:text/html,x", False),
        ("//elsewhere.example", False),
        ("../secret", False),
        ("http://a.example/\nb", False),
        ('http://a.example/" onclick="x', False),
    ],
)
def test_a_link_leads_to_an_address_or_a_file_beside_it(href: str, leads: bool) -> None:
    document = Document("t", "a", (Section("s", (Table((), (("x", Link("there", href)),)),)),))
    assert ("<a " in page(document)) is leads
    assert ("[there](" in markdown(document)) is leads

"""The operator's page: everything on it is text, whatever upstream writes into its values."""

from datetime import timedelta
from html.parser import HTMLParser

import pandas as pd
from weather_batches import BETWEEN, DAY, batch, source, with_values

from nightshift.validate import data_docs, validate

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
ALLOWED = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "section",
        "div",
        "h1",
        "h2",
        "p",
        "span",
        "code",
    ),
    *("table", "caption", "thead", "tbody", "tr", "th", "td"),
}
ATTRIBUTES = {
    "lang",
    "charset",
    "http-equiv",
    "content",
    "name",
    "class",
    "scope",
    "role",
    "tabindex",
    "aria-label",
}


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text.append(data)


def parsed(page):
    tags = Tags()
    tags.feed(page)
    return tags


def test_values_columns_and_arguments_are_escaped():
    frame = with_values(batch(), "station", 30, EVIL).assign(**{EVIL: 1})
    spec = source(
        description=EVIL,
        expectations=[
            {"expect_column_values_to_be_in_set": {"column": "station", "value_set": [EVIL + "x"]}},
            {"expect_column_distinct_values_to_be_in_set": {"column": "station", "value_set": [EVIL + "y"]}},
        ],
    )
    undeclared = validate(spec, frame, [DAY])
    declared = validate(spec, frame.drop(columns=EVIL), [DAY])
    for validation in (undeclared, declared):
        page = data_docs(spec, validation, [DAY])
        tags = parsed(page)
        assert tags.tags <= ALLOWED
        assert tags.attributes <= ATTRIBUTES
        assert "<script" not in page
        assert EVIL[:20] in "".join(tags.text)


def test_the_page_says_what_was_expected_what_came_and_what_was_decided():
    spec = source()
    validation = validate(spec, with_values(batch(), "temp", 30, -7.0), [DAY])
    text = " ".join(parsed(data_docs(spec, validation, [DAY])).text)
    for part in ("2013-02-08", "failed", "over the budget", BETWEEN, "min_value", "-7", "30"):
        assert part in text


def test_the_page_is_bounded_for_a_year_of_bad_nights():
    days = [DAY + timedelta(days=n) for n in range(400)]
    frame = pd.concat([batch(12, day) for day in days], ignore_index=True)
    frame = with_values(frame, "station", len(frame), "&" * 300)
    spec = source(description="&" * 5000)
    validation = validate(spec, frame, days)
    assert len(data_docs(spec, validation, days).encode()) <= 200_000


def test_dates_that_were_not_judged_are_left_out():
    spec = source()
    validation = validate(spec, batch(), [DAY])
    assert "no dates: 0 of 0 dates shown" in data_docs(spec, validation, [DAY - timedelta(days=1)])

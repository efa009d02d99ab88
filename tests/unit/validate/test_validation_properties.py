"""Whatever comes: no row is lost, and neither order nor company changes what is decided."""

import json
from datetime import timedelta

import pandas as pd
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from weather_batches import DAY, source

from nightshift.validate import validate

DAYS = [DAY, DAY + timedelta(days=1), DAY + timedelta(days=2)]
anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 40),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.dates(),
    st.datetimes(),
    st.sampled_from(["EWR", "JFK", "inf", "NaN", "2013-02-08", "2013-02-08T01:00:00Z", [1], {"a": 1}]),
)
rows = st.fixed_dictionaries(
    {
        "batch_date": st.sampled_from(DAYS),
        "station": st.one_of(st.sampled_from(["EWR", "JFK"]), anything),
        "hour": st.one_of(st.integers(0, 3), anything),
        "temp": st.one_of(st.floats(0, 90), anything),
        "gust": st.one_of(st.none(), st.floats(0, 90), anything),
        "snow": st.one_of(st.booleans(), anything),
        "day": st.one_of(st.dates(), anything),
        "seen_at": st.one_of(st.datetimes(), anything),
    }
)
frames = st.lists(rows, max_size=12).map(
    lambda found: pd.DataFrame(found, columns=["batch_date", *source().columns], dtype=object)
)
SPEC = source(
    expectations=[
        *source().expectations,
        {"expect_column_values_to_be_unique": {"column": "gust"}},
        {"expect_column_mean_to_be_between": {"column": "temp", "max_value": 60}},
    ]
)
# No shrinking: an example takes 30 ms, and Hypothesis' tracing makes it 300.
relaxed = settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


def decided(validations):
    """Return what does not depend on the order of rows: who is accepted, who is set aside and why."""
    accepted = pd.concat([v.accepted for v in validations])
    rejected = pd.concat([v.rejected for v in validations])
    verdicts = {day: verdict for v in validations for day, verdict in v.verdicts.items()}
    return (
        sorted(map(repr, accepted.itertuples(index=False))),
        sorted(zip(rejected["batch_date"], rejected["row"], rejected["violations"], strict=True)),
        {day: (v.collected, v.accepted, v.rejected, v.passed, v.cause) for day, v in verdicts.items()},
    )


@relaxed
@given(frames)
def test_accepted_and_rejected_are_all_that_was_collected(frame):
    validation = validate(SPEC, frame, DAYS)
    for day, verdict in validation.verdicts.items():
        collected = int((frame["batch_date"] == day).sum())
        assert verdict.accepted + verdict.rejected == verdict.collected == collected
        assert verdict.passed == (not verdict.reasons)
    assert len(validation.accepted) + len(validation.rejected) == len(frame)
    for row in validation.rejected.itertuples():
        assert set(json.loads(row.row)) == set(SPEC.columns)
        assert json.loads(row.violations)[0]["rule"] == row.rule
    json.dumps(validation.report, allow_nan=False)


@relaxed
@given(frames, st.randoms(use_true_random=False))
def test_the_order_of_rows_and_columns_decides_nothing(frame, random):
    order = list(range(len(frame)))
    random.shuffle(order)
    names = list(frame.columns)
    random.shuffle(names)
    shuffled = frame.iloc[order][names].reset_index(drop=True)
    assert decided([validate(SPEC, shuffled, DAYS)]) == decided([validate(SPEC, frame, DAYS)])


@relaxed
@given(frames)
def test_dates_judged_alone_or_together_are_judged_alike(frame):
    alone = [validate(SPEC, frame[frame["batch_date"] == day], [day]) for day in DAYS]
    together = validate(SPEC, frame, DAYS)
    assert decided(alone) == decided([together])
    assert {d: v.reasons for one in alone for d, v in one.verdicts.items()} == {
        d: v.reasons for d, v in together.verdicts.items()
    }

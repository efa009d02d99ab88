"""Sketches: they sum, in any order and to the last count; every row is in one bin; what is far out is seen to be."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import TypeAdapter

from nightshift.errors import EmptyBatch, SchemaMismatch
from nightshift.monitor.sketches import (
    MOST_VALUES,
    PREDICTION_BINS,
    UNIT,
    edges_of,
    edges_sha256,
    empty,
    merge,
    prediction_edges,
    sketch,
    sketch_sha256,
    summed,
)
from nightshift.records.sketches import ColumnSketch, Edges, Sketch

ANY = hnp.arrays(np.float64, st.integers(0, 60), elements=st.floats(width=64))
FINITE = hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(width=64, allow_infinity=False))
WORDS = st.lists(st.sampled_from(["a", "b", "c", "never seen", None]), min_size=60, max_size=60)


def frame(numbers: np.ndarray, words: list[str | None]) -> pd.DataFrame:
    flags = pd.Series(numbers > 0).astype("boolean").mask(np.isnan(numbers))
    return pd.DataFrame({"x": numbers, "word": pd.Series(words[: len(numbers)], dtype="str"), "flag": flags})


def known(first: np.ndarray) -> Edges:
    return edges_of(frame(first, ["a", "b", "c"] * 20), 1)


def column(values: object, first: object) -> tuple[ColumnSketch, Edges]:
    edges = edges_of(pd.DataFrame({"x": first}), 1)
    return sketch(pd.DataFrame({"x": values}), edges).columns[0], edges


@given(FINITE, ANY, WORDS, st.integers(0, 60))
def test_the_sketch_of_two_batches_is_the_merged_sketch_of_each(
    first: np.ndarray, numbers: np.ndarray, words: list[str | None], at: int
) -> None:
    edges, whole = known(first), frame(numbers, words)

    assert merge(sketch(whole[:at], edges), sketch(whole[at:], edges)) == sketch(whole, edges)


@given(FINITE, ANY, ANY, ANY, WORDS)
def test_merging_is_associative_and_commutative_and_nothing_changes_nothing(
    first: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray, words: list[str | None]
) -> None:
    edges = known(first)
    one, two, three = (sketch(frame(each, words), edges) for each in (a, b, c))

    assert merge(merge(one, two), three) == merge(one, merge(two, three)) == summed([three, one, two], edges)
    assert merge(one, two) == merge(two, one)
    assert merge(one, empty(edges)) == one


@given(FINITE, ANY)
def test_every_row_is_in_one_bin_the_one_between_whose_edges_it_lies(
    first: np.ndarray, numbers: np.ndarray
) -> None:
    found, edges = column(numbers, first)
    inner = np.array(edges.columns[0].edges)
    finite = numbers[np.isfinite(numbers)]
    searched = np.bincount(np.searchsorted(inner, finite, side="right"), minlength=inner.size + 1)

    assert list(found.counts[:-2]) == searched.tolist()
    assert found.counts[-2:] == (np.isinf(numbers).sum(), np.isnan(numbers).sum())
    assert len(found.counts) == edges.columns[0].bins


def test_what_lies_outside_is_told_from_what_lies_far_outside() -> None:
    found, _ = column([-5.0, -50.0, 12.0, 500.0, 5.0, np.inf, None], np.arange(11.0))

    assert (found.counts[0], found.counts[1], found.counts[-4], found.counts[-3]) == (1, 1, 1, 1)
    assert found.counts[-2:] == (1, 1)
    assert (found.low, found.high) == (-50.0, 500.0)


def test_an_ordinary_column_has_about_twenty_counts() -> None:
    _, edges = column([0.0], np.random.default_rng(0).normal(size=10_000))

    assert 20 <= edges.columns[0].bins <= 25


def test_a_value_that_half_the_rows_have_has_a_bin_of_its_own() -> None:
    found, _ = column([0.0, 0.0, 1e-9, -1e-9], np.concatenate([np.zeros(500), np.linspace(-1, 1, 500)]))

    assert max(found.counts) == 2


def test_a_column_of_few_values_keeps_each_with_its_rows_and_one_of_many_none() -> None:
    few, _ = column([2.0, 1.0, 2.0, -0.0, 0.0], [1.0, 2.0])
    many, _ = column(np.arange(MOST_VALUES + 1.0), [1.0, 2.0])

    assert few.values == ((0.0, 2), (1.0, 1), (2.0, 2))
    assert many.values is None


def test_values_that_become_too_many_when_summed_are_given_up_as_if_they_had_come_at_once() -> None:
    edges = edges_of(pd.DataFrame({"x": [1.0, 2.0]}), 1)
    halves = [sketch(pd.DataFrame({"x": np.arange(60.0) + start}), edges) for start in (0, 60)]

    assert [half.columns[0].values is None for half in halves] == [False, False]
    assert merge(*halves).columns[0].values is None


def test_predictions_have_sixty_four_bins_with_their_sums() -> None:
    edges = prediction_edges(["prediction"])
    scores = np.random.default_rng(0).random(10_000)
    found = sketch(pd.DataFrame({"prediction": scores}), edges).columns[0]

    assert len(found.counts[1:-3]) == PREDICTION_BINS
    assert sum(found.counts[1:-3]) == 10_000
    assert sum(found.sums) / UNIT / 10_000 == pytest.approx(scores.mean(), abs=1e-8)
    assert found.total == sum(found.sums)
    assert found.sums[40] / UNIT / found.counts[40] == pytest.approx(
        scores[(scores >= 39 / 64) & (scores < 40 / 64)].mean(), abs=1e-8
    )


def test_a_category_without_five_rows_or_that_looks_like_an_address_is_not_named() -> None:
    words = ["a"] * 9 + ["b"] * 4 + ["eve@example.org"] * 9
    edges = edges_of(pd.DataFrame({"word": words}), 1)

    assert edges.columns[0].categories == ("a",)
    assert sketch(pd.DataFrame({"word": words}), edges).columns[0].counts == (9, 13, 0)


def test_the_json_round_trip_is_exact_and_what_differs_has_another_hash() -> None:
    edges = known(np.linspace(0, 1, 60))
    made = sketch(frame(np.random.default_rng(0).normal(size=60), ["a", None, "x"] * 20), edges)
    kept = TypeAdapter(Sketch)
    kept_edges = TypeAdapter(Edges)

    assert kept.validate_json(kept.dump_json(made)) == made
    assert kept_edges.validate_json(kept_edges.dump_json(edges)) == edges
    assert sketch_sha256(made) != sketch_sha256(replace(made, rows=61))
    assert edges_sha256(edges) == edges_sha256(replace(edges, nights=28))
    assert edges_sha256(edges) != edges_sha256(known(np.linspace(0, 2, 60)))


def test_sketches_of_other_edges_do_not_sum() -> None:
    one, other = (empty(edges_of(pd.DataFrame({"x": values}), 1)) for values in ([1.0], [1.0, 2.0, 3.0]))

    with pytest.raises(SchemaMismatch, match="differ in"):
        merge(one, other)


@pytest.mark.parametrize(
    ("given", "said"), [({"y": [1.0]}, "'x' is missing"), ({"x": ["many"]}, "'x': expected numeric values")]
)
def test_another_column_or_another_kind_is_refused_by_name(given: dict[str, list], said: str) -> None:
    with pytest.raises(SchemaMismatch, match=said):
        sketch(pd.DataFrame(given), edges_of(pd.DataFrame({"x": [1.0]}), 1))


def test_no_rows_have_no_edges() -> None:
    with pytest.raises(EmptyBatch):
        edges_of(pd.DataFrame({"x": []}), 1)

"""Relations of columns, against values known otherwise."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import contingency, spearmanr

from nightshift.explore.relations import correlation_ratio, cramers_v, rank_correlations, spearman

RANDOM = np.random.default_rng(0)
X = pd.Series(RANDOM.normal(size=4000))
Y = X + RANDOM.normal(size=4000)
NAMES = pd.Series(RANDOM.choice(list("abc"), 4000))


def test_spearman_is_scipys_over_the_rows_that_have_both() -> None:
    gaps = Y.where(RANDOM.random(4000) > 0.3)
    known = gaps.notna()
    assert spearman(X, gaps) == pytest.approx(spearmanr(X[known], gaps[known]).statistic)
    assert spearman(X, np.exp(X)) == pytest.approx(1)
    assert rank_correlations(pd.DataFrame({"x": X, "y": Y})).loc["x", "y"] == pytest.approx(spearman(X, Y))


def test_cramers_v_is_scipys_less_what_chance_explains() -> None:
    other = NAMES.where(RANDOM.random(4000) < 0.5, pd.Series(RANDOM.choice(list("abc"), 4000)))
    plain = contingency.association(pd.crosstab(NAMES, other).to_numpy(), method="cramer")
    assert cramers_v(NAMES, other) == pytest.approx(plain, abs=0.005)
    assert cramers_v(NAMES, NAMES) == pytest.approx(1, abs=0.001)
    many = pd.Series(RANDOM.integers(0, 400, 4000)).astype(str)
    assert contingency.association(pd.crosstab(many, NAMES).to_numpy(), method="cramer") > 0.2
    assert cramers_v(many, NAMES) < 0.06


def test_a_correlation_ratio_is_zero_by_chance_and_one_for_a_function() -> None:
    assert correlation_ratio(NAMES, NAMES.map({"a": 1.0, "b": 5.0, "c": 9.0})) == pytest.approx(1)
    assert correlation_ratio(pd.Series(RANDOM.integers(0, 400, 4000)).astype(str), X) < 0.1
    shifted = X + NAMES.map({"a": 0.0, "b": 1.0, "c": 2.0})
    assert correlation_ratio(NAMES, shifted) == pytest.approx(np.sqrt((2 / 3) / (1 + 2 / 3)), abs=0.03)


@pytest.mark.parametrize("few", [X[:9], X * 0, X * np.nan])
def test_what_the_rows_do_not_define_is_none_and_not_zero(few: pd.Series) -> None:
    assert spearman(few, Y) is None
    assert correlation_ratio(NAMES, few) is None
    assert cramers_v(NAMES, few.dropna().astype(str).str[:0]) is None

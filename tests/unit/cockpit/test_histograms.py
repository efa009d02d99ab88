"""Histograms of the cockpit: shares in the bins of a profile, named."""

from nightshift.cockpit.histograms import bins, histograms
from nightshift.records.profile import FeatureProfile
from nightshift.records.sketches import Counted

NUMBERS = FeatureProfile(name="n", kind="numeric", edges=(0.5, 12345.678), counts=(1, 2, 1, 0))
FLAG = FeatureProfile(name="f", kind="boolean", counts=(3, 1, 0))


def test_bins_are_named_in_the_order_of_the_counts() -> None:
    assert bins(NUMBERS) == ("below 0.5", "0.5 to 1.235e+04", "1.235e+04 or more", "missing")
    assert bins(FLAG) == ("false", "true", "missing")
    constant = FeatureProfile(name="c", kind="numeric", counts=(4, 0))
    assert bins(constant) == ("any", "missing")


def test_a_night_stands_beside_the_training_in_shares() -> None:
    counted = Counted(rows=4, features=((4, 0, 0, 0), (0, 2, 2)), predictions=())
    numbers, flag = histograms([NUMBERS, FLAG], counted)
    assert (numbers.then, numbers.now) == ((0.25, 0.5, 0.25, 0.0), (1.0, 0.0, 0.0, 0.0))
    assert flag.now == (0.0, 0.5, 0.5)


def test_counts_of_other_bins_are_not_drawn() -> None:
    assert histograms([NUMBERS], None)[0].now is None
    assert histograms([NUMBERS], Counted(4, ((1, 3), (1, 3)), ()))[0].now is None
    assert histograms([NUMBERS], Counted(4, ((1, 3),), ()))[0].now is None


def test_a_column_without_rows_has_no_share_and_no_fault() -> None:
    empty = FeatureProfile(name="e", kind="boolean", counts=(0, 0, 0))
    assert histograms([empty], None)[0].then == (0.0, 0.0, 0.0)

"""What each policy would have come to: over data whose best policy is known, and against every other way there is."""

import re
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise, product

import numpy as np
import pandas as pd
import pytest

from nightshift import pages, replay, train
from nightshift.calendar import DateRange
from nightshift.errors import FitFailed, NotReady, RequestError, SpecError
from nightshift.metrics import row_losses
from nightshift.pages import markdown
from nightshift.specs import FeatureSet, Model, load_project
from nightshift.stages import replaying as stages

FIRST, NIGHTS, A_NIGHT, CHANGE = date(2013, 1, 1), 150, 40, 90
PERIOD = DateRange(FIRST + timedelta(days=40), FIRST + timedelta(days=NIGHTS - 1))


def spec(**given: object) -> Model:
    return Model.model_validate(
        {
            "name": "toy",
            "owner": "me",
            "description": "",
            "task": "regression",
            "features": "toy",
            "target": {"source": "truth", "column": "y", "matures_after_days": 2},
            "estimator": {"class": "sklearn.linear_model.Ridge"},
            "train": {"window_days": 21, "holdout_days": 7, "min_rows": 100, "refit": False},
            "gates": [
                {"gate": "minimum_score", "metric": "r2", "value": -10},
                {"gate": "beats_champion", "metric": "mae", "confidence": 0.9},
            ],
            **given,
        }
    )


def feature_set(tmp: str = "/nowhere/toy.py") -> FeatureSet:
    return FeatureSet.model_validate(
        {
            "name": "toy",
            "version": 1,
            "path": tmp,
            "owner": "me",
            "description": "",
            "inputs": {"truth": {}},
            "entity": ["id"],
            "columns": {"x": "float"},
        }
    )


def nights(change: int = CHANGE, late: int = 1) -> replay.Nights:
    """A line whose slope turns over on a night; an outcome is known ``late`` days after its night."""
    rng = np.random.default_rng(0)
    night = np.repeat(np.arange(NIGHTS), A_NIGHT)
    x = rng.normal(size=night.size)
    y = np.where(night < change, x, -x) + rng.normal(scale=0.3, size=night.size)
    when = pd.Timestamp(FIRST) + pd.to_timedelta(night, unit="D")
    ids = [f"{n}" for n in range(night.size)]
    features = pd.DataFrame({"id": ids, "x": x, "batch_date": when})
    known = (when + pd.Timedelta(days=late)).tz_localize("UTC")
    truth = pd.DataFrame({"id": ids, "y": y, "known_at": known, "batch_date": when})
    reported = train.reports(spec(), truth, ["id"])
    return replay.Nights(features, reported, lambda night: pd.Timestamp(night, tz="UTC"), FIRST)


def made(model: Model, given: replay.Nights, every: int = 7) -> replay.Bank:
    rows = replay.labelled(model, feature_set(), given, PERIOD.last)
    dates = replay.as_of_dates(PERIOD, every)
    found = [replay.candidate(model, feature_set(), given, each, rows) for each in dates]
    return replay.bank(model, rows, found)


@pytest.fixture(scope="module")
def bank() -> replay.Bank:
    return made(spec(), nights())


POLICIES = {
    "never": replay.never,
    "weekly": replay.every(7, gated=False),
    "weekly, gated": replay.every(7, gated=True),
    "monthly": replay.every(28, gated=False),
    replay.ORACLE: replay.oracle(),
}


def test_a_candidate_serves_from_the_night_after_its_own_and_knows_only_what_was_known(
    bank: replay.Bank,
) -> None:
    for number, each in enumerate(bank.candidates):
        first = bank.serves_from(number)
        assert bank.nights[first] == each.as_of + timedelta(days=1)
        assert np.isnan(bank.loss[number, :first]).all()
        assert not np.isnan(bank.loss[number, first:]).any()
        assert each.dates.holdout_last <= each.as_of - timedelta(days=2)
        assert np.isnan(
            each.predictions[bank.rows["batch_date"] <= pd.Timestamp(each.dates.train_last)]
        ).all()


def test_outcomes_that_come_later_leave_a_training_without_them() -> None:
    """Known ten days late, the holdout of a training that expects two has no rows."""
    with pytest.raises(NotReady, match="0 in the holdout"):
        made(spec(), nights(late=10))


def test_a_candidate_leaves_out_the_nights_that_its_training_would() -> None:
    asked: list[tuple[str, date]] = []

    def partial(model: Model, as_of: date) -> list[date]:
        asked.append((model.name, as_of))
        return [PERIOD.first - timedelta(days=days) for days in (15, 20)]

    whole, given = nights(), replace(nights(), partial=partial)
    rows = replay.labelled(spec(), feature_set(), whole, PERIOD.last)
    found = [replay.candidate(spec(), feature_set(), each, PERIOD.first, rows) for each in (whole, given)]
    assert found[0].rows - found[1].rows == 2 * A_NIGHT
    assert asked == [(spec().name, PERIOD.first)]


def test_losses_are_those_of_the_functions_of_a_training(bank: replay.Bank) -> None:
    model, number = spec(), 3
    candidate = bank.candidates[number]
    known = nights()
    labels = train.labels(model, known.reported, ["id"], pd.Timestamp(candidate.as_of, tz="UTC"))
    rows = train.labelled(known.features, labels, ["id"])
    dates = candidate.dates
    fitting = rows[
        rows["batch_date"].between(pd.Timestamp(dates.train_first), pd.Timestamp(dates.train_last))
    ]
    pipeline = train.fit(model, feature_set(), fitting, fitting["label"])
    night = bank.rows[bank.rows["batch_date"] == pd.Timestamp(bank.nights[-1])]
    expected = float(np.mean(np.abs(train.predict(pipeline, night) - night["label"])))
    assert bank.loss[number, -1] == pytest.approx(expected, abs=1e-6)


def test_the_loss_of_a_large_number_is_that_of_a_small_one(bank: replay.Bank) -> None:
    """Instants as seconds: of a single's digits not two minutes would be left."""
    given = nights()
    seconds = given.reported.assign(label=1.7e9 + 60 * given.reported["label"])
    found = made(spec(), replace(given, reported=seconds))
    np.testing.assert_allclose(found.loss / 60, bank.loss, rtol=1e-6)


LOG_LOSS = [
    {"gate": "minimum_score", "metric": "log_loss", "value": 9},
    {"gate": "beats_champion", "metric": "log_loss"},
]


def classifier(name: str, **target: object) -> Model:
    return spec(
        task="classification",
        target={"source": "truth", "column": "y", "matures_after_days": 2, **target},
        estimator={"class": f"sklearn.{name}"},
        gates=LOG_LOSS,
    )


def test_the_loss_of_what_is_nearly_sure_is_not_that_of_what_is_sure() -> None:
    """A mistake of a model that is sure to one of a billion costs 21 nats, and 36 by a single's digits."""
    given, model = nights(), classifier("naive_bayes.GaussianNB", above=0)
    positive = given.reported["label"] > 0
    last = given.reported["batch_date"] == pd.Timestamp(PERIOD.last)
    x = np.where(positive, 1.0, -1.0) + 0.3 * np.random.default_rng(1).normal(size=len(positive))
    labels = given.reported.assign(label=np.where(last, ~positive, positive).astype("float64"))
    given = replace(given, features=given.features.assign(x=x), reported=labels)
    found = made(model, given, every=70)
    candidate, night = found.candidates[0], found.night == len(found.nights) - 1
    fitting = found.rows[
        found.rows["batch_date"].between(
            *map(pd.Timestamp, (candidate.dates.train_first, candidate.dates.train_last))
        )
    ]
    said = train.predict(train.fit(model, feature_set(), fitting, fitting["label"]), found.rows[night])
    truth = found.rows["label"].to_numpy()[night]
    assert found.loss[0, -1] == pytest.approx(row_losses("classification", truth, said).mean(), rel=1e-12)
    single = row_losses("classification", truth, said.astype("float32").astype("float64")).mean()
    assert abs(single - found.loss[0, -1]) > 1


def test_probabilities_of_several_classes_sum_to_one_at_the_gates() -> None:
    given = nights()
    values = given.reported["label"]
    labels = given.reported.assign(label=np.digitize(values, [-1, 1]).astype("float64"))
    model = classifier("linear_model.LogisticRegression", classes=["low", "mid", "high"])
    found = made(model, replace(given, reported=labels), every=28)
    sums = np.concatenate([each.predictions[-A_NIGHT:].sum(axis=1) for each in found.candidates])
    np.testing.assert_allclose(sums, 1.0, rtol=1e-12)
    replay.every(28, gated=True)(found, 0)  # a warning is an error


def refitted() -> Model:
    return spec(train={"window_days": 21, "holdout_days": 7, "min_rows": 100, "refit": True})


def test_a_candidate_is_judged_by_its_judged_fit_and_serves_by_its_refit(bank: replay.Bank) -> None:
    model, number, given = refitted(), 3, nights()
    found = made(model, given)
    candidate, judged = found.candidates[number], bank.candidates[number]
    held_out = found.rows["batch_date"] <= pd.Timestamp(candidate.dates.holdout_last)
    np.testing.assert_array_equal(candidate.predictions[held_out], judged.predictions[held_out])
    labels = train.labels(model, given.reported, ["id"], pd.Timestamp(candidate.as_of, tz="UTC"))
    rows = train.labelled(given.features, labels, ["id"])
    rows = rows[
        rows["batch_date"].between(
            pd.Timestamp(candidate.dates.train_first), pd.Timestamp(candidate.dates.holdout_last)
        )
    ]
    expected = train.predict(train.fit(model, feature_set(), rows, rows["label"]), found.rows[~held_out])
    np.testing.assert_allclose(candidate.predictions[~held_out], expected, atol=1e-6)
    assert not np.allclose(candidate.predictions[~held_out], judged.predictions[~held_out], atol=1e-4)


def test_a_gated_training_waits_until_it_is_fair_and_an_ungated_one_does_not() -> None:
    """Fitted to two nights before its date, a champion has seen the holdouts of the next six dates."""
    found = made(refitted(), nights(), every=3)
    assert [found.is_fair(number, 3) for number in (4, 5, 6)] == [False, False, True]
    usual = replace(found, model=spec())
    assert usual.is_fair(4, 3)
    often, always = replay.every(3, gated=True), replay.every(3, gated=False)
    assert always(found, 0).started == always(usual, 0).started == len(found.candidates) - 1
    serving = often(found, 0).serving
    assert len(np.unique(serving)) > 2
    assert min(later - earlier for earlier, later in pairwise(np.unique(serving))) == 3


def test_a_world_that_turns_is_followed_by_who_retrains_and_the_gate_keeps_the_rest_out(
    bank: replay.Bank,
) -> None:
    found = replay.compare({"": bank}, POLICIES, starts=3)
    by = {each.policy: each for each in found.outcomes}
    assert by["never"].gain == 0
    assert by["weekly"].gain > 0.2
    assert by["weekly"].low > 0
    assert by["weekly, gated"].gain > 0.2
    # The same line week after week: before the turn nothing is worth promoting.
    assert by["weekly, gated"].promoted < by["weekly"].promoted / 3
    assert by["weekly, gated"].started == by["weekly"].started
    assert by[replay.ORACLE].gain >= max(each.gain for each in found.outcomes) - 1e-12
    assert all(each.worst <= each.gain <= each.best for each in found.outcomes)


def test_a_world_that_stays_is_left_alone() -> None:
    found = replay.compare({"": made(spec(), nights(change=NIGHTS))}, POLICIES, starts=3)
    by = {each.policy: each for each in found.outcomes}
    assert abs(by["weekly"].gain) < 0.01
    # Luck alone: whatever the first half prefers, it is not the policy of most trainings, and gains nothing later.
    assert by[found.chosen].started < by["weekly"].started
    assert abs(by[found.chosen].later) < 0.002
    assert by["weekly, gated"].promoted < by["weekly"].promoted / 2


def test_the_best_in_hindsight_is_the_best_of_all_ways_there_are(bank: replay.Bank) -> None:
    few = replace_candidates(bank, 3, 8)
    for cost in (0.0, 0.05, 1.0):
        serving = replay.oracle(cost)(few, 0).serving
        assert _total(few, serving, cost) == pytest.approx(
            min(_total(few, np.array(way), cost) for way in product(range(3), repeat=len(serving))), abs=1e-9
        )


def replace_candidates(bank: replay.Bank, many: int, last: int) -> replay.Bank:
    """Return the bank with its candidates around the turn, and so many nights of the first."""
    around = [n for n, each in enumerate(bank.candidates) if each.as_of >= FIRST + timedelta(days=CHANGE + 4)]
    some = around[:many]
    first = bank.serves_from(some[-1]) - 3
    loss = np.nan_to_num(bank.loss[some, first : first + last], nan=np.inf)
    candidates = tuple(bank.candidates[n] for n in some)
    early = replace(candidates[0], as_of=bank.nights[first - 1])
    return replace(
        bank,
        candidates=(early, *candidates[1:]),
        nights=bank.nights[first : first + last],
        loss=np.where(np.isinf(loss), np.nan, loss),
    )


def _total(bank: replay.Bank, serving: np.ndarray, cost: float) -> float:
    loss = np.nan_to_num(bank.loss, nan=np.inf)[serving, np.arange(len(serving))].sum()
    return float(loss + cost * np.count_nonzero(np.diff(np.concatenate([[0], serving]))))


def test_a_change_of_the_spec_is_held_against_the_declared_one_over_the_same_nights(
    bank: replay.Bank,
) -> None:
    """All nights remember the world before the turn: they follow it more slowly."""
    kept = {"window_days": "all", "holdout_days": 7, "min_rows": 100, "refit": False}
    everything = made(spec(train=kept), nights())
    found = replay.compare({"": bank, "train.window_days=all": everything}, POLICIES, starts=2)
    by = {each.policy: each for each in found.outcomes}
    assert by["train.window_days=all: weekly"].gain < by["weekly"].gain
    assert by["train.window_days=all: never"].gain != 0


def test_banks_that_lack_each_other_dates_begin_on_those_that_both_have() -> None:
    """Two weeks without features leave the shorter holdout without a row as of dates on which the longer has some."""
    given = nights()
    night = (given.features["batch_date"] - pd.Timestamp(FIRST)).dt.days
    given = replace(given, features=given.features[~night.between(39, 45)])
    rows = replay.labelled(spec(), feature_set(), given, PERIOD.last)
    dates, banks = replay.as_of_dates(PERIOD, 7), {}
    for holdout_days in (14, 7):
        window = {"window_days": 21, "holdout_days": holdout_days, "min_rows": 100, "refit": False}
        model, found = spec(train=window), []
        for day in dates:
            with suppress(NotReady):
                found.append(replay.candidate(model, feature_set(), given, day, rows))
        banks["" if holdout_days == 14 else "train.holdout_days=7"] = replay.bank(model, rows, found)
    declared, changed = ({each.as_of for each in bank.candidates} for bank in banks.values())
    assert declared - changed, "the case that this is about"
    for order in (banks, {"": banks["train.holdout_days=7"], "train.holdout_days=14": banks[""]}):
        found = replay.compare(order, POLICIES, starts=99, dates=dates)
        assert found.starts == len(declared & changed) - 1
        assert len({len(curve) for curve in found.curves.values()}) == 1
        [words] = [each for each in found.left_out if "train.holdout_days=7" in each or "as the spec" in each]
        assert str(min(declared - changed)) in words
        assert words in markdown(replay.report("toy", PERIOD, found))


def test_a_policy_that_cannot_be_told_what_it_asks_is_left_out_and_named(bank: replay.Bank) -> None:
    def blind(bank: replay.Bank, start: int) -> replay.Served:
        raise FitFailed("model 'toy': one class only")

    found = replay.compare({"": bank}, {**POLICIES, replay.DECLARED: blind}, starts=2)
    assert [each.policy for each in found.outcomes] == list(POLICIES)
    assert found.left_out == (f"{replay.DECLARED}: model 'toy': one class only",)


def test_the_same_replay_says_the_same_and_its_page_says_the_verdict_first(bank: replay.Bank) -> None:
    one, two = (replay.compare({"": bank}, POLICIES, starts=3) for _ in range(2))
    assert one.outcomes == two.outcomes
    said = markdown(replay.report("toy", PERIOD, one))
    assert said.index(replay.verdict(one)) < said.index("## Policies")
    assert all(each.policy in said for each in one.outcomes)


def test_nights_without_labels_after_the_first_training_are_told() -> None:
    given = nights()
    early = replace(
        given, reported=given.reported[given.reported["batch_date"] <= pd.Timestamp(PERIOD.first)]
    )
    rows = replay.labelled(spec(), feature_set(), early, PERIOD.last)
    alone = replay.candidate(spec(), feature_set(), early, PERIOD.first, rows)
    with pytest.raises(NotReady, match=f"0 nights with labels follow {PERIOD.first}"):
        replay.bank(spec(), rows, [alone])


@pytest.mark.parametrize(("labelled", "starts"), [(7, 1), (13, 1), (14, 2), (21, 3)])
def test_a_start_has_a_week_of_nights_with_labels_after_it(labelled: int, starts: int) -> None:
    model, given = spec(), nights()
    rows = replay.labelled(model, feature_set(), given, PERIOD.first + timedelta(days=labelled))
    dates = replay.as_of_dates(PERIOD, 7)
    there = replay.bank(
        model, rows, [replay.candidate(model, feature_set(), given, day, rows) for day in dates]
    )
    found = replay.compare({"": there}, POLICIES, starts=4)
    assert found.starts == starts
    assert found.nights == labelled
    assert all(np.isfinite(each.later) for each in found.outcomes)


def test_labels_that_have_hardly_begun_to_come_are_told_with_the_last_night_that_has_some() -> None:
    given, first = nights(), PERIOD.first
    last = first + timedelta(days=6)
    early = replace(given, reported=given.reported[given.reported["batch_date"] <= pd.Timestamp(last)])
    rows = replay.labelled(spec(), feature_set(), early, PERIOD.last)
    with pytest.raises(NotReady, match=rf"6 nights with labels follow {first}, .* the last one is {last}"):
        replay.require_nights(spec(), rows, first)


def test_what_would_have_been_served_with_an_offset_a_night_is_compared_by_the_same_fits() -> None:
    """A level that rises: lines of then are off by as much for all, and the offset follows."""
    given = nights(change=NIGHTS)
    rising = given.reported["label"] + np.repeat(np.arange(NIGHTS), A_NIGHT) * 0.02
    given = replace(given, reported=given.reported.assign(label=rising))
    plain = made(spec(), given)
    model = spec(recalibrate={"window_days": 7, "at_most": 1.0})
    moved = replay.bank(model, plain.rows, plain.candidates)
    found = replay.compare({"": plain, "recalibrated": moved}, POLICIES, starts=2)
    by = {each.policy: each for each in found.outcomes}
    assert by["recalibrated: never"].worst > 0.2
    for number, candidate in enumerate(moved.candidates[:-1]):
        first = moved.serves_from(number)
        # In service it has nights of its own whose labels are complete from the third one on.
        assert (moved.loss[number, first : first + 2] == plain.loss[number, first : first + 2]).all()
        assert moved.loss[number, first + 2] < plain.loss[number, first + 2]
        dates = plain.rows["batch_date"]
        fitted = (dates <= pd.Timestamp(candidate.dates.train_last)).to_numpy()
        assert np.isnan(candidate.predictions[fitted]).all()
        held = dates.between(
            pd.Timestamp(candidate.dates.holdout_first), pd.Timestamp(candidate.dates.holdout_last)
        ).to_numpy()
        assert (candidate.predictions[held] != plain.candidates[number].predictions[held]).any()
    assert replay.bank(spec(), plain.rows, plain.candidates).loss[0, -1] == plain.loss[0, -1]


def proposal(chosen: str, **given: object) -> str:
    """Return what a replay says after its verdict, of a spec that is fitted again on its holdout, three nights ago."""
    target = {"source": "truth", "column": "y", "matures_after_days": 3}
    model = spec(**{"target": target, "train": {}, **given})
    outcome = replay.Outcome(chosen, *[0.0 if chosen == replay.NEVER else 0.1] * 11)
    models = {chosen.rpartition(": ")[0]: model}
    return replay.verdict(replay.Compared(9, 1, (outcome,), chosen, {}, models)).partition(" a year.")[2]


@pytest.mark.parametrize(
    ("chosen", "given", "keys"),
    [
        ("every 4 weeks, gated", {}, "retrain.when.age_days=31, retrain.retry_days=28"),
        # Without a refit a version is behind by its holdout too.
        ("every 8 weeks, ungated", {"train": {"holdout_days": 7, "refit": False}}, "retrain.when.age_days=66"),
        ("train.window_days=45: every week, gated", {}, "train.window_days=45, retrain.when.age_days=10"),
        ("never", {}, "retrain.when.shift=null, retrain.when.harm=null, retrain.when.age_days=null"),
        ("never", {"retrain": {"when": {"shift": None, "harm": None, "age_days": 9, "psi": True}}},
         "retrain.when.age_days=null, retrain.when.psi=false"),
        ("recalibrate=null: as declared", {}, "recalibrate=null"),
        ("every 10 nights, gated", {"retrain": {"when": {"age_days": 13}, "retry_days": 10}}, ""),
        ("as declared", {}, ""),
    ],
)  # fmt: skip
def test_what_the_first_half_would_have_chosen_is_proposed_as_the_spec_says_it(
    chosen: str, given: dict, keys: str
) -> None:
    said = proposal(chosen, **given).partition(" In the file")[0]
    assert said == (f" Proposed for the file of the model: {keys}." if keys else "")


@pytest.mark.parametrize(
    ("chosen", "others"),
    [
        ("every 4 weeks, ungated", "reasons shift, harm; gates minimum_score, beats_champion, size"),
        ("every 4 weeks, gated", "reasons shift, harm; gates size"),
        ("every week, gated", "reasons shift, harm; gates size; guards cooldown_days, budget, give_up_after"),
        ("as declared", "gates size"),
        ("never", None),
    ],
)
def test_what_a_proposal_does_not_cover_is_named(chosen: str, others: str | None) -> None:
    gates = [*spec().model_dump()["gates"], {"gate": "size", "megabytes": 5.0}]
    said = proposal(chosen, gates=gates, retrain={"cooldown_days": 14})
    assert said.partition(" In the file, but not in this policy: ")[2] == (f"{others}." if others else "")


def outcome(policy: str, later: float, low: float = 0.1) -> replay.Outcome:
    known = dict.fromkeys(("loss", "gain", "high", "best", "started", "promoted", "earlier", "spread"), 0.1)
    return replay.Outcome(policy, **known, low=low, worst=low, later=later)


@pytest.mark.parametrize(
    ("outcomes", "against"),
    [
        ([outcome("every week, gated", -0.2)], "it gained nothing on nights that it had not seen"),
        ([outcome("every week, gated", 0.0)], "it gained nothing on nights that it had not seen"),
        ([outcome("every week, gated", 0.2)], ""),
        (
            [outcome("never", 0.0), outcome("every week, gated", 0.2)],
            "there every week, gated gained +0.2000, and",
        ),
        ([outcome("never", 0.0), outcome("every week, gated", 0.2, low=-0.1)], ""),
        ([outcome("never", 0.0), outcome(replay.ORACLE, 0.2)], ""),
        ([outcome(replay.DECLARED, 0.0)], None),
    ],
)
def test_what_the_second_half_speaks_against_is_not_proposed(
    outcomes: list[replay.Outcome], against: str | None
) -> None:
    compared = replay.Compared(9, 1, tuple(outcomes), outcomes[0].policy, {}, {"": spec()})
    said = replay.verdict(compared).partition(" a year.")[2]
    begins = {None: "", "": " Proposed for the file"}.get(against, f" Nothing is proposed: {against}")
    assert said.startswith(begins)
    assert said or against is None


def test_a_world_that_turns_in_the_second_half_only_is_no_reason_to_retrain_never_again() -> None:
    found = replay.compare({"": made(spec(), nights(change=115))}, POLICIES, starts=2)
    assert found.chosen == "never"
    assert "Nothing is proposed: there weekly" in replay.verdict(found)


def test_a_spec_that_would_have_trained_as_seldom_as_never_is_left_as_it_is(bank: replay.Bank) -> None:
    """A replay that is shorter than the age that asks says nothing against it."""
    for declared, chosen in ((replay.never, replay.DECLARED), (replay.every(7, gated=False), "never")):
        policies = {"never": replay.never, replay.DECLARED: declared}
        before_it_turns = replace(bank, candidates=bank.candidates[:2], loss=bank.loss[:2])
        found = replay.compare({"": before_it_turns}, policies, starts=1)
        assert found.chosen == chosen


def test_dates_as_of_which_nothing_could_be_trained_are_named_and_counted(bank: replay.Bank) -> None:
    lacking = [PERIOD.last + timedelta(n) for n in range(1, 31)]
    there = [each.as_of for each in bank.candidates]
    found = replay.compare({"": bank}, {"never": replay.never}, starts=1, dates=[*there, *lacking])
    assert found.left_out[0].endswith(f"{lacking[4]}, and 25 more, up to {lacking[-1]}")


@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize("change", [CHANGE, NIGHTS])
def test_a_spec_as_proposed_trains_on_the_nights_of_the_calendar_it_was_proposed_for(
    refit: bool, change: int
) -> None:
    """Labels come ten nights late, and where nothing changes most trainings are not promoted."""
    given = nights(change, late=10)
    about = {
        "target": {"source": "truth", "column": "y", "matures_after_days": 10},
        "train": {"window_days": 21, "holdout_days": 7, "min_rows": 100, "refit": refit},
    }
    said = proposal("every 4 weeks, gated", **about)
    keys = dict(re.findall(r"retrain\.(\w+(?:\.\w+)?)=(\d+)", said))
    when = {"shift": None, "harm": None, "age_days": int(keys["when.age_days"])}
    there, policy = declares(given, when=when, retry_days=int(keys["retry_days"]), about=about)
    expected = replay.every(28, gated=True)(there, 0)
    found = policy(there, 0)
    assert (found.started, found.promoted) == (expected.started, expected.promoted)
    assert found.started == 3
    assert found.serving.tolist() == expected.serving.tolist()


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("estimator.params.hidden_layer_sizes=[32,16]", "estimator.params.hidden_layer_sizes", [32, 16]),
        ("estimator.params.x=[[1, 2], [3]], train.window_days=45", "estimator.params.x", [[1, 2], [3]]),
        (
            "train.window_days=45,estimator.params.x={a: 1, b: [2, 3]}",
            "estimator.params.x",
            {"a": 1, "b": [2, 3]},
        ),
        ("description='a, b=c', train.window_days=45", "description", "a, b=c"),
        ('description="a\\", b",train.window_days=45', "description", 'a", b'),
        ("description=it's, train.window_days=45", "description", "it's"),
        ("train.window_days=45, estimator.params.x=010", "estimator.params.x", "010"),
        ("estimator.params.x=1e-3", "estimator.params.x", 0.001),
    ],
)
def test_a_change_has_values_as_a_spec_has_them(text: str, key: str, value: object) -> None:
    """A list is one value, and a comma in it parts no changes."""
    found = stages.changed(spec(), text)
    assert found.train.window_days == (45 if "window_days" in text else 21)
    said = found.model_dump(by_alias=True)
    for each in key.split("."):
        said = said[each]
    assert said == value


@pytest.mark.parametrize(
    "value",
    ["[", "[32,16", "'45", "{a: 1, a: 2}", "2013-02-30", "[" * 400, "!!python/name:os.system", "{[1]: 2}"],
)
def test_a_change_that_is_no_yaml_is_named(value: str) -> None:
    told = f"--set 'estimator.params.x={value}': not valid YAML"
    with pytest.raises(RequestError, match=re.escape(told).replace("'", ".")):
        stages.changed(spec(), f"train.window_days=45, estimator.params.x={value}")


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("train.window_days=45, train.window_days=20", RequestError, "'train.window_days' is set twice"),
        ("train.window_days=all", RequestError, "says so already"),
        ("train.tune.trials=5", RequestError, "searches for none"),
        ("train={tune: {trials: 5}}", RequestError, "searches for none"),
        ("slices=[orign]", SpecError, "key 'slices': .* did you mean 'origin'"),
        ("encoding.carier=target", SpecError, "key 'encoding.carier': .* did you mean 'carrier'"),
        ("encoding.distance=target", SpecError, "takes string, integer, boolean"),
        ("compute=spark", SpecError, "key 'compute'"),
        ("estimator.params.max_itr=5", SpecError, r"has no parameter \['max_itr'\]"),
        ("estimator.class=sklearn.linear_model.Rigde", SpecError, "not found"),
        ("estimator={class: sklearn.linear_model.Ridge}", SpecError, "Ridge.*classification"),
    ],
)
def test_a_change_that_no_file_could_say_is_told_before_anything_is_fitted(
    text: str, error: type[Exception], says: str
) -> None:
    project = load_project()
    with pytest.raises(error, match=f"--set.*{says}"):
        stages.as_changed(project, project.model("late_arrival"), text)


def test_no_calendar_is_compared_that_a_bank_has_no_candidates_for() -> None:
    assert replay.calendars(7) == {"every week": 7, "every 4 weeks": 28, "every 8 weeks": 56}
    assert replay.calendars(14) == {"every 2 weeks": 14, "every 4 weeks": 28, "every 8 weeks": 56}
    assert replay.calendars(1) == {
        "every night": 1,
        "every week": 7,
        "every 4 weeks": 28,
        "every 8 weeks": 56,
    }
    assert replay.calendars(60) == {"every 60 nights": 60}


def test_the_picture_draws_what_specs_declare_whole_and_not_what_nobody_reaches() -> None:
    names = ["never", "every week, ungated", replay.ORACLE, replay.DECLARED]
    outcomes = tuple(replay.Outcome(name, *[float(n)] * 11) for n, name in enumerate(names))
    curves = {name: np.linspace(0, n, 365) for n, name in enumerate(names)}
    found = replay.Compared(365, 1, outcomes, "every week, ungated", curves, {"": spec()})
    page = pages.page(replay.report("m", DateRange(FIRST, FIRST + timedelta(days=364)), found))
    drawn = re.findall(r'<path class="o-(\w+)" d="([^"]+)"/>', page)
    assert [kind for kind, _ in drawn] == ["axis", "then", "now", "good"]
    assert all(path.rpartition("L")[2].startswith("1000.0 ") for _, path in drawn[1:]), "to the last night"
    assert f"{replay.DECLARED}: +3.00" in page
    assert f"{replay.ORACLE}: " not in page.partition("<svg")[2]


# What a training gains


def test_what_a_training_gains_is_learned_by_age_of_the_nights_before() -> None:
    there = made(spec(), nights())
    before = replay.gain_by_age(there, FIRST + timedelta(days=CHANGE - 1))
    after = replay.gain_by_age(there)
    assert before is not None
    assert after is not None
    assert list(after.gains) == sorted(after.gains)
    assert before.gains[0] == after.gains[0] == 0.0
    assert max(before.gains) < 0.05
    assert max(after.gains) > 0.5, "the slope has turned over"
    assert replay.gain_by_age(there, FIRST + timedelta(days=60)) is None, "too few nights to say"


def test_the_curve_is_the_mean_of_what_older_candidates_lost_against_the_newest() -> None:
    there = made(spec(), nights())
    ages = np.array([n.toordinal() for n in there.nights]) - np.array(
        [[there.trained_until(k).toordinal()] for k in range(len(there.candidates))]
    )
    grows = replace(there, loss=np.where(np.isnan(there.loss), np.nan, np.where(ages > 40, 1.0, 0.0)))
    found = replay.gain_by_age(grows)
    assert found is not None
    assert found.gains[:41] == pytest.approx([0.0] * 41)
    assert found.gains[41:] == pytest.approx([1.0] * (len(found.gains) - 41))


def test_the_declared_policy_asks_once_a_training_is_expected_to_have_paid() -> None:
    given = nights()
    off = {"shift": None, "harm": None, "age_days": None}
    there, cheap = declares(given, when={**off, "expected_gain": 0.3}, min_new_labels=0)
    served = cheap(there, 0)
    assert served.started >= 1
    first = there.nights[there.serves_from(0) + int(np.flatnonzero(np.diff(served.serving))[0])]
    assert first > FIRST + timedelta(days=CHANGE), "before that no replay says that it would pay"
    there, dear = declares(given, when={**off, "expected_gain": 1e6}, min_new_labels=0)
    assert dear(there, 0).started == 0


# What the spec declares: its reasons and guards


def declares(
    given: replay.Nights, about: dict | None = None, **retrain: object
) -> tuple[replay.Bank, replay.Policy]:
    model = spec(retrain=retrain, **(about or {}))
    there = made(model, given)

    def learned(bank: replay.Bank, number: int) -> replay.Learned:
        return replay.learned(bank.model, feature_set(), given, bank.candidates[number])

    return there, replay.declared(replay.Watched.of(given.features, ["x"]), learned)


def test_a_concept_that_turns_over_is_harm_and_the_declared_policy_trains_and_recovers() -> None:
    there, policy = declares(nights(), when={"age_days": None}, cooldown_days=14)
    served = policy(there, 0)
    change = there.nights.index(FIRST + timedelta(days=CHANGE)) - there.serves_from(0)
    assert set(served.serving[: change + 1]) == {0}, "x itself never moves: before the change nothing asks"
    assert served.promoted >= 1
    late = slice(change + 28, None)
    kept, declared = (
        there.loss[s, np.arange(there.serves_from(0), len(there.nights))]
        for s in (replay.never(there, 0).serving, served.serving)
    )
    assert declared[late].mean() < 0.5 * kept[late].mean()


def test_where_nothing_changes_nothing_is_trained_and_age_asks_by_the_calendar() -> None:
    calm = nights(change=NIGHTS)
    there, policy = declares(calm, when={"age_days": None})
    assert policy(there, 0).started == 0
    there, policy = declares(calm, when={"shift": None, "harm": None, "age_days": 50})
    served = policy(there, 0)
    # Little is won by it: most are rejected, one a week at most.
    assert 1 <= served.started <= 6
    assert served.promoted < served.started


def test_what_a_candidate_says_is_watched_beside_what_it_is_told() -> None:
    there, policy = declares(nights(change=NIGHTS), when={"harm": None, "age_days": None})
    assert policy(there, 0).started == 0
    first = there.candidates[0]
    late = (there.rows["batch_date"] >= pd.Timestamp(FIRST + timedelta(days=CHANGE))).to_numpy()
    moved = first.predictions + np.where(late, np.nanstd(first.predictions), 0).astype("float32")
    says = replace(first, predictions=moved)
    assert policy(replace(there, candidates=(says, *there.candidates[1:])), 0).started >= 1
    # An offset of its own is no news: what counts is what it said before.
    offset = replace(first, predictions=moved, said=first.predictions)
    assert policy(replace(there, candidates=(offset, *there.candidates[1:])), 0).started == 0


def test_guards_hold_the_declared_policy_back() -> None:
    there, policy = declares(nights(), when={"shift": None, "harm": None, "age_days": 1}, retry_days=366)
    assert policy(there, 0).started == 1
    there, policy = declares(
        nights(), when={"shift": None, "harm": None, "age_days": 1}, min_new_labels=10**9
    )
    assert policy(there, 0).started == 0

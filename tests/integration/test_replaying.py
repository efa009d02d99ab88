"""A rehearsal over real nights: what it says, what it leaves, and how it goes on after it was cut short."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from integration.conftest import MODEL, redelivered, with_model
from nightshift import replay, stages
from nightshift.calendar import DateRange
from nightshift.cli.app import app
from nightshift.errors import FitFailed, NotReady, RequestError, SpecError
from nightshift.kept import SERVED, dag_of, rehearsed
from nightshift.stages import Platform, Rehearsal, Try

pytestmark = pytest.mark.integration
NIGHTS = DateRange(date(2013, 1, 28), date(2013, 2, 5))
ASKED = Rehearsal(NIGHTS, every=3, starts=2, changes=("train.window_days=7, train.max_rows=3000",))
STATE = (
    "SELECT (SELECT count(*) FROM governance.versions) AS versions, (SELECT count(*) FROM governance.snapshots) AS "
    "snapshots, (SELECT max(event) FROM catalog.events) AS event"
)


class Cut(Exception):
    """What ends a rehearsal in the middle."""


@pytest.mark.slow
def test_a_rehearsal_cut_short_goes_on_and_says_what_it_would_have_said(
    loop: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = loop.warehouse.row(STATE)
    trained: list[date] = []
    train = replay.candidate

    def counting(*arguments: object) -> replay.Candidate:
        trained.append(arguments[3])
        return train(*arguments)

    monkeypatch.setattr(replay, "candidate", counting)

    def cut(done: int, total: int) -> None:
        assert total == 6
        if done == 4:
            raise Cut

    with pytest.raises(Cut):
        stages.rehearse(loop, MODEL, ASKED, Try("one"), reason="a test", watch=cut)
    assert len(trained) == 4
    found = stages.rehearse(loop, MODEL, ASKED, Try("one"), reason="a test")
    assert len(trained) == 6
    assert found == stages.rehearse(loop, MODEL, ASKED, Try("two"), reason="a test")
    assert loop.warehouse.row(STATE) == before
    assert len(found["policies"]) == 2 * (len(stages.policies(ASKED.every)) + 1)
    kept = loop.warehouse.rows("SELECT * FROM monitoring.replays WHERE run_id = 'one'")
    assert len(kept) == len(found["policies"])
    assert [row["policy"] for row in kept if row["chosen"]] == [
        found["outcome"].partition(": ")[2].partition(". On the second half")[0]
    ]


def other_code(loop: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTSHIFT_CODE_COMMIT", "another")


def other_estimator(loop: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    own = loop.project.own.file("own.mine")
    assert own
    own.write_text(own.read_text() + "# Another now.\n")


def other_labels(loop: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same labels, of which some became known a minute later."""
    redelivered(
        loop,
        "UPDATE raw.arrivals SET known_at = known_at + interval '1 minute' WHERE batch_date = '2013-01-20'",
    )


def nothing(loop: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    pass


@pytest.mark.parametrize(
    ("change", "times"), [(other_code, 2), (other_estimator, 2), (other_labels, 2), (nothing, 1)]
)
def test_candidates_of_other_code_or_other_labels_are_not_gone_on_with(
    loop: Platform,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Platform, pytest.MonkeyPatch], None],
    times: int,
) -> None:
    monkeypatch.setenv("NIGHTSHIFT_CODE_COMMIT", "one")
    (tmp_path / "own").mkdir()
    (tmp_path / "own/mine.py").write_text("class Mine: pass\n")
    settings = loop.project.settings.model_copy(update={"allowed_types": ["own.mine.Mine"]})
    project = loop.project.model_copy(update={"folder": tmp_path, "settings": settings})
    loop = replace(loop, project=project)
    trained: list[date] = []
    train = replay.candidate

    def counting(*arguments: object) -> replay.Candidate:
        trained.append(arguments[3])
        return train(*arguments)

    def cut(done: int, total: int) -> None:
        raise Cut

    monkeypatch.setattr(replay, "candidate", counting)
    asked = Rehearsal(NIGHTS, every=5, starts=1)
    for before in (lambda *_: None, change):
        before(loop, monkeypatch)
        with pytest.raises(Cut):
            stages.rehearse(loop, MODEL, asked, Try("one"), reason="a test", watch=cut)
    assert len(trained) == times


def test_a_rehearsal_leaves_a_page_and_what_another_is_at_work_on(loop: Platform) -> None:
    others = f"{rehearsed(MODEL)}/another/2013-01-28.npz"
    loop.objects.put(others, b"of another replay")
    found = stages.rehearse(loop, MODEL, ASKED, Try("one"), reason="a test")
    assert SERVED.fullmatch(found["page"])
    assert dag_of(found["page"]) == f"replay_policies_{MODEL}"
    page = loop.objects.get(found["page"]).decode()
    assert found["outcome"] in page
    assert {*loop.objects.sizes(f"replays/{MODEL}")} == {found["page"], others}


def test_a_date_that_cannot_be_learned_from_is_left_out_and_named(
    loop: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the rows of two dates an estimator can make nothing; nor, out of fold, of those of the first."""
    train = replay.candidate
    dates = replay.as_of_dates(NIGHTS, 3)

    def failing(*arguments: object) -> replay.Candidate:
        if arguments[3] == dates[1]:
            raise FitFailed("one class only")
        return train(*arguments)

    def unknown(*arguments: object) -> replay.Learned:
        raise FitFailed("one class only in a fold")

    monkeypatch.setattr(replay, "candidate", failing)
    monkeypatch.setattr(replay, "learned", unknown)
    found = stages.rehearse(loop, MODEL, Rehearsal(NIGHTS, every=3, starts=2), Try("one"), reason="a test")
    assert len(found["policies"]) == len(stages.policies(3)), "all but the declared one"
    page = loop.objects.get(found["page"]).decode()
    assert f"nothing could be trained as of {dates[1]}" in page
    assert f"{replay.DECLARED}: one class only in a fold" in page
    assert [words for words in found["left_out"] if str(dates[1]) in words], (
        "whoever asks in a terminal sees it too"
    )
    assert f"{replay.DECLARED}: one class only in a fold" in found["left_out"]
    monkeypatch.setattr(replay, "candidate", unknown)
    with pytest.raises(FitFailed, match="one class"):
        stages.rehearse(loop, MODEL, Rehearsal(NIGHTS, every=3), Try("two"), reason="a test")


@pytest.mark.parametrize(
    ("asked", "error", "says"),
    [
        (Rehearsal(NIGHTS, changes=("train.windw_days=7",)), SpecError, "did you mean 'window_days'"),
        (
            Rehearsal(NIGHTS, changes=("train.window_days=none",)),
            SpecError,
            "expected 'all' or 1 to 3660 days",
        ),
        (Rehearsal(NIGHTS, changes=("window_days",)), RequestError, "expected key=value"),
        (Rehearsal(NIGHTS, changes=("trin.window_days=3",)), RequestError, "the spec has no 'trin'"),
        (Rehearsal(NIGHTS, changes=("features=other",)), RequestError, "are what is replayed"),
        (
            Rehearsal(NIGHTS, changes=("recalibrate.at_most=11.0",)),
            SpecError,
            "in logits of a classification",
        ),
        (
            Rehearsal(NIGHTS, changes=("train.min_rows=400000",)),
            NotReady,
            "--set train.min_rows=400000: model",
        ),
        (Rehearsal(NIGHTS, every=30), RequestError, "shorter than two times 'every'"),
        (Rehearsal(DateRange(date(2013, 1, 10), NIGHTS.last)), NotReady, "leaves no day"),
        (
            Rehearsal(DateRange(date(2013, 3, 12), date(2013, 4, 12))),
            NotReady,
            "0 nights with labels follow 2013-03-12",
        ),
    ],
)
def test_what_cannot_be_replayed_is_told(
    still: Platform, asked: Rehearsal, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        stages.rehearse(still, MODEL, asked, Try("no"), reason="a test")


def test_a_spec_that_searches_is_replayed_as_declared_and_that_is_said(loop: Platform) -> None:
    searching = with_model(loop, lambda content: content["train"].update(tune={"trials": 5}))
    found = stages.rehearse(
        searching, MODEL, Rehearsal(NIGHTS, every=4, starts=1), Try("one"), reason="a test"
    )
    words = "the search of train.tune: each candidate is the estimator as declared, without a trial"
    assert words in found["left_out"]
    assert words in searching.objects.get(found["page"]).decode()


def test_nights_left_out_because_of_a_fault_are_counted(loop: Platform) -> None:
    """One that was to be learned from, one that was to be counted, and one of no night that there is."""
    for night in ("2013-01-18", "2013-02-02", "2012-12-24"):
        loop.warehouse.execute(
            "INSERT INTO monitoring.faults (feature_set, feature_version, batch_date, column_name, measure, words, "
            "sources, sketch_sha256, run_id) VALUES "
            "('departure', 1, %s, 'distance', 'outside', 'far', '{flights}', '', 'x')",
            (night,),
        )
    found = stages.rehearse(loop, MODEL, Rehearsal(NIGHTS, every=4, starts=1), Try("one"), reason="a test")
    both = DateRange(date(2013, 1, 18), date(2013, 2, 2))
    words = f"nights with an open fault: 2 ({both}), neither learned from nor counted"
    assert words in found["left_out"]
    assert words in loop.objects.get(found["page"]).decode()


def test_the_command_tells_every_policy_and_where_the_page_is(
    loop: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightshift.cli.handles.platform", lambda role: loop)
    told = CliRunner().invoke(
        app, ["replay", MODEL, "--from", "2013-01-28", "--to", "2013-02-05", "--every", "4", "--starts", "1"]
    )
    assert told.exit_code == 0, told.output
    said = told.output.splitlines()
    assert all(any(line.startswith(f"{name}: loss ") for line in said) for name in stages.policies(4))
    assert "every 4 nights, gated" in stages.policies(4)
    assert said[-1].startswith(f"Page: replays/{MODEL}/")
    wrong = CliRunner().invoke(app, ["replay", MODEL, "--from", "2013-1-28", "--to", "2013-02-05"])
    assert wrong.exit_code == 1
    assert "--from" in wrong.output

"""Rehearse retraining: replay policies over nights whose outcomes are known. No partition and no version changes."""

import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nightshift import kept, pages, replay, results, train
from nightshift.calendar import DateRange
from nightshift.errors import FitFailed, NotReady, RequestError, SpecError
from nightshift.masks import masked
from nightshift.objects import sha256
from nightshift.platform import Platform, Try
from nightshift.platform.faults import faulty_nights
from nightshift.platform.labels import ensure_reports, partial_nights, read_reports
from nightshift.platform.provenance import provenance, spec_text
from nightshift.records import replays
from nightshift.specs import FeatureSet, Model, Project
from nightshift.specs.parts import build, read_value
from nightshift.types import content_sha256
from nightshift.warehouse import feature_table

# Called with how many candidates there are, and of how many.
Watch = Callable[[int, int], None]
LONGEST_CHANGE = 500
OF_THE_ROWS = {"name", "task", "features", "target"}


@dataclass(frozen=True)
class Rehearsal:
    """What to replay. The first champion is trained as of the first night, candidates ``every`` so many nights.

    ``changes``: of the spec, each replayed beside it: ``train.window_days=45``, several with commas between.
    """

    nights: DateRange
    every: int = 7
    starts: int = 4
    changes: tuple[str, ...] = ()


def rehearse(
    platform: Platform, name: str, asked: Rehearsal, run: Try, *, reason: str, watch: Watch | None = None
) -> results.Rehearsed:
    """Replay the policies, and write a row each and a page. Cut short, it goes on with the candidates that it has.

    Raises:
        RequestError: a change is none, or the range is too short.
        SpecError: the changed spec is wrong.
        NotReady: there are no features or labels of these nights, or too few for a first champion or after it.
        FitFailed: a first champion cannot be learned from them.
    """
    model = platform.project.model(name)
    if model.target is None or not model.estimator.is_trained:
        raise RequestError(
            f"model '{name}' has no labels, or is not trained here: there is nothing to replay"
        )
    dates = replay.as_of_dates(asked.nights, asked.every)
    if len(dates) < 2:
        raise RequestError(f"range {asked.nights}: shorter than two times 'every', {asked.every} nights")
    models = {"": model, **{text: as_changed(platform.project, model, text) for text in asked.changes}}
    nights, faulty = _nights(platform, model, asked.nights)
    tell = iter(range(1, len(models) * len(dates) + 1))

    def told() -> None:
        if watch:
            watch(next(tell), len(models) * len(dates))

    # The first of each: what cannot be begun is told before all the others are fitted.
    begun = {
        change: _begun(platform, spec, nights, dates[0], asked.nights.last, change, told)
        for change, spec in models.items()
    }
    banks = {change: _bank(platform, work, nights, dates[1:], told) for change, work in begun.items()}
    declared = _declared(platform, platform.project.feature_set(model.features), nights)
    compared = replay.compare(
        banks, {**policies(asked.every), replay.DECLARED: declared}, starts=asked.starts, dates=dates
    )
    compared = replace(compared, left_out=(*faulty, *_not_searched(model), *compared.left_out))
    page = pages.page(replay.report(name, asked.nights, compared)).encode()
    key, _ = platform.objects.put_once(kept.replays(name), page, ".html")
    with platform.warehouse.session() as session:
        session.each(replays.REPLAY, _rows(name, run, asked, compared, key, reason))
        session.each(replays.LEARN, _learned(name, run, asked, banks[""]))
    for work in begun.values():
        platform.objects.delete(work.folder)
    return {
        "model": name,
        "nights": str(asked.nights),
        "outcome": replay.verdict(compared),
        "policies": [replay.told(each) for each in compared.outcomes],
        "left_out": [masked(words) for words in compared.left_out],
        "page": key,
    }


@dataclass(frozen=True)
class _Work:
    """A spec whose bank is being made: its labelled rows, the folder of its candidates, and the first of these."""

    spec: Model
    feature_set: FeatureSet
    rows: pd.DataFrame
    folder: str
    first: replay.Candidate


def _begun(
    platform: Platform,
    spec: Model,
    nights: replay.Nights,
    first: date,
    last: date,
    change: str,
    told: Callable[[], None],
) -> _Work:
    """Return the work on a spec's bank with its first candidate, without which nothing is served.

    Raises:
        NotReady, FitFailed: there can be none; in words, of which change.
    """
    feature_set = platform.project.feature_set(spec.features)
    rows = replay.labelled(spec, feature_set, nights, last)
    replay.require_nights(spec, rows, first)
    folder = f"{kept.rehearsed(spec.name)}/{_identity(platform, spec, nights, rows)}"
    try:
        found = _candidate(platform, spec, feature_set, nights, first, rows, folder)
    except (NotReady, FitFailed) as error:
        if not change:
            raise
        raise type(error)(f"--set {change}: {error}") from error
    told()
    return _Work(spec, feature_set, rows, folder, found)


def _bank(
    platform: Platform, work: _Work, nights: replay.Nights, dates: list[date], told: Callable[[], None]
) -> replay.Bank:
    """Return the bank of a spec, without the dates as of which nothing can be trained."""
    found = [work.first]
    for as_of in dates:
        with suppress(NotReady, FitFailed):
            found.append(
                _candidate(platform, work.spec, work.feature_set, nights, as_of, work.rows, work.folder)
            )
        told()
    return replay.bank(work.spec, work.rows, found)


def _declared(platform: Platform, feature_set: FeatureSet, nights: replay.Nights) -> replay.Policy:
    """Return the policy of reasons and guards that a bank's spec declares. Each champion is looked at once."""
    found: dict[tuple[str, int], replay.Learned] = {}

    def learned(bank: replay.Bank, number: int) -> replay.Learned:
        of = (spec_text(bank.model), number)
        if of not in found:
            candidate = bank.candidates[number]
            found[of] = replay.learned(bank.model, feature_set, nights, candidate, platform.project.own)
        return found[of]

    return replay.declared(replay.Watched.of(nights.features, list(feature_set.columns)), learned)


def _rows(
    name: str, run: Try, asked: Rehearsal, compared: replay.Compared, key: str, reason: str
) -> list[replays.Replayed]:
    return [
        replays.Replayed(
            model=name,
            run_id=run.run_id,
            first=asked.nights.first,
            last=asked.nights.last,
            starts=compared.starts,
            chosen=each.policy == compared.chosen,
            page_key=key,
            reason=reason,
            **asdict(each),
        )
        for each in compared.outcomes
    ]


def _learned(name: str, run: Try, asked: Rehearsal, bank: replay.Bank) -> list[replays.Gains]:
    """Return what the bank of the spec as it is declared says that trainings gain, if it can say."""
    found = replay.gain_by_age(bank)
    last = asked.nights.last
    return [replays.Gains(model=name, run_id=run.run_id, last=last, by_age=found)] if found else []


def policies(every: int) -> dict[str, replay.Policy]:
    """Return what is compared, by name, where there is a candidate every so many nights."""
    calendars = replay.calendars(every)
    return {
        replay.NEVER: replay.never,
        **{f"{name}, ungated": replay.every(days, gated=False) for name, days in calendars.items()},
        **{f"{name}, gated": replay.every(days, gated=True) for name, days in calendars.items()},
        replay.ORACLE: replay.oracle(),
    }


def as_changed(project: Project, model: Model, text: str) -> Model:
    """Return the model with a change of its spec that stands as its file would have to.

    Raises:
        RequestError: it is none, or one that a replay does not look at.
        SpecError: the changed spec is wrong.
    """
    spec = changed(model, text)
    if spec == model:
        raise RequestError(f"--set {text}: the spec says so already; there is nothing to compare")
    if _search(spec) != _search(model):
        raise RequestError(
            f"--set {text}: a replay fits the estimator that is declared and searches for none; leave train.tune and "
            "train.automl as they are"
        )
    try:
        project.check_model(spec)
        train.check(spec, project.own)
    except SpecError as error:
        raise SpecError(f"--set {text}: {error}") from error
    return spec


def _search(model: Model) -> tuple[object, ...]:
    return model.train.tune, model.train.automl


def _not_searched(model: Model) -> tuple[str, ...]:
    """Return, in words, that candidates are not what a search of the spec would find."""
    if not model.train.tune.trials:
        return ()
    return ("the search of train.tune: each candidate is the estimator as declared, without a trial",)


def changed(model: Model, text: str) -> Model:
    """Return the model with a change of its spec: ``key.key=value``, several with commas between.

    Values are written as in the file.

    Raises:
        RequestError: it is none.
        SpecError: there is no such key, or the value is not one of it.
    """
    content = model.model_dump(mode="json", by_alias=True)
    if len(text) > LONGEST_CHANGE:
        raise RequestError(f"--set: at most {LONGEST_CHANGE} characters, got {len(text)}")
    parts = [part.strip() for part in _parts(text)]
    paths = [_path(part) for part in parts]
    if twice := [path for path in paths if paths.count(path) > 1]:
        raise RequestError(f"--set {text}: '{'.'.join(twice[0])}' is set twice; replay one beside the other")
    for part, path in zip(parts, paths, strict=True):
        try:
            _put(content, path, read_value(part.partition("=")[2]), part)
        except ValueError as error:
            raise RequestError(f"--set {part!r}: not valid YAML: {error}") from error
    return build(Model, content, Path(f"--set {text}"))


def _path(part: str) -> list[str]:
    """Return the keys of a change, the outermost first. Raises RequestError if a replay could not look at it."""
    path, sign, _ = part.partition("=")
    if not sign or not path.strip():
        raise RequestError(f"--set {part!r}: expected key=value, as in train.window_days=45")
    keys = path.strip().split(".")
    if keys[0] in OF_THE_ROWS:
        raise RequestError(f"--set {part!r}: the rows and their labels are what is replayed; leave it")
    return keys


def _parts(text: str) -> list[str]:
    """Return the changes of a text. A comma parts two where the value before it is whole: ``[32`` is not."""
    found, pending = list[str](), list[str]()
    for piece in text.split(","):
        pending.append(piece)
        part = ",".join(pending)
        with suppress(ValueError):
            read_value(part.partition("=")[2])
            found, pending = [*found, part], []
    return [*found, ",".join(pending)] if pending else found


def _put(content: dict[str, Any], path: list[str], value: Any, told: str) -> None:
    *above, last = path
    for key in above:
        if key in content and content[key] is None:
            content[key] = {}  # a section that this spec leaves out
        inner = content.get(key)
        if not isinstance(inner, dict):
            raise RequestError(f"--set {told!r}: the spec has no '{key}' to set anything in")
        content = inner
    content[last] = value


def _nights(platform: Platform, model: Model, asked: DateRange) -> tuple[replay.Nights, tuple[str, ...]]:
    """Return what there is of all nights without an open fault, and in words which have one."""
    first, calendar = platform.project.settings.first_night, platform.project.calendar
    feature_set = platform.project.feature_set(model.features)
    features = feature_table(feature_set)
    platform.warehouse.ensure(features)
    ensure_reports(platform, model)
    with platform.warehouse.reading() as reading:
        rows = reading.read(features, first, asked.last)
        reports = read_reports(reading, platform, model, first, date.max)
        # As a training: what is wrong is not learned.
        faulty = faulty_nights(reading, feature_set, DateRange(first, asked.last))
    if rows.empty or reports.empty:
        what = f"features_{model.features}" if rows.empty else f"collect_{model.truth.source}"
        raise NotReady(f"model '{model.name}': there are no rows of these nights; run {what} for {asked}")
    platform.warehouse.rest()  # candidates are fitted for long
    left = sorted(faulty & set(rows["batch_date"].dt.date))
    rows = rows[~rows["batch_date"].dt.date.isin(left)]
    found = replay.Nights(
        rows,
        reports,
        lambda night: pd.Timestamp(calendar.cutoff(night)),
        first,
        lambda spec, as_of: partial_nights(calendar, spec, feature_set.entity, rows, reports, as_of),
    )
    if not left:
        return found, ()
    which = DateRange(left[0], left[-1])
    return found, (f"nights with an open fault: {len(left)} ({which}), neither learned from nor counted",)


def _identity(platform: Platform, spec: Model, nights: replay.Nights, rows: pd.DataFrame) -> str:
    """Return the hash of what a candidate comes from: other data, code or packages, or another spec, is another one.

    The data are also when each label became known: a candidate learns from those of its date.
    """
    fitted = spec.model_copy(update={"recalibrate": None})  # it moves what a candidate says, and fits none
    own = platform.project.own
    parts = (
        *provenance(fitted).values(),
        *own.code(own.types).values(),
        str(nights.first),
        str(nights.cutoff(nights.first)),
        *map(content_sha256, (nights.features, nights.reported, rows)),
    )
    return sha256("\n".join(parts).encode())


def _candidate(
    platform: Platform,
    spec: Model,
    feature_set: FeatureSet,
    nights: replay.Nights,
    as_of: date,
    rows: pd.DataFrame,
    folder: str,
) -> replay.Candidate:
    """Return the candidate of a date, as an earlier try left it or trained now.

    Raises:
        NotReady, FitFailed: it cannot be trained.
    """
    key = f"{folder}/{as_of}.npz"
    content = platform.objects.find(key)
    if content is not None:
        with np.load(io.BytesIO(content)) as file:
            return replay.Candidate.of(spec, as_of, nights.first, file["rows"], file["predictions"])
    made = replay.candidate(spec, feature_set, nights, as_of, rows, platform.project.own)
    sink = io.BytesIO()
    np.savez_compressed(sink, rows=made.rows, predictions=made.predictions)
    platform.objects.put(key, sink.getvalue())
    return made

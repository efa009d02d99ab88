"""A version made again: whether what came out is the same, and what is different of what went in.

The same means: the same metrics on the holdout, and the same predictions on every row of the snapshot, to the bit.
The files of models are not compared: skops writes addresses in memory and the time into them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightshift.freeform import Jsonable
from nightshift.pages import Document, Note, Part, Section, Table
from nightshift.records.catalog import Difference, Findings, PredictionsAgain, ScoreAgain

UNRECORDED = "not recorded"
MOST_SHOWN = 50


@dataclass(frozen=True)
class Predictions:
    """Hashes of the predictions on all rows: as recorded, by the registered model now, by the one made again now.

    ``differing``: rows on which the last two differ, and ``largest``: by how much at most.
    """

    rows: int
    recorded_sha256: str | None
    registered_sha256: str
    again_sha256: str
    differing: int
    largest: float

    @property
    def equal(self) -> bool:
        """Whether the model made again says what was recorded; without a record, what the registered one says."""
        return self.again_sha256 == (self.recorded_sha256 or self.registered_sha256)


@dataclass(frozen=True)
class Score:
    """A metric on the holdout: as the decision, or else the registered model says it, and of the one made again."""

    metric: str
    then: float | None
    now: float | None

    @property
    def difference(self) -> float | None:
        """Now less then, where both are defined."""
        return None if self.then is None or self.now is None else self.now - self.then


@dataclass(frozen=True)
class Reproduction:
    """What came out, and what was different on the way.

    ``predictions``: of what serves. ``judged``: of what was judged, if that is another fit; ``scores`` are its.
    """

    model: str
    version: int
    snapshot_id: str
    predictions: Predictions
    scores: tuple[Score, ...]
    differences: tuple[Difference, ...]
    judged: Predictions | None = None

    @property
    def fits(self) -> dict[str, Predictions]:
        """The predictions of each fit, by what it is in words."""
        if self.judged is None:
            return {"Predictions": self.predictions}
        return {"Predictions of what serves": self.predictions, "Predictions of what was judged": self.judged}

    @property
    def equal(self) -> bool:
        """Whether metrics and predictions, those of each fit, are the same, to the bit."""
        fits_equal = all(each.equal for each in self.fits.values())
        return fits_equal and all(score.then == score.now for score in self.scores)

    @property
    def findings(self) -> Findings:
        """What the catalog keeps of it."""
        return Findings(
            snapshot_id=self.snapshot_id,
            predictions=_kept(self.predictions),
            judged=_kept(self.judged) if self.judged else None,
            metrics={s.metric: ScoreAgain(s.then, s.now, s.difference) for s in self.scores},
            differences=self.differences,
        )


def distance(registered: NDArray[np.float64], again: NDArray[np.float64]) -> tuple[int, float]:
    """Return on how many rows two arrays of n rows differ in any bit, and by how much at most."""
    differs = registered.view(np.int64) != again.view(np.int64)
    if differs.ndim == 2:
        differs = differs.any(axis=1)
    largest = float(np.max(np.abs(registered - again), initial=0.0))
    return int(differs.sum()), largest


def scores(then: Mapping[str, float | None], now: Mapping[str, float | None]) -> tuple[Score, ...]:
    """Return every metric of both, by name."""
    return tuple(Score(name, then.get(name), now.get(name)) for name in sorted({*then, *now}))


def differences(then: Jsonable, now: Jsonable, prefix: str = "") -> Iterator[Difference]:
    """Yield every key whose value is another, down to the leaves; a key of one side only is ``-`` on the other."""
    for name in sorted({*then, *now}):
        old, new = then.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from differences(old, new, f"{prefix}{name}.")
        elif old != new:
            yield Difference(f"{prefix}{name}", _shown(old), _shown(new))


def report(found: Reproduction) -> Document:
    """Return the findings as a document."""
    said = found.predictions
    return Document(
        title=f"{found.model}, version {found.version}, made again",
        about="Trained again from its snapshot, and held against what was recorded.",
        notes=(Note(verdict(found), "good" if found.equal else "bad"),),
        sections=(
            *(Section(title, (_predictions(each),)) for title, each in found.fits.items()),
            Section("Metrics on the holdout", (_scores(found.scores),)),
            Section("What is different now", _differences(found.differences)),
            Section(
                "Made from", (Table((), (("Snapshot (sha256)", found.snapshot_id), ("Rows", said.rows))),)
            ),
        ),
    )


def verdict(found: Reproduction) -> str:
    """Return the outcome in a sentence."""
    said = found.predictions
    if found.equal:
        of_both = ", of what was judged and of what serves" if found.judged else ""
        return f"Equal: every metric and all {said.rows} predictions{of_both}, to the bit."
    if found.judged and said.equal:
        said = found.judged
    worse = [f"{s.metric} by {s.difference:+.3g}" for s in found.scores if s.difference]
    return (
        f"Different: {said.differing} of {said.rows} predictions differ from the registered model's, by "
        f"{said.largest:.3g} at most; metrics that differ: {', '.join(worse) or 'none'}."
    )


def _kept(said: Predictions) -> PredictionsAgain:
    return PredictionsAgain(**asdict(said), equal=said.equal)


def _predictions(said: Predictions) -> Table:
    return Table(
        (),
        (
            ("Recorded when it was trained (sha256)", said.recorded_sha256 or UNRECORDED),
            ("By the registered model, now (sha256)", said.registered_sha256),
            ("By the model made again, now (sha256)", said.again_sha256),
            ("Rows on which these two differ", said.differing),
            ("Largest difference", said.largest),
        ),
    )


def _scores(found: Sequence[Score]) -> Table:
    # All digits: the last one may be the only one that differs.
    rows = tuple((s.metric, _digits(s.then), _digits(s.now), _digits(s.difference)) for s in found)
    return Table(("Metric", "Then", "Now", "Difference"), rows)


def _differences(found: Sequence[Difference]) -> tuple[Part, ...]:
    if not found:
        return ("Nothing: the same code, packages, processor and threads.",)
    rows = tuple((each.what, each.then, each.now) for each in found[:MOST_SHOWN])
    left = f"{len(found) - len(rows)} more are in governance.reproductions."
    return (Table(("What", "Then", "Now"), rows), *([left] if len(found) > len(rows) else []))


def _digits(value: float | None) -> str:
    return "-" if value is None else repr(value)


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)

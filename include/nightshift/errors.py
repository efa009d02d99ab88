"""Everything Nightshift raises on purpose.

NightshiftError
├── SpecError             a spec or a project file is wrong: names file, key, what was expected
├── RequestError          a manual run's parameters are wrong
├── SourceError           an upstream is down, missing, or answers nonsense
│   └── SourceRefused     it answers, and what it says to this query will be the same the next time
├── BatchRejected         a batch broke its contract: nothing downstream may run
│   ├── EmptyBatch
│   └── SchemaMismatch
├── Unreconciled          rows are lost or there twice: of a collected batch, or of a scored night
├── TableMismatch         a table's columns, types or key are not what its spec declares: nothing is written
├── NotReady              something that must exist first does not (no champion, no features)
│   └── ChampionChanged   a promotion or a rollback came while a night was scored: nothing is written
├── Unreachable           a server of ours is down, too busy, or went away meanwhile; a disk of ours is full
├── WarehouseRefused      PostgreSQL takes no such rows or statement: names table, column, row
├── RegistryRefused       MLflow answers, and refuses what is asked
│   └── AccessDenied      it does not take our login, or grants it too little
├── Superseded            a newer try holds the lease of this partition: this one writes nothing
├── LedgerMismatch        the registry and the ledger disagree about the champion
├── LedgerBroken          an entry of the ledger is not what was written
├── Barred                a version, or a copy of one, that was taken out of service by hand
├── FitFailed             an estimator could not be fitted on the rows it was given: names model, feature, what to do
├── ArtifactRefused       an artifact's hash or its types are not what the ledger and we allow
└── UnfairHoldout         a holdout that champion or challenger has already seen

A retry can cure SourceError, but for SourceRefused, Unreachable and ChampionChanged; it cannot cure the others:
orchestration fails those tasks at once.

An error carries what is known as data: what it is about, which night, what cures it. Who raises it says what is wrong;
the sentence around that is made here, once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches

# The stages that no schedule starts: a person triggers them.
BY_HAND = frozenset({"train", "rollback"})


@dataclass(frozen=True)
class Subject:
    """What an error is about: a model, a source, a feature set, a training."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}'"


@dataclass(frozen=True)
class RunStage:
    """What cures it: a run of a stage of this source, feature set or model; ``as_of``: for that night or before."""

    stage: str
    name: str
    as_of: date | None = None

    @property
    def dag_id(self) -> str:
        """The DAG that does it."""
        return f"{self.stage}_{self.name}"

    def __str__(self) -> str:
        when = f" as of {self.as_of} or earlier" if self.as_of else ""
        return f"{'trigger' if self.stage in BY_HAND else 'run'} {self.dag_id}{when}"


@dataclass(frozen=True)
class ClearTask:
    """What cures it: a task of the same run, cleared."""

    task: str

    def __str__(self) -> str:
        return f"clear '{self.task}'"


class NightshiftError(Exception):
    """The root: catch this to catch everything Nightshift raises on purpose.

    ``subject``: what it is about; ``nights``: those concerned, ascending; ``remedy``: what cures it; if known.
    """

    def __init__(
        self,
        *words: object,
        subject: Subject | None = None,
        nights: Iterable[date] = (),
        remedy: RunStage | ClearTask | None = None,
    ) -> None:
        super().__init__(*words)
        self.subject, self.nights, self.remedy = subject, tuple(nights), remedy

    def __str__(self) -> str:
        """Return ``SUBJECT what is wrong for NIGHT; REMEDY``, of what is known."""
        about = f"{self.subject} " if self.subject else ""
        more = f" and {len(self.nights) - 1} more nights" if len(self.nights) > 1 else ""
        when = f" for {self.nights[0]}{more}" if self.nights else ""
        those = (
            (" for them" if more else " for it") if self.nights and isinstance(self.remedy, RunStage) else ""
        )
        return f"{about}{super().__str__()}{when}{f'; {self.remedy}{those}' if self.remedy else ''}"


class SpecError(NightshiftError):
    """A spec or project file is wrong."""


class RequestError(NightshiftError):
    """The parameters of a manual run are wrong."""


class SourceError(NightshiftError):
    """An upstream is down, missing, or answers nonsense."""


class SourceRefused(SourceError):
    """An upstream that answers, and whose answer to this query stays what it is."""


class BatchRejected(NightshiftError):
    """A batch broke its contract; nothing downstream of it may run."""


class EmptyBatch(BatchRejected):
    """A batch without a single row."""


class SchemaMismatch(BatchRejected):
    """A batch whose columns are not those its spec declares."""


class Unreconciled(NightshiftError):
    """The rows of a batch, or of a scored night, do not add up."""


class TableMismatch(NightshiftError):
    """A table of the warehouse is not what its spec declares; nothing was written."""


class NotReady(NightshiftError):
    """Something that must exist first does not."""


class ChampionChanged(NotReady):
    """Another version became champion of a night while the night was scored."""


class Unreachable(NightshiftError):
    """A server of ours is down, too busy, or went away meanwhile."""


class WarehouseRefused(NightshiftError):
    """PostgreSQL takes no such rows or statement."""


class RegistryRefused(NightshiftError):
    """MLflow answers, and refuses what is asked."""


class AccessDenied(RegistryRefused):
    """MLflow does not take our login, or grants it too little."""


class Superseded(NightshiftError):
    """A newer try holds the lease of this partition."""


class LedgerMismatch(NightshiftError):
    """The registry and the ledger disagree about the champion."""


class LedgerBroken(NightshiftError):
    """An entry of the ledger is not what was written."""


class Barred(NightshiftError):
    """A version, or a copy of one, that was taken out of service by hand."""


class FitFailed(NightshiftError):
    """An estimator could not be fitted on these rows."""


class ArtifactRefused(NightshiftError):
    """An artifact's hash or types are not what the ledger and our allow-list say."""


class UnfairHoldout(NightshiftError):
    """A holdout that champion or challenger has already seen."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the closest known word, else the list of known words."""
    options = sorted(known)
    close = get_close_matches(word, options, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(options)}" if options else ""

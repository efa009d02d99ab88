"""Everything Nightshift raises on purpose.

NightshiftError
├── SpecError             a spec or a project file is wrong: names file, key, what was expected
├── RequestError          a manual run's parameters are wrong
├── SourceError           an upstream is down, missing, or answers nonsense
│   └── SourceRefused     it answers, and what it says to this query will be the same the next time
├── BatchRejected         a batch broke its contract: nothing downstream may run
│   ├── EmptyBatch
│   └── SchemaMismatch
├── Unreconciled          rows that were collected are neither accepted nor in quarantine, or are there twice
├── TableMismatch         a table's columns, types or key are not what its spec declares: nothing is written
├── NotReady              something that must exist first does not (no champion, no features)
├── Unreachable           a server of ours is down, too busy, or went away meanwhile
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

A retry can cure SourceError and Unreachable, but for SourceRefused; it cannot cure the others: orchestration fails
those tasks at once.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class NightshiftError(Exception):
    """The root: catch this to catch everything Nightshift raises on purpose."""


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
    """The rows of a batch do not add up to what was collected."""


class TableMismatch(NightshiftError):
    """A table of the warehouse is not what its spec declares; nothing was written."""


class NotReady(NightshiftError):
    """Something that must exist first does not."""


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

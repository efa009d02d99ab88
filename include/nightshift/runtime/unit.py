"""A component as it is now: when it is well, when its patience is at an end, when to try again.

No clock and no process is read here: every instant comes in as an argument.
"""

from dataclasses import dataclass

from nightshift.runtime.stack import Component
from nightshift.runtime.state import Record

LONGEST_PAUSE = 20.0
STEADY_AFTER = 120.0


@dataclass
class Unit:
    """The supervisor's view of one component."""

    component: Component
    record: Record | None = None
    # Started, done or found without a process of its own: a step that ended, a server that was given.
    settled: bool = False
    well: bool = False
    well_once: bool = False  # since its last start
    unwell_since: float = 0.0
    started_at: float = 0.0
    starts: int = 0
    failures: int = 0  # in a row
    try_again_at: float = 0.0
    reason: str = ""

    @property
    def name(self) -> str:
        """The component's name."""
        return self.component.name

    @property
    def is_launcher(self) -> bool:
        """Whether others are forked from it, and it serves nobody else."""
        return self.component.kind == "launcher"

    def began(self, record: Record | None, now: float) -> None:
        """It was started; without a record there is nothing to watch for."""
        self.record = record
        self.settled = record is None
        self.starts += 1
        self.started_at = self.unwell_since = now
        self.well = self.well_once = False
        if record is None and self.component.kind == "step":
            self.well = True

    def adopted(self, record: Record, now: float) -> None:
        """A former supervisor started it."""
        self.began(record, now)
        self.starts = record.restarts + 1
        # It has been well before: no patience of a first start for it.
        self.well_once = True

    def note(self, well: bool | None, now: float) -> None:
        """Take in an answer; None is an excuse."""
        if well is None:
            self.unwell_since = now
        elif well:
            self.well = self.well_once = True
            self.unwell_since = now
            if now - self.started_at > STEADY_AFTER:
                self.failures = 0
        else:
            self.well = False

    def excuse(self, now: float) -> None:
        """What it needs is unwell: it is not judged, and is tried again as soon as that is over."""
        self.unwell_since = now
        self.failures = 0
        self.try_again_at = now

    def failed(self, reason: str, now: float) -> None:
        """It died, did not start, or was ended: try again, each time a little later."""
        self.record = None
        self.settled = False
        self.well = False
        self.reason = reason
        self.failures += 1
        # The first time at once: whoever lasted until now deserves it.
        pause = min(2.0 ** (self.failures - 2), LONGEST_PAUSE)
        self.try_again_at = now + (pause if self.failures > 1 else 0)

    def overdue(self, now: float) -> bool:
        """Whether it has been unwell for longer than it may be."""
        limit = self.component.patience if self.well_once else self.component.patience_at_start
        return not self.well and now - self.unwell_since > limit

"""What a judgement needs to know beside the rows. Stages read it; here it only comes in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np


@dataclass(frozen=True)
class Known:
    """Row numbers count from 1, as delivered within their date.

    history: rows collected on earlier published dates, for the source's ``volume``.
    cutoffs: each date's cut-off, for its ``freshness``.
    mended: (date, name of a declared fix, row numbers), in the order in which they were mended.
    home: the project's time zone, for a source whose rows are picked by their date; without it, that is not asked.
    discarded: row numbers that somebody has discarded. They stay set aside, whatever the rules say now.
    """

    history: Mapping[date, int] = field(default_factory=dict)
    cutoffs: Mapping[date, datetime] = field(default_factory=dict)
    home: ZoneInfo | None = None
    mended: Sequence[tuple[date, str, np.ndarray]] = ()
    discarded: Mapping[date, np.ndarray] = field(default_factory=dict)

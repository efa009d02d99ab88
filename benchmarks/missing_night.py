"""Whether a night that is missing changes what other nights say: each night of real flights left out, one at a time.

    python benchmarks/missing_night.py FOLDER

Takes the flights' nights of 2013, built as benchmarks/decisions.py does and kept in FOLDER. Versions that have learned
all nights up to a date, a month apart, are watched for 56 nights each, by features and by predictions of models that
have not seen a night. Each night of the last four weeks that a version learned, and of those on which it is watched, is
left out in turn. Prints how many verdicts of other nights change: ask where they did not, or the other way. The exit
code is 1 if a night that is missing changes more than one, as the night on which evidence passes its limit may move by
the night that is not there.
"""

import sys
from datetime import date, timedelta
from pathlib import Path
from time import process_time

import numpy as np
from shift_streams import evidence, sketches_of, watched

from nightshift.monitor import shift

TRAINED_UNTIL = [date(2013, month, 1) for month in range(3, 12)]
NIGHTS, WITHIN = 56, 28


def asks(found: shift.Evidence) -> dict[date, bool]:
    """Return which nights ask."""
    return {day: total >= shift.ALARM for day, total in zip(found.nights, found.totals, strict=True)}


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 0 if no verdict of another night changes by more than one night."""
    began, of = process_time(), watched(Path(arguments[0]))
    year, changed, judged, moved, versions = sketches_of(of), 0, 0, [0], 0
    for until in TRAINED_UNTIL:
        seen = {day: each for day, each in year.items() if day <= until + timedelta(days=NIGHTS)}
        whole = asks(evidence(of, seen, until))
        left_out = [day for day in seen if day > until - timedelta(days=WITHIN)]
        versions += 1
        for gone in left_out:
            without = asks(evidence(of, {day: each for day, each in seen.items() if day != gone}, until))
            differ = [day for day, asked in without.items() if asked != whole[day]]
            judged, changed = judged + len(without), changed + len(differ)
            moved.append(len(differ))
        asked = sum(whole.values())
        print(
            f"trained until {until}: {asked} of {len(whole)} nights ask; so far {changed} of {judged} differ",
            flush=True,
        )
    print(
        f"{versions} versions, {len(moved) - 1} nights left out: {changed} of {judged:,} verdicts of other nights "
        f"changed, {np.count_nonzero(moved)} of the nights left out changed any, at most {max(moved)} of them; "
        f"{process_time() - began:.0f} CPU-s"
    )
    return 0 if max(moved) <= 1 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

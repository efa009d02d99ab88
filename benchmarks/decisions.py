"""What the declared reasons and guards gain on a year of flights, beside calendars, and the best in hindsight.

    python benchmarks/decisions.py FOLDER [EVERY [MAX_ROWS]]

Builds the example's features of 2013 from the package's files by the functions of the product, without a server, keeps
them in FOLDER with the fits, and replays late_arrival: a candidate every EVERY nights (14), fitted on at most MAX_ROWS
rows (40,000; all of them take three times as long and gain a little). Prints each policy's loss and gain over never
retraining, from four starts, what the declared policy put in service, CPU-seconds, and where the page with its picture
is. Then, of each promotion of the declared policy, whether it was better than the version before on the fortnight
after. The exit code is 1 if the declared policy is worse than never retraining from a start, or trains more than ten
times a year.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1"}

import sys
from datetime import date
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd

from examples.nyc_flights import upstream
from nightshift import featurise, pages, replay, train
from nightshift.calendar import DateRange
from nightshift.objects import sha256
from nightshift.platform.labels import partial_nights
from nightshift.platform.provenance import spec_text
from nightshift.specs import FeatureSet, Model, Project, load_project
from nightshift.stages.replaying import changed, policies

MODEL, STARTS, MOST_A_YEAR, FORTNIGHT = "late_arrival", 4, 10, 14
PERIOD = DateRange(date(2013, 3, 4), date(2013, 12, 29))
YEAR = DateRange(date(2013, 1, 2), date(2013, 12, 31))
DAY = pd.Timedelta(days=1)


def sources() -> dict[str, pd.DataFrame]:
    """Return the year's rows of each source, as they are landed: their night, and since when they are known."""
    flights = upstream.read_flights()
    schedule, arrivals = upstream.schedule(flights).to_pandas(), upstream.arrivals(flights).to_pandas()
    for frame, instants in ((schedule, ("sched_dep_at", "published_at")), (arrivals, ("reported_at",))):
        for name in instants:
            frame[name] = in_utc(frame[name])
    observed = pd.concat(
        rows.to_pandas().assign(day=day)
        for day, rows in upstream.weather_days(upstream._read_csv(upstream.data_file("weather.csv")))
    )
    for name in ("observed_at", "published_at"):
        observed[name] = pd.to_datetime(observed[name], utc=True)
    reported = arrivals["reported_at"].dt.tz_convert(upstream.ZONE).dt.normalize().dt.tz_localize(None)
    return {
        "flights": schedule.assign(
            batch_date=pd.to_datetime(schedule["flight_date"]), known_at=schedule["published_at"]
        ).sort_values(["batch_date", "flight_id"], ignore_index=True),
        "arrivals": arrivals.assign(batch_date=reported + DAY, known_at=arrivals["reported_at"]).sort_values(
            ["batch_date", "flight_id"], ignore_index=True
        ),
        "weather": observed.assign(
            batch_date=pd.to_datetime(observed["day"]) + DAY, known_at=observed["published_at"]
        ).sort_values("batch_date", ignore_index=True),
    }


def in_utc(instants: pd.Series) -> pd.Series:
    """Return instants with their zone."""
    return instants if getattr(instants.dtype, "tz", None) else instants.dt.tz_localize("UTC")


def built(project: Project, frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the features of every night, each of what it could see."""
    spec = project.feature_set("departure")
    build, register = featurise.load_build(spec), pd.DataFrame(upstream.read_aircraft())
    nights = []
    for night in YEAR.dates:
        known = pd.Timestamp(project.calendar.cutoff(night))
        aircraft = register.assign(batch_date=pd.Timestamp(night), known_at=known)
        seen = featurise.visible({**frames, "aircraft": aircraft}, spec, project.calendar, night)
        nights.append(featurise.compute(spec, build, seen, night))
    return pd.concat(nights, ignore_index=True)


def year(project: Project, folder: Path) -> replay.Nights:
    """Return the nights of the year, from the folder if they are there."""
    kept = folder / "departure.parquet", folder / "arrivals.parquet"
    if not all(file.is_file() for file in kept):
        frames = sources()
        folder.mkdir(parents=True, exist_ok=True)
        built(project, frames).to_parquet(kept[0])
        frames["arrivals"][["flight_id", "arr_delay", "known_at", "batch_date"]].to_parquet(kept[1])
    features, truth = (pd.read_parquet(file) for file in kept)
    calendar = project.calendar
    entity = project.feature_set("departure").entity
    reported = train.reports(project.model(MODEL), truth, entity)
    return replay.Nights(
        features,
        reported,
        lambda night: pd.Timestamp(calendar.cutoff(night)),
        project.settings.first_night,
        lambda spec, as_of: partial_nights(calendar, spec, entity, features, reported, as_of),
    )


def candidate(
    model: Model,
    spec: FeatureSet,
    nights: replay.Nights,
    as_of: date,
    labelled: pd.DataFrame,
    folder: Path,
) -> replay.Candidate:
    """Return the candidate of a date, from the folder if this spec was fitted before."""
    fitted = sha256(spec_text(model.model_copy(update={"gates": [], "recalibrate": None})).encode())[:16]
    file = folder / f"{fitted}-{as_of}.npz"
    if file.is_file():
        with np.load(file) as kept:
            return replay.Candidate.of(model, as_of, nights.first, kept["rows"], kept["predictions"])
    made = replay.candidate(model, spec, nights, as_of, labelled)
    np.savez_compressed(file, rows=made.rows, predictions=made.predictions)
    return made


def better(bank: replay.Bank, served: replay.Served, start: int) -> list[bool]:
    """Return, of each promotion, whether its loss on the fortnight after was below that of the version before."""
    first, found = bank.serves_from(start), []
    for change in np.flatnonzero(np.diff(served.serving)) + 1:
        before, after = served.serving[change - 1], served.serving[change]
        nights = slice(first + change, first + change + FORTNIGHT)
        found.append(bool(bank.loss[after, nights].mean() < bank.loss[before, nights].mean()))
    return found


def told_as_declared(nights: replay.Nights, spec: FeatureSet, wins: list[bool]) -> replay.Policy:
    """Return the declared policy, which prints what it put in service; ``wins`` gains which promotions were better."""
    kept: dict[int, replay.Learned] = {}

    def learned(bank: replay.Bank, number: int) -> replay.Learned:
        if number not in kept:
            kept[number] = replay.learned(bank.model, spec, nights, bank.candidates[number])
        return kept[number]

    asked = replay.declared(replay.Watched.of(nights.features, list(spec.columns)), learned)

    def policy(bank: replay.Bank, start: int) -> replay.Served:
        served = asked(bank, start)
        who = [str(bank.candidates[number].as_of) for number in dict.fromkeys(served.serving.tolist())]
        won = better(bank, served, start)
        wins.extend(won)
        count = f"{served.started} started, {sum(won)} of {served.promoted} promoted better"
        print(f"start {who[0]}: {count}: {', '.join(who)}", flush=True)
        return served

    return policy


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 0 if the declared policy holds what is asked of it."""
    folder, every, rows = [*arguments, "14", "40000"][:3] if len(arguments) < 2 else [*arguments, "40000"][:3]
    project, began = load_project(), process_time()
    model = changed(project.model(MODEL), f"train.max_rows={rows}")
    spec, nights = project.feature_set(model.features), year(project, Path(folder))
    print(f"{len(nights.features):,} rows, {process_time() - began:.0f} CPU-s", flush=True)
    began, labelled = process_time(), replay.labelled(model, spec, nights, PERIOD.last)
    dates = replay.as_of_dates(PERIOD, int(every))
    found = [candidate(model, spec, nights, each, labelled, Path(folder)) for each in dates]
    bank, wins = replay.bank(model, labelled, found), list[bool]()
    print(f"{len(found)} candidates, {process_time() - began:.0f} CPU-s", flush=True)
    began, declared = process_time(), told_as_declared(nights, spec, wins)
    compared = replay.compare({"": bank}, {**policies(int(every)), replay.DECLARED: declared}, starts=STARTS)
    print(f"policies, {process_time() - began:.0f} CPU-s")
    page = Path(folder) / "replay.html"
    page.write_text(pages.page(replay.report(MODEL, PERIOD, compared)))
    print(f"page: {page}")
    print(*map(replay.told, compared.outcomes), replay.verdict(compared), sep="\n")
    if wins:
        print(f"of {len(wins)} promotions {np.mean(wins):.0%} were better on the fortnight after")
    mine = next(each for each in compared.outcomes if each.policy == replay.DECLARED)
    return 0 if mine.worst >= 0 and mine.started <= MOST_A_YEAR else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

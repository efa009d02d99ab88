"""What is known of an airport's hour at the cut-off: its schedule, the weather, how many flights left of late."""

from datetime import date

import pandas as pd

FEATURES = {
    "version": 1,
    "owner": "flight-operations",
    "entity": ["slot_id"],
    "inputs": {
        "flights": {"look_back_days": 0},
        "weather": {"look_back_days": 1},
        "departures": {"look_back_days": 28},
    },
    "columns": {
        "origin": "string",
        "hour": "float",
        "weekday": "float",
        "scheduled": "float",
        "scheduled_that_day": "float",
        "carriers": "float",
        "distance_mean": "float",
        "temp_last": "float",
        "wind_last": "float",
        "pressure_last": "float",
        "visib_last": "float",
        "precip_day": "float",
        "left_origin_1d": "float",
        "left_origin_7d": "float",
        "left_hour_7d": "float",
        "left_hour_28d": "float",
    },
}

SLOT = ["origin", "hour"]
LAST = {"temp": "temp", "wind": "wind_speed", "pressure": "pressure", "visib": "visib"}
# name: (of hours that share these columns, over this many days)
RECENT = {
    "left_origin_1d": (["origin"], 1),
    "left_origin_7d": (["origin"], 7),
    "left_hour_7d": (SLOT, 7),
    "left_hour_28d": (SLOT, 28),
}
PRIOR_FLIGHTS = 5


def build(inputs: dict[str, pd.DataFrame], batch_date: date) -> pd.DataFrame:
    """Return one row an airport and scheduled hour of ``batch_date``: ``slot_id`` and the declared columns.

    ``left_*`` are shares of scheduled flights that departed, shrunk towards the overall share.
    """
    slots = _schedule(inputs["flights"], batch_date)
    slots = slots.join(_weather(slots, inputs["weather"]))
    slots = slots.join(_left(slots, inputs["departures"], batch_date))
    return slots[["slot_id", *FEATURES["columns"]]]


def _schedule(flights: pd.DataFrame, batch_date: date) -> pd.DataFrame:
    local = flights["sched_dep_at"].dt.tz_convert("America/New_York")
    grouped = flights.assign(hour=local.dt.hour).groupby(SLOT)
    slots = grouped.agg(
        scheduled=("flight_id", "size"), carriers=("carrier", "nunique"), distance_mean=("distance", "mean")
    ).reset_index()
    hour = slots["hour"].map("{:02d}".format)
    return slots.assign(
        slot_id=f"{batch_date}-" + slots["origin"] + "-" + hour,
        weekday=float(batch_date.weekday()),
        scheduled_that_day=slots.groupby("origin")["scheduled"].transform("sum"),
    )


def _weather(slots: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    weather = weather.sort_values("observed_at")
    last = weather.groupby("origin").last()
    day = weather[weather["observed_at"] > weather["observed_at"].max() - pd.Timedelta(hours=24)]
    rain = day.groupby("origin")["precip"].sum()
    origin = slots["origin"]
    return pd.DataFrame(
        {
            **{f"{name}_last": origin.map(last[column]) for name, column in LAST.items()},
            "precip_day": origin.map(rain),
        }
    )


def _left(slots: pd.DataFrame, departures: pd.DataFrame, batch_date: date) -> pd.DataFrame:
    # The last report known by the cut-off counts.
    known = departures.sort_values("reported_at").drop_duplicates("slot_id", keep="last")
    age = (pd.Timestamp(batch_date) - pd.to_datetime(known["flight_date"])).dt.days
    return pd.DataFrame({name: _share(slots, known[age <= days], by) for name, (by, days) in RECENT.items()})


def _share(slots: pd.DataFrame, known: pd.DataFrame, by: list[str]) -> pd.Series:
    """Return the group's share, shrunk by ``PRIOR_FLIGHTS`` towards all hours; NaN if nothing is known."""
    overall = known["departed"].sum() / known["scheduled"].sum() if len(known) else float("nan")
    groups = known.groupby(by)[["departed", "scheduled"]].sum()
    index = pd.MultiIndex.from_frame(slots[by]) if len(by) > 1 else pd.Index(slots[by[0]])
    mine = groups.reindex(index).fillna(0.0).reset_index(drop=True)
    return (mine["departed"] + PRIOR_FLIGHTS * overall) / (mine["scheduled"] + PRIOR_FLIGHTS)

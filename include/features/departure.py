"""What the planner knows of a departure at the cut-off: schedule, route, aircraft, weather, recent lateness.

Weather at the scheduled hour is a persistence forecast: the last observation before the cut-off and the
one at the same hour of the day before. Nobody had more in hand at midnight.
"""

from datetime import date

import pandas as pd

FEATURES = {
    "version": 1,
    "owner": "flight-operations",
    "entity": ["flight_id"],
    "inputs": {
        "flights": {"look_back_days": 0},
        "arrivals": {"look_back_days": 28},
        "weather": {"look_back_days": 1},
        "aircraft": {"look_back_days": 0},
    },
    "columns": {
        "carrier": "string",
        "origin": "string",
        "dep_hour": "float",
        "arr_hour": "float",
        "weekday": "float",
        "distance": "float",
        "flights_that_hour": "float",
        "aircraft_age": "float",
        "aircraft_seats": "float",
        "temp_last": "float",
        "wind_last": "float",
        "pressure_last": "float",
        "visib_last": "float",
        "precip_day": "float",
        "temp_same_hour": "float",
        "wind_same_hour": "float",
        "humid_same_hour": "float",
        "late_origin_1d": "float",
        "late_origin_7d": "float",
        "late_carrier_7d": "float",
        "late_carrier_28d": "float",
        "late_route_28d": "float",
        "late_flight_28d": "float",
        "delay_origin_1d": "float",
    },
    # Arrivals and weather are compared across airports: each shard sees all of them.
    "shards": {"by": ["origin"], "whole": ["arrivals", "weather"]},
}

LATE_MINUTES = 15


def build(inputs: dict[str, pd.DataFrame], batch_date: date) -> pd.DataFrame:
    """Return one row a scheduled flight of ``batch_date``: ``flight_id`` and the declared columns.

    ``inputs`` holds a frame a source, rows known by the cut-off of ``batch_date`` within the look-back.
    Rates are shares of flights more than 15 minutes late, shrunk towards the overall rate.
    """
    flights = inputs["flights"].reset_index(drop=True)
    rows = pd.DataFrame({"flight_id": flights["flight_id"], **_schedule(flights)})
    rows = rows.join(_aircraft(flights, inputs["aircraft"], batch_date))
    rows = rows.join(_weather(flights, inputs["weather"]))
    rows = rows.join(_lateness(flights, inputs["arrivals"], batch_date))
    return rows[["flight_id", *FEATURES["columns"]]]


def _schedule(flights: pd.DataFrame) -> dict[str, pd.Series]:
    local = flights["sched_dep_at"].dt.tz_convert("America/New_York")
    hour = local.dt.hour
    return {
        "carrier": flights["carrier"],
        "origin": flights["origin"],
        "dep_hour": hour + local.dt.minute / 60,
        "arr_hour": flights["sched_arr_local"] // 100 + flights["sched_arr_local"] % 100 / 60,
        "weekday": local.dt.weekday.astype(float),
        "distance": flights["distance"].astype(float),
        "flights_that_hour": flights.groupby([flights["origin"], hour])["flight_id"]
        .transform("size")
        .astype(float),
    }


def _aircraft(flights: pd.DataFrame, aircraft: pd.DataFrame, batch_date: date) -> pd.DataFrame:
    register = aircraft.set_index("tailnum")
    return pd.DataFrame(
        {
            "aircraft_age": batch_date.year - flights["tailnum"].map(register["year"]).astype(float),
            "aircraft_seats": flights["tailnum"].map(register["seats"]).astype(float),
        }
    )


def _weather(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    weather = weather.sort_values("observed_at")
    last = weather.groupby("origin").last()
    day = weather[weather["observed_at"] > weather["observed_at"].max() - pd.Timedelta(hours=24)]
    rain = day.groupby("origin")["precip"].sum()
    local_hour = day["observed_at"].dt.tz_convert("America/New_York").dt.hour
    hourly = (
        day.assign(hour=local_hour)
        .drop_duplicates(["origin", "hour"], keep="last")
        .set_index(["origin", "hour"])
    )
    dep_hour = flights["sched_dep_at"].dt.tz_convert("America/New_York").dt.hour
    same_hour = hourly.reindex(pd.MultiIndex.from_arrays([flights["origin"], dep_hour])).reset_index(
        drop=True
    )
    origin = flights["origin"]
    return pd.DataFrame(
        {
            **{f"{name}_last": origin.map(last[column]) for name, column in LAST.items()},
            "precip_day": origin.map(rain),
            "temp_same_hour": same_hour["temp"],
            "wind_same_hour": same_hour["wind_speed"],
            "humid_same_hour": same_hour["humid"],
        }
    )


LAST = {"temp": "temp", "wind": "wind_speed", "pressure": "pressure", "visib": "visib"}


def _lateness(flights: pd.DataFrame, arrivals: pd.DataFrame, batch_date: date) -> pd.DataFrame:
    known = arrivals[LATENESS].dropna(subset=["arr_delay"]).sort_values("reported_at")
    # A correction is reported later than what it corrects: the last report known by the cut-off counts.
    known = known.drop_duplicates("flight_id", keep="last")
    age = (pd.Timestamp(batch_date) - pd.to_datetime(known["flight_date"])).dt.days
    known = known.assign(
        late=(known["arr_delay"] > LATE_MINUTES).astype(float), delay=known["arr_delay"].clip(-60, 180)
    )
    within = {days: known[age <= days] for days in {days for _, _, days in RECENT.values()}}
    rates = {name: _rate(flights, within[days], by, value) for name, (by, value, days) in RECENT.items()}
    return pd.DataFrame(rates)


LATENESS = ["flight_id", "flight_date", "reported_at", "carrier", "flight", "origin", "dest", "arr_delay"]
# name: (of flights that share these columns, the mean of this value, over this many days)
RECENT = {
    "late_origin_1d": (["origin"], "late", 1),
    "late_origin_7d": (["origin"], "late", 7),
    "late_carrier_7d": (["carrier"], "late", 7),
    "late_carrier_28d": (["carrier"], "late", 28),
    "late_route_28d": (["origin", "dest"], "late", 28),
    "late_flight_28d": (["carrier", "flight"], "late", 28),
    "delay_origin_1d": (["origin"], "delay", 1),
}
PRIOR_FLIGHTS = 5


def _rate(flights: pd.DataFrame, known: pd.DataFrame, by: list[str], value: str) -> pd.Series:
    """Return the group's mean, shrunk by ``PRIOR_FLIGHTS`` towards all flights; NaN if nothing is known."""
    overall = known[value].mean()
    groups = known.groupby(by)[value].agg(["sum", "size"])
    index = pd.MultiIndex.from_frame(flights[by]) if len(by) > 1 else pd.Index(flights[by[0]])
    mine = groups.reindex(index).fillna(0.0).reset_index(drop=True)
    return (mine["sum"] + PRIOR_FLIGHTS * overall) / (mine["size"] + PRIOR_FLIGHTS)

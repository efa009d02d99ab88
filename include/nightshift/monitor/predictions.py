"""Evidence that what a version says has moved: its predictions as columns of :mod:`nightshift.monitor.shift`.

What is usual is what models that had not seen a night said of it, of the nights that the version was trained on: what
a model says of rows that it knows is more extreme than what it says of others. So each version has a reference of its
own, and evidence starts anew with it: an earlier version's predictions say nothing of this one's. Counted are the
nights that it served, before its offset is added.
"""

from collections.abc import Mapping
from datetime import date

from nightshift.monitor import shift
from nightshift.monitor.profile import PREDICTION
from nightshift.records.profile import Profile
from nightshift.records.sketches import ColumnEdges, ColumnSketch, Counts, Edges, Sketch


def evidence(profile: Profile, served: Mapping[date, Counts]) -> shift.Evidence:
    """Return the evidence after each night that a version ``served``, none that it was fitted on among them.

    ``served``: the rows a bin of each column of predictions. A profile that was made before such nights were kept says
    nothing of predictions: there is no evidence then.
    """
    training = {each.night: each.counts for each in profile.prediction_nights}
    if not training or not served:
        return shift.Evidence((), (), ())
    edges = edges_of(profile)
    then, now = sketches_of(edges, training), sketches_of(edges, served)
    return shift.evidence(shift.trained(edges, then), shift.series(edges, then, now), {})


def edges_of(profile: Profile) -> Edges:
    """Return the profile's bins of predictions; a class is told apart from a feature of the same name."""
    return Edges(
        tuple(
            ColumnEdges(
                each.name if each.name == PREDICTION else f"{PREDICTION} of '{each.name}'",
                "numeric",
                each.edges,
            )
            for each in profile.predictions
        ),
        0,
    )


def sketches_of(edges: Edges, nights: Mapping[date, Counts]) -> dict[date, Sketch]:
    """Return counts in a profile's bins as sketches: it has no bin for what is not finite, and no prediction is."""
    return {
        night: Sketch(
            sum(counts[0]),
            tuple(
                ColumnSketch(column.name, (*rows[:-1], 0, rows[-1]))
                for column, rows in zip(edges.columns, counts, strict=True)
            ),
        )
        for night, counts in nights.items()
    }

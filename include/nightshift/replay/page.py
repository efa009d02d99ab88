"""The page of a replay: what each policy came to, first in a sentence, then as a table and a picture."""

from nightshift.calendar import DateRange
from nightshift.masks import masked
from nightshift.pages import Document, Figure, Legend, Note, Section, Table
from nightshift.pages.charts import curves
from nightshift.replay.compare import ORACLE, Compared, Outcome, reachable
from nightshift.replay.policies import DECLARED, NEVER
from nightshift.replay.proposal import proposed

HEAD = (
    "Policy",
    "Loss",
    "Gain over never",
    "95 % interval",
    "Worst and best start",
    "Trainings a year",
    "Promoted",
    "Gain, second half",
)
COLOURS = ("then", "now", "good", "bad")
HOW = (
    "Loss: nats a row of a classification, mean absolute error of a regression; the mean over nights. Gain: the loss "
    "of keeping the first champion less the policy's. The interval draws whole weeks of the first start. Candidates "
    "were trained on what was known on their date, by the functions of a training. The best in hindsight knows all "
    "outcomes; nobody reaches it."
)


def report(model: str, nights: DateRange, found: Compared) -> Document:
    """Return the replay as a document."""
    drawn = list(zip(COLOURS, _drawn(found), strict=False))
    words = "; ".join(f"{each.policy} {found.curves[each.policy][-1]:+.3f}" for _, each in drawn)
    drawing = curves(
        [(kind, found.curves[each.policy].tolist()) for kind, each in drawn],
        f"Gain over never retraining, summed over {found.nights} nights: {words}",
        (str(nights.first), str(nights.last)),
    )
    legend = Legend(
        tuple((kind, f"{each.policy}: {found.curves[each.policy][-1]:+.2f}") for kind, each in drawn)
    )
    return Document(
        title=f"{model}: retraining, replayed",
        about=f"Nights {nights.first} to {nights.last}, begun on {found.starts} different dates.",
        notes=(
            Note(verdict(found), "good" if _chosen(found).later > 0 else "warn"),
            *(Note(masked(f"Left out. {words}"), "warn") for words in found.left_out),
        ),
        sections=(
            Section("Policies", (Table(HEAD, tuple(_row(each) for each in found.outcomes)), HOW)),
            Section("Gain over time", (legend, Figure("Summed gain over never retraining", drawing))),
        ),
    )


def verdict(found: Compared) -> str:
    """Return the outcome in a sentence."""
    chosen = _chosen(found)
    against = _against(found, chosen)
    model = found.models[chosen.policy.rpartition(": ")[0]]
    return (
        f"The first half of the nights would have chosen: {chosen.policy}. On the second half it gained "
        f"{chosen.later:+.4f} a night over never retraining, with {chosen.started:.1f} trainings a year."
        + (f" Nothing is proposed: {against}." if against else proposed(chosen.policy, model))
    )


def _against(found: Compared, chosen: Outcome) -> str:
    """Return, in words, what the second half says against the choice of the first, if anything."""
    if chosen.policy == DECLARED:
        return ""  # the file stays as it is
    if not chosen.policy.endswith(NEVER):
        return "" if chosen.later > 0 else "it gained nothing on nights that it had not seen"
    # Never gains nothing by definition: others say whether it is enough.
    others = reachable(found.outcomes)
    surely = [each for each in others if min(each.low, each.worst) > 0 and each.later > chosen.later]
    if not surely:
        return ""
    best = max(surely, key=lambda each: each.later)
    return f"there {best.policy} gained {best.later:+.4f}, and surely gained over all nights"


def told(each: Outcome) -> str:
    """Return an outcome in a line."""
    return (
        f"{each.policy}: loss {each.loss:.4f}, gain {each.gain:+.4f} ({each.low:+.4f} to {each.high:+.4f}; "
        f"starts {each.worst:+.4f} to {each.best:+.4f}), {each.started:.1f} trainings a year, "
        f"{each.promoted:.1f} promoted"
    )


def _chosen(found: Compared) -> Outcome:
    return next(each for each in found.outcomes if each.policy == found.chosen)


def _drawn(found: Compared) -> list[Outcome]:
    """Return what is drawn: the policy chosen, what specs declare, and the best of what anybody could have done."""
    chosen = _chosen(found)
    others = sorted((each for each in found.outcomes if each is not chosen), key=lambda each: -each.gain)
    declared = [each for each in others if each.policy.endswith(DECLARED)]
    rest = [each for each in others if not each.policy.endswith((DECLARED, ORACLE))]
    return [chosen, *declared, *rest]


def _row(each: Outcome) -> tuple[str, ...]:
    return (
        each.policy,
        f"{each.loss:.4f}",
        f"{each.gain:+.4f}",
        f"{each.low:+.4f} to {each.high:+.4f}",
        f"{each.worst:+.4f}, {each.best:+.4f}",
        f"{each.started:.1f}",
        f"{each.promoted:.1f}",
        f"{each.later:+.4f}",
    )

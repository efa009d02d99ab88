"""Document: the card of a version and its bill of materials, and two versions side by side for a pull request."""

from datetime import date
from functools import partial

from nightshift import cards, kept, metrics, results, train
from nightshift.environment import packages
from nightshift.errors import NotReady, RunStage, Subject, UnfairHoldout
from nightshift.govern import Candidate, Ledger
from nightshift.platform import Platform, Try
from nightshift.platform.fitted import File, judged, opened, serving
from nightshift.platform.frozen import split
from nightshift.platform.papers import newest_version, record_of, trained_version, version_row
from nightshift.platform.seen import by_champion
from nightshift.records.versions import Version
from nightshift.score.recalibration import on_holdout

CARD_FOLDER = "card"


def write_card(platform: Platform, name: str, asked: Try) -> results.Carded:
    """Write the card of the version of this training, as Markdown and HTML, and its bill of materials.

    They are kept with the files and logged with the run; written again, they replace what was there.

    Raises:
        NotReady: the training has registered no version.
        ArtifactRefused: the spec or the snapshot is not what was recorded.
    """
    version = trained_version(platform, name, asked.run_id)
    record, _ = record_of(platform, version)
    materials = packages()
    document = cards.card(record, len(materials))
    files = {
        "card.md": cards.markdown(document).encode(),
        "card.html": cards.page(document).encode(),
        cards.SBOM_FILE: cards.sbom(record, materials),
    }
    key = kept.card(name, version.version)
    folder = key.rpartition("/")[0]
    for file, content in files.items():
        platform.objects.put(f"{folder}/{file}", content)
        platform.registry.log_file(version.mlflow_run_id, f"{CARD_FOLDER}/{file}", content)
    return {"version": version.version, "card": key, "packages": len(materials)}


def compare_versions(platform: Platform, name: str, version: int | None, against: int | None) -> str:
    """Return, as Markdown, a version against another, both scored now on the first one's holdout. Writes nothing.

    The first as it was judged: a refit of it has seen that holdout. The other as it serves.

    ``version``: None is the newest. ``against``: None is the champion.

    Raises:
        SpecError: no such model.
        NotReady: no such version, or no champion to compare with.
        UnfairHoldout: the other version was trained on a day, or a row, of that holdout.
    """
    ours = version_row(platform, name, newest_version(platform, name) if version is None else version)
    head = Ledger(platform.warehouse, name).head()
    champion = head.version if head else None
    other = champion if against is None else against
    if other is None:
        raise NotReady(
            "has no champion to compare with", subject=Subject("model", name), remedy=RunStage("train", name)
        )
    theirs = version_row(platform, name, other)
    record, rows = record_of(platform, ours)
    _, holdout = split(record.snapshot, rows)
    _require_unseen(by_champion(platform, record.spec, other, holdout), record, len(holdout))

    def side(row: Version, file: File, until: date) -> cards.Side:
        pipeline, classes = opened(platform, file, row), record.spec.classes
        predict = partial(train.predict, pipeline, of=classes)
        scores = on_holdout(record.spec, rows, predict, until, record.snapshot.holdout_first)
        found = metrics.score(record.spec.kind, holdout["label"], scores)
        run_id = row.mlflow_run_id
        return cards.Side(row.version, found, run_id, platform.registry.url(run_id))

    mine = side(ours, judged(platform, ours), ours.train_last)
    other_side = side(theirs, serving(platform, theirs), theirs.trained_until)
    return cards.markdown(cards.compared(cards.Comparison(record, mine, other_side, champion)))


def _require_unseen(theirs: Candidate, record: cards.Record, rows: int) -> None:
    first, of = record.snapshot.holdout_first, f"the holdout of version {record.version.version}"
    if theirs.train_last >= first:
        raise UnfairHoldout(
            f"version {theirs.version} was trained on days up to {theirs.train_last}; {of} starts on {first}. Compare "
            "a version whose holdout is later"
        )
    if theirs.overlap:
        raise UnfairHoldout(
            f"version {theirs.version}: {theirs.overlap} of the {rows} rows of {of} are among the rows it was trained "
            f"on; they were of another night then. Compare a version whose holdout begins after {theirs.overlap_last}"
        )

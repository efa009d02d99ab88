"""Who is champion, put right: back to a former one by hand, and registry and ledger made to agree again."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from nightshift import results
from nightshift.calendar import DateRange
from nightshift.errors import LedgerBroken, LedgerMismatch, NightshiftError, RequestError
from nightshift.govern import Ledger, Misfit, Rollback, first_unscored, write_rollback
from nightshift.platform import Platform, Try
from nightshift.platform.fitted import require_serves
from nightshift.platform.serving import anchor, serve_head
from nightshift.records import ledger as records
from nightshift.records import monitoring, versions
from nightshift.records.ledger import Promotion
from nightshift.specs import Model
from nightshift.stages.registering import require_registered

NO_ROW = "its training was cut short before governance.versions had its row"


def roll_back(
    platform: Platform,
    name: str,
    asked: Try,
    *,
    to: int | None,
    reason: str,
    actor: str,
    as_of: date | None = None,
    again: DateRange | None = None,
) -> results.RolledBack:
    """Make a former champion the champion again: the ledger first, then the alias. The one of now is barred.

    It takes effect on the first night that is not scored yet, ``as_of`` or later, as a promotion does; with ``again``,
    nights to be scored again afterwards, on the first of these.

    Raises:
        RequestError: no reason; a version that is no former champion; nights scored by the one of now would be left
            behind ``again``; a probation asked for it, and another version has become champion since.
        NotReady: there is no champion, or none to go back to.
        LedgerMismatch: the registry has lost the version to go back to, or its files.
        ArtifactRefused, SchemaMismatch: that version cannot score nights as they are built now.
    """
    model = platform.project.model(name)
    ledger = Ledger(platform.warehouse, name)
    done = platform.warehouse.one(records.ROLLED_BACK, model=name, request_id=asked.run_id)
    if done is None:
        night = _next_night(platform, ledger, as_of)
        _require_reason(reason)
        _require_rest(again, night)
        of = asked.run_id.removeprefix(probation_run(name, ""))
        wanted = Rollback(
            to,
            again.first if again else night,
            night,
            asked.run_id,
            actor,
            reason,
            of_training=None if of == asked.run_id else of,
        )
        done = write_rollback(
            platform.warehouse,
            name,
            wanted,
            require=lambda version: _require_able(platform, model, version),
        )
    serve_head(platform, ledger)
    return {
        "entry": done.entry,
        "version": done.version,
        "effective_from": str(done.effective_from),
        "taken_out": done.taken_out,
    }


def _require_able(platform: Platform, model: Model, version: int) -> None:
    require_registered(platform, model.name, version)
    require_serves(platform, model, version)


def probation_run(name: str, training_id: str) -> str:
    """Return the id of the run that takes a training's version out of service, once, if it is champion still."""
    return f"probation__{name}__{training_id}"


def _next_night(platform: Platform, ledger: Ledger, as_of: date | None) -> date:
    night = first_unscored(platform.warehouse, ledger.model, as_of or date.min)
    head = ledger.head()
    return head.effective_from if night == date.min and head else night


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise RequestError("reason: say why the champion is taken out of service; it is kept in the ledger")


def _require_rest(again: DateRange | None, night: date) -> None:
    """Raise RequestError if nights after ``again`` are scored: their champion would change, their rows would not."""
    last = night - timedelta(days=1) if night > date.min else night
    if again and again.last < last:
        raise RequestError(
            f"until: the nights up to {last} are scored by the champion of now too; score again until {last}, or leave "
            "the dates empty"
        )


@dataclass(frozen=True)
class Findings:
    """What a reconciliation changed, what it left alone, and what it cannot heal."""

    changed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    broken: list[NightshiftError] = field(default_factory=list)


def reconcile_registry(
    platform: Platform, *, now: datetime, grace: timedelta, model: str | None = None
) -> results.Agreed:
    """Make the registry agree with the ledger for every model, or for one, and say what was changed.

    The alias is pointed at the ledger's newest entry. Versions without a row in ``governance.versions`` and runs that
    still run are tagged as orphans once they are older than ``grace`` or their training has its outcome: a training
    that runs is left alone. What a retry has finished since loses its tag.

    Raises:
        LedgerBroken: an entry is not what was written; it is named, and that model's alias was not touched.
        LedgerMismatch: the champion's version is gone from the registry.
    """
    names = [platform.project.model(model).name] if model else sorted(platform.project.models)
    found = Findings()
    for name in names:
        _reconcile_ledger(platform, name, found)
        _reconcile_versions(platform, name, now - grace, found)
        _reconcile_runs(platform, name, now - grace, found)
    if found.broken:
        done = f". Changed: {'; '.join(found.changed)}" if found.changed else ""
        raise type(found.broken[0])("; ".join(map(str, found.broken)) + done)
    return {"models": names, "changed": found.changed, "left": found.left}


def _reconcile_ledger(platform: Platform, name: str, found: Findings) -> None:
    ledger = Ledger(platform.warehouse, name)
    anchors = platform.registry.anchors(name)
    untrusted = _untrusted(platform, ledger, anchors.values())
    if untrusted:
        # An alias that follows a ledger nobody can trust would finish what somebody began.
        found.broken.append(untrusted)
        return
    with ledger.held() as head:
        if (
            head
            and head.kind != "rename"
            and head.entry not in anchors
            and _is_registered(platform, name, head)
        ):
            anchor(platform, ledger, head)
            found.changed.append(f"{name}: entry {head.entry} of the ledger anchored in the registry")
        alias = platform.registry.champion(name)
        if alias == (head.version if head else None):
            return
        if head is None:
            platform.registry.withdraw(name)
            found.changed.append(f"{name}: alias champion on version {alias} removed, the ledger is empty")
        elif not _is_registered(platform, name, head):
            found.broken.append(
                LedgerMismatch(
                    f"model '{name}': version {head.version}, champion by entry {head.entry}, is gone from the "
                    f"registry. `nightshift reconcile {name} --register-again` registers it again; see 'MLflow was "
                    f"restored from an older backup' in docs/runbooks.md. Or trigger rollback_{name}"
                )
            )
        else:
            platform.registry.promote(name, head.version)
            was = f"version {alias}" if alias else "nothing"
            found.changed.append(
                f"{name}: alias champion pointed at version {head.version} (entry {head.entry}); it said {was}"
            )


def _untrusted(platform: Platform, ledger: Ledger, anchors: Iterable[str]) -> NightshiftError | None:
    """Return why no alias may follow: the ledger does not verify, or its champion's number is another run's."""
    misfit, head = ledger.verify(anchors), ledger.head()
    if misfit:
        return _broken(ledger.model, misfit, "Its alias was left alone. ")
    return _foreign(platform, ledger.model, head) if head else None


def _foreign(platform: Platform, name: str, head: Promotion) -> LedgerMismatch | None:
    """Return what is wrong if the registry has another run by the champion's number: it was restored, and went on."""
    known = {each.version: each.mlflow_run_id for each in platform.warehouse.all(versions.KNOWN, model=name)}
    there = {each.version: each.run_id for each in platform.registry.versions(name)}
    run_id = there.get(head.version)
    if run_id in (None, known.get(head.version)):
        return None
    return LedgerMismatch(
        f"model '{name}': version {head.version}, champion by entry {head.entry}, is another run ({run_id}) in the "
        f"registry than in the ledger ({known.get(head.version)}). The alias was left alone. Restore MLflow from a "
        f"backup that has it, or trigger train_{name} or rollback_{name}; see 'MLflow was restored from an older "
        "backup' in docs/runbooks.md"
    )


def _is_registered(platform: Platform, name: str, head: Promotion) -> bool:
    return head.version in {version.version for version in platform.registry.versions(name)}


def verify_ledgers(platform: Platform, model: str | None = None) -> results.Verified:
    """Compare every row of every model's ledger, or of one's, with its seal, and the seals with the registry's anchors.

    Raises:
        LedgerBroken: naming, a model, the first that does not fit.
    """
    names = [platform.project.model(model).name] if model else sorted(platform.project.models)
    anchors = {name: platform.registry.anchors(name).values() for name in names}
    misfits = {name: Ledger(platform.warehouse, name).verify(anchors[name]) for name in names}
    broken = [_broken(name, misfit) for name, misfit in misfits.items() if misfit]
    if broken:
        raise LedgerBroken("; ".join(map(str, broken)))
    return {"models": names, "anchors": {name: len(kept) for name, kept in anchors.items()}}


def _broken(name: str, misfit: Misfit, done: str = "") -> LedgerBroken:
    return LedgerBroken(
        f"model '{name}': {misfit}. {done}See 'The ledger does not verify' in docs/runbooks.md"
    )


def _reconcile_versions(platform: Platform, name: str, before: datetime, found: Findings) -> None:
    registered = platform.registry.versions(
        name
    )  # before the rows: one that gets its row meanwhile is no orphan
    known = {
        (each.version, each.mlflow_run_id) for each in platform.warehouse.all(versions.KNOWN, model=name)
    }
    for version in registered:
        what = f"{name}: version {version.version}"
        is_known = (version.version, version.run_id) in known
        if is_known and version.is_orphan:
            platform.registry.adopt_version(name, version.version)
            found.changed.append(f"{what} was finished since: no orphan any more")
        elif is_known or version.is_orphan:
            continue
        elif version.created < before:
            platform.registry.orphan_version(name, version.version, NO_ROW)
            found.changed.append(f"{what} tagged as orphan: {NO_ROW}")
        else:
            found.left.append(f"{what} has no row yet; its training may still run")


def _reconcile_runs(platform: Platform, name: str, before: datetime, found: Findings) -> None:
    unfinished = platform.registry.unfinished(name)  # before the rows, as above
    finished, ended = _trainings(platform, name)
    for run in unfinished:
        what = f"{name}: run {run.run_id} of training '{run.training_id}'"
        if run.training_id in finished:
            if run.is_orphan:
                platform.registry.adopt_run(run.run_id)
                found.changed.append(f"{what} was finished since: no orphan any more")
        elif run.is_running and (run.training_id in ended or run.started < before):
            platform.registry.orphan_run(run.run_id, NO_ROW)
            found.changed.append(f"{what} tagged as orphan and ended as killed")
        elif run.is_running:
            found.left.append(f"{what} runs; its training may too")


def _trainings(platform: Platform, name: str) -> tuple[set[str], set[str]]:
    """Return the trainings that have their version, and those that have their outcome."""
    finished = platform.warehouse.all(versions.KNOWN, model=name)
    ended = platform.warehouse.all(monitoring.ENDED, model=name)
    return {each.training_id for each in finished}, {each.training_id for each in ended if each.training_id}

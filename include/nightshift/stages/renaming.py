"""Rename a model, a source or a feature set: its history goes along, in one transaction, and a row tells of it.

Rows of the ledger stay as they were sealed, under the name they were sealed with; an entry tells of the new one.
"""

from typing import Any, Literal

from nightshift import featurise, kept, results
from nightshift.database import Session
from nightshift.errors import NotReady, RequestError, did_you_mean
from nightshift.platform import Platform
from nightshift.records import alerts, catalog, faults, features, leases, ledger, monitoring
from nightshift.specs import Project
from nightshift.warehouse import names

Kind = Literal["model", "source", "features"]


def rename(
    platform: Platform, kind: Kind, old: str, new: str, *, actor: str, reason: str, dry_run: bool = False
) -> results.Renamed:
    """Give ``new`` the history of ``old``: rows, tables, the champion, MLflow's model and experiment.

    The spec's file has its new name already. A run that was cut short is repeated. ``dry_run``: only say what moves.

    Returns:
        ``moved`` and ``left``: in words.

    Raises:
        RequestError: the specs do not say that ``old`` is ``new`` now.
        NotReady: ``old`` has no history, ``new`` has one of its own, or a training is under way.
    """
    _require_specs(platform.project.require_sound(), kind, old, new)
    with platform.warehouse.session() as session:
        cursor = session.cursor
        session.run(monitoring.LOCK, name="nightshift rename")
        rows, own = names.rows_naming(cursor, kind, old), names.own_relations(cursor, kind, old)
        if not rows and not own:
            raise NotReady(f"{kind} '{old}' has no history: there is nothing to rename")
        taken = names.own_relations(cursor, kind, new)
        _require_free(cursor, kind, new, taken)
        if kind == "model":
            _require_idle(platform, session, old, new)
        moved = [f"{table}: {n:,} rows" for table, n in rows.items()]
        moved += [f"{each.qualified}: {each.kind.lower()} of {n:,} rows" for each, n in own.items()]
        redefined, left = _redefined(platform, session, kind, old, new)
        moved += [
            f"features {name}: its nights stand, the definition differs by this name only"
            for name in redefined
        ]
        if not dry_run:
            names.drop_empty(cursor, taken)
            _move(session, kind, (old, new), list(rows), own, (actor, reason))
            for change in redefined.values():
                session.run(features.REDEFINE, **change)
            if kind == "model":  # last: what fails before it has changed nothing there
                _move_in_registry(platform, session, old, new, (actor, reason))
    return {"moved": [*moved, *_elsewhere(platform, kind, old, new, dry_run=dry_run)], "left": left}


def _require_specs(project: Project, kind: Kind, old: str, new: str) -> None:
    known: dict[Kind, set[str]] = {
        "model": set(project.models),
        "source": set(project.sources),
        "features": {spec.set for spec in project.feature_sets.values()},
    }
    where = {"model": "models/{}.yaml", "source": "sources/{}.yaml", "features": "features/{}.py"}[kind]
    if old == new:
        raise RequestError(f"{kind} '{old}' has this name already")
    if old in known[kind]:
        raise RequestError(
            f"include/{where.format(old)} is still there: rename it to {where.format(new)}, and what names it "
            "in other specs; then this command moves the history"
        )
    if new not in known[kind]:
        raise RequestError(f"include/{where.format(new)} is not there{did_you_mean(new, known[kind])}")


def _require_free(cursor: Any, kind: Kind, new: str, taken: dict[names.Relation, int]) -> None:
    rows = {t: n for t, n in names.rows_naming(cursor, kind, new).items() if t != "catalog.datasets"}
    full = {each.qualified: n for each, n in taken.items() if n}
    if rows or full:
        told = ", ".join(f"{table} {n:,}" for table, n in {**rows, **full}.items())
        raise NotReady(
            f"{kind} '{new}' has a history of its own ({told} rows): two cannot become one. Choose another name"
        )


def _require_idle(platform: Platform, session: Session, old: str, new: str) -> None:
    running = session.one(monitoring.RUNNING, model=old)
    if running:
        raise NotReady(
            f"model '{old}': training '{running.training_id}' has not ended; once it has, rename the model. "
            "If it was cut short, clear its task 'conclude' first"
        )
    if platform.registry.knows(old) and platform.registry.knows(new):
        raise NotReady(
            f"model '{new}' is in MLflow already, beside '{old}': rename or delete it there, or choose another name"
        )


def _redefined(
    platform: Platform, session: Session, kind: Kind, old: str, new: str
) -> tuple[dict[str, dict[str, object]], list[str]]:
    """Return the feature sets that read a renamed source and differ by its name only; and words on the others."""
    same: dict[str, dict[str, object]] = {}
    left: list[str] = []
    readers = [s for s in platform.project.feature_sets.values() if kind == "source" and new in s.inputs]
    for spec in readers:
        built = session.all(features.DEFINITIONS, feature_set=spec.set, version=spec.version)
        recorded = {each.code_sha256 for each in built}
        if recorded and recorded <= {*featurise.definitions_sha256(spec, renamed={new: old})}:
            now = featurise.definition_sha256(spec)
            same[spec.name] = {
                "feature_set": spec.set,
                "version": spec.version,
                "before": sorted(recorded),
                "now": now,
            }
        elif recorded:
            left.append(
                f"features {spec.name}: its definition changed by more than the name; rebuild its nights: "
                f"nightshift trigger features_{spec.name} --from DATE --to DATE --set definition=changed"
            )
    return same, left


def _move(
    session: Session,
    kind: Kind,
    change: tuple[str, str],
    tables: list[str],
    own: dict[names.Relation, int],
    why: tuple[str, str],
) -> None:
    old, new = change
    actor, reason = why
    session.run(ledger.RENAME, kind=kind, old=old, new=new, actor=actor, reason=reason)
    # What the catalog of a night under the new name has described already; the next night describes all again.
    session.run(catalog.FORGET, kind=kind, name=new)
    names.move_rows(session.cursor, kind, tables, old, new)
    names.move_relations(session.cursor, own, old, new)
    session.run(catalog.RENAME_SUBJECT, old=f"{kind}_{old}", new=f"{kind}_{new}")
    # Of a set each version has alerts of its own, by its table.
    subjects = [each.name for each in own] if kind == "features" else [old]
    for name in subjects:
        renamed = {"old": f"{kind}:{name}", "new": f"{kind}:{new}{name.removeprefix(old)}"}
        session.run(alerts.RENAME_SILENCED, **renamed)
    if kind == "source":
        session.run(faults.RENAME_SOURCE, old=old, new=new)
    if kind == "model":
        names.move_leases(session, leases.watching(old), leases.watching(new))
        session.run(catalog.RENAME_TARGET, old=old, new=new)


def _move_in_registry(platform: Platform, session: Session, old: str, new: str, why: tuple[str, str]) -> None:
    session.run(ledger.LOCK, model=old)
    session.run(ledger.LOCK, model=new)
    actor, reason = why
    told = f"{old} is {new} from here on: {reason}"[:500]
    session.run(ledger.TELL_OF_RENAME, model=new, actor=actor, reason=told)
    platform.registry.rename(old, new)


def _elsewhere(platform: Platform, kind: Kind, old: str, new: str, *, dry_run: bool) -> list[str]:
    """Copy the kept files whose keys follow from the name; the old ones stay, for the links that there are."""
    if kind != "model":
        return []
    cards = kept.cards(
        old
    )  # their keys follow from the model's name; all others are found by one that is recorded
    copied = platform.objects.copy(cards, kept.cards(new), dry_run=dry_run)
    return [f"MLflow: model and experiment {old}", *([f"{cards}: {copied} files"] if copied else [])]

"""A person says that a night's rows are right, whatever they look like."""

from datetime import date

from nightshift import results
from nightshift.errors import NotReady, RequestError
from nightshift.platform import Platform
from nightshift.records import faults


def close_faults(platform: Platform, name: str, night: date, *, actor: str, reason: str) -> results.Closed:
    """Close the open faults of a night of feature set ``name``: it is scored, learned and compared with from now on.

    Raises:
        RequestError: no reason is given.
        NotReady: none is open.
    """
    if not reason.strip():
        raise RequestError("reason: missing; say why the rows are right: it is kept with the faults")
    spec = platform.project.feature_set(name)
    of = {"feature_set": spec.set, "version": spec.version, "batch_date": night}
    with platform.warehouse.session() as session:
        closed = session.run(faults.CLOSE, actor=actor, reason=reason.strip(), **of)
    if not closed:
        raise NotReady(f"features {name}: no fault of {night} is open")
    return {"feature_set": spec.table, "night": str(night), "closed": closed}

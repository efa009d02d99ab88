"""Which version serves: the ledger first, then the alias; and what the ledger is by now, kept outside the database."""

import logging

from nightshift.govern import Ledger
from nightshift.platform.handles import Platform
from nightshift.records.ledger import Promotion

log = logging.getLogger(__name__)


def serve_head(platform: Platform, ledger: Ledger) -> None:
    """Point the alias at the newest entry of a ledger, and keep outside the database what the ledger is by now.

    The newest also when this repeats an older promotion or rollback.
    """
    with ledger.held() as head:
        if head is not None:
            anchor(platform, ledger, head)
            platform.registry.promote(ledger.model, head.version)


def anchor(platform: Platform, ledger: Ledger, head: Promotion) -> None:
    """Keep the newest seal with the champion's version in the registry, and in the log of this task."""
    sealed = ledger.anchor()
    platform.registry.anchor(ledger.model, head.version, head.entry, sealed)
    log.info(
        "ledger of %s: entry %s, version %s, newest seal %s", ledger.model, head.entry, head.version, sealed
    )

"""What deliveries share, and what they must not."""

from dataclasses import replace

import httpx
import pytest
from nightly_project import FIRST, at

from nightshift.alerts import delivery
from nightshift.records.alerts import Message, Outgoing


def test_mail_offers_none_of_the_protocols_that_httpx_sets() -> None:
    """Exim refuses a TLS greeting that offers http/1.1: a context that httpx has had is not one for mail."""
    https, smtp = delivery._trusted("https"), delivery._trusted("smtp")
    assert https is delivery._trusted("https"), "read once"
    assert https is not smtp
    assert smtp.verify_mode == https.verify_mode


@pytest.mark.parametrize(("file", "key"), [("late", "late"), ("modèle", "mod%C3%A8le")])
def test_an_alert_about_a_file_of_any_name_can_be_sent(file: str, key: str) -> None:
    """A header is ASCII: a name that is not was never delivered, and kept what came after it from the receiver."""
    name = f"spec_broken/spec:models/{file}.yaml"
    now = at(FIRST, 6)
    message = Message(
        "opened", name, "spec_broken", name.partition("/")[2], "error", "owner", "does not load", "mend", "runbook",
        "link", {}, now, now,
    )  # fmt: skip
    outgoing = Outgoing(
        message=7, fingerprint=name, receiver="team", what="opened", body=message, made_at=now, not_before=now
    )
    header = delivery.key_of(outgoing)
    assert (
        httpx.Headers({"Idempotency-Key": header})["Idempotency-Key"]
        == f"spec_broken/spec:models/{key}.yaml#7"
    )
    assert delivery.key_of(replace(outgoing, message=8)) != header

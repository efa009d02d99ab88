"""What deliveries share, and what they must not."""

from nightshift.alerts import delivery


def test_mail_offers_none_of_the_protocols_that_httpx_sets() -> None:
    """Exim refuses a TLS greeting that offers http/1.1: a context that httpx has had is not one for mail."""
    https, smtp = delivery._trusted("https"), delivery._trusted("smtp")
    assert https is delivery._trusted("https"), "read once"
    assert https is not smtp
    assert smtp.verify_mode == https.verify_mode

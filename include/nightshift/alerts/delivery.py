"""Messages on their way: one POST, or one mail. What goes wrong is told by its status or its name, never by its text.

A webhook's address is often the secret itself: errors of libraries repeat addresses, so their words are left out.
"""

import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from email.utils import format_datetime
from functools import cache, partial
from typing import Literal
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

import httpx

from nightshift.alerts import shapes
from nightshift.alerts.sending import NotDelivered, Refused
from nightshift.freeform import Json
from nightshift.records.alerts import Message, Outgoing
from nightshift.specs.alerts import Receiver, Smtp

SECONDS = 15.0
SENDER = "nightshift@localhost"
# Answers that are not about the message: too slow, too many, and "closing" of a mail server.
BUSY, CLOSING = (408, 429), 421


@dataclass(frozen=True)
class Door:
    """A connection: where a receiver is reached. Its repr shows no secret."""

    id: str
    host: str = ""
    port: int | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    schema: str | None = None
    extra: Json = field(default_factory=dict, repr=False)

    @property
    def address(self) -> str:
        """The URL: the password where it is one (an address that is a secret), else of host, port and ``path``.

        Raises:
            NotDelivered: the connection names no host.
        """
        if (self.password or "").startswith(("http://", "https://")):
            return self.password or ""
        if not self.host:
            raise NotDelivered(
                f"connection '{self.id}': no host; give one, or the whole address as the password"
            )
        base = self.host if "://" in self.host else f"{self.schema or 'https'}://{self.host}"
        return f"{base}{f':{self.port}' if self.port else ''}{self.extra.get('path', '')}"


def key_of(outgoing: Outgoing) -> str:
    """Return the key of one message: the same when it is sent again. ASCII, as a header has to be."""
    return quote(f"{outgoing.fingerprint}#{outgoing.message}", safe="/:#")


def deliver(receiver: Receiver, door: Door, outgoing: Outgoing) -> None:
    """Deliver a message to a receiver that has a connection.

    Raises:
        NotDelivered: it was not taken; with the status that the receiver answered, or the name of what went wrong.
    """
    if isinstance(receiver, Smtp):
        mail(receiver, door, outgoing)
    else:
        post(usual(receiver.kind, door), outgoing, BODIES[receiver.kind](outgoing, door))


def usual(kind: str, door: Door) -> Door:
    """Return the door with what its kind has of itself: PagerDuty's address, Alertmanager's path, Slack's token."""
    host, path = PLACES.get(kind, ("", ""))
    door = replace(door, host=door.host or host, extra={"path": path, **door.extra})
    if kind == "slack" and door.password and "://" not in door.password:
        return replace(door, password=f"{door.address.rstrip('/')}/{door.password}")
    return door


def post(door: Door, outgoing: Outgoing, body: object) -> None:
    """POST JSON; any 2xx is an answer. Redirects are not followed: a message goes where the connection says."""
    secret_is_address = door.address == door.password
    auth = httpx.BasicAuth(door.login, door.password or "") if door.login and not secret_is_address else None
    headers = {"Idempotency-Key": key_of(outgoing), **door.extra.get("headers", {})}
    address = door.address
    asked = partial(
        httpx.post,
        address,
        json=body,
        headers=headers,
        auth=auth,
        follow_redirects=False,
        verify=_trusted("https"),
    )
    _require_success(door, asked)


@cache
def _trusted(protocol: Literal["https", "smtp"]) -> ssl.SSLContext:
    """Return whom TLS trusts, this machine's and httpx's: read once, as it takes longer than a message.

    Of each protocol its own: httpx makes the one that it is given offer HTTP, which mail servers refuse.
    """
    found = httpx.create_ssl_context()
    found.load_default_certs()
    return found


def ping(door: Door) -> None:
    """Call the address of a dead man's switch. Raises NotDelivered unless it answers."""
    _require_success(door, partial(httpx.get, door.address, verify=_trusted("https")))


def _require_success(door: Door, ask: Callable[..., httpx.Response]) -> None:
    try:
        answer = ask(timeout=SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotDelivered(f"connection '{door.id}': {type(error).__name__}") from None
    if not answer.is_success:
        about_it = answer.is_client_error and answer.status_code not in BUSY
        raise (Refused if about_it else NotDelivered)(f"connection '{door.id}': HTTP {answer.status_code}")


def mail(receiver: Smtp, door: Door, outgoing: Outgoing) -> None:
    """Send a mail. The connection's extra as Airflow's form has it: disable_ssl, disable_tls, from_email, timeout."""
    try:
        with _server(door) as server:
            if door.login:
                server.login(door.login, door.password or "")
            server.send_message(letter(receiver, door, outgoing))
    except smtplib.SMTPResponseException as error:
        about_it = isinstance(error, smtplib.SMTPSenderRefused | smtplib.SMTPDataError)
        kind = Refused if about_it and error.smtp_code != CLOSING else NotDelivered
        raise kind(f"connection '{door.id}': SMTP {error.smtp_code}") from None
    except smtplib.SMTPRecipientsRefused as error:
        raise Refused(f"connection '{door.id}': {type(error).__name__}") from None
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise NotDelivered(f"connection '{door.id}': {type(error).__name__}") from None


def _server(door: Door) -> smtplib.SMTP:
    seconds = float(door.extra.get("timeout") or SECONDS)
    if not _is_on(door.extra.get("disable_ssl")):
        return smtplib.SMTP_SSL(door.host, door.port or 465, timeout=seconds, context=_trusted("smtp"))
    server = smtplib.SMTP(door.host, door.port or 25, timeout=seconds)
    if not _is_on(door.extra.get("disable_tls")):
        server.starttls(context=_trusted("smtp"))
    return server


def _is_on(value: object) -> bool:
    return str(value).lower() in ("true", "1", "yes")


def letter(receiver: Smtp, door: Door, outgoing: Outgoing) -> EmailMessage:
    """Return the mail. Its id follows from the message, and its thread from the alert: twice the same is seen once."""
    message: Message = outgoing.body
    found = EmailMessage()
    found["Subject"] = shapes.headline(message)
    found["From"] = str(door.extra.get("from_email") or SENDER)
    found["To"] = ", ".join(receiver.to)
    found["Date"] = format_datetime(message.at)
    found["Message-ID"] = f"<{uuid5(NAMESPACE_URL, key_of(outgoing))}@nightshift>"
    found["References"] = f"<{uuid5(NAMESPACE_URL, outgoing.fingerprint)}@nightshift>"
    found["X-Nightshift-Key"] = key_of(outgoing)
    found.set_content(shapes.plain(message))
    return found


PLACES = {
    "pagerduty": ("https://events.pagerduty.com", "/v2/enqueue"),
    "alertmanager": ("", "/api/v2/alerts"),
}
BODIES: dict[str, Callable[[Outgoing, Door], object]] = {
    "slack": lambda outgoing, door: shapes.slack(outgoing.body),
    "teams": lambda outgoing, door: shapes.teams(outgoing.body),
    "pagerduty": lambda outgoing, door: shapes.pagerduty(outgoing.body, door.password or ""),
    "alertmanager": lambda outgoing, door: shapes.alertmanager(outgoing.body),
    "webhook": lambda outgoing, door: shapes.webhook(outgoing.body, key_of(outgoing)),
}

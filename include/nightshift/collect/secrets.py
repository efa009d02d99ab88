"""What of a connection must not be repeated, and the forms in which an upstream or a driver repeats it."""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from html import escape
from itertools import chain
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

STRUCK = "***"
# Keys of an extra whose values are secret, and all that is below them.
SENSITIVE = re.compile(
    r"pass(word|wd|phrase)?|secret|token|key|cookie|auth|credential|header|signature|sas|private|connection_string",
    re.IGNORECASE,
)
# Shorter ones would strike out half a message.
SHORTEST_PART = 6
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>]+")


def struck_out(text: str, password: str | None, extra: Any) -> str:
    """Return ``text`` without the password and without what is secret in ``extra``: as it is, quoted or encoded."""
    secrets = {secret for secret in chain([password], _secrets(extra)) if secret}
    forms = {form for secret in secrets for form in _forms(secret) if form}
    # The longest first: a form within another would leave the rest of it.
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, STRUCK)
    return text


def _secrets(node: Any, *, below: bool = False) -> Iterator[str]:
    """Yield each secret text of an extra. ``below``: under a key that says so."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _secrets(value, below=below or bool(SENSITIVE.search(str(key))))
    elif isinstance(node, list):
        yield from chain.from_iterable(_secrets(value, below=below) for value in node)
    elif isinstance(node, str):
        yield from _of_text(node, below=below)
    elif below and node is not None and not isinstance(node, bool):
        yield str(node)


def _of_text(text: str, *, below: bool) -> Iterator[str]:
    for url in URL.findall(text):
        yield from _of_url(url)
    if below:
        yield text
        # `Bearer abc`, `session=abc; other=def`: each part may be repeated alone.
        yield from (part for part in re.split(r"[\s;,=]+", text) if len(part) >= SHORTEST_PART)


def _of_url(url: str) -> Iterable[str]:
    try:
        password = urlsplit(url).password
    except ValueError:
        return []
    return [password, unquote(password)] if password else []


def _forms(secret: str) -> Iterator[str]:
    yield from (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], escape(secret))
    yield from (quote(secret, safe=""), quote(secret), quote_plus(secret), quote(secret, safe="").lower())
    if len(secret) >= SHORTEST_PART:
        yield from _in_base64(secret.encode())


def _in_base64(secret: bytes) -> Iterator[str]:
    """Yield how base64 of anything that holds ``secret`` spells it: it may begin at each of three places of a group."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + secret)
        # Signs that also depend on what stands before or after it are left out.
        whole = encoded[(0, 2, 3)[before] : (before + len(secret)) * 8 // 6].decode()
        yield from (whole, whole.replace("+", "-").replace("/", "_"), quote(whole, safe=""))

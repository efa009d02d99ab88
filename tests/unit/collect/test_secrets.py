"""What a connection holds is struck out of messages in whatever form an upstream repeats it."""

import base64
import html
import json
from types import SimpleNamespace
from urllib.parse import quote, quote_plus

import pytest

from nightshift.collect import Connection

PASSWORD = 'p&ss "w/rd"+é'
SECRETS = {
    "password": PASSWORD,
    "Cookie": "cookie-7731",
    "account_key": "YWNjb3VudC1rZXk9PQ==",
    "a password in a URL": "proxy%2Dpw-55",
    "a header": "header-9182",
    "a token in a list": "token-4466",
    "a number": "90218834",
}
CONNECTION = Connection(
    "upstream",
    "http",
    login="reader",
    password=PASSWORD,
    extra={
        "headers": {"Authorization": f"Bearer {SECRETS['a header']}", "Cookie": "sid=cookie-7731; lang=en"},
        "account_key": SECRETS["account_key"],
        "proxies": {"https": f"http://agent:{SECRETS['a password in a URL']}@proxy.example:3128"},
        "nested": [{"api_token": [SECRETS["a token in a list"]]}, {"pin_secret": 90218834}],
        "path": "/srv/weather",
        "timeout": 12,
    },
)
FORMS = {
    "plain": str,
    "quoted": lambda secret: quote(secret, safe=""),
    "quoted as in forms": quote_plus,
    "in JSON": lambda secret: json.dumps(secret)[1:-1],
    "in HTML": html.escape,
    "as Python shows it": lambda secret: repr(secret)[1:-1],
    "a basic login": lambda secret: base64.b64encode(f"reader:{secret}".encode()).decode(),
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64, one off": lambda secret: base64.b64encode(f"x{secret}y".encode()).decode(),
    "base64, two off": lambda secret: base64.urlsafe_b64encode(f"xx{secret}".encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_struck_out_in_every_form(name: str, form: str) -> None:
    spelt = FORMS[form](SECRETS[name])
    told = CONNECTION.without_secrets(f"401: {spelt} is no login")
    assert "***" in told
    assert told.endswith(" is no login")
    left = told.removeprefix("401: ").removesuffix(" is no login").split("***")
    # What may be left of base64 is what stands before and after the secret, too little to read it.
    assert max(map(len, left)) < (12 if "base64" in form or "login" in form else 1)


def test_what_is_no_secret_stays() -> None:
    told = "12 files of /srv/weather were asked of proxy.example by reader"
    assert CONNECTION.without_secrets(told) == told
    assert Connection("files", extra={"path": "/srv"}).without_secrets("no /srv") == "no /srv"


def test_a_secret_at_the_end_of_a_long_message_is_struck_out_whole() -> None:
    source = SimpleNamespace(name="aircraft", connector=SimpleNamespace(connection="upstream"))
    told = str(CONNECTION.failure(source, "x" * 290 + " " + SECRETS["account_key"], "ask"))  # type: ignore[arg-type]
    assert SECRETS["account_key"][:6] not in told

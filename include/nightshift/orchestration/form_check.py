"""A form that contradicts itself is answered in the form: before there is a run, by the API server.

Airflow's own check is of each field alone. What is refused here follows from what was sent and from nothing else: so it
tells nobody what he does not know, logged in or not.
"""

import json
import re

from nightshift.errors import RequestError
from nightshift.freeform import Message
from nightshift.hosts import App, Receive, Scope, Send, refuse
from nightshift.orchestration.forms import require_consistent
from nightshift.specs.derived import is_of_a_spec

TRIGGER = re.compile(r"/api/v2/dags/([^/]+)/dagRuns/?\Z")
LARGEST_FORM = 10_000_000  # bytes; a larger one is Airflow's to judge


class FormCheck:
    """An ASGI app that answers 400 to a form of ours that contradicts itself, and passes on all else."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if not _is_trigger(scope):
            await self.app(scope, receive, send)
            return
        messages: list[Message] = []
        body = b""
        while len(body) <= LARGEST_FORM:
            messages.append(message := await receive())
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if why := wrong(body):
            await refuse(scope, send, 400, json.dumps({"detail": why}))
            return
        waiting = iter(messages)

        async def again() -> Message:
            """Hand on what was read, then what comes."""
            return next(waiting, None) or await receive()

        await self.app(scope, again, send)


def _is_trigger(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    found = TRIGGER.search(scope["path"])
    return bool(found and is_of_a_spec(found[1]))


def wrong(body: bytes) -> str | None:
    """Return what contradicts itself in the form that a request carries, or None. What is no form is Airflow's."""
    if len(body) > LARGEST_FORM:
        return None
    try:
        conf = json.loads(body)["conf"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    try:
        require_consistent(conf if isinstance(conf, dict) else {})
    except RequestError as error:
        return str(error)
    return None

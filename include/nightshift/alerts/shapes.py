"""A message as each kind of receiver takes it: pure functions from message to body."""

from datetime import timedelta

from nightshift.freeform import Json
from nightshift.records.alerts import Message

WORDS = {"opened": "New", "reminded": "Still", "resolved": "Resolved", "test": "Test"}
COLOURS = {"warning": "warning", "error": "attention", "critical": "attention"}
LONGEST_KEY = 255  # of PagerDuty
UNTIL_REMINDED = timedelta(hours=48)


def headline(message: Message) -> str:
    """Return the message in a line."""
    return f"[{WORDS[message.what]}, {message.severity}] {message.title}"


def facts(message: Message) -> dict[str, str]:
    """Return what is said beside the headline, in its order."""
    numbers = {
        key.replace("_", " "): str(value) for key, value in message.numbers.items() if value is not None
    }
    told = {"owner": message.owner, "since": f"{message.since:%Y-%m-%d %H:%M} UTC", **numbers}
    to_do = {} if message.what == "resolved" else {"what to do": message.action}
    return {**told, **to_do, "runbook": message.runbook, "link": message.link}


def plain(message: Message) -> str:
    """Return the message as plain text."""
    lines = [headline(message), "", *(f"{key}: {value}" for key, value in facts(message).items())]
    return "\n".join([*lines, "", f"key: {message.fingerprint}"])


def slack(message: Message) -> Json:
    """An incoming webhook: text, in which ``&``, ``<`` and ``>`` are escaped."""
    said = plain(message).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": said, "unfurl_links": False}


def teams(message: Message) -> Json:
    """A workflow that posts an adaptive card."""
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {
                "type": "TextBlock",
                "text": headline(message),
                "weight": "bolder",
                "wrap": True,
                "color": "good" if message.what == "resolved" else COLOURS[message.severity],
            },
            {"type": "FactSet", "facts": [{"title": k, "value": v} for k, v in facts(message).items()]},
        ],
        "actions": [{"type": "Action.OpenUrl", "title": "Open in Airflow", "url": message.link}],
    }
    return {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}],
    }


def pagerduty(message: Message, routing_key: str) -> Json:
    """Events API v2: what has one key is one incident; ``resolve`` ends it."""
    event: Json = {
        "routing_key": routing_key,
        "event_action": "resolve" if message.what == "resolved" else "trigger",
        "dedup_key": message.fingerprint[:LONGEST_KEY],
    }
    if message.what != "resolved":
        event["payload"] = {
            "summary": headline(message)[:1024],
            "source": message.subject,
            "severity": message.severity,
            "timestamp": message.since.isoformat(),
            "component": message.subject,
            "class": message.kind,
            "custom_details": facts(message),
        }
        event["links"] = [{"href": message.link, "text": "Open in Airflow"}]
    return event


def alertmanager(message: Message) -> list[Json]:
    """``/api/v2/alerts``: labels are what makes it this alert; ``endsAt`` ends it.

    What may change while it is open, such as its owner, is an annotation: with other labels it would be another alert.
    Without ``endsAt`` Alertmanager takes it for over after minutes; a reminder comes once a day and moves it on.
    """
    alert: Json = {
        "labels": {
            "alertname": f"nightshift_{message.kind}",
            "subject": message.subject,
            "severity": message.severity,
        },
        "annotations": {
            "summary": message.title,
            **{k.replace(" ", "_"): v for k, v in facts(message).items()},
        },
        "startsAt": message.since.isoformat(),
        "endsAt": (message.at if message.what == "resolved" else message.at + UNTIL_REMINDED).isoformat(),
        "generatorURL": message.link,
    }
    return [alert]


def webhook(message: Message, key: str) -> Json:
    """Plain JSON. ``key``: of this message alone; ``fingerprint``: of the alert."""
    return {
        "key": key,
        "what": message.what,
        "fingerprint": message.fingerprint,
        "kind": message.kind,
        "subject": message.subject,
        "severity": message.severity,
        "owner": message.owner,
        "title": message.title,
        "action": message.action,
        "runbook": message.runbook,
        "link": message.link,
        "numbers": dict(message.numbers),
        "since": message.since.isoformat(),
        "at": message.at.isoformat(),
    }

"""`alerts` in project.yaml: what it takes, and how what is wrong is told; where connections lead."""

import shutil
from datetime import time
from pathlib import Path

import pytest

from nightshift.alerts.delivery import Door, usual
from nightshift.alerts.sending import NotDelivered
from nightshift.errors import SpecError
from nightshift.root import INCLUDE
from nightshift.specs import load_project
from nightshift.specs.alerts import Alerts
from nightshift.specs.parts import read_yaml

GOOD = """
alerts:
  night_by: "07:30"
  receivers:
    team: {kind: slack, connection: slack_ml}
    mail: {kind: smtp, connection: smtp_default, to: [ops@example.org]}
    own: {kind: notifier, class: our.notifiers.Pager, arguments: {text: "{{ headline }}"}}
  routes:
    - {to: [team]}
    - {to: [mail, own], severity: error, model: late_arrival}
  notifiers: [our.notifiers.Pager]
  ping: outside
  nights: {harm: {open: 2, of: 3, close: 2}}
"""


def loaded(tmp_path: Path, text: str):
    include = tmp_path / "include"
    shutil.copytree(INCLUDE, include, ignore=shutil.ignore_patterns("__pycache__", "nightshift"))
    with (include / "project.yaml").open("a") as file:
        file.write(text)
    return load_project(include).require_sound()


def test_receivers_routes_and_nights_are_declared_in_the_project(tmp_path: Path) -> None:
    found = loaded(tmp_path, GOOD).settings.alerts
    assert sorted(found.receivers) == ["mail", "own", "team"]
    assert found.by.isoformat() == "07:30:00"
    assert found.nights["harm"].open == 2


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("night_by", "nigth_by", "unknown key 'alerts.nigth_by'; did you mean 'night_by'?"),
        ('"07:30"', '"25:00"', "key 'alerts.night_by'"),
        ("kind: slack", "kind: slak", "webhook, notifier, got 'slak'; did you mean 'slack'?"),
        ("connection: slack_ml", "connexion: slack_ml", ".team.connexion'; did you mean 'connection'?"),
        ("to: [ops@example.org]", "to: [nobody]", "key 'alerts.receivers.mail.to.0'"),
        ("to: [ops@example.org]", 'to: ["a@b.c\\nBcc: x@y.z"]', "key 'alerts.receivers.mail.to.0'"),
        ("{to: [team]}", "{to: [taem]}", "routes.0.to: receiver 'taem' is unknown; did you mean 'team'?"),
        ("model: late_arrival", "model: late_arival", "routes.1.model': model 'late_arival' is unknown; did you"),
        ("notifiers: [our.notifiers.Pager]", "notifiers: []", "'our.notifiers.Pager' is not in alerts.notifiers"),
        ("notifiers: [our", "notifiers: [os.system, our", "'os.system' is Python's own"),
        ("harm: {open: 2, of: 3", "harm: {open: 4, of: 3", "open: 4 of 3 nights"),
        ("nights: {harm", "nights: {disk", "key 'alerts.nights"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_by_file_key_and_what_was_expected(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    assert old in GOOD
    with pytest.raises(SpecError) as raised:
        loaded(tmp_path, GOOD.replace(old, new, 1))
    assert "project.yaml: " in str(raised.value)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "door", "address"),
    [
        ("slack", Door("c", host="https://hooks.slack.com", password="T/x"), "https://hooks.slack.com/T/x"),
        ("slack", Door("c", password="https://hooks.slack.com/T/x"), "https://hooks.slack.com/T/x"),
        ("teams", Door("c", password="https://flow.example.org/?sig=x"), "https://flow.example.org/?sig=x"),
        ("pagerduty", Door("c", password="key"), "https://events.pagerduty.com/v2/enqueue"),
        ("alertmanager", Door("c", host="am", port=9093, schema="http"), "http://am:9093/api/v2/alerts"),
        ("webhook", Door("c", host="h", extra={"path": "/in"}), "https://h/in"),
    ],
)  # fmt: skip
def test_a_connection_leads_where_its_kind_expects(kind: str, door: Door, address: str) -> None:
    assert usual(kind, door).address == address


def test_a_connection_without_a_host_says_so_and_no_repr_shows_a_secret() -> None:
    with pytest.raises(NotDelivered, match="connection 'c': no host"):
        _ = Door("c").address
    assert "key" not in repr(Door("c", password="key", extra={"headers": {"a": "key"}}))


@pytest.mark.parametrize(
    ("written", "read"), [("06:00", time(6)), ("10:30", time(10, 30)), ('"23:59"', time(23, 59))]
)
def test_an_hour_needs_no_quotes(written: str, read: time, tmp_path: Path) -> None:
    (tmp_path / "alerts.yaml").write_text(f"night_by: {written}")
    assert Alerts.model_validate(read_yaml(tmp_path / "alerts.yaml")).by == read

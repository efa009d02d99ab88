"""The cockpit in Airflow's own UI, in a real browser, without a server: answers are what the API would dump."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from pydantic import TypeAdapter
from test_standing import NIGHT, SPEC, TONIGHT, WELL

from nightshift.cockpit import alarms, answers
from nightshift.cockpit.bundle import bundle, bundle_name
from nightshift.cockpit.standing import stand
from nightshift.records import cockpit as records

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

HOST, FLEET = "http://airflow.test", "/plugin/nightshift"
PAGE = "[data-nightshift]"
AT = datetime(2013, 7, 27, 6, 5, tzinfo=UTC)
# What Airflow shows on Home and as a tab, shown by itself: its own pages there ask for more than is made here.
SHOWN = """
globalThis["Shown"] = () => {
  const [name, dagId] = decodeURIComponent(location.hash.slice(1)).split("/");
  return R.createElement(globalThis[name], { dagId });
};"""
AIRFLOW: dict[str, Any] = {
    "/ui/config": {"instance_name": "Airflow", "dashboard_alert": [], "page_size": 50, "theme": None},
    "/ui/auth/menus": {"authorized_menu_items": ["Plugins"], "extra_menu_items": []},
    "/ui/auth/me": {"id": "vic", "username": "vic"},
    "/api/v2/version": {"version": "3", "git_version": None},
    "/api/v2/plugins": {
        "plugins": [
            {
                "name": "nightshift",
                "external_views": [],
                "appbuilder_views": [],
                "appbuilder_menu_items": [],
                "react_apps": [
                    {
                        "name": name, "url_route": route, "destination": "nav", "nav_top_level": True,
                        "bundle_url": f"nightshift/api/{bundle_name()}",
                    }
                    for name, route in (("Fleet", "nightshift"), ("Shown", "shown"))
                ],
            }
        ],
        "total_entries": 1,
    },
}  # fmt: skip
Answer = Callable[[Route], None]


@dataclass
class Stub:
    """Airflow as a browser sees it: its files, what the UI asks for, and what the cockpit's API answers by path."""

    ui: Path
    answers: dict[str, Answer] = field(default_factory=dict)

    def says(self, path: str, page: Any) -> None:
        """Have the API answer a page, as it dumps one."""
        told = TypeAdapter(type(page)).dump_python(page, mode="json")
        self.answers[path] = lambda route: route.fulfill(json=told)

    def serve(self, route: Route) -> None:
        """Answer a request of the browser."""
        path = route.request.url.removeprefix(HOST).partition("?")[0]
        if path.endswith(bundle_name()):
            route.fulfill(body=bundle() + SHOWN, content_type="text/javascript")
        elif path.startswith("/nightshift/api/"):
            self.answers.get(path.removeprefix("/nightshift/api/"), absent)(route)
        elif path.startswith("/static/"):
            route.fulfill(path=self.ui / path.removeprefix("/static/"))
        elif path.startswith(("/ui/", "/api/")):
            route.fulfill(json=AIRFLOW.get(path, {}))
        else:
            index = (self.ui / "index.html").read_text().replace("{{ backend_server_base_url }}", f"{HOST}/")
            route.fulfill(body=index, content_type="text/html")


def absent(route: Route) -> None:
    route.fulfill(status=404, json={"detail": "not found"})


@pytest.fixture(scope="module")
def opened(chromium: Browser) -> Page:
    return chromium.new_page()


@pytest.fixture
def stub(opened: Page) -> Iterator[Stub]:
    spec = find_spec("airflow")
    assert spec
    assert spec.origin
    made = Stub(Path(spec.origin).parent / "ui" / "dist")
    failures: list[str] = []
    opened.unroute_all()
    opened.route("**/*", made.serve)
    opened.on("pageerror", lambda error: failures.append(str(error)))
    opened.set_viewport_size({"width": 1280, "height": 900})
    yield made
    assert failures == []


def shown(page: Page, path: str) -> Any:
    page.goto("about:blank")
    page.goto(HOST + path)
    box = page.locator(PAGE)
    expect(box).to_be_visible(timeout=60_000)
    return box


def fleet(*names: str, broken: int = 0) -> answers.Fleet:
    lines = tuple(
        replace(answers._line(standing(), NIGHT), model=name, state=stand(SPEC, WELL, TONIGHT))
        for name in names
    )
    return answers.Fleet(NIGHT, True, NIGHT, lines, broken)


def standing() -> answers.Standing:
    return answers.Standing(
        stand(SPEC, WELL, TONIGHT), "o", "about it", "classification", None, WELL, 3, 0, 0
    )


def decision(training: str, **more: Any) -> records.DecisionMade:
    usual = {
        "champion": 1, "as_of": NIGHT, "reason": "because", "passed": True, "approval": "required",
        "requested_by": None, "gates": (), "answer": None, "signed_by": None, "comment": None, "outcome": None,
        "decided_at": AT, "challenger": 2,
    }  # fmt: skip
    return records.DecisionMade(training_id=training, **{**usual, **more})


def model(**more: Any) -> answers.ModelPage:
    empty: dict[str, Any] = dict.fromkeys(
        ("nights", "ledger", "decisions", "requests", "faults", "heat_nights", "features", "histograms", "slices",
         "lineage", "links", "actions"), (),
    )  # fmt: skip
    made = {**empty, "night": NIGHT, "model": standing(), "counted_on": None, "silences": {}, **more}
    return answers.ModelPage(**made)


def dataset(kind: Any, name: str, dag: str) -> answers.Dataset:
    row = records.DataRow(
        kind=kind, name=name, newest=NIGHT, volume=(1,), rejected=(0.1,), status="published", why="", open=()
    )
    return answers.Dataset(kind, name, "o", "about it", row, 0, (), (), (answers.Link(dag, f"dags/{dag}"),))


def alarm(**more: Any) -> alarms.Alarm:
    usual = {
        "fingerprint": "harm/model:m", "kind": "harm", "subject": "model:m", "severity": "warning", "owner": "o",
        "title": "harm", "action": "look", "runbook": "alert-harm", "numbers": {}, "since": AT, "told": 1, "took": (),
        "waits": (), "muted_by": None, "silenced_until": None, "to": None, "silence": None,
    }  # fmt: skip
    return alarms.Alarm(**{**usual, **more})


@pytest.mark.parametrize("name", ["nightshift", "nightshift_demand"])
def test_a_model_of_any_name_has_its_page(opened: Page, stub: Stub, name: str) -> None:
    stub.says(f"models/{name}", model())
    expect(shown(opened, f"{FLEET}/models/{name}")).to_contain_text("about it")


@pytest.mark.parametrize("path", ["/models/%E0%A4%A", "/nights/abc"])
def test_what_there_is_not_is_said_in_words(opened: Page, stub: Stub, path: str) -> None:
    stub.answers["nights/abc"] = lambda route: route.fulfill(
        status=422, json={"detail": [{"msg": "no date"}]}
    )
    expect(shown(opened, FLEET + path)).to_contain_text("There is no ")


def test_what_is_shown_after_the_server_has_gone_says_so(opened: Page, stub: Stub) -> None:
    stub.says("alerts", alarms.AlertsPage(NIGHT, AT, False, ()))
    box = shown(opened, f"{FLEET}/alerts")
    expect(box).to_contain_text("Nothing is wrong")
    look = "document.dispatchEvent(new Event('visibilitychange'))"
    stub.answers["alerts"] = lambda route: route.abort()
    opened.evaluate(look)
    expect(box).to_contain_text("Airflow does not answer")
    stub.answers["alerts"] = lambda route: route.fulfill(status=401, json={"detail": "no"})
    opened.evaluate(look)
    expect(box).to_contain_text("not logged in any more")
    expect(box).not_to_contain_text("Nothing is wrong")
    stub.says("alerts", alarms.AlertsPage(NIGHT, AT, False, ()))
    opened.evaluate(look)
    expect(box).to_contain_text("Nothing is wrong")
    expect(box).not_to_contain_text("does not answer")


@pytest.mark.parametrize(
    ("dag", "row"),
    [("collect_air", "air"), ("features_air", "air_v1"), ("explore_features_air_v2", "air_v2")],
)
def test_the_tab_of_a_dag_shows_its_own_data_and_no_other(
    opened: Page, stub: Stub, dag: str, row: str
) -> None:
    sets = [("source", "air", "collect_air"), ("source", "aircraft", "collect_aircraft")]
    sets += [("features", "air_v1", "features_air"), ("features", "air_v2", "features_air_v2")]
    stub.says("data", answers.DataPage(NIGHT, NIGHT, tuple(dataset(*each) for each in sets), (), 0))
    box = shown(opened, f"/plugin/shown#Model/{dag}")
    expect(box.locator("[data-row]")).to_have_count(1)
    expect(box.locator(f"[data-row={row}]")).to_be_visible()


def test_home_tells_of_specs_that_do_not_load(opened: Page, stub: Stub) -> None:
    stub.says("fleet", fleet(broken=2))
    expect(shown(opened, "/plugin/shown#Nightshift Cockpit/")).to_contain_text("2 specs do not load")


def test_a_night_can_be_typed(opened: Page, stub: Stub) -> None:
    stub.says("fleet", fleet("late_arrival"))
    box = shown(opened, FLEET)
    box.locator("input[type=date]").click(position={"x": 12, "y": 12})
    opened.keyboard.type("07182013", delay=40)
    opened.wait_for_url("**night=2013-07-18")


def test_who_was_told_is_who_took_it(opened: Page, stub: Stub) -> None:
    told = {
        "told mail, 2 times; not taken yet by duty": {"took": ("mail",), "waits": ("duty",), "told": 2},
        "nobody: no route of the project leads to a receiver": {},
        "nobody was told yet": {"told": 0},
        "follows from harm/model:n; nobody was told yet": {"told": 0, "muted_by": "harm/model:n"},
    }
    alerts = tuple(alarm(fingerprint=str(n), **more) for n, more in enumerate(told.values()))
    stub.says("alerts", alarms.AlertsPage(NIGHT, AT, False, alerts))
    box = shown(opened, f"{FLEET}/alerts")
    for n, words in enumerate(told):
        expect(box.locator(f'[data-row="{n}"]')).to_contain_text(words)


@pytest.mark.parametrize(("since", "words"), [(AT, "since 2013-07-27 06:05 UTC"), (None, "yet")])
def test_alerts_that_nobody_looks_for_are_not_all_well(
    opened: Page, stub: Stub, since: datetime | None, words: str
) -> None:
    stub.says("alerts", alarms.AlertsPage(NIGHT, since, True, ()))
    box = shown(opened, f"{FLEET}/alerts")
    expect(box).to_contain_text(f"nobody has looked {words}")
    expect(box).not_to_contain_text("Nothing is wrong")


def test_who_approved_is_told_as_it_was(opened: Page, stub: Stub) -> None:
    signed: dict[str, dict[str, Any]] = {
        "no signature asked for": {"passed": False, "outcome": "rejected"},
        "waits for a signature": {},
        "nobody signed": {},
        "approved by olga": {"answer": "approved", "signed_by": "olga", "outcome": "promoted"},
    }
    made = tuple(decision(f"t{n}", **more) for n, more in enumerate(signed.values()))
    waiting = records.Waiting("t1", 2, NIGHT, AT, date(2013, 7, 27))
    stands = replace(standing(), row=replace(WELL, waiting=waiting))
    stub.says("models/m", model(model=stands, decisions=made))
    box = shown(opened, f"{FLEET}/models/m")
    for n, words in enumerate(signed):
        expect(box.locator(f"[data-decision=t{n}]")).to_contain_text(f"Approved: {words}")


def test_numbers_are_not_rounded_to_another_meaning(opened: Page, stub: Stub) -> None:
    numbers = {"0.000040": 0.00004, "0.123": 0.1234, "0": 0.0, "364.7": 364.7, "12,346": 12345.6}
    page = fleet(*(f"m{n}" for n in range(len(numbers))))
    lines = (
        replace(line, metric="mae", value=value, low=None, labelled=996, expected=1000)
        for line, value in zip(page.models, numbers.values(), strict=True)
    )
    stub.says("fleet", replace(page, models=tuple(lines)))
    box = shown(opened, FLEET)
    for n, words in enumerate(numbers):
        expect(box.locator(f"[data-row=m{n}]")).to_contain_text(f"mae {words}, at the gate")
    expect(box.locator("[data-row=m0]")).to_contain_text("99 %")


def test_long_names_and_words_fit_a_telephone(opened: Page, stub: Stub) -> None:
    long = "w" * 200
    line = replace(
        fleet("m" * 40).models[0], metric="balanced_accuracy", value=0.5, feature=long, never=(long,), psi=1.0
    )
    said = replace(line, state=replace(line.state, reason=long), waits=(long,), owner="o" * 40)
    stub.says("fleet", replace(fleet(), models=(said,)))
    row = alarm(title=long, subject=f"model:{long}", took=(long,), numbers={long: long}, action=long)
    stub.says("alerts", alarms.AlertsPage(NIGHT, AT, False, (row,)))
    made = decision(
        "t",
        reason=long,
        gates=(records.GateResult("no_worse_on_slices", None, True, long),),
        answer=long,
        comment=long,
    )
    stub.says("models/m", model(model=replace(standing(), description=long, owner=long), decisions=(made,)))
    opened.set_viewport_size({"width": 390, "height": 844})
    for path in ("", "/alerts", "/models/m"):
        box = shown(opened, FLEET + path)
        assert box.evaluate("box => box.scrollWidth <= box.clientWidth"), path

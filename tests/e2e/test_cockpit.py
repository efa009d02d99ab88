"""The cockpit in a real browser on the running stack: its numbers, its paths, and that data stays text."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import axe
import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from e2e.conftest import MODEL, NIGHTS, PATIENCE_MS, Photograph, log_in, new_context
from e2e.test_ui import as_user
from examples.nyc_flights.demo import Demo

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(900)]

FLEET = "/plugin/nightshift"
HOSTILE = "<img src=x onerror='window.hacked=1'>{{7*7}}"


@pytest.fixture(scope="module")
def browser_of(chromium: Browser, loop: Demo) -> Iterator[Callable[[str], BrowserContext]]:
    """Return a function from a user to the browser that they have logged in with, once for all tests."""
    expect.set_options(timeout=PATIENCE_MS)
    contexts: dict[str, BrowserContext] = {}

    def found(user: str) -> BrowserContext:
        if user not in contexts:
            contexts[user] = new_context(chromium)
            log_in(contexts[user], loop, user)
        return contexts[user]

    yield found
    for context in contexts.values():
        context.close()


@pytest.fixture
def page(browser_of: Callable[[str], BrowserContext]) -> Iterator[Page]:
    """Return a page of somebody who may read only; its scripts must not fail."""
    with without_failures(browser_of("vic")) as opened:
        yield opened


@pytest.fixture(params=["vic", "olga", "admin"])
def anybodys(request: pytest.FixtureRequest, browser_of: Callable[[str], BrowserContext]) -> Iterator[Page]:
    """Return a page of a viewer, of who operates, of an administrator: one after the other."""
    with without_failures(browser_of(request.param)) as opened:
        yield opened


@contextmanager
def without_failures(context: BrowserContext) -> Iterator[Page]:
    failures: list[str] = []
    opened = context.new_page()
    opened.on("pageerror", lambda error: failures.append(str(error)))
    yield opened
    opened.close()
    assert failures == []


def told(loop: Demo, path: str, user: str = "vic") -> dict:
    url = f"{loop.runtime.airflow_url}/nightshift/api/{path}"
    answer = httpx.get(url, trust_env=False, headers=as_user(loop, user), timeout=60)
    return answer.raise_for_status().json()


def test_whoever_may_read_finds_the_fleet_in_the_navigation_and_a_card_on_home(
    loop: Demo, anybodys: Page, photograph: Photograph
) -> None:
    page = anybodys
    models = told(loop, "fleet")["models"]
    needed = [each for each in models if each["state"]["tone"] in {"bad", "act"}]
    page.goto(loop.runtime.airflow_url)
    card = page.locator("[data-nightshift=card]")
    for each in needed or models:
        expect(card.get_by_role("link", name=each["model"], exact=True)).to_be_visible()
    photograph(page, "cockpit-home")
    page.get_by_role("link", name="Fleet").first.click()
    expect(page.get_by_role("heading", name="Fleet")).to_be_visible()
    expect(page.locator(f"[data-row={MODEL}]")).to_be_visible()
    photograph(page, "cockpit-fleet")


def test_the_numbers_of_the_fleet_are_those_of_the_warehouse(loop: Demo, anybodys: Page) -> None:
    page = anybodys
    newest = loop.warehouse.row(
        "SELECT b.batch_date, b.row_count, v.status, c.version, c.effective_from "
        "FROM catalog.prediction_batches b JOIN monitoring.verdicts v USING (model, batch_date, arm), "
        "governance.champion_on(b.model, b.batch_date) c WHERE b.model = %s AND b.arm = 'champion' "
        "ORDER BY 1 DESC LIMIT 1",
        (MODEL,),
    )
    assert newest
    page.goto(f"{loop.runtime.airflow_url}{FLEET}?night={newest['batch_date']}")
    row = page.locator(f"[data-row={MODEL}]")
    expect(row).to_contain_text(f"{newest['batch_date']}: {newest['status']}")
    expect(row).to_contain_text(f"{newest['row_count']:,} rows")
    expect(row).to_contain_text(f"version {newest['version']}")
    expect(row).to_contain_text(f"since {newest['effective_from']}")


def test_why_a_model_was_retrained_and_who_approved_is_two_clicks_from_the_fleet(
    loop: Demo, page: Page, photograph: Photograph
) -> None:
    decision = loop.warehouse.row(
        "SELECT training_id, reason, gates->0->>'words' AS words FROM governance.decisions WHERE model = %s "
        "ORDER BY decided_at DESC LIMIT 1",
        (MODEL,),
    )
    assert decision
    page.goto(loop.runtime.airflow_url + FLEET)
    page.get_by_role("link", name=MODEL, exact=True).click()
    shown = page.locator(f'[data-decision="{decision["training_id"]}"]')
    expect(shown).to_contain_text(decision["reason"])
    expect(shown).to_contain_text(decision["words"])
    expect(shown).to_contain_text("Approved:")
    expect(page.locator("[data-chart=timeline]")).to_be_visible()
    photograph(page, "cockpit-model")
    shown.get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(f"/dags/train_{MODEL}/runs/"))


def test_what_is_missing_tonight_and_what_to_do_is_on_the_first_page(loop: Demo, page: Page) -> None:
    """The night after the last one: nothing ran."""
    page.goto(f"{loop.runtime.airflow_url}{FLEET}?night={NIGHTS[-1].replace(month=7, day=5)}")
    row = page.locator(f"[data-row={MODEL}]")
    expect(row).to_be_visible()
    page.get_by_role("link", name=re.compile("What the night of")).click()
    expect(page.get_by_role("heading", name=re.compile("Night of 2013-07-05"))).to_be_visible()
    expect(page.locator("[data-row=flights]")).to_be_visible()


def test_the_tab_of_a_dag_shows_its_model_and_data_its_sources(
    loop: Demo, page: Page, photograph: Photograph
) -> None:
    page.goto(f"{loop.runtime.airflow_url}/dags/score_{MODEL}")
    page.get_by_role("link", name="Model", exact=True).click()
    expect(page.locator("[data-nightshift=page] #decisions")).to_be_visible()
    page.goto(f"{loop.runtime.airflow_url}{FLEET}/data?q=weather")
    expect(page.locator("[data-row=weather]")).to_be_visible()
    photograph(page, "cockpit-data")


# What changes something, as the pages offer it, each with a form that is not filled in well.
FORMS = {
    f"train_{MODEL}": {"as_of": "soon"},
    f"score_{MODEL}": {"batch_date": "soon"},
    f"rollback_{MODEL}": {},
    f"replay_policies_{MODEL}": {"last": "soon"},
    "replay_quarantine_weather": {"batch_date": "soon"},
    "explore_source_weather": {"batch_date": "soon"},
    "silence_alert": {},
}


def test_each_page_shows_the_same_to_all_and_its_forms_to_who_may_start_them(
    loop: Demo, anybodys: Page, request: pytest.FixtureRequest
) -> None:
    page, may = anybodys, request.node.callspec.params["anybodys"] != "vic"
    night, url = str(NIGHTS[0]), loop.runtime.airflow_url + FLEET
    page.goto(f"{url}/models/{MODEL}")
    entry = told(loop, f"models/{MODEL}")["ledger"][0]
    expect(page.locator(f"#ledger [data-row='{entry['entry']}']")).to_contain_text(entry["actor"])
    expect(page.locator("[data-chart=heat]")).to_be_visible()
    for words in ("Retrain", "Score a range", "Roll back", "Replay policies"):
        expect(page.locator("#actions").get_by_role("link", name=words)).to_have_count(int(may))
    page.goto(f"{url}/nights/{night}")
    for name in (MODEL, "weather", "departure_v1"):
        row = loop.warehouse.row(
            "SELECT row_count FROM catalog.nights WHERE name = %s AND batch_date = %s", (name, night)
        )
        assert row
        expect(page.locator(f"[data-row={name}]")).to_contain_text(f"{row['row_count']:,}")
    page.goto(f"{url}/data?q=weather")
    expect(page.locator("[data-row=weather]").get_by_role("link", name="collect_weather")).to_be_visible()
    for form in ("replay_quarantine_weather", "explore_source_weather"):
        expect(page.locator("[data-row=weather]").get_by_role("link", name=form)).to_have_count(int(may))
    page.goto(f"{url}/alerts")
    for alert in told(loop, "alerts")["alerts"]:
        row = page.locator(f'[data-row="{alert["fingerprint"]}"]')
        expect(row).to_contain_text(alert["title"])
        expect(row.get_by_role("link", name="silence")).to_have_count(int(may))


@pytest.mark.parametrize("user", ["vic", "olga", "admin"])
def test_what_a_viewer_may_not_do_is_refused_and_nobody_writes_through_the_cockpit(
    loop: Demo, user: str
) -> None:
    """Nothing starts: a viewer is forbidden to, and what others fill in lacks something."""
    headers, may = as_user(loop, user), user != "vic"

    def answer(method: str, path: str, body: object = None) -> int:
        url = loop.runtime.airflow_url + path
        return httpx.request(method, url, json=body, headers=headers, trust_env=False, timeout=60).status_code

    def runs() -> dict[str, int]:
        return {dag: len(loop.api.runs(dag)) for dag in FORMS}

    before = runs()
    for dag, lacking in FORMS.items():
        filled = {"conf": lacking if may else {}, "logical_date": None}
        assert answer("POST", f"/api/v2/dags/{dag}/dagRuns", filled) == (400 if may else 403), dag
    assert runs() == before
    for path in ("fleet", f"models/{MODEL}", f"nights/{NIGHTS[0]}", "data", "alerts"):
        assert answer("GET", f"/nightshift/api/{path}") == 200
        assert {answer(method, f"/nightshift/api/{path}", {}) for method in ("POST", "PUT", "DELETE")} == {
            405
        }
    assert answer("GET", "/nightshift/api/models/absent") == 404
    assert answer("PATCH", f"/api/v2/dags/score_{MODEL}", {"is_paused": "soon"}) == (422 if may else 403)
    assert answer("GET", "/api/v2/connections") == (200 if may else 403)


def test_each_link_of_the_cockpit_leads_somewhere(loop: Demo) -> None:
    found = told(loop, f"models/{MODEL}", "olga")
    assert told(loop, f"models/{MODEL}")["actions"] == []
    steps = [model["state"]["step"] for model in told(loop, "fleet")["models"]]
    assert [step for step in steps if step and step["fill"]] == [], "a viewer has no form"
    links = [link["to"] for link in [*found["links"], *found["actions"]]]
    kept = [
        to.partition("#")[0] for to in links if to.startswith("nightshift/files/") and "catalog" not in to
    ]
    assert kept
    headers = as_user(loop, "vic")
    for to in kept:
        url = f"{loop.runtime.airflow_url}/{to}"
        assert httpx.get(url, headers=headers, trust_env=False).status_code == 200, to
    dags = {to.partition("/")[2] for to in links if to.startswith("dags/")}
    assert dags <= set(loop.api.dags())


# A demo may have nothing that is wrong.
ALERTS = {
    "night": "2013-07-20",
    "looked_at": "2013-07-20T06:05:00Z",
    "late": False,
    "alerts": [
        {
            "fingerprint": f"harm/model:{MODEL}",
            "kind": "harm",
            "subject": f"model:{MODEL}",
            "severity": "warning",
            "owner": "flights",
            "title": "harm",
            "action": "look at the report",
            "runbook": "alert-harm",
            "numbers": {"evidence": 400.5, "of": "nights"},
            "since": "2013-07-20T06:00:00Z",
            "told": 1,
            "took": ["team"],
            "waits": [],
            "muted_by": None,
            "silenced_until": None,
            "to": f"dags/monitor_{MODEL}",
            "silence": {"words": "silence", "to": "dags/silence_alert", "fill": "kind: harm"},
        }
    ],
}


@pytest.mark.parametrize("path", ["", f"/models/{MODEL}", "/nights", "/data", "/alerts"])
def test_hostile_names_are_text(loop: Demo, page: Page, path: str) -> None:
    """Every text of an answer is replaced: none becomes markup, and none runs."""

    def poisoned(value: object) -> object:
        if isinstance(value, dict):
            return {key: poisoned(each) for key, each in value.items()}
        if isinstance(value, list):
            return [poisoned(each) for each in value]
        words = isinstance(value, str) and re.search("[a-z]", value) and "/" not in value
        return f"{value} {HOSTILE}" if words and value not in KEPT else value

    def answer(route: Route) -> None:
        fetched = route.fetch()
        route.fulfill(response=fetched, body=json.dumps(poisoned(fetched.json())))

    page.route(re.compile(r"/nightshift/api/(fleet|models|nights|data)"), answer)
    page.route("**/nightshift/api/alerts", lambda route: route.fulfill(json=poisoned(ALERTS)))
    page.goto(loop.runtime.airflow_url + FLEET + path)
    expect(page.locator("[data-nightshift=page]")).to_contain_text("onerror=")
    assert page.evaluate("window.hacked") is None
    assert page.locator("[data-nightshift] img").count() == 0


# What the pages choose by, in the place of words.
KEPT = {
    "bad",
    "act",
    "watch",
    "busy",
    "good",
    "quiet",
    "source",
    "features",
    "model",
    "started",
    "suppressed",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["", f"/models/{MODEL}", "/nights/2013-06-30", "/data", "/alerts"])
def test_people_with_other_eyes_and_hands_can_use_it(
    loop: Demo, page: Page, photograph: Photograph, path: str, scheme: str
) -> None:
    script = axe.source()
    if script is None:
        pytest.skip("no axe-core here; it needs npm")
    page.route("**/nightshift/api/alerts", lambda route: route.fulfill(json=ALERTS))
    page.add_init_script(f"localStorage.setItem('theme', '{scheme}')")
    page.goto(loop.runtime.airflow_url + FLEET + path)
    expect(page.locator("[data-nightshift=page] [data-row]:visible").first).to_be_visible()
    photograph(page, f"cockpit{path.replace('/', '-')}-{scheme}")
    page.evaluate(script)
    found = page.evaluate("async () => (await axe.run('[data-nightshift]')).violations")
    assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")] == []


@pytest.mark.parametrize("path", ["", f"/models/{MODEL}", "/nights/2013-06-30", "/data", "/alerts"])
def test_it_fits_a_telephone(loop: Demo, page: Page, photograph: Photograph, path: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.route("**/nightshift/api/alerts", lambda route: route.fulfill(json=ALERTS))
    page.goto(loop.runtime.airflow_url + FLEET + path)
    box = page.locator("[data-nightshift=page]")
    expect(box.locator("[data-row]:visible").first).to_be_visible()
    photograph(page, f"cockpit{path.replace('/', '-')}-390")
    assert box.evaluate("box => box.scrollWidth <= box.clientWidth")

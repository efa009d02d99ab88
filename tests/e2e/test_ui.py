"""What people see: Airflow's pages in a real browser, the links from a task to what it made, and who may open it."""

import http.client
import importlib.util
from base64 import b64encode
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from e2e.conftest import MODEL, NIGHTS, PATIENCE_MS, Photograph, log_in
from examples.nyc_flights.demo import Demo
from examples.nyc_flights.local import weather_folder
from nightshift.errors import RequestError
from nightshift.root import ROOT
from nightshift.runtime.api import Client

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(900)]

NIGHT = str(NIGHTS[0])
TRAINING = f"retrain__{MODEL}__{NIGHT}"
REPORT, DOCS = f"reports/{MODEL}/{NIGHT}.html", f"data_docs/flights/{NIGHT}.html"


@pytest.fixture(scope="module")
def admin(visitor: BrowserContext, loop: Demo) -> BrowserContext:
    """Return the browser once somebody has logged in through the form."""
    expect.set_options(timeout=PATIENCE_MS)
    log_in(visitor, loop, "admin")
    return visitor


@pytest.fixture
def page(admin: BrowserContext) -> Iterator[Page]:
    """Return a page whose scripts must not fail."""
    failures: list[str] = []
    opened = admin.new_page()
    opened.on("pageerror", lambda error: failures.append(str(error)))
    yield opened
    opened.close()
    assert failures == []


def task_url(loop: Demo, dag_id: str, run_id: str, task_id: str) -> str:
    return f"{loop.runtime.airflow_url}/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/details"


def follow(page: Page, link: str) -> Page:
    """Click an extra link of a task; return the page that it opens: Airflow keeps to the tab for its own."""
    button = page.get_by_role("link", name=link)
    if button.get_attribute("target") != "_blank":
        button.click()
        return page
    with page.context.expect_page() as opened:
        button.click()
    return opened.value


def run_of(loop: Demo, dag_id: str) -> str:
    """Return the newest run of the night."""
    return next(r["dag_run_id"] for r in loop.api.runs(dag_id) if r["partition_key"] == NIGHT)


# --- Pages --------------------------------------------------------------------------------------------------------


def test_the_list_leads_to_a_dag_and_to_its_form(loop: Demo, page: Page, photograph: Photograph) -> None:
    page.goto(f"{loop.runtime.airflow_url}/dags")
    for dag_id in ("collect_flights", "features_departure", f"score_{MODEL}"):
        expect(page.get_by_role("link", name=dag_id, exact=True)).to_be_visible()
    photograph(page, "dags")
    page.get_by_role("link", name="collect_flights", exact=True).click()
    expect(page.get_by_text("validate").first).to_be_visible()
    photograph(page, "dag")
    page.get_by_role("button", name="Trigger").first.click()
    form = page.get_by_role("dialog")
    for field in ("Batch date", "Until", "Downstream", "Reason"):
        expect(form.get_by_text(field, exact=True)).to_be_visible()
    photograph(page, "form")
    form.locator("#element_batch_date").fill("2013-02-08")
    form.locator("#element_until").fill("2013-02-01")
    form.get_by_role("button", name="Trigger").click()
    expect(form.get_by_text("until: 2013-02-01 lies before batch_date 2013-02-08")).to_be_visible()
    photograph(page, "form-refused")


def test_a_rollback_waits_for_its_reason_and_a_replay_offers_fixes_in_words(
    loop: Demo, page: Page, photograph: Photograph
) -> None:
    page.goto(f"{loop.runtime.airflow_url}/dags/rollback_{MODEL}")
    page.get_by_role("button", name="Trigger").first.click()
    form = page.get_by_role("dialog")
    expect(form.get_by_role("button", name="Trigger")).to_be_disabled()
    form.locator("#element_reason").fill("it is wrong")
    expect(form.get_by_role("button", name="Trigger")).to_be_enabled()
    photograph(page, "form-rollback")
    page.goto(f"{loop.runtime.airflow_url}/dags/replay_quarantine_weather")
    page.get_by_role("button", name="Trigger").first.click()
    page.get_by_role("dialog").locator("#element_action").click()
    expect(page.get_by_text("no_wind: empty wind_speed, and judge again")).to_be_visible()
    photograph(page, "form-replay")


def test_fit_leads_to_its_mlflow_run(loop: Demo, page: Page, photograph: Photograph) -> None:
    page.goto(task_url(loop, f"train_{MODEL}", TRAINING, "fit"))
    expect(page.get_by_role("link", name="MLflow run")).to_be_visible()
    photograph(page, "fit")
    # The person logs in once, in the browser's own dialog.
    login = f"{loop.runtime.mlflow_user}:{loop.runtime.mlflow_password}".encode()
    page.context.route(
        f"{loop.runtime.mlflow_url}/**",
        lambda route: route.continue_(
            headers=route.request.headers | {"authorization": f"Basic {b64encode(login).decode()}"}
        ),
    )
    shown = follow(page, "MLflow run")
    run_id = loop.api.xcom(f"train_{MODEL}", TRAINING, "fit")["mlflow_run_id"]
    assert shown.url.startswith(loop.runtime.mlflow_url)
    expect(shown.get_by_text(run_id)).to_be_visible()
    expect(shown.get_by_text(TRAINING).first).to_be_visible()
    photograph(shown, "mlflow")
    shown.close()


@pytest.mark.parametrize(
    ("dag_id", "task_id", "link", "words"),
    [
        ("collect_flights", "validate", "Data docs", "flights: validation"),
        (f"monitor_{MODEL}", "report", "Drift report", f"{MODEL}, night of {NIGHT}"),
    ],
)
def test_task_leads_to_its_page(
    loop: Demo, page: Page, photograph: Photograph, dag_id: str, task_id: str, link: str, words: str
) -> None:
    page.goto(task_url(loop, dag_id, run_of(loop, dag_id), task_id))
    shown = follow(page, link)
    expect(shown.get_by_role("heading", name=words)).to_be_visible()
    assert shown.evaluate("self.origin") == "null", "the page has an origin: it could use the session"
    with pytest.raises(Exception, match="SecurityError"):
        shown.evaluate("document.cookie")
    photograph(shown, link.lower().replace(" ", "-"))


def test_batch_that_fails_leads_to_its_data_docs_and_publishes_nothing(loop: Demo, page: Page) -> None:
    delivered = weather_folder(loop.runtime) / "2013-09-09.csv"
    text = delivered.read_text()
    delivered.write_text(text.replace("2013-09-09T1", "nonsense", 40))
    conf = {"batch_date": "2013-09-10", "reason": "a broken file"}
    try:
        run_id = loop.api.trigger("collect_weather", conf=conf)
        assert loop.api.wait("collect_weather", run_id)["state"] == "failed"
    finally:
        delivered.write_text(text)
    page.goto(task_url(loop, "collect_weather", run_id, "validate"))
    shown = follow(page, "Data docs")
    expect(shown.get_by_text("failed").first).to_be_visible()
    assert loop.warehouse.row("SELECT 1 FROM raw.weather WHERE batch_date = '2013-09-10'") is None
    states = {t["task_id"]: t["state"] for t in loop.api.task_instances("collect_weather", run_id)}
    held_back = dict.fromkeys(("publish", "rebuild_airport_hour", "rebuild_departure"), "upstream_failed")
    assert states == {"collect": "success", "validate": "failed", **held_back}


def test_drift_report_draws_its_charts(loop: Demo, page: Page) -> None:
    """The sandbox lets the report's own scripts work."""
    page.goto(f"{loop.runtime.airflow_url}/nightshift/files/{REPORT}")
    expect(page.locator("svg").first).to_be_attached()


# --- Who may read (S1) --------------------------------------------------------------------------------------------


def plugin_routes() -> list[tuple[str, str]]:
    """Return (method, path) of all that the plugins of this repository mount, path parameters filled in."""
    return [
        (method, mounted["url_prefix"] + filled(route))
        for plugin in plugins()
        for mounted in plugin.fastapi_apps
        for route in mounted["app"].routes
        # What has no methods, a mounted folder for one, must not answer either.
        for method in getattr(route, "methods", None) or {"GET"}
    ]


def plugins() -> list[type]:
    """Return the plugin classes of this repository, as Airflow finds them."""
    from airflow.plugins_manager import AirflowPlugin

    found = []
    for path in sorted((ROOT / "plugins").rglob("*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found += [value for value in vars(module).values() if isinstance(value, type)]
    return [cls for cls in found if issubclass(cls, AirflowPlugin) and cls is not AirflowPlugin]


def filled(route: object) -> str:
    names = getattr(route, "param_convertors", {})
    path = route.path
    for name in names:
        path = path.replace(f"{{{name}:path}}", REPORT).replace(f"{{{name}}}", "1")
    return path


# Airflow's API server imports a test client, which would rather have another library.
@pytest.mark.filterwarnings("ignore:Using `httpx` with")
def test_no_route_of_a_plugin_answers_a_stranger(loop: Demo) -> None:
    mounted = [
        app["url_prefix"] for plugin in loop.api.get("/plugins")["plugins"] for app in plugin["fastapi_apps"]
    ]
    ours = {app["url_prefix"] for plugin in plugins() for app in plugin.fastapi_apps}
    assert ours
    assert ours <= set(mounted), "the running Airflow serves what is looked at here"
    routes = plugin_routes()
    assert ("GET", f"/nightshift/files/{REPORT}") in routes
    answers = {
        (method, path): httpx.request(method, loop.runtime.airflow_url + path, trust_env=False).status_code
        for method, path in routes
    }
    assert {route: status for route, status in answers.items() if status != 401} == {}


def test_stranger_is_asked_to_log_in_and_viewer_reads(loop: Demo) -> None:
    url = f"{loop.runtime.airflow_url}/nightshift/files/"
    viewer = as_user(loop, "vic")
    for key in (REPORT, DOCS):
        assert httpx.get(url + key, trust_env=False).status_code == 401
        assert httpx.get(url + key, trust_env=False, headers={"Authorization": "Bearer x"}).status_code in {
            401,
            403,
        }
        answer = httpx.get(url + key, trust_env=False, headers=viewer)
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("sandbox")
        assert "default-src 'none'" in policy
        assert "allow-same-origin" not in policy
        assert ("script" in policy) == (key == REPORT)
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert httpx.post(url + REPORT, trust_env=False, headers=viewer).status_code == 405


def test_viewer_starts_nothing(loop: Demo) -> None:
    with Client.of(loop.runtime, "vic") as viewer, pytest.raises(RequestError, match=": 403 "):
        viewer.trigger(f"score_{MODEL}", conf={"batch_date": NIGHT})


def test_rows_and_secrets_are_not_served(loop: Demo) -> None:
    landed = loop.warehouse.row("SELECT object_key FROM catalog.landings WHERE source = 'flights' LIMIT 1")
    frozen = loop.warehouse.row("SELECT object_key FROM governance.snapshots LIMIT 1")
    assert landed
    assert frozen
    for key in (landed["object_key"], frozen["object_key"]):
        assert (loop.runtime.home / "objects" / key).is_file()
    climbs = [
        "../credentials.json",
        f"reports/{MODEL}/../../../credentials.json",
        "../../etc/passwd",
        "/etc/passwd",
    ]
    climbs += [climb.replace("..", "%2e%2e").replace("/", "%2f") for climb in climbs]
    absent = [
        "",
        "reports",
        f"reports/{MODEL}/",
        f"reports/{MODEL}/2012-01-01.html",
        f"{REPORT}%0a",
        f"{REPORT}%00",
    ]
    admin = as_user(loop, "admin")
    keys = [landed["object_key"], frozen["object_key"], *climbs, *absent]
    answers = {key: status_of(loop, f"/nightshift/files/{key}", admin) for key in keys}
    assert {key: status for key, status in answers.items() if status != 404} == {}


def status_of(loop: Demo, path: str, headers: dict[str, str]) -> int:
    """Return the status of a path that is sent as it stands: httpx would tidy it up."""
    connection = http.client.HTTPConnection(loop.runtime.airflow_url.removeprefix("http://"), timeout=30)
    connection.request("GET", path, headers=headers)
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def as_user(loop: Demo, user: str) -> dict[str, str]:
    login = {"username": user, "password": loop.runtime.passwords[user]}
    answer = httpx.post(f"{loop.runtime.airflow_url}/auth/token", json=login, trust_env=False)
    return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}

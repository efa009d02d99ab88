"""The papers of a version on real nights: its card where people look for it, and the report for a pull request."""

import json
import re
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from nightshift import stages
from nightshift.cli.app import app
from nightshift.errors import NotReady, UnfairHoldout
from nightshift.kept import SERVED, sent_as
from nightshift.specs import Model
from nightshift.stages import Platform, Try

pytestmark = pytest.mark.integration

MODEL = "late_arrival"
NIGHT = date(2013, 2, 6)
ATTACK = "</script><script>alert(1)</script>"


def good(platform: Platform) -> Platform:
    """Return the platform with a spec that beats the champion of the history."""
    content = platform.project.model(MODEL).model_dump(by_alias=True)
    content["estimator"]["params"].update(max_iter=60, learning_rate=0.05)
    models = {MODEL: Model.model_validate(content)}
    return replace(platform, project=platform.project.model_copy(update={"models": models}))


def judged(platform: Platform, run_id: str, reason: str = "a test") -> dict[str, Any]:
    """Train up to the decision."""
    asked = Try(run_id)
    frozen = stages.snapshot(platform, MODEL, NIGHT, asked)
    stages.fit(platform, MODEL, frozen["snapshot_id"], asked, reason=reason)
    return stages.evaluate(platform, MODEL, NIGHT, asked, reason=reason)


def row_of(platform: Platform, table: str, training: str) -> dict[str, Any]:
    row = platform.warehouse.row(f"SELECT * FROM governance.{table} WHERE training_id = %s", (training,))
    assert row
    return row


def kept(platform: Platform, facts: dict[str, Any]) -> dict[str, str]:
    """Return the files of a card, by name."""
    folder = facts["card"].rpartition("/")[0]
    names = ("card.md", "card.html", "sbom.cdx.json")
    return {name: platform.objects.get(f"{folder}/{name}").decode() for name in names}


def test_the_champions_card_says_what_the_warehouse_holds(loop: Platform) -> None:
    facts = stages.write_card(loop, MODEL, Try("history"))
    version, decision = row_of(loop, "versions", "history"), row_of(loop, "decisions", "history")
    promotion = row_of(loop, "promotions", "history")
    snapshot = loop.warehouse.row(
        "SELECT * FROM governance.snapshots WHERE snapshot_id = %s", (version["snapshot_id"],)
    )
    assert snapshot
    assert facts["version"] == version["version"]
    files = kept(loop, facts)
    shown = files["card.md"].replace("\\", "")
    hashes = (
        "artifact_sha256",
        "spec_sha256",
        "lock_sha256",
        "code_commit",
        "predictions_sha256",
        "snapshot_id",
    )
    for fact in (
        *(version[name] for name in hashes),
        decision["evidence_sha256"],
        *(gate["words"] for gate in decision["gates"]),
        f"{decision['challenger_metrics']['log_loss']:.6g}",
        promotion["actor"],
        str(promotion["effective_from"]),
        f"{snapshot['train_first']} to {snapshot['train_last']}",
        f"model version {MODEL}/{version['version']}",
    ):
        assert fact in shown, fact
    assert "It was fitted on 14 nights, 2013-01-06 to 2013-01-19, and knows no other." in shown
    assert "It was compared with no champion: there was none." in shown
    sources = loop.warehouse.rows(
        "SELECT source, role, count(*) AS n FROM catalog.snapshot_sources WHERE snapshot_id = %s GROUP BY 1, 2",
        (version["snapshot_id"],),
    )
    assert {row["source"] for row in sources} == {"flights", "weather", "aircraft", "arrivals"}
    for row in sources:
        assert f"| {row['source']} | {row['role']} | {row['n']} | " in shown


def test_the_card_lies_with_the_run_and_with_the_files_and_is_the_same_written_again(loop: Platform) -> None:
    facts = stages.write_card(loop, MODEL, Try("history"))
    files = kept(loop, facts)
    run_id = row_of(loop, "versions", "history")["mlflow_run_id"]
    for name, content in files.items():
        assert loop.registry.file(run_id, f"card/{name}").decode() == content
    assert stages.write_card(loop, MODEL, Try("history")) == facts
    assert kept(loop, facts) == files
    materials = json.loads(files["sbom.cdx.json"])
    assert len(materials["components"]) == facts["packages"] > 200
    assert 'href="sbom.cdx.json"' in files["card.html"]
    assert "(<sbom.cdx.json>)" in files["card.md"]


def test_a_card_and_its_bill_are_served_and_nothing_beside_them(still: Platform) -> None:
    folder = f"cards/{MODEL}/7"
    assert SERVED.fullmatch(f"{folder}/card.html")
    assert sent_as(f"{folder}/card.html")[0] == "text/html"
    assert SERVED.fullmatch(f"{folder}/card.md")
    assert sent_as(f"{folder}/card.md")[0].startswith("text/plain")
    assert SERVED.fullmatch(f"{folder}/sbom.cdx.json")
    assert sent_as(f"{folder}/sbom.cdx.json")[0] == "application/json"
    for key in (f"{folder}/card.parquet", "cards/../snapshots/x/1/card.html", f"cards/{MODEL}/x/card.html"):
        assert not SERVED.fullmatch(key)


def test_a_reason_that_attacks_is_text_on_the_card(loop: Platform) -> None:
    judged(loop, "hostile", reason=ATTACK)
    files = kept(loop, stages.write_card(loop, MODEL, Try("hostile")))
    for name in ("card.md", "card.html"):
        assert "<script" not in files[name]
        assert "</script" not in files[name]
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in files["card.html"]


def test_a_retrained_version_says_which_night_asked_and_what_had_drifted(loop: Platform) -> None:
    stages.decide_verdict(loop, MODEL, date(2013, 2, 5), Try("night"))
    loop.warehouse.execute(
        "UPDATE monitoring.verdicts SET retrain = true, reason = 'drift on 2 of the last 3 nights' WHERE model = %s",
        (MODEL,),
    )
    started = stages.decide_retraining(loop, MODEL, date(2013, 2, 5), Try("night"))
    judged(good(loop), started["training_id"])
    shown = kept(loop, stages.write_card(loop, MODEL, Try(started["training_id"])))["card.md"]
    assert "The night of 2013-02-05 asked for it: drift on 2 of the last 3 nights" in shown
    verdict = loop.warehouse.row("SELECT drift FROM monitoring.verdicts WHERE model = %s", (MODEL,)) or {}
    drifted = [one["name"] for one in verdict["drift"]["features"] if one["drifted"] or one["ruined"]]
    print(f"drifted on 5 February: {drifted}")
    assert drifted
    for name in drifted:
        assert f"\n| {name} | " in shown


@pytest.mark.parametrize(
    ("estimator", "warned"),
    [
        ({"class": "sklearn.ensemble.HistGradientBoostingClassifier", "params": {"max_iter": 5}}, True),
        ({"class": "sklearn.linear_model.LogisticRegression", "params": {"solver": "newton-cholesky"}}, True),
        ({"class": "sklearn.naive_bayes.GaussianNB", "params": {}}, False),
    ],
    ids=["boosting", "logistic", "bayes"],
)
def test_an_estimator_whose_seed_is_not_set_is_a_limit(
    loop: Platform, estimator: dict[str, Any], warned: bool
) -> None:
    content = loop.project.model(MODEL).model_dump(by_alias=True)
    models = {MODEL: Model.model_validate({**content, "estimator": estimator})}
    unseeded = replace(loop, project=loop.project.model_copy(update={"models": models}))
    asked = f"seed of {estimator['class']}"
    judged(unseeded, asked)
    shown = kept(loop, stages.write_card(loop, MODEL, Try(asked)))["card.md"]
    assert ("a random_state, and none is set" in shown) is warned


def test_a_signature_is_on_the_card_where_one_is_kept(loop: Platform) -> None:
    loop.warehouse.execute(
        "INSERT INTO governance.signatures "
        "(training_id, model, answer, signed_by, comment, evidence_sha256, signed_at) "
        "SELECT training_id, model, 'approved', 'vera', %s, evidence_sha256, '2013-02-06 12:00+00' "
        "FROM governance.decisions",
        (f"fine {ATTACK}",),
    )
    files = kept(loop, stages.write_card(loop, MODEL, Try("history")))
    assert "| Signed by | vera |" in files["card.md"].splitlines()
    assert "fine &lt;/script&gt;" in files["card.html"]
    assert "<script" not in files["card.html"]


def test_a_training_without_a_version_has_no_card(still: Platform) -> None:
    with pytest.raises(NotReady, match="training 'elsewhere' has registered no version; clear 'fit'"):
        stages.write_card(still, MODEL, Try("elsewhere"))


# The report for a pull request


def report(platform: Platform, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    monkeypatch.setenv("NIGHTSHIFT_WAREHOUSE_URL", platform.warehouse.url)
    monkeypatch.setenv("NIGHTSHIFT_OBJECTS", platform.objects.root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", platform.registry.uri)
    return CliRunner().invoke(app, ["report", MODEL, *words])


def table(shown: str) -> dict[str, list[str]]:
    """Return the rows of the table of metrics, by metric."""
    rows = re.search(r"## Metrics\n\n(.*?)\n\n", shown, re.DOTALL)
    assert rows, shown
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in rows[1].splitlines()]
    return {row[0]: row[1:] for row in cells}


def test_the_report_sets_a_version_beside_the_champion_on_the_same_holdout(
    loop: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = loop.registry.champion(MODEL)
    decided = judged(good(loop), "reported")
    before = loop.warehouse.row("SELECT count(*) AS n FROM governance.reproductions")
    done = report(loop, monkeypatch, "--against", "champion")
    print(done.stdout)
    assert done.exit_code == 0, done.output
    decision = row_of(loop, "decisions", "reported")
    found = table(done.stdout)
    assert found["Metric"] == [f"Version {decided['version']}", f"Version {champion}", "Difference", ""]
    for metric, mine in decision["challenger_metrics"].items():
        theirs = decision["champion_metrics"][metric]
        assert found[metric][:3] == [f"{mine:.6g}", f"{theirs:.6g}", f"{mine - theirs:+.6g}"], (
            "scored now, or then"
        )
    assert found["log_loss"][3] == "better"
    assert f"Version {champion} is the champion." in done.stdout
    for gate in decision["gates"]:
        assert gate["words"] in done.stdout
    assert row_of(loop, "versions", "reported")["mlflow_run_id"] in done.stdout
    assert loop.registry.champion(MODEL) == champion
    assert loop.warehouse.row("SELECT count(*) AS n FROM governance.reproductions") == before


def test_the_report_knows_the_champion_itself_and_a_version_by_its_number(
    loop: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = str(loop.registry.champion(MODEL))
    done = report(loop, monkeypatch, "--version", champion, "--against", champion)
    assert done.exit_code == 0, done.output
    assert {row[3] for name, row in table(done.stdout).items() if name not in {"Metric", "---"}} == {"same"}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--version", "999999"], 1, "has no version 999999; known: "),
        (["--against", "999999"], 1, "has no version 999999; known: "),
        (["--against", "yesterday"], 2, "expected 'champion' or a version's number"),
    ],
)
def test_the_report_says_what_it_cannot_compare(
    still: Platform, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, says: str
) -> None:
    done = report(still, monkeypatch, *words)
    assert done.exit_code == code, done.output
    assert says in " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.stderr).split())


def test_a_version_that_has_seen_the_holdout_is_not_compared(loop: Platform) -> None:
    later = judged(good(loop), "later")["version"]
    champion = loop.registry.champion(MODEL)
    with pytest.raises(UnfairHoldout, match=f"version {later} was trained on days up to"):
        stages.compare_versions(loop, MODEL, champion, later)
    loop.warehouse.execute(
        "ALTER TABLE governance.versions DISABLE TRIGGER append_only; "
        "UPDATE governance.versions SET train_last = train_last - 30, refit = NULL WHERE training_id = 'later'"
    )  # as if its rows had been of other nights then
    with pytest.raises(
        UnfairHoldout, match=rf"version {later}: \d+ of the \d+ rows of the holdout of version"
    ):
        stages.compare_versions(loop, MODEL, champion, later)

"""A model, a source and a feature set under a new name: history goes along, nights go on, the ledger verifies."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from integration.champions import MODEL, better, judged, owned, promoted, with_spec
from integration.conftest import LAST
from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.errors import NotReady, RequestError, WarehouseRefused
from nightshift.govern import Ledger
from nightshift.records import alerts, faults
from nightshift.records.alerts import Silence
from nightshift.records.faults import Fault
from nightshift.specs import Source
from nightshift.stages import Platform, Try

pytestmark = pytest.mark.integration

AS_OF, NIGHT, DAY = date(2013, 1, 28), date(2013, 2, 5), timedelta(days=1)
WHY = {"actor": "olga", "reason": "a better word"}
Mine = tuple[Platform, str, str]


def misfits(platform: Platform) -> list[dict]:
    return platform.warehouse.rows("SELECT model, problem FROM governance.verify_ledger()")


@pytest.fixture
def mine(loop: Platform) -> Mine:
    """Return the month with a model that has a champion, nights and a card, and the name it will get."""
    platform, name, _ = owned(loop)
    stages.score(platform, name, DateRange(NIGHT, NIGHT), Try("night"))
    stages.measure_performance(platform, name, NIGHT, Try("night"))
    stages.decide_verdict(platform, name, NIGHT, Try("night"))
    stages.write_card(platform, name, Try(f"first of {name}"))
    return platform, name, f"new_{uuid4().hex[:12]}"


def test_a_renamed_model_keeps_its_champion_and_its_nights_go_on(mine: Mine) -> None:
    platform, old, new = mine
    champion = Ledger(platform.warehouse, old).head()
    assert champion is not None
    sealed = platform.warehouse.rows("SELECT entry, entry_sha256 FROM governance.promotions ORDER BY entry")
    renamed = with_spec(platform, lambda _: None, new)
    told = stages.rename(renamed, "model", old, new, **WHY)
    assert f"predictions.{old}_champion: view" in " ".join(told["moved"])
    assert f"labels.{old}: table of " in " ".join(told["moved"])
    labels = platform.warehouse.row(f"SELECT count(*) AS n FROM labels.{new}") or {}
    kept = platform.warehouse.row(
        "SELECT sum(row_count) AS n FROM catalog.label_batches WHERE model = %s", (new,)
    )
    assert labels == kept
    assert labels["n"] > 0
    assert any(words.startswith(f"cards/{old}: 3 files") for words in told["moved"])

    head = Ledger(platform.warehouse, new).head()
    assert head is not None
    assert (head.kind, head.version, head.effective_from) == ("rename", champion.version, AS_OF)
    assert Ledger(platform.warehouse, old).head() is None
    assert misfits(platform) == []
    kept = platform.warehouse.rows("SELECT entry, entry_sha256 FROM governance.promotions ORDER BY entry")
    assert kept[:-1] == sealed, "what was sealed stays as it was"
    assert platform.registry.champion(new) == champion.version
    assert not platform.registry.knows(old)
    assert platform.warehouse.row("SELECT old_name, new_name, actor, reason FROM governance.renames") == {
        "old_name": old,
        "new_name": new,
        **WHY,
    }
    assert Ledger(platform.warehouse, new).champion_on(NIGHT).version == champion.version


def test_scoring_monitoring_training_and_rolling_back_go_on_under_the_new_name(mine: Mine) -> None:
    platform, old, new = mine
    champion = Ledger(platform.warehouse, old).head()
    assert champion is not None
    renamed = with_spec(platform, lambda _: None, new)
    stages.rename(renamed, "model", old, new, **WHY)
    stages.score(renamed, new, DateRange(NIGHT, NIGHT + DAY), Try("after"))
    nights = platform.warehouse.rows(f"SELECT DISTINCT batch_date FROM predictions.{new}_champion ORDER BY 1")
    assert [row["batch_date"] for row in nights] == [NIGHT, NIGHT + DAY]
    assert stages.measure_performance(renamed, new, NIGHT + DAY, Try("after"))["model"] == new
    stages.decide_verdict(renamed, new, NIGHT + DAY, Try("after"))
    verdicts = platform.warehouse.rows("SELECT batch_date FROM monitoring.verdicts WHERE model = %s", (new,))
    assert len(verdicts) == 2
    # an older version is read by its record, which names what it was called then
    assert "# " in stages.compare_versions(renamed, new, champion.version, champion.version)
    # and the next training
    done = promoted(better(renamed, new), new, NIGHT + DAY, f"second of {new}")
    assert done["outcome"] == "promoted"
    assert misfits(platform) == []
    assert stages.roll_back(renamed, new, Try("back"), to=None, reason="bad", actor="olga")["version"] == (
        champion.version
    )
    assert misfits(platform) == []


@pytest.mark.slow
def test_names_may_change_again_and_a_name_that_is_free_may_be_taken_by_another(mine: Mine) -> None:
    platform, old, new = mine
    stages.rename(with_spec(platform, lambda _: None, new), "model", old, new, **WHY)
    promoted(platform, old, AS_OF, f"another {old}")
    third = f"{new}_b"
    stages.rename(with_spec(platform, lambda _: None, third), "model", new, third, **WHY)
    assert misfits(platform) == []
    kinds = platform.warehouse.rows(
        "SELECT kind, sealed_as FROM governance.promotions WHERE model = %s ORDER BY entry", (third,)
    )
    assert [tuple(row.values()) for row in kinds] == [("promotion", old), ("rename", new), ("rename", third)]


def test_a_ledger_that_somebody_moves_by_hand_does_not_verify(mine: Mine) -> None:
    platform, old, new = mine
    for statement in (
        f"UPDATE governance.promotions SET model = '{MODEL}' WHERE model = '{old}'",
        f"UPDATE governance.versions SET model = '{new}' WHERE model = '{old}'",
    ):
        with pytest.raises(WarehouseRefused, match="append-only"):
            platform.warehouse.execute(statement)
    platform.warehouse.execute(
        "ALTER TABLE governance.promotions DISABLE TRIGGER ALL; ALTER TABLE governance.versions "
        "DISABLE TRIGGER append_only; ALTER TABLE governance.decisions DISABLE TRIGGER append_only; "
        f"UPDATE governance.versions SET model = '{new}' WHERE model = '{old}'; "
        f"UPDATE governance.promotions SET model = '{new}' WHERE model = '{old}'"
    )
    (found,) = misfits(platform)
    assert found["model"] == new
    assert f"was written for another model ({old})" in found["problem"]


def test_a_dry_run_says_the_same_and_changes_nothing(mine: Mine) -> None:
    platform, old, new = mine
    renamed = with_spec(platform, lambda _: None, new)
    would = stages.rename(renamed, "model", old, new, **WHY, dry_run=True)
    assert platform.warehouse.rows("SELECT 1 FROM governance.renames") == []
    assert Ledger(platform.warehouse, old).head() is not None
    assert platform.registry.knows(old)
    assert not platform.registry.knows(new)
    assert stages.rename(renamed, "model", old, new, **WHY) == would


def test_a_renaming_that_mlflow_cuts_short_changes_nothing_and_is_done_by_the_next(mine: Mine) -> None:
    platform, old, new = mine
    renamed = with_spec(platform, lambda _: None, new)
    registry = type(platform.registry)

    def dies(self: object, model: str, to: str) -> None:
        registry.rename(platform.registry, model, to)
        raise NotReady("cut short")

    cut = replace(renamed, registry=type("Cut", (registry,), {"rename": dies})(platform.registry.uri))
    with pytest.raises(NotReady, match="cut short"):
        stages.rename(cut, "model", old, new, **WHY)
    assert Ledger(platform.warehouse, old).head() is not None
    assert platform.registry.knows(new), "there it is done; the next try finds it so"
    stages.rename(renamed, "model", old, new, **WHY)
    assert platform.registry.champion(new) is not None
    assert misfits(platform) == []


def test_what_stands_in_the_way_is_named(mine: Mine) -> None:
    platform, old, new = mine
    renamed = with_spec(platform, lambda _: None, new)
    refused: list[tuple[Platform, str, str, type[Exception], str]] = [
        (platform, old, new, RequestError, f"include/models/{old}.yaml is still there"),
        (renamed, old, f"{new}x", RequestError, f"include/models/{new}x.yaml is not there; did you mean"),
        (renamed, new, new, RequestError, "has this name already"),
        (renamed, "never", new, NotReady, "model 'never' has no history"),
    ]
    for where, one, other, error, says in refused:
        with pytest.raises(error, match=says):
            stages.rename(where, "model", one, other, **WHY)
    taken = with_spec(platform, lambda _: None, MODEL)
    with pytest.raises(NotReady, match=rf"model '{MODEL}' has a history of its own .*governance.versions"):
        stages.rename(taken, "model", old, MODEL, **WHY)
    platform.warehouse.execute(
        "INSERT INTO monitoring.retrain_requests (model, batch_date, status, reason, training_id) "
        "VALUES (%s, %s, 'started', 'drift', 'under way')",
        (old, NIGHT),
    )
    with pytest.raises(NotReady, match="training 'under way' has not ended"):
        stages.rename(renamed, "model", old, new, **WHY)


def test_an_empty_table_of_the_new_name_is_no_history(mine: Mine) -> None:
    platform, old, new = mine
    renamed = with_spec(platform, lambda _: None, new)
    with pytest.raises(NotReady, match="no champion yet"):
        stages.score(renamed, new, DateRange(NIGHT, NIGHT), Try("too early"))
    stages.rename(renamed, "model", old, new, **WHY)
    assert stages.score(renamed, new, DateRange(NIGHT, NIGHT), Try("now"))["rows"] > 0


# Sources and feature sets


def renamed_source(platform: Platform, old: str, new: str, folder: Path) -> Platform:
    """Return the platform with a source's file and the texts that name it renamed."""
    project = platform.project
    source = project.source(old)
    sources = {name: spec for name, spec in project.sources.items() if name != old}
    sources[new] = Source.model_validate({**source.model_dump(by_alias=True), "name": new})
    sets = {}
    for name, spec in project.feature_sets.items():
        path = folder / spec.path.name
        path.write_text(spec.path.read_text().replace(f'"{old}"', f'"{new}"'))
        inputs = {new if each == old else each: how for each, how in spec.inputs.items()}
        sets[name] = spec.model_copy(update={"path": path, "inputs": inputs})
    models = {
        name: model.model_copy(
            update={
                "target": model.target.model_copy(
                    update={"source": new if model.target.source == old else model.target.source}
                )
            }
        )
        for name, model in project.models.items()
    }
    changed = {"sources": sources, "feature_sets": sets, "models": models}
    return replace(platform, project=project.model_copy(update=changed))


def test_what_was_silenced_stays_so_and_a_fault_names_its_source_as_it_is_called_now(
    loop: Platform, tmp_path: Path
) -> None:
    until = datetime(2013, 3, 1, tzinfo=UTC)
    for subject in ("source:flights", "source:arrivals", "*"):
        silence = {"kind": "*", "subject": subject, "owner": "olga", "reason": "known", "actor": "olga"}
        loop.warehouse.run(alerts.SILENCE, Silence(**silence, until=until, made_at=until - DAY))
    fault = {"feature_set": "departure", "feature_version": 1, "batch_date": NIGHT, "column_name": "hour"}
    told = {"measure": "stuck", "words": "stuck", "sources": ["aircraft", "flights"], "sketch_sha256": "a"}
    loop.warehouse.run(faults.FIND, Fault(**fault, **told, run_id="night"), same=False)
    stages.rename(renamed_source(loop, "flights", "renamed", tmp_path), "source", "flights", "renamed", **WHY)
    silences = loop.warehouse.rows("SELECT subject FROM alerts.silences ORDER BY silence")
    assert [row["subject"] for row in silences] == ["source:renamed", "source:arrivals", "*"]
    named = loop.warehouse.row("SELECT sources FROM monitoring.faults WHERE batch_date = %s", (NIGHT,))
    assert named == {"sources": ["aircraft", "renamed"]}


@pytest.mark.parametrize("old", ["flights", pytest.param("arrivals", marks=pytest.mark.slow)])
def test_a_renamed_source_keeps_its_nights_and_the_features_built_from_them(
    loop: Platform, tmp_path: Path, old: str
) -> None:
    renamed = renamed_source(loop, old, "renamed", tmp_path)
    before = loop.warehouse.row(f"SELECT count(*) AS n FROM raw.{old}")
    told = stages.rename(renamed, "source", old, "renamed", **WHY)
    assert told["left"] == []
    assert loop.warehouse.row("SELECT count(*) AS n FROM raw.renamed") == before
    for table in ("catalog.batches", "catalog.landings", "catalog.snapshot_sources"):
        rows = loop.warehouse.rows(
            f"SELECT DISTINCT source FROM {table} WHERE source IN (%s, 'renamed')", (old,)
        )
        assert rows == [{"source": "renamed"}], table
    night = DateRange(LAST, LAST)
    stages.build_features(renamed, "departure", night, Try("again"))
    stages.collect(renamed, "renamed", night, Try("night"))
    stages.validate(renamed, "renamed", night, Try("night"))
    stages.score(renamed, MODEL, night, Try("night"))
    assert stages.reconcile_source(renamed, "renamed", night)
    assert judged(better(renamed), MODEL, LAST - DAY, "after the renaming")["version"]
    assert loop.warehouse.rows("SELECT * FROM governance.verify_seals()") == []
    champion = Ledger(loop.warehouse, MODEL).head()
    assert champion is not None
    assert "# " in stages.compare_versions(renamed, MODEL, champion.version, champion.version)


def test_a_definition_that_changed_by_more_than_the_name_is_told(loop: Platform, tmp_path: Path) -> None:
    renamed = renamed_source(loop, "flights", "renamed", tmp_path)
    path = renamed.project.feature_set("departure").path
    path.write_text(path.read_text() + "\nMORE = 1\n")
    told = stages.rename(renamed, "source", "flights", "renamed", **WHY)
    assert "departure: its definition changed by more than the name" in " ".join(told["left"])


def renamed_set(platform: Platform, old: str, new: str) -> Platform:
    project = platform.project
    spec = project.feature_set(old)
    sets = {name: each for name, each in project.feature_sets.items() if each.set != old}
    sets[new] = spec.model_copy(update={"name": new})
    models = {
        name: model.model_copy(update={"features": new}) if model.features == old else model
        for name, model in project.models.items()
    }
    return replace(platform, project=project.model_copy(update={"feature_sets": sets, "models": models}))


@pytest.mark.slow
def test_a_renamed_feature_set_keeps_its_nights_and_its_models_go_on(loop: Platform) -> None:
    renamed = renamed_set(loop, "departure", "planned")
    until = datetime(2013, 3, 1, tzinfo=UTC)
    silence = {"kind": "fault", "owner": "olga", "reason": "known", "actor": "olga", "until": until}
    loop.warehouse.run(
        alerts.SILENCE, Silence(subject="features:departure_v1", made_at=until - DAY, **silence)
    )
    stages.rename(renamed, "features", "departure", "planned", **WHY)
    assert loop.warehouse.row("SELECT subject FROM alerts.silences") == {"subject": "features:planned_v1"}
    assert loop.warehouse.row("SELECT 1 AS there FROM features.planned_v1 LIMIT 1") == {"there": 1}
    night = DateRange(LAST, LAST)
    stages.build_features(renamed, "planned", night, Try("again"))
    stages.score(renamed, MODEL, night, Try("night"))
    stages.decide_verdict(renamed, MODEL, LAST, Try("night"))
    assert judged(better(renamed), MODEL, LAST - DAY, "after the renaming")["version"]
    assert loop.warehouse.rows("SELECT * FROM governance.verify_seals()") == []
    champion = Ledger(loop.warehouse, MODEL).head()
    assert champion is not None
    assert "# " in stages.compare_versions(renamed, MODEL, champion.version, champion.version)

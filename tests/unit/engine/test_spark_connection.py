"""What a connection of Spark may say, and what is answered where Spark cannot be used."""

import tomllib
from pathlib import Path

import pytest
import yaml

from nightshift.collect import Connection
from nightshift.engine.spark import Spark, require_installed
from nightshift.errors import NotReady, SpecError
from nightshift.specs import load_project

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Spark look installed: what is asked of a connection does not depend on it."""
    monkeypatch.setattr("nightshift.engine.spark.require_installed", lambda: None)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("host", "port", "extra", "master"),
    [
        ("local[2]", None, {}, "local[2]"),
        ("local[*, 4]", None, {}, "local[*, 4]"),
        ("local-cluster[2,1,1024]", None, {}, "local-cluster[2,1,1024]"),
        ("spark://spark-master", 7077, {"folder": str(ROOT)}, "spark://spark-master:7077"),
    ],
)
def test_a_master_is_host_and_port(host: str, port: int | None, extra: dict, master: str) -> None:
    found = Spark.at(Connection("spark", host=host, port=port, extra=extra))
    assert (found.master, found.is_local) == (master, master.startswith("local"))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("host", "extra", "words"),
    [
        (None, {}, r"host '': expected local\[N\], local-cluster"),
        ("yarn", {}, "host 'yarn': expected"),
        ("local[2]\nspark.jars /x", {}, "expected local"),
        ("spark://master:7077", {}, "extra.folder: missing"),
        ("local", {"conf": {"spark.jars": "/x.jar"}}, "'spark.jars' may not be set"),
        ("local", {"conf": {"spark.pyspark.python": "/x"}}, "may not be set"),
        ("local", {"conf": {"spark.executor.extraJavaOptions": "-agent"}}, "may not be set"),
        ("local", {"conf": {"spark.cores.max": "2\nspark.jars /x"}}, "'spark.cores.max' may not be set"),
        ("local", {"conf": {"spark.network.crypto.config.cipher.classes": "x"}}, "may not be set"),
        ("local", {"conf": "spark.cores.max 2"}, "extra.conf: expected names and values"),
        ("local", {"folder": "shared"}, "extra.folder: expected the absolute path of a folder that is there"),
        ("spark://master:7077", {"folder": 7}, "extra.folder: expected the absolute path"),
    ],
)
def test_what_names_code_or_no_master_is_refused(host: str | None, extra: dict, words: str) -> None:
    with pytest.raises(SpecError, match=f"connection 'spark': {words}|{words}"):
        Spark.at(Connection("spark", host=host, extra=extra))


@pytest.mark.usefixtures("installed")
def test_a_secret_sets_nothing_else(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="connection 'spark': password: expected one line"):
        Spark.at(Connection("spark", host="local", password="x\nspark.driver.extraJavaOptions -javaagent:/x"))
    conf = {"spark.cores.max": "2\\"}
    spark = Spark.at(Connection("spark", host="local", password="=a\\b:", extra={"conf": conf}))
    spark._environment(tmp_path)
    told = (tmp_path / "spark-defaults.conf").read_text().splitlines()
    assert "spark.cores.max=2\\\\" in told, "a backslash at the end would join the next line"
    assert "spark.authenticate.secret==a\\\\b:" in told
    assert told[-1].startswith("spark.authenticate.secret=")


def test_what_is_missing_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotReady, match="pyspark is not installed here; run `make spark`"):
        require_installed(lambda _: None)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(NotReady, match="no Java on the path and none in JAVA_HOME; install Java 17"):
        require_installed(lambda _: object())


def test_a_model_on_spark_needs_the_projects_connection(tmp_path: Path) -> None:
    include = ROOT / "include"
    for part in ("sources", "features"):
        (tmp_path / part).symlink_to(include / part)
    spec = yaml.safe_load((include / "models/late_arrival.yaml").read_text())
    (tmp_path / "models").mkdir()
    (tmp_path / "models/late_arrival.yaml").write_text(yaml.safe_dump(spec | {"compute": "spark"}))
    project = yaml.safe_load((include / "project.yaml").read_text())
    (tmp_path / "project.yaml").write_text(yaml.safe_dump(project))
    [problem] = load_project(tmp_path).problems.values()
    assert "key 'compute': spark needs `spark: CONNECTION` in project.yaml" in problem
    (tmp_path / "project.yaml").write_text(yaml.safe_dump(project | {"spark": "spark_default"}))
    assert load_project(tmp_path).require_sound().model("late_arrival").compute == "spark"


def test_the_lock_has_the_version_that_the_extra_and_the_makefile_name() -> None:

    [pinned] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"][
        "spark"
    ]
    assert f"\n{pinned} \\\n" in (ROOT / "requirements/spark.lock").read_text()
    assert f"'{pinned}\\nsetuptools\\n'" in (ROOT / "Makefile").read_text()

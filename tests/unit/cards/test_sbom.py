"""The bill of materials: every package of the lock that is installed, in a form that tools read."""

import json
import re
from importlib.metadata import version
from pathlib import Path

from recorded_version import VERSION, record

from nightshift.cards import sbom
from nightshift.environment import LOCK, Package, environment, packages

PURL = re.compile(r"pkg:pypi/[a-z0-9][a-z0-9.\-]*@[A-Za-z0-9.%\-]+\Z")


def test_every_installed_package_of_the_lock_is_listed_with_its_version() -> None:
    found = json.loads(sbom(record(), packages()))
    assert (found["bomFormat"], found["specVersion"], found["version"]) == ("CycloneDX", "1.6", 1)
    listed = {one["name"]: one["version"] for one in found["components"]}
    for name in ("scikit-learn", "numpy", "pandas", "skops", "mlflow"):
        assert listed[name] == version(name)
    locked = set(re.findall(r"^([\w.-]+)==", LOCK.read_text(), re.MULTILINE))
    assert set(listed) <= locked
    assert "ruff" not in listed, "a tool of ours is no part of the model"
    print(f"{len(listed)} of {len(locked)} packages of the lock are installed and listed")


def test_the_bill_names_the_model_and_hangs_together() -> None:
    found = json.loads(sbom(record(), packages()))
    model = found["metadata"]["component"]
    assert (model["type"], model["name"], model["version"]) == ("machine-learning-model", "late_arrival", "7")
    assert model["hashes"] == [{"alg": "SHA-256", "content": VERSION["artifact_sha256"]}]
    references = [one["bom-ref"] for one in found["components"]]
    assert len(set(references)) == len(references)
    assert all(PURL.match(one["purl"]) for one in found["components"])
    assert found["dependencies"] == [{"ref": model["bom-ref"], "dependsOn": references}]


def test_nearly_every_package_says_its_licence() -> None:
    found = json.loads(sbom(record(), packages()))["components"]
    silent = [one["name"] for one in found if "licenses" not in one]
    print(f"without a licence in their metadata: {silent}")
    assert len(silent) <= 0.05 * len(found)


def test_an_expression_is_one_and_a_name_is_a_name() -> None:
    three = [
        Package("A_b", "1+cpu", "MIT OR Apache-2.0", True),
        Package("c", "2", "BSD"),
        Package("d", "3", None),
    ]
    first, second, third = json.loads(sbom(record(), three))["components"]
    assert first["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert first["purl"] == "pkg:pypi/a-b@1%2Bcpu"
    assert second["licenses"] == [{"license": {"name": "BSD"}}]
    assert "licenses" not in third


def test_the_same_version_and_packages_give_the_same_bytes() -> None:
    assert sbom(record(), packages()) == sbom(record(), packages())


def test_what_is_locked_and_not_installed_is_not_listed(tmp_path: Path) -> None:
    lock = tmp_path / "runtime.lock"
    lock.write_text("numpy==0.0.1 \\\n    --hash=sha256:00\n    # via x\nno-such-package-here==1\n")
    assert [(one.name, one.version) for one in packages(lock)] == [("numpy", version("numpy"))]
    assert packages(tmp_path / "gone.lock") == ()


def test_the_environment_is_what_numbers_may_depend_on() -> None:
    import sklearn.ensemble  # noqa: F401 its OpenMP is counted once it is loaded

    found = environment()
    assert json.loads(json.dumps(found)) == found
    assert found["openmp_threads"] == 1, "as the tests' own environment says"
    assert found["blas"]
    assert found["packages"]["scikit-learn"] == version("scikit-learn")

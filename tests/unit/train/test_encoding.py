"""Categories and text become numbers in bounded memory, by the labels of other rows, and unknown ones are no error."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from toys import FROZEN, rows, spec

from nightshift import artifacts, metrics, train
from nightshift.errors import FitFailed, SpecError
from nightshift.landing import parquet
from nightshift.specs import ENCODED, FeatureSet, Model, load_project

BOOSTING, LOGISTIC = (
    "sklearn.ensemble.HistGradientBoostingClassifier",
    "sklearn.linear_model.LogisticRegression",
)
COLUMNS = {"a": "float", "word": "string", "agent": "string", "note": "string", "c": "integer"}


def feature_set() -> FeatureSet:
    described = {"name": "toy", "owner": "me", "description": "A toy.", "version": 1, "entity": ["id"]}
    return FeatureSet(**described, inputs={"truth": {}}, columns=COLUMNS, path=Path("toy.py"))


def crowded(task: str = "classification") -> pd.DataFrame:
    """Return the toy's rows with 300 agents, some unknown, and a note of several words or none."""
    random, frame = np.random.default_rng(1), rows(task)
    agents = pd.Series([f"agent {n}" for n in random.integers(0, 300, len(frame))])
    frame["agent"] = agents.where(random.random(len(frame)) > 0.1)
    said = [" ".join(random.choice(["late", "early", "wet", "dry", "cold"], 5)) for _ in range(len(frame))]
    frame["note"] = pd.Series(said).where(random.random(len(frame)) > 0.1)
    return frame


def model_of(task: str, path: str, params: dict | None = None, **encoding: str) -> Model:
    return spec(task, path, params or {}).model_copy(update={"encoding": encoding})


def test_what_is_not_declared_is_chosen_by_what_the_column_holds_and_said() -> None:
    frame = crowded()
    pipeline = train.fit(model_of("classification", BOOSTING), feature_set(), frame, frame["label"])
    said = train.told(pipeline)
    assert set(said) == {"word", "agent", "note"}, "numbers go in as they are"
    assert said["word"] == "one_hot: 3 categories, one column each"
    agents = frame["agent"].nunique(dropna=False)
    assert said["agent"].startswith(f"target: {agents} categories"), "those without one are one more"
    assert said["note"].startswith("tfidf: 5 words")
    assert train.as_fitted(model_of("classification", BOOSTING), pipeline).encoding == {
        "word": "one_hot", "agent": "target", "note": "tfidf",
    }  # fmt: skip


def letters(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with notes such as "A C B H": many values, and no word of two letters in any."""
    random = np.random.default_rng(0)
    return frame.assign(note=[" ".join(random.choice(list("ABCDEFGH"), 4)) for _ in range(len(frame))])


def test_letters_that_stand_alone_are_no_words_and_no_text() -> None:
    frame = letters(crowded())
    pipeline = train.fit(model_of("classification", BOOSTING), feature_set(), frame, frame["label"])
    assert train.told(pipeline)["note"].startswith("target: ")


def test_a_text_of_letters_names_the_feature_and_its_key() -> None:
    frame = letters(crowded())
    with pytest.raises(
        FitFailed, match=r"feature 'note' has no word of two letters.* encoding\.note: target"
    ):
        train.fit(model_of("classification", BOOSTING, note="tfidf"), feature_set(), frame, frame["label"])


@pytest.mark.parametrize("path", [BOOSTING, LOGISTIC])
@pytest.mark.parametrize("encoding", ENCODED)
def test_every_encoding_is_stored_repeated_and_knows_what_to_do_with_the_unknown(
    encoding: str, path: str
) -> None:
    frame = crowded()
    model = model_of("classification", path, {"random_state": 0}, agent=encoding, c="ordinal")
    pipeline = train.fit(model, feature_set(), frame, frame["label"])
    again = train.fit(model, feature_set(), frame, frame["label"])
    content = skops.io.dumps(pipeline)
    loaded = artifacts.load(content, artifacts.seal(content))
    later = frame.head(60).assign(agent=None, note="never heard of", word="new", c=99)
    later.loc[later.index[30:], ["agent", "note", "word"]] = [None, None, None]
    later.loc[later.index[:10], "agent"] = "a new one"
    for asked in (frame, later):
        said = train.predict(pipeline, asked)
        assert np.isfinite(said).all()
        np.testing.assert_array_equal(train.predict(loaded, asked), said)
        np.testing.assert_array_equal(train.predict(again, asked), said)
    assert not {"ReduceNode", "FunctionNode", "PartialNode", "MethodNode", "OperatorFuncNode"} & loaders(
        content
    )


def loaders(content: bytes) -> set[str]:
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return set(archive.read("schema.json").decode().split('"'))


def test_an_integer_with_nulls_and_one_without_are_the_same_categories() -> None:
    frame = crowded()
    model = model_of("classification", LOGISTIC, c="one_hot")
    pipeline = train.fit(model, feature_set(), frame, frame["label"])
    for kind in ("int64", "float64", "Int64"):
        said = train.predict(pipeline, frame.assign(c=frame["c"].astype(kind)))
        np.testing.assert_array_equal(said, train.predict(pipeline, frame))


def test_a_training_row_is_not_told_its_own_answer() -> None:
    """300 agents of chance, labels of chance: encoded by all rows, the training rows would look predictable."""
    random = np.random.default_rng(0)
    frame = crowded()
    frame["agent"] = pd.Series([f"agent {n}" for n in random.integers(0, 600, len(frame))])
    frame["label"] = random.integers(0, 2, len(frame)).astype("float64")
    model = model_of("classification", LOGISTIC, agent="target", note="hashing")
    columns = train.fit(model, feature_set(), frame, frame["label"]).named_steps["columns"]
    encoder = columns.named_transformers_["target"].steps[0][1]
    inside = encoder.transform(frame[["agent"]])[:, 0]
    crossed = encoder.fit_transform(frame[["agent"]], frame["label"].astype(int))[:, 0]
    assert metrics.roc_auc(frame["label"].to_numpy(), inside) > 0.75
    assert abs(metrics.roc_auc(frame["label"].to_numpy(), crossed) - 0.5) < 0.1
    later = frame.assign(label=1 - frame["label"])
    again = train.fit(model, feature_set(), frame, frame["label"])
    np.testing.assert_array_equal(train.predict(again, later), train.predict(again, frame))


def test_several_classes_are_encoded_one_by_one() -> None:
    frame = crowded()
    frame["label"] = np.random.default_rng(0).integers(0, 3, len(frame)).astype("float64")
    several = model_of("classification", LOGISTIC, agent="target")
    target = several.target.model_validate({"source": "truth", "column": "y", "classes": ["a", "b", "c"]})
    pipeline = train.fit(several.model_copy(update={"target": target}), feature_set(), frame, frame["label"])
    fitted = pipeline.named_steps["columns"].named_transformers_["target"].steps[0][1]
    assert fitted.target_type_ == "multiclass"
    assert len(fitted.encodings_) == 3


@pytest.mark.parametrize("path", [BOOSTING, LOGISTIC, "sklearn.linear_model.Ridge"])
@pytest.mark.parametrize("encoding", ["one_hot", "target", "hashing"])
def test_a_script_encodes_as_the_training_did(path: str, encoding: str, tmp_path: Path) -> None:
    task = "regression" if path.endswith("Ridge") else "classification"
    frame = crowded(task)
    model = model_of(task, path, agent=encoding, c="ordinal")
    fitting, holdout = (
        frame[frame["batch_date"] <= FROZEN.train_last],
        frame[frame["batch_date"] >= FROZEN.holdout_first],
    )
    pipeline = train.fit(model, feature_set(), fitting, fitting["label"])
    (tmp_path / "snapshot.parquet").write_bytes(parquet(frame))
    text = train.script(model, FROZEN, pipeline)
    (tmp_path / "train_toy.py").write_text(text)
    command = [sys.executable, "-I", "train_toy.py", "snapshot.parquet"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == metrics.score(task, holdout["label"], train.predict(pipeline, holdout))


MEASURE = """
import resource, sys
import numpy as np, pandas as pd
sys.path.insert(0, {tests!r})
from test_encoding import feature_set, model_of
from nightshift import train
n = 200_000
random = np.random.default_rng(0)
frame = pd.DataFrame({{"a": random.normal(size=n), "word": random.choice(["x", "y"], n), "c": 1}})
frame["agent"] = pd.Series(np.repeat([f"agent {{k}}" for k in range(10_000)], 20))
frame["note"] = "one"
label = pd.Series((frame["a"] > 0).astype("float64"))
task, path, params = {asked!r}
used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
train.fit(model_of(task, path, params), feature_set(), frame.head(2000), label.head(2000))
before = used()
for encoding in ("one_hot", "target"):
    train.fit(model_of(task, path, params, agent=encoding), feature_set(), frame, label)
print(used() - before)
"""


@pytest.mark.parametrize(
    ("path", "params"),
    [
        (BOOSTING, {"max_iter": 3}),
        pytest.param(LOGISTIC, {"max_iter": 20, "solver": "liblinear"}, marks=pytest.mark.slow),
    ],
)
def test_ten_thousand_categories_of_twenty_rows_train_in_bounded_memory(path: str, params: dict) -> None:
    """Dense one-hot of them would be 16 GB."""
    text = MEASURE.format(tests=str(Path(__file__).parent), asked=("classification", path, params))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", text], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 800, "megabytes above what 2,000 rows took"


def test_a_text_without_a_word_names_the_feature() -> None:
    frame = crowded().assign(note=None)
    with pytest.raises(FitFailed, match="feature 'note' is null in all of them"):
        train.fit(model_of("classification", BOOSTING, note="tfidf"), feature_set(), frame, frame["label"])


@pytest.mark.parametrize(
    ("encoding", "says"),
    [
        ({"carier": "one_hot"}, "key 'encoding.carier': .* has no column 'carier'; did you mean 'carrier'"),
        ({"dep_hour": "tfidf"}, "key 'encoding.dep_hour': tfidf takes string, and 'dep_hour' is declared"),
        ({"distance": "one_hot"}, "key 'encoding.distance': one_hot takes string, integer, boolean, and"),
        ({"carrier": "onehot"}, "key 'encoding.carrier': .*'one_hot'"),
    ],
)
def test_an_encoding_that_does_not_fit_is_refused_first(encoding: dict, says: str, tmp_path: Path) -> None:
    import shutil

    import yaml

    shutil.copytree(load_project().folder, tmp_path / "include", ignore=shutil.ignore_patterns("nightshift"))
    path = tmp_path / "include" / "models" / "late_arrival.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"encoding": encoding}))
    with pytest.raises(SpecError, match=f"late_arrival.yaml: {says}"):
        load_project(tmp_path / "include").require_sound()

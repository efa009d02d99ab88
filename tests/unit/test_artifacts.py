"""A model file that is not what the ledger says, or holds what it must not, is refused before it is opened."""

import hashlib
import io
import json
import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skops.io
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from nightshift import artifacts
from nightshift.errors import ArtifactRefused


class Evil:
    """Unpickled, it makes a folder."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.witness),)


@pytest.fixture
def witness(tmp_path: Path) -> Path:
    return tmp_path / "something_was_run"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def rewritten(content: bytes, change: Callable[[str, bytes], bytes], **more: bytes) -> bytes:
    """Return a skops file with every entry put through ``change``, and more entries."""
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(sink, "w") as target:
        for name in source.namelist():
            target.writestr(name, change(name, source.read(name)))
        for name, extra in more.items():
            target.writestr(name, extra)
    return sink.getvalue()


def pickled(witness: Path) -> bytes:
    return pickle.dumps(Evil(witness))


def function_in_a_pipeline(witness: Path) -> bytes:
    return skops.io.dumps(make_pipeline(FunctionTransformer(func=os.mkdir, kw_args={"path": str(witness)})))


def trusts_itself(witness: Path) -> bytes:
    def declared(name: str, content: bytes) -> bytes:
        if name != "schema.json":
            return content
        schema = json.loads(content)
        return json.dumps(
            {**schema, "trusted": ["posix.mkdir"], "skops_trusted_types": ["posix.mkdir"]}
        ).encode()

    own_list = json.dumps({"skops_trusted_types": ["posix.mkdir"]}).encode()
    return rewritten(function_in_a_pipeline(witness), declared, MLmodel=own_list)


def reduced(witness: Path) -> bytes:
    """A skops file whose schema asks for a call: how skops restores what it does not know."""
    node = {
        "__class__": "mkdir",
        "__module__": "posix",
        "__loader__": "ReduceNode",
        "reduce": {"content": [str(witness)]},
        "content": {},
    }
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("schema.json", json.dumps({**node, "__id__": 1, "protocol": 2}))
    return sink.getvalue()


def unknown_type(_: Path) -> bytes:
    return skops.io.dumps({"model": Path("/")})


def no_file_at_all(_: Path) -> bytes:
    return b""


@pytest.mark.parametrize(
    "made", [pickled, function_in_a_pipeline, trusts_itself, reduced, unknown_type, no_file_at_all]
)
def test_a_dangerous_file_is_refused_even_with_the_right_hash(
    made: Callable[[Path], bytes], witness: Path
) -> None:
    content = made(witness)
    with pytest.raises(ArtifactRefused):
        artifacts.load(content, sha256(content))
    with pytest.raises(ArtifactRefused):
        artifacts.seal(content)
    assert not witness.exists()


def test_the_dangers_above_are_real(witness: Path) -> None:
    pickle.loads(pickled(witness))  # noqa: S301
    assert witness.exists()
    witness.rmdir()
    opened = skops.io.loads(function_in_a_pipeline(witness), trusted=["posix.mkdir"])
    opened.named_steps["functiontransformer"].func(str(witness))
    assert witness.exists()


def test_a_pickle_inside_an_array_runs_nothing(witness: Path) -> None:
    def poisoned(name: str, content: bytes) -> bytes:
        if not name.endswith(".npy"):
            return content
        sink = io.BytesIO()
        np.save(sink, np.array([Evil(witness)], dtype=object), allow_pickle=True)
        return sink.getvalue()

    content = rewritten(skops.io.dumps(np.arange(3)), poisoned)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        artifacts.load(content, sha256(content))
    assert not witness.exists()


def test_one_flipped_bit_anywhere_is_refused_before_the_file_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = skops.io.dumps(StandardScaler().fit([[1.0], [2.0]]))
    recorded = artifacts.seal(content)

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("the file was opened before its hash was compared")

    monkeypatch.setattr(skops.io, "loads", opened)
    monkeypatch.setattr(skops.io, "get_untrusted_types", opened)
    for position in (0, len(content) // 2, len(content) - 1):
        flipped = bytearray(content)
        flipped[position] ^= 1
        with pytest.raises(ArtifactRefused, match=f"sha256 .*, {recorded} was recorded"):
            artifacts.load(bytes(flipped), recorded)
    with pytest.raises(ArtifactRefused):
        artifacts.load(content + b"\0", recorded)


def test_a_message_about_an_unknown_type_names_it_and_the_list() -> None:
    content = unknown_type(Path())
    with pytest.raises(ArtifactRefused, match=r"pathlib\.(_local\.)?\w*Path.*project\.yaml, allowed_types"):
        artifacts.seal(content)


@pytest.mark.parametrize(
    "estimator",
    [
        HistGradientBoostingClassifier(max_iter=3),
        HistGradientBoostingRegressor(max_iter=3),
        LogisticRegression(),
        LGBMClassifier(n_estimators=5, n_jobs=1, verbosity=-1),
        LGBMRegressor(n_estimators=5, n_jobs=1, verbosity=-1),
    ],
)
def test_what_we_train_passes_and_predicts_the_same(estimator: object) -> None:
    random = np.random.default_rng(0)
    rows, label = random.random((200, 3)).round(1), np.arange(200) % 2
    columns = ColumnTransformer(
        [("a", OneHotEncoder(sparse_output=False), [0]), ("b", "passthrough", [1, 2])]
    )
    pipeline = make_pipeline(columns, estimator).fit(rows, label)
    content = skops.io.dumps(pipeline)
    loaded = artifacts.load(content, artifacts.seal(content))
    np.testing.assert_array_equal(loaded.predict(rows), pipeline.predict(rows))


def test_a_lightgbm_model_is_text_in_its_file_and_nothing_that_runs() -> None:
    rows = np.random.default_rng(0).random((200, 3))
    content = skops.io.dumps(
        LGBMClassifier(n_estimators=5, n_jobs=1, verbosity=-1).fit(rows, rows[:, 0] > 0.5)
    )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {Path(name).suffix for name in archive.namelist()} <= {".json", ".npy"}
        schema = archive.read("schema.json").decode()
    assert "tree\\\\nversion=v4" in schema, "the model as LightGBM writes it"
    assert not {"ReduceNode", "FunctionNode", "PartialNode", "MethodNode"} & set(schema.split('"'))


def test_a_lightgbm_model_that_carries_a_function_is_refused(witness: Path) -> None:
    rows = np.random.default_rng(0).random((200, 3))
    model = LGBMRegressor(n_estimators=5, n_jobs=1, verbosity=-1).fit(rows, rows[:, 0])
    model.set_params(objective=os.mkdir)
    with pytest.raises(ArtifactRefused, match=r"posix\.mkdir"):
        artifacts.check(model)


@pytest.mark.parametrize(
    ("estimator", "says"),
    [
        (FunctionTransformer(func=os.mkdir), r"posix\.mkdir; .*allowed_types"),
        (
            FunctionTransformer(kw_args={"rows": (row for row in ())}),
            "FunctionTransformer cannot be written as a skops file: .*generator",
        ),
    ],
)
def test_a_model_that_could_not_be_loaded_is_refused_when_it_is_fitted(estimator: object, says: str) -> None:
    with pytest.raises(ArtifactRefused, match=says):
        artifacts.check(estimator)


def test_a_model_whose_library_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).random((200, 3))
    content = skops.io.dumps(LGBMRegressor(n_estimators=5, n_jobs=1, verbosity=-1).fit(rows, rows[:, 0]))
    recorded = artifacts.seal(content)
    monkeypatch.setitem(
        sys.modules, "lightgbm.sklearn", None
    )  # as Python keeps a module that cannot be imported
    with pytest.raises(ArtifactRefused, match=r"not installed: .*lightgbm.*; install the extra"):
        artifacts.load(content, recorded)

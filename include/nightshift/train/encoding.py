"""How categories and text become numbers: one encoding a column, declared, or chosen by what the column holds.

The default, over the rows to fit on: up to ``FEW`` values, ``one_hot``; text of several words, ``tfidf``; else
``target``. Whatever is declared, memory is bounded: an estimator that takes no sparse rows gets at most ``DENSE``
columns of one feature. The fitted encoders are in the model's file: numbers, text and arrays, and nothing that runs.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder
from sklearn.utils import get_tags

from nightshift.specs import ENCODED, Encoding, FeatureSet, Model

FEW = 50
RARE = 20  # a category of fewer rows shares a column with the others that are rare
WORDS = 4  # so many words in the middle value, and it is text
WORDS_IN = TfidfVectorizer().build_tokenizer()  # what it takes for a word: "A C" has none
DENSE, SPARSE = 100, 4096
NUMBERS = "numbers"
BEFORE = {"categories": "one_hot"}  # what older pipelines called theirs
# By the labels: of several classes a fold may hold two, which scikit-learn takes for binary.
TARGETS = {"classification": "binary", "multiclass": "auto", "regression": "continuous"}
SEPARATE: tuple[Encoding, ...] = ("hashing", "tfidf")  # one encoder a column, of text without nulls


def chosen(model: Model, feature_set: FeatureSet, rows: pd.DataFrame) -> dict[str, Encoding]:
    """Return the encoding of each column that is encoded: every string, and what the model declares."""
    declared = model.encoding
    return {
        name: declared[name] if name in declared else _default(rows[name])
        for name, kind in feature_set.columns.items()
        if kind == "string" or name in declared
    }


def _default(values: pd.Series) -> Encoding:
    known = values.dropna().unique()
    if len(known) <= FEW:
        return "one_hot"
    words = np.median([len(WORDS_IN(str(value))) for value in known])
    return "tfidf" if words >= WORDS else "target"


def is_wordless(values: pd.Series) -> bool:
    """Return whether tfidf finds no word in a column: it counts those of two letters or digits and more."""
    return not any(WORDS_IN(str(value)) for value in values.dropna().unique())


def columns(
    model: Model, estimator: BaseEstimator, encodings: Mapping[str, Encoding], numbers: list[str]
) -> Any:
    """Return the encoders and the numbers' way: as they are if the estimator knows NaN, else imputed and scaled.

    One-hot for gradient boosting too: its own handling of categories keeps a ``functools.partial`` in the
    fitted estimator, a type that no safe artifact may hold.
    """
    tags = get_tags(estimator).input_tags
    scaled = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    encoders = list(_encoders(model, encodings, sparse=tags.sparse, scale=not tags.allow_nan))
    # 0: never sparse. Else what is mostly zeros stays sparse, and small tables are dense as they always were.
    threshold = 0.3 if tags.sparse else 0
    numeric = (NUMBERS, "passthrough" if tags.allow_nan else scaled, numbers)
    return ColumnTransformer([*encoders, numeric], sparse_threshold=threshold)


def _encoders(
    model: Model, encodings: Mapping[str, Encoding], *, sparse: bool, scale: bool
) -> Iterator[tuple[str, BaseEstimator, Any]]:
    for encoding in ENCODED:
        names = [name for name, given in encodings.items() if given == encoding]
        if encoding in SEPARATE:
            yield from ((f"{encoding} {name}", _of_text(encoding, sparse), name) for name in names)
        elif names:
            encoder = _of_categories(model, encoding, sparse)
            scaled = scale and encoding != "one_hot"
            yield encoding, make_pipeline(encoder, StandardScaler()) if scaled else encoder, names


def _of_categories(model: Model, encoding: Encoding, sparse: bool) -> BaseEstimator:
    if encoding == "one_hot":
        most = None if sparse else DENSE
        return OneHotEncoder(
            handle_unknown="infrequent_if_exist",
            min_frequency=RARE,
            max_categories=most,
            sparse_output=sparse,
        )
    if encoding == "ordinal":
        return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    # Each training row is encoded by the labels of other rows: by its own, it would be told its answer.
    return TargetEncoder(target_type=TARGETS[model.kind], cv=KFold(5, shuffle=True, random_state=0))


def _of_text(encoding: Encoding, sparse: bool) -> BaseEstimator:
    most = SPARSE if sparse else DENSE
    if encoding == "tfidf":
        return TfidfVectorizer(max_features=most)
    # The whole value is one word.
    return HashingVectorizer(token_pattern=r"(?s).+", lowercase=False, norm=None, n_features=most)  # noqa: S106 no password


def encodings_of(pipeline: Any) -> dict[str, Encoding]:
    """Return the encoding of each encoded column of a fitted pipeline of ours; nothing of another's."""
    return {name: encoding for encoding, _, names in _encoded(pipeline) for name in names}


def told(pipeline: Any) -> dict[str, str]:
    """Return, a column, what its fitted encoder does with it, in words."""
    found: dict[str, str] = {}
    for encoding, fitted, names in _encoded(pipeline):
        encoder = fitted.steps[0][1] if isinstance(fitted, Pipeline) else fitted
        found |= {str(name): WORDS_OF[encoding](encoder, place) for place, name in enumerate(names)}
    return found


def _encoded(pipeline: Any) -> Iterator[tuple[Encoding, Any, list[str]]]:
    """Yield each encoding of a fitted pipeline of ours, its fitted encoder and its columns; nothing of another's."""
    steps = getattr(pipeline, "named_steps", {})
    if list(steps) != ["columns", "estimator"] or not isinstance(steps["columns"], ColumnTransformer):
        return
    if steps["columns"].transformers[-1][0] != NUMBERS:  # another's
        return
    for name, fitted, names in steps["columns"].transformers_:
        encoding: Any = BEFORE.get(name, name.partition(" ")[0])
        if encoding in ENCODED:
            yield encoding, fitted, [names] if isinstance(names, str) else list(names)


def _one_hot(encoder: Any, position: int) -> str:
    count = len(encoder.categories_[position])
    rare = encoder.infrequent_categories_[position]
    together = f"; {len(rare)} rare ones share a column" if rare is not None else ""
    return f"one_hot: {count} categories, one column each{together}"


def _ordinal(encoder: Any, position: int) -> str:
    return f"ordinal: {len(encoder.categories_[position])} categories numbered in the order of the alphabet"


def _target(encoder: Any, position: int) -> str:
    count, folds = len(encoder.categories_[position]), encoder.cv.get_n_splits()
    return f"target: {count} categories by their labels, smoothed; a training row by other rows', in {folds} folds"


def _hashing(encoder: Any, _: int) -> str:
    return f"hashing: values share {encoder.n_features} columns by their hash"


def _tfidf(encoder: Any, _: int) -> str:
    return f"tfidf: {len(encoder.vocabulary_)} words, weighed by how rare they are"


WORDS_OF: dict[str, Callable[..., str]] = {
    "one_hot": _one_hot,
    "ordinal": _ordinal,
    "target": _target,
    "hashing": _hashing,
    "tfidf": _tfidf,
}


def texts_of(encodings: Mapping[str, Encoding]) -> list[str]:
    """Return the columns whose encoder takes text without nulls."""
    return [name for name, encoding in encodings.items() if encoding in SEPARATE]


# The script of a training holds this function as it is.
def taken(rows: pd.DataFrame, categories: list[str], texts: list[str], numbers: list[str]) -> pd.DataFrame:
    """Return the features as the pipeline takes them: categories as text, null ``texts`` as none, numbers as floats."""
    columns = {}
    for name in categories:
        values = rows[name]
        if pd.api.types.is_numeric_dtype(values.dtype):
            values = values.astype("Int64")  # 3 and 3.0 are one category
        columns[name] = values.astype("str").fillna("") if name in texts else values.astype("str")
    return pd.DataFrame(
        {**columns, **{name: rows[name].astype("float64") for name in numbers}}, index=rows.index
    )

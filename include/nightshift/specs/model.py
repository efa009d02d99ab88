"""A model: what it predicts, from what, how it is trained, judged, watched and renewed."""

from math import inf
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from nightshift.errors import SpecError
from nightshift.freeform import Arguments
from nightshift.specs.parts import Compute, Name, Spec, Tag
from nightshift.specs.search import Tune, families, preset_of
from nightshift.specs.target import Target

# Between a decision and the question to its approvers: a card is written, and tasks are tried again.
HOURS_TO_BE_ASKED = 12

DottedPath = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w]*(\.[A-Za-z_][\w]*)+\z")]
# What metrics are of: a classification of two classes, of several, or a regression.
Kind = Literal["classification", "multiclass", "regression"]
Metric = Literal[
    "roc_auc",
    "log_loss",
    "brier",
    "average_precision",
    "roc_auc_ovr",
    "balanced_accuracy",
    "macro_f1",
    "mae",
    "rmse",
    "r2",
]
METRICS: dict[Kind, set[str]] = {
    "classification": {"roc_auc", "log_loss", "brier", "average_precision"},
    "multiclass": {"log_loss", "balanced_accuracy", "macro_f1", "roc_auc_ovr"},
    "regression": {"mae", "rmse", "r2"},
}
# The worst and the best that each can be: a score to reach lies between, or it judges nothing.
SCORES: dict[Metric, tuple[float, float]] = {
    "roc_auc": (0, 1),
    "log_loss": (inf, 0),
    "brier": (1, 0),
    "average_precision": (0, 1),
    "roc_auc_ovr": (0, 1),
    "balanced_accuracy": (0, 1),
    "macro_f1": (0, 1),
    "mae": (inf, 0),
    "rmse": (inf, 0),
    "r2": (-inf, 1),
}
Encoding = Literal["one_hot", "ordinal", "target", "hashing", "tfidf"]
ENCODED: tuple[Encoding, ...] = ("one_hot", "ordinal", "target", "hashing", "tfidf")
MOST_DAYS = 3660
# Fewer days say nothing of how days differ.
FEWEST_HOLDOUT_DAYS = 5
MOST_LOGITS = 10


class Estimator(Spec):
    """An estimator by dotted path: a class that keeps scikit-learn's contract, or a function that returns a fitted one.

    Neither: nothing is trained here; versions are brought with `nightshift import`.
    """

    model_config = Spec.model_config | {"populate_by_name": True}

    path: DottedPath | None = Field(default=None, alias="class")
    # Of a module under include/: called with the features, the label and ``params``.
    function: DottedPath | None = None
    params: Arguments = {}

    @model_validator(mode="after")
    def _one_way(self) -> "Estimator":
        if self.path and self.function:
            raise ValueError("give 'class' or 'function', not both")
        if self.params and not (self.path or self.function):
            raise ValueError("params: of what? give 'class' or 'function'")
        return self

    @property
    def named(self) -> str:
        """The dotted path, or ``imported``."""
        return self.path or self.function or "imported"

    @property
    def is_trained(self) -> bool:
        """Whether a training can make a version."""
        return bool(self.path or self.function)


class Train(Spec):
    """Which rows a training sees: those of ``window_days`` to fit on, then of ``holdout_days``, later, to judge on.

    Of the rows to fit on, one of ``half_life_days`` ago counts half as often as one of the last day, and no more than
    ``max_rows`` are kept, by the hash of their entity; those to judge on all are.

    ``refit``: what was judged is then fitted once more, on the rows to judge on as well, and that is what serves.

    ``tune`` searches the estimator's parameters, ``automl`` whole families of estimators, within its budget.
    """

    window_days: Literal["all"] | int = "all"
    half_life_days: int | None = Field(default=None, ge=1, le=MOST_DAYS)
    max_rows: int = Field(default=500_000, ge=1)
    holdout_days: int = Field(default=14, ge=1, le=366)
    refit: bool = True
    min_rows: int = Field(default=500, ge=1)
    tune: Tune = Tune()
    # True: every family whose library is installed.
    automl: bool | list[str] = False

    @field_validator("window_days", mode="before")
    @classmethod
    def _all_or_days(cls, given: Any) -> Any:
        if given != "all" and not (type(given) is int and 1 <= given <= MOST_DAYS):
            raise ValueError(f"expected 'all' or 1 to {MOST_DAYS} days, got {given!r}")
        return given

    @field_validator("automl", mode="before")
    @classmethod
    def _known_families(cls, given: Any) -> Any:
        return families(given)

    @model_validator(mode="after")
    def _most_is_enough(self) -> "Train":
        if self.max_rows < self.min_rows:
            raise ValueError(f"max_rows: {self.max_rows} is fewer than min_rows, {self.min_rows}")
        return self

    @model_validator(mode="after")
    def _search_is_one(self) -> "Train":
        if self.automl and not self.tune.trials:
            raise ValueError("automl: a search needs a budget; give tune.trials")
        if self.automl and self.tune.space:
            raise ValueError("automl: searches each family's own space; leave tune.space out")
        return self


Confidence = Annotated[float, Field(ge=0, lt=1)]


class MinimumScore(Spec):
    """The worst acceptable value on the holdout, champion or not."""

    gate: Literal["minimum_score"] = "minimum_score"
    metric: Metric
    value: float


class BeatsChampion(Spec):
    """Better than the champion by more than ``value`` (0: at all), in at least ``confidence`` of the resamples.

    ``confidence`` 0: the point alone decides.
    """

    gate: Literal["beats_champion"] = "beats_champion"
    metric: Metric
    value: float = Field(default=0.0, ge=0)
    confidence: Confidence = 0.9


class NoWorseOnSlices(Spec):
    """On no slice of at least ``min_rows`` surely (``confidence``) worse than the champion by more than ``value``."""

    gate: Literal["no_worse_on_slices"] = "no_worse_on_slices"
    metric: Metric
    value: float = Field(default=0.0, ge=0)
    confidence: Confidence = 0.9
    min_rows: int = Field(default=200, ge=1)


class Calibrated(Spec):
    """The expected calibration error is at most ``value``. For classification."""

    gate: Literal["calibrated"] = "calibrated"
    value: float = Field(default=0.05, gt=0, lt=1)


class Latency(Spec):
    """The most milliseconds that a thousand rows may take, in a fresh process."""

    gate: Literal["latency"] = "latency"
    milliseconds: float = Field(gt=0)


class Size(Spec):
    """The most megabytes that the artifact may have."""

    gate: Literal["size"] = "size"
    megabytes: float = Field(gt=0)


# One condition a challenger must meet. ``gate`` names a function in nightshift.govern.gates.
Gate = MinimumScore | BeatsChampion | NoWorseOnSlices | Calibrated | Latency | Size


class NearPerfect(Spec):
    """A score on the holdout that nobody would believe (ROC AUC above 0.995, R2 above 0.999) is right here: why."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=10, max_length=500)]


class Performance(Spec):
    """Realised performance that is called degraded: ``metric`` worse than at the gate by ``tolerance``.

    It is told; with ``retrain.when.degraded`` it asks for retraining.
    """

    metric: Metric
    # Relative: 0.10 means a log loss 10 % above, or a ROC AUC 10 % below, the holdout's.
    tolerance: float = Field(default=0.10, gt=0)
    window_days: int = Field(default=7, ge=1, le=90)
    min_labels: int = Field(default=500, ge=1)


class Drift(Spec):
    """When a window is called drifted. It is told; with ``retrain.when.psi`` it asks for retraining.

    A feature has drifted when its PSI against the training profile exceeds both ``psi`` and what the
    training weeks differed among themselves. A window is drifted when drifted features carry at least
    ``share`` of the model's importance, or when the predictions drifted. It asks when ``breaches`` of the last
    ``of_last`` windows, the newest among them, are drifted.
    """

    # A night with a fault in its features: hold, it is not scored; warn, it is, and that is told.
    faults: Literal["hold", "warn"] = "hold"
    window_days: int = Field(default=7, ge=1, le=90)
    min_rows: int = Field(default=300, ge=1)
    psi: float = Field(default=0.2, gt=0)
    share: float = Field(default=0.3, gt=0, le=1)
    breaches: int = Field(default=2, ge=1)
    of_last: int = Field(default=3, ge=1, le=366)

    @model_validator(mode="after")
    def _breaches_fit(self) -> "Drift":
        if self.breaches > self.of_last:
            raise ValueError(f"breaches ({self.breaches}) cannot exceed of_last ({self.of_last})")
        return self


class Recalibrate(Spec):
    """An offset a night on what the model says, from the nights that it said and whose labels are complete.

    ``window_days``: how far back these nights may lie. The offset of n nights is shrunk by n / (n + ``shrink_nights``).
    ``at_most``: its bound, in logits of a classification (1 without it), in the unit of the target of a regression.
    """

    window_days: int = Field(default=14, ge=1, le=366)
    shrink_nights: int = Field(default=7, ge=0, le=366)
    at_most: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    @property
    def bound(self) -> float:
        """What no offset exceeds."""
        return self.at_most if self.at_most is not None else 1.0


class When(Spec):
    """What asks for retraining: one is enough. ``null`` or ``false``: it does not.

    ``shift``: evidence that the features moved; ``harm``: that the losses grew, on the same nights, against those of
    always saying what was usual in training. Where nothing changes, each is passed about once in so many nights.
    ``age_days``: nights since the last one that the champion was fitted on. ``expected_gain``: what a training
    costs, in loss times nights: it asks once the newest replay of the model says that one would have gained so much.
    ``psi``: windows drifted, as ``drift`` says. ``degraded``: realised performance degraded, as ``performance`` says.
    The last two are older measures: hard days pass them as well as stale models.
    """

    shift: float | None = Field(default=365.0, ge=2)
    harm: float | None = Field(default=365.0, ge=2)
    age_days: int | None = Field(default=56, ge=1, le=MOST_DAYS)
    expected_gain: float | None = Field(default=None, gt=0)
    psi: bool = False
    degraded: bool = False


class Budget(Spec):
    """At most so many trainings started in so many days."""

    trainings: int = Field(default=4, ge=1, le=366)
    days: int = Field(default=30, ge=1, le=366)


class Retrain(Spec):
    """What asks for a training, and the guards before one starts."""

    when: When = When()
    # Nights after a promotion, or a rollback, in which nothing starts.
    cooldown_days: int = Field(default=7, ge=0, le=366)
    # Nights after a training that was not promoted: the same rows say the same.
    retry_days: int = Field(default=7, ge=0, le=366)
    budget: Budget = Budget()
    # Outcomes reported since the champion was fitted: fewer teach a challenger nothing.
    min_new_labels: int = Field(default=100, ge=0)
    # So many trainings in a row without a promotion stop the next ones for four weeks.
    give_up_after: int = Field(default=3, ge=1, le=100)
    # Nights after a promotion on which the version before is scored beside the new one, for nobody to read: a champion
    # that is surely worse is rolled back. 0: none.
    probation_nights: int = Field(default=14, ge=0, le=366)
    # How sure: evidence that a champion as good as the one before passes once in so many probations.
    probation_evidence: float = Field(default=100.0, ge=2)
    # How long the sensor waits for the night's verdict before it raises the alarm.
    verdict_within_minutes: int = Field(default=180, ge=1, le=7 * 24 * 60)


class Model(Spec):
    """One model. The file name is its name."""

    name: Name
    owner: Tag
    description: str
    task: Literal["classification", "regression"]
    features: Name
    # Without: nothing can be trained or measured; a fitted model is imported, and a person signs.
    target: Target | None = None
    estimator: Estimator = Estimator()
    # By feature column; what is not declared is chosen by what the column holds (train.encoding).
    encoding: dict[str, Encoding] = {}
    train: Train = Train()
    gates: list[Annotated[Gate, Field(discriminator="gate")]] = []
    # Without it, such a score stops at the gate ``credible``.
    near_perfect: NearPerfect | None = None
    # Feature columns whose values the evaluation looks at one by one.
    slices: list[str] = []
    # required: a person of approvers signs in the Airflow UI before a challenger that passed its gates is promoted.
    approval: Literal["auto", "required"] = "auto"
    approvers: list[Tag] = []
    approve_within_hours: int = Field(default=72, ge=1, le=24 * 60)
    # Where its nights are scored: by the task itself, or by workers of Apache Spark (`spark` in project.yaml).
    compute: Compute = "here"
    drift: Drift = Drift()
    performance: Performance | None = None
    # Without it, what the model says is served as it is.
    recalibrate: Recalibrate | None = None
    retrain: Retrain = Retrain()
    tags: list[Tag] = []

    @model_validator(mode="after")
    def _task_fits(self) -> "Model":
        if self.target and (self.task == "classification") != (self.target.form != "value"):
            raise ValueError(
                "target.above, equals or classes: one is needed for classification, and only there"
            )
        metrics = [*self.gate_metrics, *([self.performance.metric] if self.performance else [])]
        for metric in metrics:
            if metric not in METRICS[self.kind]:
                known = ", ".join(sorted(METRICS[self.kind]))
                raise ValueError(f"metric '{metric}' is not for {self.kind}; known: {known}")
        return self

    @model_validator(mode="after")
    def _gates_are_there(self) -> "Model":
        there = {gate.gate for gate in self.gates}
        if self.target and "minimum_score" not in there:
            raise ValueError("gates: minimum_score is missing; without it nothing judges the first model")
        if self.target and "beats_champion" not in there:
            raise ValueError("gates: beats_champion is missing; without it a worse model could take over")
        return self

    @model_validator(mode="after")
    def _without_labels(self) -> "Model":
        if self.target is not None:
            return self
        if self.estimator.is_trained:
            raise ValueError(
                "target: missing, and without labels nothing can be trained; give it, or leave 'estimator' out and "
                "bring a fitted model with `nightshift import`"
            )
        if self.approval != "required":
            raise ValueError(
                "target: missing, so that no gate can measure a version; a person must sign: approval: required, with "
                "approvers"
            )
        measured = [gate.gate for gate in self.gates if not isinstance(gate, Latency | Size)]
        looked_at = {
            "performance": self.performance,
            "recalibrate": self.recalibrate,
            "slices": self.slices,
        }
        given = [name for name, value in looked_at.items() if value]
        if measured or given:
            raise ValueError(
                f"target: missing, and {', '.join([*(f'gate {name}' for name in measured), *given])} need labels; "
                "leave out what measures (gates latency and size can stay)"
            )
        return self

    @model_validator(mode="after")
    def _bound_has_a_unit(self) -> "Model":
        if self.recalibrate and self.recalibrate.at_most is None and self.task == "regression":
            raise ValueError(
                "recalibrate.at_most: missing; the most that may be added to a prediction, in the unit of the target"
            )
        if self.recalibrate and self.task == "classification" and self.recalibrate.bound > MOST_LOGITS:
            raise ValueError(
                f"recalibrate.at_most: in logits of a classification, of which {MOST_LOGITS} say everything; got "
                f"{self.recalibrate.bound:g}"
            )
        return self

    @model_validator(mode="after")
    def _search_trains(self) -> "Model":
        if not self.estimator.is_trained and self.train.tune.trials:
            raise ValueError(
                "train.tune: searches for an estimator, and the model has none; give 'estimator'"
            )
        if self.encoding and not (self.estimator.path or self.train.automl):
            raise ValueError(
                "encoding: for an estimator.class; a function or an imported model encodes by itself"
            )
        return self

    @model_validator(mode="after")
    def _space_is_known(self) -> "Model":
        tune, path = self.train.tune, self.estimator.named
        if tune.trials and not self.train.automl and not tune.space and preset_of(path) is None:
            raise ValueError(f"train.tune.space: '{path}' is of no family with a preset; say what to search")
        return self

    @model_validator(mode="after")
    def _gates_can_judge(self) -> "Model":
        for gate in self.gates:
            if isinstance(gate, Calibrated) and self.task != "classification":
                raise ValueError("gates: calibrated is for classification")
            if isinstance(gate, NoWorseOnSlices) and not self.slices:
                raise ValueError("gates: no_worse_on_slices needs slices: [COLUMN, ...]")
            sure = isinstance(gate, (BeatsChampion, NoWorseOnSlices)) and gate.confidence > 0
            if sure and self.train.holdout_days < FEWEST_HOLDOUT_DAYS:
                raise ValueError(
                    f"train.holdout_days: {self.train.holdout_days} days cannot tell how days differ; at least "
                    f"{FEWEST_HOLDOUT_DAYS}, or confidence: 0 for gate {gate.gate}"
                )
        return self

    @model_validator(mode="after")
    def _somebody_signs(self) -> "Model":
        if self.approval == "required" and not self.approvers:
            raise ValueError("approvers: missing; approval: required needs the Airflow users who may sign")
        if self.approval == "auto" and self.approvers:
            raise ValueError("approvers: given, but approval is auto; write approval: required")
        return self

    @property
    def kind(self) -> Kind:
        """The task of its metrics: ``multiclass`` where the target gives classes."""
        return "multiclass" if self.target and self.target.classes else self.task

    @property
    def truth(self) -> Target:
        """The target.

        Raises:
            SpecError: the model has none.
        """
        if self.target is None:
            raise SpecError(
                f"model '{self.name}': no labels: it has no target. Declare one, and what it predicts is measured"
            )
        return self.target

    @property
    def matures_after_days(self) -> int:
        """How many nights later the labels of a night are complete; 0 where there are none to wait for."""
        return self.target.matures_after_days if self.target else 0

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes as texts, in their order; none but for multiclass."""
        return self.target.labels if self.target else ()

    @property
    def unsigned_hours(self) -> int:
        """How many hours after its decision a challenger may be without an answer; later, its training was lost."""
        return self.approve_within_hours + HOURS_TO_BE_ASKED

    @property
    def gate_metrics(self) -> list[str]:
        """The metrics that gates name."""
        return [gate.metric for gate in self.gates if hasattr(gate, "metric")]

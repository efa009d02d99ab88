"""Neural networks on tables: PyTorch, trained by skorch, under scikit-learn's contract. Needs the extra ``torch``.

A fitted network is its parameters, its weights as NumPy arrays and a few numbers: nothing that runs is in its file.
The script of a training holds these classes as they are, so this module imports nothing of ours.
"""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from skorch import NeuralNet
from torch import as_tensor, manual_seed, nn, no_grad, optim, random


class Network(BaseEstimator):
    """Layers of ``hidden`` widths, ReLU and dropout after each, trained by AdamW for ``max_epochs``."""

    def __init__(
        self,
        *,
        hidden: "list[int] | tuple[int, ...]" = (64, 32),
        dropout: float = 0.0,
        lr: float = 0.001,
        weight_decay: float = 0.01,
        max_epochs: int = 20,
        batch_size: int = 256,
        random_state: int = 0,
    ) -> None:
        self.hidden = hidden
        self.dropout = dropout
        self.lr = lr
        self.weight_decay = weight_decay
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.random_state = random_state

    def _train(self, rows: np.ndarray, target: np.ndarray, outputs: int, criterion: type[nn.Module]) -> None:
        with random.fork_rng(devices=[]):  # the same network whatever was drawn before, and no trace after
            manual_seed(self.random_state)
            net = NeuralNet(
                self._layers(rows.shape[1], outputs),
                criterion=criterion,
                optimizer=optim.AdamW,
                optimizer__weight_decay=self.weight_decay,
                lr=self.lr,
                max_epochs=self.max_epochs,
                batch_size=self.batch_size,
                iterator_train__shuffle=True,
                train_split=None,
                verbose=0,
            )
            net.fit(rows, target)
        self.outputs_ = outputs
        self.weights_ = {name: value.numpy().copy() for name, value in net.module_.state_dict().items()}

    def _forward(self, rows: ArrayLike) -> np.ndarray:
        check_is_fitted(self)
        checked = validate_data(self, rows, dtype="float32", reset=False)
        layers = self._layers(checked.shape[1], self.outputs_)
        layers.load_state_dict({name: as_tensor(value) for name, value in self.weights_.items()})
        with no_grad():
            return layers.eval()(as_tensor(checked)).numpy().astype("float64")

    def _layers(self, inputs: int, outputs: int) -> nn.Sequential:
        made: list[nn.Module] = []
        for width in self.hidden:
            made += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(self.dropout)]
            inputs = width
        return nn.Sequential(*made, nn.Linear(inputs, outputs))


class NetworkClassifier(ClassifierMixin, Network):
    """A network that learns classes by cross entropy."""

    def fit(self, X: ArrayLike, y: ArrayLike) -> "NetworkClassifier":
        """Return the network, fitted."""
        rows, labels = validate_data(self, X, y, dtype="float32")
        self.classes_, codes = np.unique(labels, return_inverse=True)
        self._train(rows, codes, len(self.classes_), nn.CrossEntropyLoss)
        return self

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return P(class), a row. Shape (n, classes)."""
        scores = self._forward(X)
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the likeliest class, a row."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class NetworkRegressor(RegressorMixin, Network):
    """A network that learns a number, scaled to mean 0 and spread 1, by squared error."""

    def fit(self, X: ArrayLike, y: ArrayLike) -> "NetworkRegressor":
        """Return the network, fitted."""
        rows, target = validate_data(self, X, y, dtype="float32", y_numeric=True)
        self.mean_, self.spread_ = float(np.mean(target)), float(np.std(target)) or 1.0
        scaled = ((target - self.mean_) / self.spread_).astype("float32").reshape(-1, 1)
        self._train(rows, scaled, 1, nn.MSELoss)
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return a number, a row. Shape (n,)."""
        return self._forward(X)[:, 0] * self.spread_ + self.mean_

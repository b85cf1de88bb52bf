"""A trained network, one digit at a time: batch-of-one inference of 64 → 64 → 10.

The weights stay on the grain; a digit is three messages (write, run, read) and one wait. Rivals:
NumPy, the same as one Numba function, scikit-learn's own `predict_proba`. Judge: the probabilities
of scikit-learn for all digits at once, which trained the network.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import gpures_lab as gl
from tests.benchmarks.duel import OURS, Contender, Duel, duel
from tests.benchmarks.row import Row

HIDDEN = 64
DIGITS = 500


class Network:
    """Weights and the forward pass on a grain, of the library's kernels alone."""

    def __init__(self, grain: gl.Grain, layers: list[tuple[np.ndarray, np.ndarray]]) -> None:
        self.grain = grain
        # What a program uses must be there before it is recorded.
        resident = []
        for weights, bias in layers:
            arrays = grain.allocate(weights.shape), grain.allocate(bias.size)
            grain.write(arrays[0], weights)
            grain.write(arrays[1], bias)
            resident.append((*arrays, grain.allocate(bias.size)))
        self.x = x = grain.allocate(layers[0][0].shape[1])
        with grain.record() as self.forward:
            for weight, shift, z in resident:
                grain.compute("kernels/Gemv", inputs=[weight, x], outputs=[z])
                grain.compute("kernels/Add", inputs=[z, shift], outputs=[z])
                last = z is resident[-1][2]
                name = "kernels/Softmax" if last else "kernels/Relu"
                grain.compute(name, inputs=[z], outputs=[z])
                x = z
        self.probabilities = x

    def predict(self, digit: np.ndarray, out: np.ndarray) -> None:
        """Probabilities of one digit."""
        self.grain.write(self.x, digit)
        self.forward.run()
        self.grain.read(self.probabilities, out=out).result()


class NumpyNetwork:
    """The rival; every array but the last is made once."""

    def __init__(self, layers: list[tuple[np.ndarray, np.ndarray]]) -> None:
        (self.w1, self.b1), (self.w2, self.b2) = layers
        self.hidden = np.empty_like(self.b1)

    def predict(self, digit: np.ndarray, out: np.ndarray) -> None:
        """Probabilities of one digit."""
        hidden = self.hidden
        np.dot(self.w1, digit, out=hidden)
        np.add(hidden, self.b1, out=hidden)
        np.maximum(hidden, 0, out=hidden)
        np.dot(self.w2, hidden, out=out)
        np.add(out, self.b2, out=out)
        np.subtract(out, out.max(), out=out)
        np.exp(out, out=out)
        np.divide(out, out.sum(), out=out)


def numba_predict(layers: list[tuple[np.ndarray, np.ndarray]]) -> Any:
    """The same as one compiled function."""
    import numba

    (w1, b1), (w2, b2) = layers

    @numba.njit
    def forward(w1: Any, b1: Any, w2: Any, b2: Any, digit: Any, out: Any) -> None:
        hidden = np.empty_like(b1)
        for h in range(b1.size):
            total = b1[h]
            for d in range(digit.size):
                total += w1[h, d] * digit[d]
            hidden[h] = max(total, np.float32(0))
        highest = np.float32(-np.inf)
        for c in range(b2.size):
            total = b2[c]
            for h in range(b1.size):
                total += w2[c, h] * hidden[h]
            out[c] = total
            highest = max(highest, total)
        summed = np.float32(0)
        for c in range(b2.size):
            out[c] = np.exp(out[c] - highest)
            summed += out[c]
        for c in range(b2.size):
            out[c] /= summed

    return lambda digit, out: forward(w1, b1, w2, b2, digit, out)


def trained() -> tuple[Any, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """A network of scikit-learn, digits it did not see, and its layers as float32."""
    import warnings

    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    images, classes = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    model = MLPClassifier((HIDDEN,), max_iter=40, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 40 passes are enough for this, whatever it thinks
        model.fit(images[DIGITS:], classes[DIGITS:])
    layers = [
        (np.ascontiguousarray(weights.T, np.float32), bias.astype(np.float32))
        for weights, bias in zip(model.coefs_, model.intercepts_, strict=True)
    ]
    return model, images[:DIGITS], layers


def measure(repeats: int = 7) -> Duel:
    """Race the four over 500 digits, one at a time."""
    model, images, layers = trained()
    wanted = model.predict_proba(images)
    probabilities = np.empty((DIGITS, 10), np.float32)

    def contender(name: str, predict: Any) -> Contender:
        def each() -> None:
            for digit, out in zip(images, probabilities, strict=True):
                predict(digit, out)

        return Contender(
            name,
            each,
            lambda: probabilities.fill(np.nan),
            lambda: np.testing.assert_allclose(probabilities, wanted, rtol=1e-4, atol=1e-6),
        )

    def sklearn(digit: np.ndarray, out: np.ndarray) -> None:
        out[:] = model.predict_proba(digit[None])[0]

    with gl.GrainManager(device="host") as lab:
        return duel(
            [
                contender(OURS, Network(lab.grain("network"), layers).predict),
                contender("NumPy", NumpyNetwork(layers).predict),
                contender("Numba", numba_predict(layers)),
                contender("scikit-learn", sklearn),
            ],
            repeats=repeats,
            units=DIGITS,
        )


def run() -> list[Row]:
    """Measure."""
    return [measure().row(f"inference of one digit at a time, 64 → {HIDDEN} → 10")]

"""Learn to choose: the weights under which what was right is likeliest among what there was to choose from."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Matrix = NDArray[np.float64]
Offered = tuple[Matrix, NDArray[np.bool_]]  # what there is to choose from × features, and which of it is right


def likeliest(offered: Sequence[Offered], start: Matrix, *, near: float, least: float | None = None) -> Matrix:
    """Weights of a conditional logit (McFadden 1974); the start where nothing can be learned.

    `near` is what it costs a weight to leave the start, by its square. None goes below `least`.
    """
    told = [(values, right) for values, right in offered if right.any()]
    if not told:
        return start

    def loss(weights: Matrix) -> tuple[float, Matrix]:
        pairs = [_likelihood(values, right, weights) for values, right in told]
        away = weights - start
        value = -float(np.mean([pair[0] for pair in pairs])) + near * float(away @ away)
        gradient: Matrix = -np.mean([pair[1] for pair in pairs], axis=0) + 2 * near * away
        return value, gradient

    found: Matrix = minimize(loss, start, jac=True, bounds=[(least, None)] * len(start)).x
    return found


def _likelihood(values: Matrix, right: NDArray[np.bool_], weights: Matrix) -> tuple[float, Matrix]:
    """The log-likelihood that what is drawn is right, and its gradient."""
    scores = values @ weights
    odds = np.exp(scores - scores.max())
    drawn = odds / odds.sum()
    chosen = drawn * right
    return float(np.log(chosen.sum())), (chosen / chosen.sum() - drawn) @ values

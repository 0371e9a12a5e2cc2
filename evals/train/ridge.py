"""Kernel ridge regression on two kernels at once: Gaussian over embeddings, linear over TF-IDF."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix

from infra.models.classifier import Matrix, gaussian

BLOCK = 512  # rows of a kernel computed at a time

Rows = NDArray[np.int64]
Single = NDArray[np.float32]


@dataclass(frozen=True)
class Strength:
    """How hard the regression tries, and by what it calls two texts alike."""

    penalty: float
    evenness: float  # texts weigh their intent's frequency to the power of minus it: 1 makes intents equal
    width: float  # of the Gaussian kernel
    words: float  # weight of the TF-IDF kernel, where a text of both vectorizers has norm 2


# where intents have few examples each; chosen with paraphrases held out together
OF_FEW = Strength(penalty=0.1, evenness=1.0, width=0.5, words=0.25)
OF_MANY = Strength(penalty=0.1, evenness=0.5, width=1.4, words=0.2)


@dataclass(frozen=True)
class Features:
    """Texts as the regression sees them, row by row."""

    vectors: Single  # texts × dimensions, unit rows
    sparse: csr_matrix  # texts × terms
    strength: Strength


@dataclass(frozen=True)
class Scores:
    """What the regression makes of texts, one row a text."""

    dense: Matrix  # texts × intents, by embeddings; with `sparse` it is near 1 for the right intent, near 0 for others
    sparse: Matrix  # texts × intents, by words and letters
    closest: Matrix  # cosine to the nearest text it was fitted on


@dataclass(frozen=True)
class Ridge:
    """What it learned from some of the texts."""

    rows: Rows  # the texts
    duals: Single  # their weights: rows × intents
    words: Single  # terms × intents

    def scores(self, features: Features, rows: Rows) -> Scores:
        """Of other texts, or the same."""
        others = features.vectors[self.rows].T
        dense = np.zeros((len(rows), self.duals.shape[1]))
        closest = np.zeros(len(rows))
        for start in range(0, len(rows), BLOCK):
            cosines = features.vectors[rows[start : start + BLOCK]] @ others
            closest[start : start + BLOCK] = cosines.max(axis=1)
            dense[start : start + BLOCK] = gaussian(cosines, features.strength.width) @ self.duals
        return Scores(dense, np.asarray(features.sparse[rows] @ self.words, np.float64), closest)


def fit(features: Features, rows: Rows, labels: Rows, intents: int) -> Ridge:
    """Regress on one column an intent, 1 where the label is that intent (Saunders et al. 1998, in the dual)."""
    strength = features.strength
    frequency = np.bincount(labels, minlength=intents)[labels].astype(np.float32)
    weights = frequency**-strength.evenness
    weights /= weights.mean()
    gram = _gram(features, rows)
    gram[np.diag_indices_from(gram)] += strength.penalty / weights
    wanted = np.zeros((len(rows), intents), np.float32, order="F")
    wanted[np.arange(len(rows)), labels] = 1.0
    # the matrix is symmetric: its transpose is the column-major one that is factored in place
    factor = cho_factor(gram.T, lower=True, overwrite_a=True, check_finite=False)
    duals = cho_solve(factor, wanted, overwrite_b=True, check_finite=False)
    words = np.asarray(features.sparse[rows].T @ duals, np.float32)
    return Ridge(rows, duals, np.float32(strength.words) * words)


def _gram(features: Features, rows: Rows) -> Single:
    vectors, sparse, strength = features.vectors[rows], features.sparse[rows], features.strength
    gram = np.empty((len(rows), len(rows)), np.float32)
    columns = sparse.T.tocsc()
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        gram[part] = gaussian(vectors[part] @ vectors.T, strength.width)
        gram[part] += np.float32(strength.words) * (sparse[part] @ columns).toarray()
    return gram

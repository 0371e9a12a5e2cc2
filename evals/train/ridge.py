"""Kernel ridge regression on two kernels at once: Gaussian over embeddings, linear over TF-IDF."""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular
from scipy.sparse import csr_matrix

from infra.models.classifier import Matrix, kernel

WIDTH = 0.8  # of the Gaussian kernel; chosen, as what stands below, with paraphrases held out together
WORDS = 0.5  # weight of the TF-IDF kernel; a text of both vectorizers has norm 2 there, so the kernels weigh the same
LANDMARKS = 3000  # texts; a thousand lose a point on 150 intents
JITTER = 1e-4  # keeps nearly equal landmarks apart
BLOCK = 512  # rows of the sparse kernel computed at a time

Rows = NDArray[np.int64]
Single = NDArray[np.float32]


@dataclass(frozen=True)
class Strength:
    """How hard the regression tries."""

    penalty: float
    evenness: float  # texts weigh their intent's frequency to the power of minus it: 1 makes intents equal


OF_FEW = Strength(penalty=0.1, evenness=1.0)  # where intents have few examples each
OF_MANY = Strength(penalty=0.3, evenness=0.5)


@dataclass(frozen=True)
class Features:
    """Texts as the regression sees them, row by row."""

    dense: Single  # texts × landmarks: the Gaussian kernel's feature map (Nyström; Williams & Seeger 2001)
    sparse: csr_matrix  # texts × terms
    landmarks: Matrix  # landmarks × dimensions
    root: Matrix  # lower Cholesky factor of the landmarks' kernel


@dataclass(frozen=True)
class Ridge:
    """What it learned from some of the texts."""

    dense: Single  # landmarks × intents, on the feature map
    sparse: Single  # terms × intents

    def scores(self, features: Features, rows: Rows) -> tuple[Matrix, Matrix]:
        """texts × intents by each kernel; their sum is near 1 for the right intent, near 0 for others."""
        return (
            (features.dense[rows] @ self.dense).astype(np.float64),
            np.asarray(features.sparse[rows] @ self.sparse, np.float64),
        )


def featured(vectors: Matrix, sparse: csr_matrix) -> Features:
    """The features of texts by their embeddings and TF-IDF rows; the same texts have the same landmarks."""
    order = sorted(range(len(vectors)), key=lambda row: sha256(vectors[row].tobytes()).digest())
    distinct = np.unique(vectors[order[:LANDMARKS]], axis=0)
    root = cholesky(kernel(distinct, distinct, WIDTH) + JITTER * np.eye(len(distinct)), lower=True)
    dense = solve_triangular(root, kernel(distinct, vectors, WIDTH), lower=True).T
    return Features(dense.astype(np.float32), sparse.astype(np.float32), distinct, root)


def fit(features: Features, rows: Rows, labels: Rows, intents: int, strength: Strength) -> Ridge:
    """Regress on one column an intent, 1 where the label is that intent (Saunders et al. 1998, in the dual)."""
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
    return Ridge(features.dense[rows].T @ duals, np.float32(WORDS) * words)


def explicit(features: Features, ridge: Ridge) -> Matrix:
    """The dense weights as landmarks × intents on the kernel itself, so that a text needs no triangular solve."""
    weights: Matrix = solve_triangular(features.root, ridge.dense.astype(np.float64), lower=True, trans="T")
    return weights


def _gram(features: Features, rows: Rows) -> Single:
    dense, sparse = features.dense[rows], features.sparse[rows]
    gram: Single = dense @ dense.T
    columns = sparse.T.tocsc()
    for start in range(0, len(rows), BLOCK):
        gram[start : start + BLOCK] += WORDS * (sparse[start : start + BLOCK] @ columns).toarray()
    return gram

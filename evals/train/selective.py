"""Fit P(the answer is good): one pooled score over what the gate knows, learned on the tune split.

Learned from every draft, as if each had been sent: those that the gate stops anyway tell good from bad as well. Scores
of the tune split itself are by cross-fitting over customers; on them the score is calibrated (Platt 1999) and the
thresholds to test are chosen, so that the labels which certify are used for nothing else.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from processors.selective import SIGNALS, Selective

FOLDS = 5
PENALTY = 0.3  # inverse strength of the L2 penalty
KNOWN = 5  # drafts of an intent from which it has a weight of its own
ENOUGH = 5  # good and bad drafts each, below which nothing is learned and the worst sentence is the score

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """A labelled ticket after the gate, and whether its answer would be bad if it were sent."""

    id: str
    group: str  # whose ticket it is: splits keep a group together
    intent: str
    signals: Mapping[str, float]  # empty without a draft
    candidate: bool  # every row of the gate but the certificate's lets it go
    bad: bool


@dataclass(frozen=True)
class Scored:
    """The score, and what it says of the tune split by cross-fitting; NaN of a ticket without a draft."""

    model: Selective
    held_out: tuple[float, ...]
    auroc: float | None  # of all drafts, good against bad
    auroc_candidates: float | None  # of those that the gate would send


def fit(rows: Sequence[Judged]) -> Scored:
    """Learn the score; with too few good or bad drafts it is the support of the worst sentence."""
    drafted = [at for at, row in enumerate(rows) if row.signals and all(map(math.isfinite, row.signals.values()))]
    good = np.array([not rows[at].bad for at in drafted], dtype=np.float64)
    learnable = bool(drafted) and min(good.sum(), len(good) - good.sum()) >= ENOUGH
    with threadpool_limits(1):
        return _learned(rows, drafted, good) if learnable else _unlearned(rows, drafted)


def _unlearned(rows: Sequence[Judged], drafted: Sequence[int]) -> Scored:
    model = Selective(
        names=(SIGNALS[0],),
        mean=(0.0,),
        scale=(1.0,),
        weights=(1.0,),
        intercept=0.0,
        slope=1.0,
        offset=0.0,
        made_of={"drafts": len(drafted), "learned": "nothing: too few good or bad drafts"},
    )
    known = set(drafted)
    scores = (model.p_good(row.signals, row.intent) if at in known else None for at, row in enumerate(rows))
    return Scored(model, tuple(math.nan if score is None else score for score in scores), None, None)


def _learned(rows: Sequence[Judged], drafted: Sequence[int], good: Matrix) -> Scored:
    table = [rows[at] for at in drafted]
    groups = [row.group for row in table]
    raw = np.zeros(len(table))
    folds = min(FOLDS, len(set(groups)))
    for seen, unseen in GroupKFold(folds).split(raw, good, groups):
        raw[unseen] = _odds(_regression([table[at] for at in seen], good[seen]), [table[at] for at in unseen])
    slope, offset = _platt(raw, good, np.array([row.candidate for row in table]))
    probabilities = 1 / (1 + np.exp(-(slope * raw + offset)))
    held_out = np.full(len(rows), np.nan)
    held_out[list(drafted)] = probabilities
    candidates = np.array([row.candidate for row in table])
    auroc, among = _auroc(good, probabilities), _auroc(good[candidates], probabilities[candidates])
    fitted = _regression(table, good)
    made_of: dict[str, str | int | float] = {
        "drafts": len(table),
        "candidates": int(candidates.sum()),
        "bad": int(len(good) - good.sum()),
        "auroc": -1.0 if auroc is None else round(auroc, 4),
        "sklearn": sklearn.__version__,
    }
    model = fitted.model_copy(update={"slope": slope, "offset": offset, "made_of": made_of})
    return Scored(model, tuple(map(float, held_out)), auroc, among)


def _regression(rows: Sequence[Judged], good: Matrix) -> Selective:
    """The weights before calibration."""
    values = np.array([[row.signals[name] for name in SIGNALS] for row in rows])
    mean, spread = values.mean(axis=0), values.std(axis=0)
    scale = np.where(spread > 1e-9, spread, 1.0)
    counts = Counter(row.intent for row in rows)
    known = sorted(intent for intent, count in counts.items() if count >= KNOWN)
    marks = np.array([[float(row.intent == intent) for intent in known] for row in rows]).reshape(len(rows), len(known))
    if len(set(good)) < 2:  # a fold without bad ones ranks nothing
        return _model(mean, scale, np.zeros(len(SIGNALS)), 0.0, {})
    model = LogisticRegression(C=PENALTY, max_iter=5_000).fit(np.hstack([(values - mean) / scale, marks]), good)
    weights = model.coef_[0]
    intents = dict(zip(known, map(float, weights[len(SIGNALS) :]), strict=True))
    return _model(mean, scale, weights[: len(SIGNALS)], float(model.intercept_[0]), intents)


def _model(mean: Matrix, scale: Matrix, weights: Matrix, intercept: float, intents: dict[str, float]) -> Selective:
    return Selective(
        names=SIGNALS,
        mean=tuple(map(float, mean)),
        scale=tuple(map(float, scale)),
        weights=tuple(map(float, weights)),
        intercept=intercept,
        intents=intents,
        slope=1.0,
        offset=0.0,
    )


def _odds(model: Selective, rows: Sequence[Judged]) -> Matrix:
    scores = np.array([model.p_good(row.signals, row.intent) or 0.0 for row in rows])
    kept = np.clip(scores, 1e-9, 1 - 1e-9)
    odds: Matrix = np.log(kept / (1 - kept))
    return odds


def _platt(odds: Matrix, good: Matrix, candidates: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset on what the gate would send, where that holds enough of both kinds; else on every draft."""
    sent = good[candidates]
    if min(sent.sum(), len(sent) - sent.sum()) >= 3 * ENOUGH:
        odds, good = odds[candidates], sent
    model = LogisticRegression(C=1e4, max_iter=5_000).fit(odds[:, np.newaxis], good)
    slope = float(model.coef_[0, 0])
    return (slope, float(model.intercept_[0])) if slope > 0 else (1.0, 0.0)


def _auroc(good: Matrix, scores: Matrix) -> float | None:
    return float(roc_auc_score(good, scores)) if len(set(good)) == 2 else None

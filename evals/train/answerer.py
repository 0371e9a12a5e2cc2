"""Fit the local answerer to a help centre: how much it goes by the order in which retrieval gave the sections.

Where retrieval learned which article such questions get, its order knows what no wording tells: of the thunderbird
forum's questions the answerer cites a right article in .41 by its default and .54 by the order; on the shop both are
.79, and its own reading is what the verifier can check. So the default stays unless more is clearly better.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from infra.models.extractive import FILE, RANK, Fitted

RANKS = (0.03, 0.05, 0.1, 0.2)
SURE = 2.0  # standard errors by which more tickets have to be answered right


@dataclass(frozen=True)
class Offer:
    """The sections found for a ticket, best first."""

    fits: NDArray[np.float64]  # of each, whatever its place
    right: NDArray[np.bool_]  # which of them answer

    def answered(self, rank: float) -> bool:
        """Whether the section that the answerer takes is a right one."""
        return bool(self.right[int(np.argmax(self.fits - rank * np.log1p(np.arange(len(self.fits)))))])


def fit_rank(offers: Sequence[Offer]) -> float:
    """The weight of the order under which most tickets get a right section, if clearly more than by the default do.

    Clearly: by a sign test on those that only one of the two answers right (McNemar 1947).
    """
    usual = np.array([offer.answered(RANK) for offer in offers], bool)
    tried = {rank: np.array([offer.answered(rank) for offer in offers], bool) for rank in RANKS}
    best = max(RANKS, key=lambda rank: (int(tried[rank].sum()), -rank))
    differ = int((tried[best] != usual).sum())
    return best if int(tried[best].sum()) - int(usual.sum()) > SURE * sqrt(differ) else RANK


def save_rank(rank: float, directory: Path) -> None:
    """Write what was fitted, whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    part = directory / f"{FILE}.part"
    part.write_text(Fitted(rank=rank).model_dump_json())
    part.replace(directory / FILE)

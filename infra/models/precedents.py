"""Questions that were labelled before: which section answered them, or that none did."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from infra.models.ranker import UNLIKELY, likely_articles
from infra.models.untrained import NotTrained
from processors.groundedness.features import Before

FILE = "precedents.npz"
NEAREST = 8  # of them vote
SHARPNESS = 12.0  # how much more the nearest of those counts: weights are exp(12 · (cosine − best cosine))
MOST = 20_000  # questions that are kept, 0.8 kB each

Vector = NDArray[np.float32]
Key = tuple[str, str | None]  # article and section; None where a label names no section


@dataclass(frozen=True)
class Precedent:
    """A labelled question."""

    text: str  # as it is embedded
    group: str  # whose it is
    answered: frozenset[Key]  # by nothing: empty


@dataclass(frozen=True)
class Given:
    """Which articles answer which questions, as far as the labelled ones tell: a regression on a question's vector."""

    articles: tuple[str, ...] = ()  # none where they do not tell
    weights: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 1)))  # articles × (dimensions + 1)

    def likely(self, question: Vector, article: str) -> float:
        """The log of the probability that the article answers; 0 where nothing was learned."""
        if not self.articles:
            return 0.0
        return likely_articles(self.articles, self.weights, question.astype(np.float64)).get(article, UNLIKELY)


@dataclass(frozen=True)
class Precedents:
    """Labelled questions as unit vectors, n × dimensions, each with what answers it."""

    vectors: Vector
    answered: tuple[frozenset[Key], ...]
    given: Given = Given()

    @cached_property
    def _of_section(self) -> Mapping[Key, list[int]]:
        """The places of the questions that a section, or any of an article (None), answered."""
        found: dict[Key, list[int]] = defaultdict(list)
        for place, keys in enumerate(self.answered):
            for key in keys:
                found[key].append(place)
        return found

    @cached_property
    def _of_article(self) -> Mapping[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for (article, _), places in self._of_section.items():
            found[article] += places
        return found

    @cached_property
    def _of_nothing(self) -> NDArray[np.bool_]:
        return np.array([not keys for keys in self.answered], bool)

    def before(self, question: Vector, cited: Key, apart: NDArray[np.bool_] | None = None) -> Before:
        """How questions like this one were answered, beside the section cited. `apart` are not looked at."""
        cosines = self.vectors @ question if len(self.answered) else np.zeros(0, np.float32)
        known = np.ones(len(cosines), bool) if apart is None else ~apart
        by_section, by_article = np.zeros(len(cosines), bool), np.zeros(len(cosines), bool)
        by_section[self._of_section.get(cited, [])] = True
        by_section[self._of_section.get((cited[0], None), [])] = True
        by_article[self._of_article.get(cited[0], [])] = True
        by_none = self._of_nothing
        nearest = np.argsort(np.where(known, -cosines, np.inf), kind="stable")[: min(NEAREST, int(known.sum()))]
        weights = np.exp(SHARPNESS * (cosines[nearest] - cosines[nearest[:1]]))
        own = _nearest(cosines, known & by_section)
        return Before(
            cited=own,
            lead=own - _nearest(cosines, known & ~by_section & ~by_none),
            lead_on_none=own - _nearest(cosines, known & by_none),
            vote=_share(weights, by_section[nearest]),
            vote_article=_share(weights, by_article[nearest]),
            vote_none=_share(weights, by_none[nearest]),
            likely=self.given.likely(question, cited[0]),
        )

    def save(self, directory: Path) -> str:
        """Write them whole or not at all, without whose they are; the file's SHA-256, hex."""
        directory.mkdir(parents=True, exist_ok=True)
        part = directory / f"{FILE}.part"
        answered = np.array([json.dumps(sorted(map(list, keys), key=str)) for keys in self.answered], np.str_)
        with part.open("wb") as file:
            np.savez_compressed(
                file,
                vectors=self.vectors.astype(np.float16),
                answered=answered,
                articles=np.array(self.given.articles, np.str_),
                weights=self.given.weights.astype(np.float32),
            )
        digest = hashlib.sha256(part.read_bytes()).hexdigest()
        part.replace(directory / FILE)
        return digest


def _nearest(cosines: Vector, which: NDArray[np.bool_]) -> float:
    return float(cosines[which].max()) if which.any() else 0.0


def _share(weights: Vector, which: NDArray[np.bool_]) -> float:
    return float(weights[which].sum() / weights.sum()) if len(weights) else 0.0


NONE = Precedents(np.zeros((0, 0), np.float32), ())


def precedents_of(precedents: Sequence[Precedent], vectors: Sequence[Sequence[float]]) -> Precedents:
    """Labelled questions with their vectors, as they are looked up; rounded, as the file will hold them."""
    if not precedents:
        return NONE
    rows = np.asarray(vectors, np.float16).astype(np.float32).reshape(len(precedents), -1)
    return Precedents(rows[:MOST], tuple(one.answered for one in precedents[:MOST]))


def read(directory: Path, digest: str) -> Precedents:
    """The file whose SHA-256 is `digest`; none where that is empty.

    Raises:
        NotTrained: it is missing, damaged, or another one.
    """
    if not digest:
        return NONE
    path = directory / FILE
    try:
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise NotTrained(f"{path} is not of this verifier: run `sluice train gate SUITE` again")
        with np.load(path, allow_pickle=False) as arrays:
            rows = [
                frozenset((str(article), section) for article, section in json.loads(row)) for row in arrays["answered"]
            ]
            given = Given(tuple(map(str, arrays["articles"])), arrays["weights"].astype(np.float64))
            return Precedents(arrays["vectors"].astype(np.float32), tuple(rows), given)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotTrained(f"{path} cannot be read ({error}): run `sluice train gate SUITE` again") from None

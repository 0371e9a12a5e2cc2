"""The second look at what retrieval found: features of each section, weighed, with what labelled tickets taught."""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.ports import Embedder, Gathered, Joined, Knowledge, Reranker, Spoken, Whose
from processors.ranking import DEFAULT, FEATURES, Features, Ranking, order, word_fit
from schemas.retrieval import Passage

FILE = "ranker.npz"
CANDIDATES = 100  # sections looked at again; beyond them 1 in 20 expected articles of a forum's tickets is found
UNLIKELY = -7.0  # log of the least probability that an article is given

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Trained:
    """What `evals.train.retrieval` learned of one help centre."""

    ranking: Ranking
    articles: tuple[str, ...]  # those that answered labelled tickets
    weights: Matrix  # articles × (dimensions + 1): multinomial logistic regression on the query's vector
    provenance: Mapping[str, Any]


def save(trained: Trained, directory: Path) -> Path:
    """Write the trained parts as one file, whole or not at all."""
    described = {
        "weights": dict(trained.ranking.weights),
        "variety": trained.ranking.variety,
        "articles": trained.articles,
        "provenance": dict(trained.provenance),
    }
    part = directory / f"{FILE}.part"
    with part.open("wb") as file:
        np.savez_compressed(file, json=np.array(json.dumps(described)), weights=trained.weights.astype(np.float32))
    return part.rename(directory / FILE)


def load(directory: Path) -> Trained | None:
    """The trained parts of a folder; None where it has none."""
    if not (directory / FILE).is_file():
        return None
    with np.load(directory / FILE, allow_pickle=False) as file:
        described, weights = json.loads(str(file["json"])), file["weights"].astype(np.float64)
    ranking = Ranking(described["weights"], described["variety"])
    return Trained(ranking, tuple(described["articles"]), weights, described["provenance"])


def likely_articles(articles: Sequence[str], weights: Matrix, vector: Matrix) -> dict[str, float]:
    """The log of the probability that each of these articles answers, at least `UNLIKELY`."""
    if not articles:
        return {}
    scores = weights[:, :-1] @ vector + weights[:, -1]
    top = scores.max()
    logs = scores - (top + np.log(np.exp(scores - top).sum()))
    return dict(zip(articles, np.maximum(logs, UNLIKELY).tolist(), strict=True))


def features_of(
    query: str, context: str, passages: Sequence[Passage], likely: Mapping[str, float]
) -> tuple[Features, ...]:
    """How well each passage fits, by feature; one search's passages are to be given together."""
    texts = [f"{passage.title} {passage.heading} {passage.text}" for passage in passages]
    words = word_fit(query, texts)
    in_context = word_fit(context, texts) if context else words
    return tuple(
        {
            **{name: passage.scores[name] for name in FEATURES if name in passage.scores},
            "words": words[place],
            "context_words": in_context[place],
            "article": likely.get(passage.article_id, UNLIKELY) if likely else 0.0,
        }
        for place, passage in enumerate(passages)
    )


class LocalRanker:
    """Orders passages by a weighted sum of features; with the defaults where nothing was trained."""

    def __init__(self, embedder: Embedder, trained: Trained | None = None) -> None:
        self._embedder = embedder
        self._ranking = trained.ranking if trained else DEFAULT
        self._articles = trained.articles if trained else ()
        self._weights = trained.weights if trained else np.zeros((0, embedder.dimensions + 1))
        self.name = f"local/ranker-{_digest(trained) if trained else 'untrained'}"

    @classmethod
    def load(cls, directory: Path, embedder: Embedder) -> "LocalRanker":
        """The ranker of a folder of trained parts, or the one without."""
        return cls(embedder, load(directory))

    async def rerank(self, query: str, context: str, passages: Sequence[Passage]) -> tuple[Passage, ...]:
        """The passages in the new order, each with its sum as `scores["rank"]`; their `score` stays the cosine."""
        (vector,) = await self._embedder.embed([query]) if self._articles else ([],)
        return await asyncio.to_thread(self._ranked, query, context, passages, np.array(vector))

    def _ranked(self, query: str, context: str, passages: Sequence[Passage], vector: Matrix) -> tuple[Passage, ...]:
        likely = likely_articles(self._articles, self._weights, vector)
        features = features_of(query, context, passages, likely)
        scores = [self._ranking.score(row) for row in features]
        places = order(scores, [passage.article_id for passage in passages], self._ranking.variety)
        return tuple(_told(passages[place], scores[place]) for place in places)


def _told(passage: Passage, rank: float) -> Passage:
    return passage.model_copy(update={"scores": {**passage.scores, "rank": rank}})


def _digest(trained: Trained) -> str:
    digest = hashlib.sha256(trained.weights.astype(np.float32).tobytes())
    digest.update(repr((sorted(trained.ranking.weights.items()), trained.ranking.variety, trained.articles)).encode())
    return digest.hexdigest()[:12]


class RankedKnowledge:
    """A help centre whose findings are looked at twice: many are fetched, and the best few kept."""

    def __init__(self, knowledge: Knowledge, reranker: Reranker, candidates: int = CANDIDATES) -> None:
        self._knowledge = knowledge
        self._reranker = reranker
        self._candidates = candidates

    async def search(
        self, query: str, *, at: datetime, limit: int, context: str = "", spoken: Spoken | None = None
    ) -> tuple[Passage, ...]:
        """The best sections as the reranker orders them.

        Raises:
            DependencyDown: the help centre does not answer.
        """
        wanted = max(limit, self._candidates)
        found = await self._knowledge.search(query, at=at, limit=wanted, context=context, spoken=spoken)
        return (await self._reranker.rerank(query, context, found))[:limit]


class RankedSources(RankedKnowledge):
    """The same over a store that reads the customers' records in the same query."""

    def __init__(self, sources: Joined, reranker: Reranker, candidates: int = CANDIDATES) -> None:
        super().__init__(sources, reranker, candidates)
        self._sources = sources

    async def gather(
        self,
        query: str,
        *,
        at: datetime,
        limit: int,
        context: str = "",
        spoken: Spoken | None = None,
        whose: Whose | None = None,
    ) -> Gathered:
        """The best sections as the reranker orders them, and the records. Raises as `search` does."""
        wanted = max(limit, self._candidates)
        found = await self._sources.gather(query, at=at, limit=wanted, context=context, spoken=spoken, whose=whose)
        return Gathered((await self._reranker.rerank(query, context, found.passages))[:limit], found.facts)

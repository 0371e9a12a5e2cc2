"""The help centre in memory: the same ranking as in Postgres, on a smaller idea of full text."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from snowballstemmer import EnglishStemmer

from infra.knowledge import Article, ArticleSection
from infra.versions import NewVersion, Unchanged, Version, in_order, place
from processors.ports import Embedder, Knowledge, Spoken
from schemas.retrieval import Passage

RAREST = 16  # words of a query that count
WEIGHT = 0.25  # of full text against vectors
RANK = 60  # the k of reciprocal rank fusion

Vectors = NDArray[np.float64]  # one row a section


@dataclass(frozen=True)
class _Stored:
    article: Article
    section: ArticleSection
    version: int
    words: frozenset[str]


class ScriptedKnowledge(Knowledge):
    """Sections of given articles; made by `of`."""

    def __init__(
        self,
        embedder: Embedder,
        stored: Sequence[_Stored],
        vectors: Sequence[Vectors],
        versions: dict[str, list[Version]],
    ) -> None:
        self._embedder = embedder
        self._stored = stored
        self._wholes = np.array([rows[0] for rows in vectors]).reshape(len(vectors), -1)
        self._windows = [rows[1:] if len(rows) > 1 else rows for rows in vectors]
        self._versions = versions
        self._seen_in = Counter(word for stored in self._stored for word in stored.words)

    @classmethod
    async def of(
        cls, embedder: Embedder, articles: Iterable[Article], *, now: datetime | None = None
    ) -> "ScriptedKnowledge":
        """A help centre of these articles, as if they were ingested at `now`."""
        at = now or datetime.now(UTC)
        versions: dict[str, list[Version]] = {}
        parts: list[tuple[Article, ArticleSection, int, tuple[str, ...]]] = []
        for article in in_order(articles):
            number = _add(versions.setdefault(article.id, []), article, at)
            chunks = zip(article.sections, article.chunks, article.windows, strict=True)
            parts += [(article, part, number, (w, *ws)) for part, w, ws in chunks if article.audience == "public"]
        made = iter(await embedder.embed([text for *_, texts in parts for text in texts]))
        vectors = [np.array([next(made) for _ in texts]) for *_, texts in parts]
        stored = [_Stored(a, s, n, _words(f"{a.title} {s.heading} {s.text}")) for a, s, n, _ in parts]
        return cls(embedder, stored, vectors, versions)

    async def search(
        self, query: str, *, at: datetime, limit: int, context: str = "", spoken: Spoken | None = None
    ) -> tuple[Passage, ...]:
        """The best sections by fused rank; `score` is the cosine with the query or its context, from 0 to 1."""
        vector, in_context = np.array(await self._embedder.embed([query, context or query]))
        asked = np.array([vector, in_context])
        held = [n for n, stored in enumerate(self._stored) if self._holds(stored, at)]
        held = self._spoken(held, asked, spoken) or held
        current = [self._stored[n] for n in held]
        wholes = self._wholes[held] @ asked.T
        cosine, score = wholes[:, 0].tolist(), wholes.max(axis=1).tolist()
        rarest = sorted(_words(query) & self._seen_in.keys(), key=lambda word: (self._seen_in[word], word))[:RAREST]
        fulltext = [sum(1 / self._seen_in[word] for word in rarest if word in stored.words) for stored in current]
        fused = [
            1 / (RANK + by_vector) + (WEIGHT / (RANK + by_words) if words else 0)
            for by_vector, by_words, words in zip(_ranks(score), _ranks(fulltext), fulltext, strict=True)
        ]
        best = sorted(range(len(current)), key=lambda n: (-fused[n], -score[n]))[:limit]
        return tuple(
            _passage(current[n], at, score[n], self._scores(held[n], asked, (cosine[n], fulltext[n], fused[n])))
            for n in best
        )

    def _spoken(self, held: Sequence[int], asked: Vectors, spoken: Spoken | None) -> list[int]:
        """Those in the language, where one of them is near enough to answer."""
        own = [n for n in held if spoken and primary(self._stored[n].article.language) == spoken.language]
        near = bool(own) and float((self._wholes[own] @ asked.T).max()) >= (spoken.enough if spoken else 0.0)
        return own if near else []

    def _scores(self, place: int, asked: Vectors, known: tuple[float, float, float]) -> dict[str, float]:
        window, context = (self._windows[place] @ asked.T).max(axis=0).tolist()
        vector, fulltext, fused = known
        return {"vector": vector, "window": window, "context": context, "fulltext": fulltext, "fused": fused}

    def _holds(self, stored: _Stored, at: datetime) -> bool:
        version = next(v for v in self._versions[stored.article.id] if v.version == stored.version)
        return version.begins <= at < version.ends


def _add(stored: list[Version], article: Article, now: datetime) -> int:
    match place(article, stored, now):
        case Unchanged(version, _):
            return version.version
        case NewVersion(version, ended):
            ends = dict(ended)
            stored[:] = [
                Version(v.version, v.content_hash, v.valid_from, ends.get(v.version, v.valid_to)) for v in stored
            ]
            stored.append(version)
            return version.version


def primary(language: str) -> str:
    """The language of a tag without its region: en of en-GB (RFC 5646)."""
    return language.replace("_", "-").partition("-")[0].lower()


def _words(text: str) -> frozenset[str]:
    return frozenset(EnglishStemmer().stemWords(re.findall(r"\w+", text.casefold())))


def _ranks(scores: Sequence[float]) -> list[int]:
    """The place of each score, from 1, best first; equals in their order."""
    order = sorted(range(len(scores)), key=lambda n: -scores[n])
    return [place for _, place in sorted(zip(order, range(1, len(order) + 1), strict=True))]


def _passage(stored: _Stored, at: datetime, score: float, scores: dict[str, float]) -> Passage:
    article, section = stored.article, stored.section
    return Passage(
        article_id=article.id,
        section_id=section.id,
        version=stored.version,
        title=article.title,
        heading=section.heading,
        text=section.text,
        url=article.url,
        language=article.language,
        score=min(1.0, max(0.0, score)),
        scores=scores,
        review_by=article.review_by,
        stale=article.review_by is not None and article.review_by < at,
    )

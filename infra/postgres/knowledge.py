"""The help centre in Postgres: full text and vectors, searched and fused in one query."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from infra.postgres.pool import Pool, fetch, storable
from processors.ports import Embedder
from schemas.retrieval import Passage

LONGEST_QUERY = 4000  # characters; more words add time and no sense


class PostgresKnowledge:
    """Sections of public articles that are valid at a moment, best first."""

    def __init__(self, pool: Pool, embedder: Embedder) -> None:
        self._pool = pool
        self._embedder = embedder

    async def search(self, query: str, *, at: datetime, limit: int) -> tuple[Passage, ...]:
        """The best sections by fused rank; `score` is the cosine with the query, from 0 to 1.

        Raises:
            DependencyDown: Postgres does not answer.
        """
        text = storable(query[:LONGEST_QUERY])
        (vector,) = await self._embedder.embed([text])
        parameters = {"query": text, "vector": vector_text(vector), "at": at, "limit": limit}
        return tuple(_passage(row) for row in await fetch(self._pool, "search", parameters))


def vector_text(vector: Sequence[float]) -> str:
    """A vector as pgvector reads it."""
    return "[" + ",".join(f"{value:.7g}" for value in vector) + "]"


def _passage(row: Mapping[str, Any]) -> Passage:
    names = ("article_id", "section_id", "version", "title", "heading", "text", "url", "language", "review_by", "stale")
    return Passage(
        **{name: row[name] for name in names},
        score=min(1.0, max(0.0, row["cosine"])),
        scores={"vector": row["cosine"], "fulltext": row["fulltext"], "fused": float(row["fused"])},
    )

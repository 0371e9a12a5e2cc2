"""The help centre in Postgres: full text and vectors, searched and fused, and the customer's records, in one query."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from infra.postgres.customers import fact_of
from infra.postgres.pool import Pool, fetch, storable
from processors.ports import Embedder, Gathered, Spoken, Whose
from schemas.retrieval import Passage

LONGEST_QUERY = 4000  # characters; more words add time and no sense


class PostgresKnowledge:
    """Sections of public articles that are valid at a moment, best first."""

    def __init__(self, pool: Pool, embedder: Embedder) -> None:
        self._pool = pool
        self._embedder = embedder

    async def search(
        self, query: str, *, at: datetime, limit: int, context: str = "", spoken: Spoken | None = None
    ) -> tuple[Passage, ...]:
        """The best sections by fused rank; `score` is the cosine with the query or its context, from 0 to 1.

        Raises:
            DependencyDown: Postgres does not answer.
        """
        return (await self.gather(query, at=at, limit=limit, context=context, spoken=spoken)).passages

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
        """The same with the records of a customer, each read by its own login role's row-level security.

        Raises:
            DependencyDown: Postgres does not answer.
        """
        texts = [storable(text[:LONGEST_QUERY]) for text in (query, context or query)]
        vector, in_context = map(vector_text, await self._embedder.embed(texts))
        of = {"customer": whose.customer_id if whose else None, "kinds": list(whose.kinds) if whose else []}
        parameters = {"query": texts[0], "vector": vector, "context": in_context, "at": at, "limit": limit}
        said = {"language": spoken and spoken.language, "enough": spoken.enough if spoken else 0.0}
        rows = await fetch(self._pool, "search", {**parameters, **said, **of})
        passages = tuple(_passage(row) for row in rows if row["article_id"] is not None)
        return Gathered(passages, tuple(map(fact_of, rows[0]["facts"])))


def vector_text(vector: Sequence[float]) -> str:
    """A vector as pgvector reads it."""
    return "[" + ",".join(f"{value:.7g}" for value in vector) + "]"


def _passage(row: Mapping[str, Any]) -> Passage:
    names = ("article_id", "section_id", "version", "title", "heading", "text", "url", "language", "review_by", "stale")
    return Passage(
        **{name: row[name] for name in names},
        score=min(1.0, max(0.0, row["score"])),
        scores={
            "vector": row["cosine"],
            "window": row["window"],
            "context": row["context"],
            "fulltext": row["fulltext"],
            "fused": float(row["fused"]),
        },
    )

"""A reranker without a model: what shares most words with the query first, the same on every machine."""

from collections.abc import Sequence

from processors.ranking import word_fit
from schemas.retrieval import Passage


class ScriptedReranker:
    """Orders passages by the words they share with the query, or with its context where there is one."""

    name = "scripted/words"

    async def rerank(self, query: str, context: str, passages: Sequence[Passage]) -> tuple[Passage, ...]:
        """The passages, those that share most first; equals in the order they came in."""
        fit = word_fit(context or query, [f"{passage.title} {passage.heading} {passage.text}" for passage in passages])
        return tuple(passages[place] for place in sorted(range(len(passages)), key=lambda place: -fit[place]))

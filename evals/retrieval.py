"""How good retrieval is: is an expected section among the first k."""

from collections.abc import Iterable
from dataclasses import dataclass

from evals.dataset import LabelledTicket
from evals.prediction import Prediction, label_of
from evals.scorers import cites_expected, wilson

KS = (1, 3, 5)


@dataclass(frozen=True)
class Recall:
    """Share of tickets with an expected article, or section, among the first k sources; with their 95 % intervals."""

    k: int
    n: int
    article: float | None
    section: float | None
    article_interval: tuple[float, float] | None
    section_interval: tuple[float, float] | None


def evaluate(pairs: Iterable[tuple[Prediction, LabelledTicket]]) -> tuple[Recall, ...]:
    """Recall over the tickets whose label names a help-centre section; records of the customer are not searched for."""
    judged = [
        (
            tuple((source.article_id, source.section_id) for source in prediction.sources),
            [source for source in label_of(ticket).sources if not source[0].startswith("crm:")],
        )
        for prediction, ticket in pairs
    ]
    labelled = [(found, expected) for found, expected in judged if expected]
    return tuple(_recall(labelled, k) for k in KS)


def _recall(labelled: list[tuple[tuple[tuple[str, str | None], ...], list[tuple[str, str | None]]]], k: int) -> Recall:
    n = len(labelled)
    articles = sum(
        cites_expected([(article, None) for article, _ in found[:k]], [(article, None) for article, _ in expected])
        for found, expected in labelled
    )
    sections = sum(cites_expected(found[:k], expected) for found, expected in labelled)
    return Recall(
        k=k,
        n=n,
        article=articles / n if n else None,
        section=sections / n if n else None,
        article_interval=wilson(articles, n),
        section_interval=wilson(sections, n),
    )

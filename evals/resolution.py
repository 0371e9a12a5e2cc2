"""How good the drafts are, whatever the gate does with them: cited right, and with the fact that was asked for."""

from collections.abc import Iterable
from dataclasses import dataclass

from evals.dataset import LabelledTicket
from evals.prediction import Prediction, answer_of, label_of
from evals.scorers import AUTO, cites_expected, contains


@dataclass(frozen=True)
class Drafts:
    """Counts over the tickets whose expected band is auto: those a draft should have answered."""

    answerable: int
    drafted: int
    cited: int  # an expected source is cited
    complete: int  # and every expected fact is there
    cost_usd: float
    tokens_in: int
    tokens_out: int


def evaluate(pairs: Iterable[tuple[Prediction, LabelledTicket]]) -> Drafts:
    """Judge the drafts of the answerable tickets; cost and tokens are of all."""
    rows = list(pairs)
    answerable = [(answer_of(row), label_of(ticket)) for row, ticket in rows if label_of(ticket).band == AUTO]
    drafted = [(answer, label) for answer, label in answerable if answer.text]
    cited = [(answer, label) for answer, label in drafted if cites_expected(answer.cited, label.sources)]
    return Drafts(
        answerable=len(answerable),
        drafted=len(drafted),
        cited=len(cited),
        complete=sum(all(contains(answer.text, fact) for fact in label.facts) for answer, label in cited),
        cost_usd=sum(row.cost_usd for row, _ in rows),
        tokens_in=sum(row.tokens_in for row, _ in rows),
        tokens_out=sum(row.tokens_out for row, _ in rows),
    )

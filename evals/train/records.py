"""Learn which questions a customer's record answers: the second opinion on what the router calls a status question.

Examples are the answers that the templates make, of the true customer's records, to each ticket of the train half read
as if it had been routed to each intent that has a template: right where the label expects that record, every expected
fact is told, and nothing but the record was asked for. A regression over the question's embedding, per kind; both cases
weigh alike, so a positive score means more likely than not. A kind with fewer than five right answers is not learned,
and what is not learned is never told without a person. Where the CRM has kinds of its own, what no template answers
counts as a wrong answer of no kind, and so do the traps that are made of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from evals.dataset import LabelledTicket, Suite
from evals.kinds import kinds_of
from evals.measures import RECORDS
from evals.records import traps
from evals.scorers import AUTO, SUGGEST, contains
from infra.crm import Customer, customers_of, rendered
from infra.models.verifier import OnRecord, asked_of
from processors.ports import Embedder
from processors.records import Kinds
from processors.templates import NAMED_STATUS_OF, STATUS_OF, fill
from schemas.retrieval import Fact

FOLDS = 5
ENOUGH = 5  # right answers of a kind, below which it is not learned
SHOWN = {"refund": ("refund", "order")}  # kinds shown beside a kind: a refund is named by its order, too
NONE = ""  # the kind of what no template answers
STRENGTH = 10.0  # C of the regression: the embeddings are unit vectors
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Told:
    """An answer that a template made."""

    kind: str
    group: str
    question: str
    right: bool


class RecordFigures(TypedDict):
    """Answers from records, and how many of them pass, by cross-fitting over customers."""

    right: int
    right_passed: int
    wrong: int
    wrong_passed: int


@dataclass(frozen=True)
class Records:
    """What was learned, and how it did on customers it had not seen."""

    parts: dict[str, OnRecord]  # by kind
    figures: RecordFigures


async def learn_records(suite: Suite, tickets: Sequence[LabelledTicket], embedder: Embedder) -> Records:
    """Fit a regression for each kind of record that has enough right answers."""
    customers = {customer.customer_id: customer for customer in customers_of(suite.customers)}
    records = {} if suite.policy else kinds_of(suite.customers)
    if any(ticket.id.startswith(RECORDS) for ticket in tickets):
        tickets = (*tickets, *traps(suite.customers, seen=True))
    told = [answer for ticket in tickets for answer in _told(ticket, customers, records)]
    kinds = sorted({answer.kind for answer in told} - {NONE})
    learned = [kind for kind in kinds if sum(a.right for a in told if a.kind == kind) >= ENOUGH]
    told = [answer for answer in told if answer.kind in (*learned, NONE)]
    if not learned or len({answer.group for answer in told}) < FOLDS or all(answer.right for answer in told):
        return Records({}, RecordFigures(right=0, right_passed=0, wrong=0, wrong_passed=0))
    questions = np.asarray(await embedder.embed([asked_of(answer.question) for answer in told]), float)
    scores = np.zeros(len(told))
    for seen, unseen in GroupKFold(FOLDS).split(questions, groups=[answer.group for answer in told]):
        fold = _fit(questions[seen], [told[at] for at in seen], learned)
        scores[unseen] = [_odds(fold, told[at].kind, questions[at]) for at in unseen]
    return Records(_fit(questions, told, learned), _figures([a.right for a in told], [bool(s > 0) for s in scores]))


def _odds(parts: Mapping[str, OnRecord], kind: str, question: Matrix) -> float:
    return parts[kind].odds(question.astype(np.float32)) if kind in parts else -np.inf


def _figures(right: Sequence[bool], passed: Sequence[bool]) -> RecordFigures:
    pairs = list(zip(right, passed, strict=True))
    return RecordFigures(
        right=sum(right),
        right_passed=sum(r and p for r, p in pairs),
        wrong=len(right) - sum(right),
        wrong_passed=sum(p and not r for r, p in pairs),
    )


def _told(ticket: LabelledTicket, customers: Mapping[str, Customer], records: Kinds) -> list[Told]:
    customer = customers.get(ticket.customer_id or "")
    if customer is None:
        return []
    facts = [Fact(record=f"crm:{r.record}", kind=r.kind, fields=rendered(r.fields)) for r in customer.records]
    expected = {source.article_id for source in ticket.expected_sources}
    made: dict[str, Told] = {}
    ours = {**STATUS_OF, **NAMED_STATUS_OF}
    shown: dict[str, tuple[str, ...]] = {intent: SHOWN.get(kind, (kind,)) for intent, kind in ours.items()}
    shown |= {record.intent: tuple(records) for record in records.values()}
    for intent, kinds in shown.items():
        draft = fill(ticket.text, intent, [fact for fact in facts if fact.kind in kinds], records)
        if draft is None or draft.template is None:
            continue
        cited = {sentence.citation.article_id for sentence in draft.sentences if sentence.citation}
        whole = all(contains(draft.text, fact) for fact in ticket.expected_facts)
        right = bool(cited & expected) and whole and _wanted(ticket)
        made[draft.text] = Told(draft.template, ticket.group, ticket.text, right)
    if records and not made:
        return [Told(NONE, ticket.group, ticket.text, right=False)]
    return list(made.values())


def _wanted(ticket: LabelledTicket) -> bool:
    """Whether the record alone answers: an automatic answer was wanted, or only the proof of identity was missing."""
    unproved = not ticket.proved and all(s.article_id.startswith("crm:") for s in ticket.expected_sources)
    return ticket.expected_band == AUTO or (ticket.expected_band == SUGGEST and unproved)


def _fit(questions: Matrix, told: Sequence[Told], kinds: Sequence[str]) -> dict[str, OnRecord]:
    """One regression for all kinds, with weights shared and weights of each kind's own."""
    of_kind = np.array([[answer.kind == kind for kind in kinds] for answer in told], float)
    columns = [questions, *(questions * of_kind[:, [at]] for at in range(len(kinds))), of_kind]
    model = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=5_000)
    model.fit(np.hstack(columns), [answer.right for answer in told])
    size = questions.shape[1]
    weights = model.coef_[0]
    return {
        kind: OnRecord(
            weights=tuple(map(float, weights[:size] + weights[size * (at + 1) : size * (at + 2)])),
            intercept=float(model.intercept_[0] + weights[size * (len(kinds) + 1) + at]),
        )
        for at, kind in enumerate(kinds)
    }

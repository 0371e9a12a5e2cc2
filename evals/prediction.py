"""One row of `predictions.jsonl`: what the pipeline decided and said about one ticket."""

from collections.abc import Iterable
from pathlib import Path

from evals.dataset import LabelledTicket
from evals.scorers import Answer, Label, Reference
from schemas.event import Value
from schemas.gate import ReplyApproved, TicketEscalated


class RankedSource(Value):
    """A section that retrieval found, best first."""

    article_id: str
    section_id: str | None
    score: float


class CheckedSentence(Value):
    """A sentence of the answer, its citation, and whether the verifier calls it supported."""

    text: str
    article_id: str | None
    section_id: str | None
    quote: str | None
    supported: bool


class Prediction(Value):
    """The pipeline's answer to one ticket. `answer` is the draft whatever became of it; empty without one."""

    id: str
    intent: str
    route_band: str
    disposition: str  # auto, suggest, handoff
    rule: str
    tier: str
    confidence: float
    sources: tuple[RankedSource, ...]
    answer: str
    sentences: tuple[CheckedSentence, ...]
    groundedness: float
    reasons: tuple[str, ...]
    facts_shown: tuple[str, ...]
    model: str | None
    tokens_in: int
    tokens_out: int
    cost_usd: float
    latency_ms: float


def predicted(id_: str, event: ReplyApproved | TicketEscalated, latency_ms: float) -> Prediction:
    """The row of a ticket that left the gate."""
    draft, decision = event.draft, event.decision
    return Prediction(
        id=id_,
        intent=event.route.intent,
        route_band=event.route.band.value,
        disposition=decision.disposition.value,
        rule=decision.rule,
        tier=event.route.tier.value,
        confidence=event.route.confidence,
        sources=tuple(
            RankedSource(article_id=passage.article_id, section_id=passage.section_id, score=passage.score)
            for passage in event.evidence.passages
        ),
        answer=draft.text if draft else "",
        sentences=_sentences(event),
        groundedness=decision.groundedness,
        reasons=(*event.route.reasons, *decision.reasons),
        facts_shown=tuple(fact.record for fact in event.evidence.facts),
        model=draft.model if draft else None,
        tokens_in=draft.tokens_in if draft else 0,
        tokens_out=draft.tokens_out if draft else 0,
        cost_usd=draft.cost_usd if draft else 0.0,
        latency_ms=latency_ms,
    )


def _sentences(event: ReplyApproved | TicketEscalated) -> tuple[CheckedSentence, ...]:
    if event.draft is None:
        return ()
    supported = [check.supported for check in event.decision.checks]
    supported += [False] * (len(event.draft.sentences) - len(supported))  # what was not checked is not supported
    return tuple(
        CheckedSentence(
            text=sentence.text,
            article_id=sentence.citation.article_id if sentence.citation else None,
            section_id=sentence.citation.section_id if sentence.citation else None,
            quote=sentence.citation.quote if sentence.citation else None,
            supported=checked,
        )
        for sentence, checked in zip(event.draft.sentences, supported, strict=False)
    )


def answer_of(prediction: Prediction) -> Answer:
    """The row as the scorers judge it."""
    cited: tuple[Reference, ...] = tuple(
        (sentence.article_id, sentence.section_id) for sentence in prediction.sentences if sentence.article_id
    )
    return Answer(
        disposition=prediction.disposition,
        intent=prediction.intent,
        text=prediction.answer,
        cited=cited,
        supported=bool(prediction.sentences) and all(sentence.supported for sentence in prediction.sentences),
    )


def label_of(ticket: LabelledTicket) -> Label:
    """What the suite says a right answer is."""
    return Label(
        band=ticket.expected_band.value if ticket.expected_band else None,
        sources=tuple(
            (source.article_id, source.section_id) for source in ticket.expected_sources if source.role == "answer"
        ),
        facts=ticket.expected_facts,
        intent=ticket.intent_label,
        must_not_auto=ticket.must_not_auto,
    )


def write(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write rows as JSON lines, whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text("".join(row.model_dump_json() + "\n" for row in predictions), encoding="utf-8")
    part.rename(path)

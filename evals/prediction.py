"""One row of `predictions.jsonl`: what the pipeline decided and said about one ticket."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from evals.dataset import LabelledTicket
from evals.scorers import HANDOFF, Answer, Label, Reference
from processors.selective import signals
from schemas.event import Value
from schemas.gate import ReplyApproved, SentenceCheck, TicketEscalated
from schemas.resolution import Draft
from schemas.retrieval import Evidence
from schemas.router import Band, Route, Tier


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
    """The pipeline's answer to one ticket. `answer` is the draft whatever became of it; empty without one.

    A ticket taken only part of the way (`sluice eval --stage`) is a hand-over by the rule `stopped-at-<stage>`.
    """

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
    p_good: float | None = None  # P(the answer is good), where the deployment has learned to tell
    reasons: tuple[str, ...]
    facts_shown: tuple[str, ...]
    model: str | None
    tokens_in: int
    tokens_out: int
    cost_usd: float
    latency_ms: float
    signals: dict[str, float] = Field(default_factory=dict)  # what P(good) is computed from; empty without a draft


@dataclass(frozen=True)
class Walked:
    """How far a ticket was taken: what each stage made of it, None from the one it did not reach."""

    route: Route
    evidence: Evidence | None = None
    draft: Draft | None = None
    event: ReplyApproved | TicketEscalated | None = None  # it left the gate


def predicted(id_: str, event: ReplyApproved | TicketEscalated, latency_ms: float) -> Prediction:
    """The row of a ticket that left the gate."""
    return row_of(id_, Walked(event.route, event.evidence, event.draft, event), latency_ms)


def row_of(id_: str, walked: Walked, latency_ms: float, *, stopped: str = "") -> Prediction:
    """The row of a ticket, however far it was taken; `stopped` names the rule where that was not to the end."""
    route, draft, evidence = walked.route, walked.draft, walked.evidence or Evidence()
    decision = walked.event.decision if walked.event else None
    return Prediction(
        id=id_,
        intent=route.intent,
        route_band=route.band.value,
        disposition=decision.disposition.value if decision else HANDOFF,
        rule=decision.rule if decision else stopped,
        tier=route.tier.value,
        confidence=route.confidence,
        sources=tuple(
            RankedSource(article_id=passage.article_id, section_id=passage.section_id, score=passage.score)
            for passage in evidence.passages
        ),
        answer=draft.text if draft else "",
        sentences=_sentences(draft, decision.checks if decision else ()),
        groundedness=decision.groundedness if decision else 0.0,
        p_good=decision.p_good if decision else None,
        reasons=(*route.reasons, *(decision.reasons if decision else ())),
        facts_shown=tuple(fact.record for fact in evidence.facts),
        model=draft.model if draft else None,
        tokens_in=draft.tokens_in if draft else 0,
        tokens_out=draft.tokens_out if draft else 0,
        cost_usd=draft.cost_usd if draft else 0.0,
        latency_ms=latency_ms,
        signals=_signals(walked.event) if walked.event else {},
    )


def _signals(event: ReplyApproved | TicketEscalated) -> dict[str, float]:
    return signals(event.ticket, event.route, event.evidence, event.draft, event.decision.checks)


def refused(id_: str, why: str) -> Prediction:
    """The row of a ticket that no door takes in: a person's."""
    route = Route(intent="unknown", band=Band.ESCALATE, tier=Tier.COMMODITY, confidence=0.0, reasons=(why,))
    return row_of(id_, Walked(route), 0.0, stopped="refused-at-the-door")


def _sentences(draft: Draft | None, checks: Sequence[SentenceCheck]) -> tuple[CheckedSentence, ...]:
    if draft is None:
        return ()
    supported = [check.supported for check in checks]
    supported += [False] * (len(draft.sentences) - len(supported))  # what was not checked is not supported
    return tuple(
        CheckedSentence(
            text=sentence.text,
            article_id=sentence.citation.article_id if sentence.citation else None,
            section_id=sentence.citation.section_id if sentence.citation else None,
            quote=sentence.citation.quote if sentence.citation else None,
            supported=checked,
        )
        for sentence, checked in zip(draft.sentences, supported, strict=False)
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


def line_of(row: Prediction, left_out: Collection[str] = ()) -> str:
    """A row as a line of JSON, without the fields left out."""
    return row.model_dump_json(exclude=set(left_out)) + "\n"


def write(path: Path, predictions: Iterable[Prediction], left_out: Collection[str] = ()) -> None:
    """Write rows as JSON lines, whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text("".join(line_of(row, left_out) for row in predictions), encoding="utf-8")
    part.rename(path)


def read(path: Path) -> list[Prediction]:
    """The rows of a file; a last line that was cut off while it was written is left out.

    Raises:
        ValueError: another line is no row.
    """
    lines = path.read_text(encoding="utf-8").split("\n") if path.is_file() else []
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows += [Prediction.model_validate(json.loads(line))] if line.strip() else []
        except (json.JSONDecodeError, ValidationError):
            if number != len(lines):
                raise ValueError(f"{path}:{number}: not a prediction") from None
    return rows

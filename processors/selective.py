"""P(the answer is good), from what the gate knows of a ticket: the one score that the certificate's threshold is on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from math import exp, isfinite, log, nan

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from processors.certificate import Certification, fingerprint
from processors.groundedness.text import content, plain
from processors.policy import asks_of_record, wish_of
from schemas.gate import SentenceCheck
from schemas.ingress import TicketReceived
from schemas.resolution import Draft
from schemas.retrieval import Evidence, Passage
from schemas.router import Band, Route

RECORD = "crm:"  # how the citation of a customer's record begins
SURE = 0.001  # scores nearer to 0 or 1 than this count as this near: log odds stay finite

SIGNALS = (  # few: a tune split holds a few hundred drafts
    "worst",  # log odds that the worst sentence is supported
    "mean",  # the same of the mean over sentences
    "confidence",  # log odds that the intent is right
    "auto",  # the router's band
    "cited",  # score of the worst passage cited; of the best one found where only records are
    "lead",  # how far the best passage is ahead of the second
    "from-records",  # it tells something out of a customer's record
    "own-record",  # the ticket speaks of the writer's own order, refund or account
    "off-kind",  # one of the two without the other
    "sentences",  # how many, as a logarithm
    "covered",  # share of the ticket's content words in the answer and the headings it cites
    "wish",  # the ticket asks for something to be done
)


class SelectiveError(ValueError):
    """The file is no model of P(good); the message says why."""


# -- what the gate knows


def signals(
    ticket: TicketReceived, route: Route, evidence: Evidence, draft: Draft | None, checks: Sequence[SentenceCheck]
) -> dict[str, float]:
    """What the score is computed from, by the names of `SIGNALS`; empty where there is no draft to judge."""
    if draft is None or not draft.sentences or len(checks) != len(draft.sentences):
        return {}
    told, asked = float(_tells_record(draft)), float(asks_of_record(ticket))
    values = (
        _odds(min(check.score for check in checks)),
        _odds(sum(check.score for check in checks) / len(checks)),
        _odds(route.confidence),
        float(route.band is Band.AUTO),
        *_retrieved(draft, evidence),
        told,
        asked,
        abs(told - asked),
        log(len(draft.sentences)),
        _covered(ticket, draft, evidence),
        float(wish_of(ticket) is not None),
    )
    return dict(zip(SIGNALS, values, strict=True))


def _retrieved(draft: Draft, evidence: Evidence) -> tuple[float, float]:
    """The score of the worst passage cited, and how far the best one found is ahead."""
    found = [passage.score for passage in evidence.passages]
    best = found[0] if found else 0.0
    worst = min((passage.score for passage in cited_of(draft, evidence)), default=best)
    return worst, best - (found[1] if len(found) > 1 else 0.0)


def _covered(ticket: TicketReceived, draft: Draft, evidence: Evidence) -> float:
    asked = set(content(plain(f"{ticket.subject}\n{ticket.body}")))
    headings = " ".join(f"{passage.title} {passage.heading}" for passage in cited_of(draft, evidence))
    told = set(content(plain(f"{draft.text} {headings}")))
    return len(asked & told) / len(asked) if asked else 0.0


def _tells_record(draft: Draft) -> bool:
    names = (sentence.citation.article_id for sentence in draft.sentences if sentence.citation)
    return draft.template is not None or any(name.startswith(RECORD) for name in names)


def cited_of(draft: Draft, evidence: Evidence) -> tuple[Passage, ...]:
    """The passages that a draft cites, best first."""
    keys = {(s.citation.article_id, s.citation.section_id) for s in draft.sentences if s.citation}
    return tuple(passage for passage in evidence.passages if (passage.article_id, passage.section_id) in keys)


def _odds(score: float) -> float:
    """The log odds of a probability; NaN of what is none."""
    if not 0.0 <= score <= 1.0:
        return nan
    kept = min(max(score, SURE), 1 - SURE)
    return log(kept / (1 - kept))


# -- the score


class Selective(BaseModel):
    """A calibrated logistic regression over the signals, and what each intent adds to it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    intents: dict[str, float] = Field(default_factory=dict)  # log odds that an intent adds; an unknown one the least
    slope: float  # Platt's two numbers turn the log odds into a probability
    offset: float
    made_of: dict[str, str | int | float] = Field(default_factory=dict)  # provenance

    @model_validator(mode="after")
    def _fits(self) -> "Selective":
        lengths = {len(self.names), len(self.mean), len(self.scale), len(self.weights)}
        if len(lengths) != 1 or min(self.scale, default=1.0) <= 0 or self.slope < 0:
            raise ValueError("its parts do not fit together")
        return self

    @classmethod
    def parse(cls, text: str) -> "Selective":
        """Read the file.

        Raises:
            SelectiveError: it is none.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise SelectiveError("; ".join(detail["msg"] for detail in error.errors())) from None

    @property
    def hash(self) -> str:
        """SHA-256 of all that decides, hex: the same numbers learned on another day are the same model."""
        return sha256(self.model_dump_json(exclude={"made_of"}).encode()).hexdigest()

    def p_good(self, found: Mapping[str, float], intent: str) -> float | None:
        """The probability that the answer is good; None where a signal is missing or no number."""
        values = [found.get(name, nan) for name in self.names]
        if not all(map(isfinite, values)):
            return None
        terms = zip(values, self.mean, self.scale, self.weights, strict=True)
        score = self.intercept + sum((value - mean) / scale * weight for value, mean, scale, weight in terms)
        score += self.intents.get(intent, min(self.intents.values(), default=0.0))
        return _sigmoid(self.slope * score + self.offset)


def _sigmoid(odds: float) -> float:
    return 1 / (1 + exp(-odds)) if odds > -500 else 0.0


@dataclass(frozen=True)
class Assessment:
    """What the certificate says of one answer."""

    p_good: float | None
    admitted: bool
    threshold: float = 1.0
    void: str | None = "there is none"  # why no certificate is valid for it; None where one is


@dataclass(frozen=True)
class Certified:
    """A score and the certificate on it, as they are in force; without a certificate nothing is admitted."""

    score: Selective | None
    certification: Certification | None
    frozen: str  # hash of what is deployed now; must be what the certificate was issued for

    def assess(
        self,
        ticket: TicketReceived,
        route: Route,
        evidence: Evidence,
        draft: Draft | None,
        checks: Sequence[SentenceCheck],
        now: datetime,
    ) -> Assessment:
        """P(good), and whether the answer may be sent under the certificate."""
        found = signals(ticket, route, evidence, draft, checks)
        p_good = self.score.p_good(found, route.intent) if self.score and found else None
        if self.certification is None or draft is None:
            return Assessment(p_good, admitted=False)
        cited = {fingerprint(passage.text) for passage in cited_of(draft, evidence)}
        certificate = self.certification.of(route.intent)
        if certificate is None:
            return Assessment(p_good, admitted=False, void=f"none covers {route.intent}")
        if not self.certification.sections.issuperset(cited):
            return Assessment(p_good, admitted=False, void="a section cited has changed since it was issued")
        if not certificate.valid(self.frozen, now):
            return Assessment(
                p_good, admitted=False, void="models, policy or trained parts have changed, or its time is over"
            )
        admitted = certificate.admits(p_good, route.intent, self.frozen, now)
        return Assessment(p_good, admitted=admitted, threshold=certificate.threshold, void=None)

"""A ticket with what the help centre and the customer's own records say about it."""

from pydantic import Field

from schemas.event import Aware, Event, Step, Value
from schemas.ingress import TicketReceived
from schemas.router import Admission, Route


class Passage(Value):
    """One H2 section of a help article, in one version."""

    article_id: str
    section_id: str
    version: int  # of the article, from 1
    title: str
    heading: str
    text: str
    url: str | None = None
    language: str = "en"
    score: float  # 0-1: how well the section answers; the one compared with the threshold
    scores: dict[str, float] = Field(default_factory=dict)  # its parts: fulltext, vector, fused rank
    review_by: Aware | None = None
    stale: bool = False  # past its review date when it was found


class Fact(Value):
    """One record of the proved customer, as it is shown to a model."""

    record: str  # "crm:order/W10023": what a citation names as its article
    kind: str  # order, refund, subscription, account
    fields: dict[str, str]

    @property
    def text(self) -> str:
        """The record as `field: value` lines: what a sentence that cites it quotes."""
        return "\n".join(f"{name}: {value}" for name, value in self.fields.items())


class Evidence(Value):
    """What was found, or why nothing was."""

    passages: tuple[Passage, ...] = ()  # best first, all above the threshold
    facts: tuple[Fact, ...] = ()  # only ever of the proved customer
    conflicts: tuple[str, ...] = ()  # "gift-cards#validity and faq#gift-cards disagree: 24 months, 36 months"
    best_score: float = 0.0  # of the best passage, whether or not it passed the threshold
    failure: str | None = None  # why the evidence is missing or incomplete; None when retrieval worked


class EvidenceFound(Event):
    """A routed ticket with its evidence."""

    ticket: TicketReceived
    admission: Admission
    route: Route
    evidence: Evidence
    steps: tuple[Step, ...] = ()

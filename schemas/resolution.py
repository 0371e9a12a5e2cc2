"""A ticket with a drafted reply, every sentence cited."""

from schemas.event import Event, Step, Value
from schemas.ingress import TicketReceived
from schemas.retrieval import Evidence
from schemas.router import Admission, Route


class Citation(Value):
    """Where a sentence comes from: a section of an article, or a record of the customer."""

    article_id: str  # an article's id, or "crm:<kind>/<id>"
    section_id: str | None = None  # None for a record
    quote: str  # verbatim span of the source


class Sentence(Value):
    """One sentence of a draft. Without a citation it can never be sent by itself."""

    text: str
    citation: Citation | None = None


class Draft(Value):
    """A reply as a model wrote it, and what it cost."""

    sentences: tuple[Sentence, ...]
    model: str  # provider/name
    prompt_hash: str  # SHA-256 of the prompt file, hex: its version
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    template: str | None = None  # the order-state template filled from records, if one was

    @property
    def text(self) -> str:
        """The sentences as one text."""
        return " ".join(sentence.text for sentence in self.sentences)


class ReplyDrafted(Event):
    """A ticket with its draft, or with the reason why there is none."""

    ticket: TicketReceived
    admission: Admission
    route: Route
    evidence: Evidence
    draft: Draft | None = None
    failure: str | None = None  # why there is no draft; None when there is one
    steps: tuple[Step, ...] = ()

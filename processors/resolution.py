"""A drafted reply, every sentence cited: from a record by template, else from the first model with a usable answer."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydantic import BaseModel, ConfigDict, Field

from processors import templates
from processors.errors import DependencyDown, ModelFailed, Retryable, TryLater
from processors.memory import line_of, recalled
from processors.ports import Completion, Ledger, LedgerEntry, LedgerHead, Model, Prompt, Shown, SwitchView
from processors.records import Kinds
from schemas.control import SwitchState
from schemas.event import Stage
from schemas.resolution import Citation, Draft, Sentence
from schemas.retrieval import EvidenceFound, Passage
from schemas.router import Author, Band, Tier

TRANSCRIPT_MESSAGES = 6  # the newest ones; more is rarely about the same question
MAX_SENTENCES = 12
EARLIER_FIELDS = ("received_at", "subject", "intent", "outcome", "answer")


# -- what a model is shown, and what it answers


class _Payload(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ShownMessage(_Payload):
    """A message of the conversation before this one."""

    author: Author
    text: str


class ShownPassage(_Payload):
    """A section as a model sees it."""

    article_id: str
    section_id: str
    title: str
    heading: str
    text: str


class ShownFact(_Payload):
    """A record as a model sees it."""

    record: str
    kind: str
    fields: dict[str, str]
    text: str  # the fields as lines: what a quote is taken from


class DraftRequest(_Payload):
    """The user message of a drafting call. `question`, `transcript` and `earlier` hold a stranger's words."""

    question: str
    transcript: tuple[ShownMessage, ...] = ()
    earlier: tuple[str, ...] = ()  # this customer's tickets in other conversations, a line each, oldest first
    passages: tuple[ShownPassage, ...] = ()  # best first
    facts: tuple[ShownFact, ...] = ()
    language: str | None = None  # ISO 639-1


class DraftSentence(_Payload):
    """A sentence and where it comes from."""

    text: str = Field(max_length=1_000)
    article_id: str = Field(max_length=200)
    section_id: str | None = Field(max_length=200)
    quote: str = Field(max_length=2_000)


class DraftReply(_Payload):
    """What a drafting model answers. No sentences: the sources do not answer the question."""

    sentences: tuple[DraftSentence, ...] = Field(max_length=MAX_SENTENCES)


@dataclass(frozen=True)
class PromptFile:
    """A prompt and its version."""

    text: str
    hash: str  # SHA-256, hex


def load_prompt(text: str) -> PromptFile:
    """The prompt with the hash that is recorded beside every answer."""
    return PromptFile(text, hashlib.sha256(text.encode()).hexdigest())


# -- drafting


@dataclass(frozen=True)
class DraftResult:
    """A draft, or why there is none; and where the ledger stands after the calls."""

    draft: Draft | None = None
    failure: str | None = None
    heads: tuple[LedgerHead, ...] = ()


async def draft(  # noqa: PLR0913 - three ports and four values of the configuration
    found: EvidenceFound,
    *,
    models: Mapping[Tier, Sequence[Model]],
    ledger: Ledger,
    switch_view: SwitchView,
    prompt: PromptFile,
    deadline: float,
    kinds: Kinds = templates.NO_KINDS,
) -> DraftResult:
    """Draft the reply; `deadline` is the time of one model call in seconds, `kinds` the records the policy adds.

    The models of the route's tier are asked in order, then those of the other tier, until one gives a usable
    answer. Before each call the ledger holds what is about to be shown.

    Raises:
        DependencyDown: the ledger, or every model that could still answer, is down.
        TryLater: no model gave an answer now, but one of them may later.
    """
    reason = _no_draft(found, switch_view)
    if reason:
        return DraftResult(failure=reason)
    if filled := templates.fill(_question(found), found.route.intent, found.evidence.facts, kinds):
        return DraftResult(filled)
    if templates.needs_record(_question(found), found.route.intent, kinds):
        return DraftResult(failure=_NO_RECORD[found.admission.customer_id is not None])
    if not (found.evidence.passages or found.evidence.facts):
        return DraftResult(failure="no confident source")
    request = request_of(found)
    return await _ask(found, request, _in_order(models, found.route.tier), ledger, prompt, deadline)


_NO_RECORD = {
    True: "asks about a record, and which of this customer's records is meant is not clear",
    False: "asks about a record, and who is writing is not proved",
}


def _no_draft(found: EvidenceFound, switch: SwitchView) -> str | None:
    """Why no model is called for this ticket, if none is."""
    if found.route.band is Band.ESCALATE:
        return "escalated by the router: no model is called"
    if switch.state is SwitchState.OFF:
        return f"the switch is off: {switch.why}"
    strange = templates.unknown_ids(_question(found), found.evidence.facts)
    return f"names {', '.join(strange)}, which is not among this customer's records" if strange else None


def request_of(found: EvidenceFound) -> DraftRequest:
    """Everything a drafting model is shown of a ticket."""
    return DraftRequest(
        question=_question(found),
        transcript=tuple(
            ShownMessage(author=message.author, text=message.text)
            for message in found.admission.transcript[-TRANSCRIPT_MESSAGES:]
        ),
        earlier=tuple(map(line_of, recalled(found.admission))),
        passages=tuple(_shown_passage(passage) for passage in found.evidence.passages),
        facts=tuple(ShownFact(**fact.model_dump(), text=fact.text) for fact in found.evidence.facts),
        language=found.ticket.language,
    )


def _shown_passage(passage: Passage) -> ShownPassage:
    return ShownPassage(
        article_id=passage.article_id,
        section_id=passage.section_id,
        title=passage.title,
        heading=passage.heading,
        text=passage.text,
    )


def _question(found: EvidenceFound) -> str:
    return "\n".join(part for part in (found.ticket.subject.strip(), found.ticket.body.strip()) if part)


def _in_order(models: Mapping[Tier, Sequence[Model]], tier: Tier) -> list[Model]:
    """The tier's models, then the other tier's; each name once."""
    tiers = [tier, *(other for other in models if other is not tier)]
    return list({model.name: model for tier in tiers for model in models.get(tier, ())}.values())


async def _ask(
    found: EvidenceFound,
    request: DraftRequest,
    models: Sequence[Model],
    ledger: Ledger,
    prompt: PromptFile,
    deadline: float,
) -> DraftResult:
    heads: list[LedgerHead] = []
    spent: list[Completion[DraftReply]] = []
    failures: list[ModelFailed | Retryable] = []
    shown = _shown(found)
    message = Prompt(system=prompt.text, user=request.model_dump_json(), hash=prompt.hash)
    for model in models:
        heads.append(await ledger.append(_entry(found, model, prompt, shown)))
        try:
            spent.append(await model.complete(message, DraftReply, deadline))
            sentences = _checked(spent[-1].value, request, prompt)
        except (ModelFailed, Retryable) as error:
            failures.append(error)
        else:
            return DraftResult(_draft(sentences, spent, prompt), heads=tuple(heads))
    _raise_if_later(failures)
    return DraftResult(failure="; ".join(map(str, failures)) or "no model is bound", heads=tuple(heads))


def _raise_if_later(failures: Sequence[ModelFailed | Retryable]) -> None:
    """Nothing is decided while a model that may answer later has not been heard.

    All down is an outage: the stage waits in place. Otherwise some server does answer, so it is this ticket's
    passing fault. Only where every model gave a final answer is the ticket a person's.
    """
    later = [failure for failure in failures if isinstance(failure, Retryable)]
    if later and all(isinstance(failure, DependencyDown) for failure in failures):
        raise later[0]
    if later:
        waits = [failure.after for failure in later if isinstance(failure, TryLater) and failure.after is not None]
        raise TryLater("; ".join(map(str, failures)), min(waits, default=None))


# -- the ledger


def _entry(found: EvidenceFound, model: Model, prompt: PromptFile, shown: tuple[Shown, ...]) -> LedgerEntry:
    return LedgerEntry(
        ticket_id=found.ticket.ticket_id,
        revision=found.admission.revision,
        customer_id=found.admission.customer_id,
        stage=Stage.RESOLUTION.value,
        model=model.name,
        prompt_hash=prompt.hash,
        shown=shown,
    )


def _shown(found: EvidenceFound) -> tuple[Shown, ...]:
    """Every field of the request, by where it comes from."""
    own = Shown("ticket", str(found.ticket.ticket_id), ("subject", "body", "language"))
    messages = found.admission.transcript[-TRANSCRIPT_MESSAGES:]
    transcript = [Shown("transcript", found.ticket.conversation, tuple(m.at.isoformat() for m in messages))]
    return (
        own,
        *(transcript if messages else ()),
        *(Shown("earlier", ticket.ticket_id, EARLIER_FIELDS) for ticket in recalled(found.admission)),
        *(Shown("passage", _place(passage), ("title", "heading", "text")) for passage in found.evidence.passages),
        *(Shown("fact", fact.record, tuple(fact.fields)) for fact in found.evidence.facts),
    )


def _place(passage: Passage) -> str:
    return f"{passage.article_id}#{passage.section_id}@{passage.version}"


# -- what a model answered


def _draft(sentences: tuple[Sentence, ...], spent: Sequence[Completion[DraftReply]], prompt: PromptFile) -> Draft:
    return Draft(
        sentences=sentences,
        model=spent[-1].model,
        prompt_hash=prompt.hash,
        tokens_in=sum(completion.tokens_in for completion in spent),
        tokens_out=sum(completion.tokens_out for completion in spent),
        cost_usd=sum(completion.cost_usd for completion in spent),
    )


def _checked(reply: DraftReply, request: DraftRequest, prompt: PromptFile) -> tuple[Sentence, ...]:
    """The reply's sentences, if each cites what the model was shown, and none tells the prompt.

    Raises:
        ModelFailed: there is no sentence, or one without text or quote, or one that cites something else or repeats
            the prompt.
    """
    if not reply.sentences:
        raise ModelFailed("the sources do not answer the question")
    sources: dict[tuple[str, str | None], str] = {(fact.record, None): fact.text for fact in request.facts}
    for passage in request.passages:
        sources[passage.article_id, passage.section_id] = passage.text
    sentences = tuple(_sentence(sentence, sources) for sentence in reply.sentences)
    told = " ".join(part for s in reply.sentences for part in (s.text, s.quote))
    if repeats(told, prompt.text, " ".join(sources.values())):
        raise ModelFailed("repeats its instructions")
    return sentences


def _sentence(answered: DraftSentence, sources: Mapping[tuple[str, str | None], str]) -> Sentence:
    source = sources.get((answered.article_id, answered.section_id))
    if source is None:
        raise ModelFailed(f"cites {answered.article_id}#{answered.section_id}, which it was not shown")
    text = without_links(answered.text, source).strip()
    if not (text and answered.quote.strip()):
        raise ModelFailed("a sentence has no text or no quote")
    citation = Citation(article_id=answered.article_id, section_id=answered.section_id, quote=answered.quote)
    return Sentence(text=text, citation=citation)


REPEATED = 7  # words in a row: fewer are said by chance


def repeats(text: str, prompt: str, source: str) -> bool:
    """Whether a text says words of the prompt that no source says (OWASP LLM07:2025, system prompt leakage)."""
    own = _runs(prompt) & _runs(text)
    return bool(own and own - _runs(source))


@lru_cache(maxsize=8)  # the prompt is asked for again and again
def _runs(text: str) -> frozenset[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return frozenset(zip(*(words[start:] for start in range(REPEATED)), strict=False))


_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)|<img\b[^>]*>", re.IGNORECASE)
_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]*)[^)]*\)|<a\b[^>]*>(?P<inner>.*?)</a>", re.IGNORECASE)
_ADDRESS = re.compile(r"<?\b(?:https?://|ftp://|mailto:|www\.)[^\s<>()]+[^\s<>().,;:!?]>?", re.IGNORECASE)


def without_links(text: str, source: str) -> str:
    """The text without images, and without links and web addresses that its source does not contain."""
    text = _IMAGE.sub("", text)
    text = _LINK.sub(lambda match: match["text"] or match["inner"] or "", text)
    return _ADDRESS.sub(lambda match: match[0] if match[0].strip("<>") in source else "", text)

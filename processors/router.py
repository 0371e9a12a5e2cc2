"""How far a ticket may go without a person: hard rules, then a classifier, then the policy. Never an answer."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from pydantic import Field

from processors.errors import ModelFailed, Retryable
from processors.policy import Policy, RuleHit, Thresholds, amount_rule, asks_of_record, hard_rule, strictness, wish_of
from processors.ports import Classification, Classifier, Ledger, LedgerEntry, Model, Prompt, Shown, SwitchView
from processors.segments import Segment, clauses, is_aside, is_english, leans, segments
from schemas.control import SwitchState
from schemas.event import Probability, Value
from schemas.ingress import Channel, TicketReceived
from schemas.router import Admission, Author, Band, Route, Tier

NOTHING_TO_READ = "nothing_to_read"
UNKNOWN = "unknown"  # the intent of a ticket that no classifier has read
MAX_PARTS = 30  # sentences; who says more is read by a person
COVERED = 0.5  # P(a part is about what may be answered) from which it is taken for that
SAME_TOPIC = 0.2  # P(a part is about the same as the whole) from which it is taken for that
ADDED = 0.55  # P(topic) of a statement after the question from which it is a matter of its own
CONTEXT = 0.9  # the same of one before the question, which mostly leads up to it
ELLIPTIC = 3  # words; a question of no more ("After how long?") leans on the sentence before it
NOTHING = ("", UNKNOWN, "out_of_scope")  # a part of no topic is unsure: by itself it is no reason to hand over
SHORT = 40  # characters; a shorter message is read together with the one before it


async def route(
    ticket: TicketReceived,
    admission: Admission,
    *,
    policy: Policy,
    classifier: Classifier,
    ledger: Ledger | None = None,
    switch: SwitchView | None = None,
) -> Route:
    """Route a ticket. Whatever is unknown, unsure or unreadable goes to a person.

    A classifier that shows the ticket to a prompted model needs the ledger, and is not asked while the switch is off.

    Raises:
        DependencyDown: the classifier's server or the ledger does not answer.
        TryLater: a passing fault of the classifier's model.
    """
    text = readable(ticket, admission)
    hit = hard_rule(ticket, admission.transcript, policy) or _unreadable(ticket, text, policy)
    hit = hit or _switched_off(classifier, switch)
    if hit:
        return await _filed(hit, text, policy, classifier)
    await _record(ticket, admission, classifier, ledger)
    try:
        found = await classifier.classify(text)
    except ModelFailed as error:
        return _to_person(UNKNOWN, RuleHit("classifier_failed", f"the classifier gave no usable answer: {error}"))
    doubt = amount_rule(found.intent, text, policy) or _doubt(found, _alike(found, ticket, policy), policy.thresholds)
    if doubt:
        return _to_person(found.intent, doubt, found)
    limits = [*_limits(ticket, admission, found, policy)]
    if not limits:
        limits = [limit async for limit in _parts(ticket, found, policy, classifier)]
    return _within_policy(found, limits, policy)


def readable(ticket: TicketReceived, admission: Admission) -> str:
    """What a classifier reads: subject and body, and the customer's last message where the body is very short."""
    earlier = [message.text for message in admission.transcript if message.author is Author.CUSTOMER]
    parts = [ticket.subject, ticket.body, *(earlier[-1:] if len(ticket.body.strip()) < SHORT else ())]
    return "\n".join(part.strip() for part in parts if part.strip())


async def _filed(hit: RuleHit, text: str, policy: Policy, classifier: Classifier) -> Route:
    """To a person, under the topic of the policy, else the one that a local classifier names: no model is prompted."""
    intent = policy.intent_of(hit.name)
    if intent != UNKNOWN or classifier.prompt_hash is not None or hit.name == NOTHING_TO_READ:
        return _to_person(intent, hit)
    try:
        found = await classifier.classify(text)
    except (ModelFailed, Retryable):  # the topic is a help; the hand-over must succeed without
        return _to_person(UNKNOWN, hit)
    return _to_person(found.intent, hit, found)


def _unreadable(ticket: TicketReceived, text: str, policy: Policy) -> RuleHit | None:
    if not any(sign.isalnum() for sign in text) or not f"{ticket.subject}{ticket.body}".strip():
        return RuleHit(NOTHING_TO_READ, "the message has no text")
    if ticket.language is not None and ticket.language not in policy.languages:
        return RuleHit("language", f"written in {ticket.language!r}, which the help centre does not cover")
    return None


def _switched_off(classifier: Classifier, switch: SwitchView | None) -> RuleHit | None:
    if classifier.prompt_hash is None or switch is None or switch.state is not SwitchState.OFF:
        return None
    return RuleHit("switched_off", f"the switch is off: {switch.why}")


async def _record(ticket: TicketReceived, admission: Admission, classifier: Classifier, ledger: Ledger | None) -> None:
    """Write down what a prompted model is about to be shown."""
    if classifier.prompt_hash is None:
        return
    if ledger is None:
        raise ValueError(f"{classifier.name} shows tickets to a model: it needs the ledger")
    shown = Shown("ticket", str(ticket.ticket_id), ("subject", "body"))
    entry = LedgerEntry(
        ticket_id=ticket.ticket_id,
        revision=admission.revision,
        customer_id=admission.customer_id,
        stage="router",
        model=classifier.name,
        prompt_hash=classifier.prompt_hash,
        shown=(shown, *([Shown("transcript", ticket.conversation, ("text",))] if len(ticket.body) < SHORT else [])),
    )
    await ledger.append(entry)


def _alike(found: Classification, ticket: TicketReceived, policy: Policy) -> float:
    """P(the right topic is one that the policy treats no more strictly than the topic found).

    To be unsure between two topics that may both be answered does no harm: what is searched is the text.
    """
    limit = strictness(policy.ceiling(found.intent, ticket.channel)[0])
    others = (p for intent, p in found.alternatives if strictness(policy.ceiling(intent, ticket.channel)[0]) >= limit)
    return found.confidence + sum(others)


def _doubt(found: Classification, alike: float, least: Thresholds) -> RuleHit | None:
    """Why this classification is not good enough to act on. Comparisons are written so that NaN is not enough."""
    if found.intent in ("", UNKNOWN):
        return RuleHit("unknown_intent", "the topic is not one of those we know")
    if not alike >= least.min_confidence:
        return RuleHit("low_confidence", f"unsure of the topic: {found.intent} with {found.confidence:.0%}")
    if not found.in_scope >= least.min_in_scope:
        return RuleHit("out_of_scope", f"probably not about anything we answer: in scope with {found.in_scope:.0%}")
    if not found.agreed and not alike >= least.sure_confidence:
        return RuleHit("disagreement", f"two models disagree on the topic: {found.intent} with {found.confidence:.0%}")
    return None


def _within_policy(found: Classification, limits: "Sequence[_Limit]", policy: Policy) -> Route:
    limits = sorted(limits, key=lambda limit: strictness(limit.band))
    mid = found.confidence < policy.thresholds.sure_confidence
    return Route(
        intent=found.intent,
        band=limits[0].band if limits else Band.AUTO,
        tier=Tier.FRONTIER if mid or found.intent in policy.frontier else Tier.COMMODITY,
        confidence=found.confidence,
        rule=limits[0].rule if limits else None,
        reasons=tuple(limit.reason for limit in limits),
        model=found.model,
    )


@dataclass(frozen=True)
class _Limit:
    """What keeps a ticket below auto."""

    band: Band
    rule: str
    reason: str


def _limits(ticket: TicketReceived, admission: Admission, found: Classification, policy: Policy) -> Iterator[_Limit]:
    band, line = policy.ceiling(found.intent, ticket.channel)
    if band is not Band.AUTO:
        yield _Limit(band, line, f"the policy allows no more: {line}")
    if ticket.marks.automatic:
        yield _Limit(Band.SUGGEST, "automatic_message", "a machine wrote this message: it gets no automatic answer")
    if admission.owner != "bot":
        yield _Limit(Band.SUGGEST, "owned_by_person", "a person has taken this conversation over")
    if ticket.channel is Channel.WHATSAPP and ticket.attachments:
        yield _Limit(Band.SUGGEST, "unseen_picture", "what was sent beside the words is part of the question")
    wish = wish_of(ticket)
    if wish:
        yield _Limit(
            Band.SUGGEST, "action_requested", f'asks for something to be done, which only a person can: "{wish}"'
        )
    if admission.customer_id is None and policy.facts_for(found.intent) and asks_of_record(ticket):
        yield _Limit(Band.SUGGEST, "identity_unproved", "asks about a record, and who is writing is not proved")


# -- part by part


async def _parts(
    ticket: TicketReceived, found: Classification, policy: Policy, classifier: Classifier
) -> AsyncIterator["_Limit"]:
    """What a part of the message keeps from auto: an easy question beside it says nothing of it.

    Asked only of what would else be answered, as it costs a classification a sentence.
    """
    parts = segments(ticket.subject, ticket.body)
    if len(parts) > MAX_PARTS:
        yield _Limit(Band.SUGGEST, "many_parts", f"says more than {MAX_PARTS} things")
        return
    alone = len(parts) == 1 and not ticket.subject.strip()
    for part in parts:
        before = _told_before(part, parts)
        if policy.languages == ("en",) and not part.title and not is_english(part.text):
            yield _Limit(
                Band.SUGGEST, "part_language", f"a part of it may be in another language: {_quoted(part.text)}"
            )
        try:
            own = found if alone else await classifier.classify(part.text)
            limit = _limit_of(part, own, ticket, found, policy)
            if limit and before and _may_lean(limit, own):
                own = await classifier.classify(f"{before} {part.text}")
                limit = _limit_of(part, own, ticket, found, policy)
            if limit is None and classifier.prompt_hash is None:  # a prompted model reads a sentence whole
                limit = await _hidden(part, ticket, policy, classifier)
        except ModelFailed as error:
            limit = _Limit(Band.SUGGEST, "part_unread", f"a part of it cannot be read ({error}): {_quoted(part.text)}")
        if limit:
            yield limit


def _told_before(part: Segment, parts: Sequence[Segment]) -> str:
    """What the only question of a message leans on: the sentence before it. Empty where it stands by itself."""
    told = [other for other in parts if not other.title]
    place = told.index(part) if part in told else 0
    only = part.asks and sum(other.asks for other in told) == 1
    return told[place - 1].text if place and only and leans(part.text) else ""


def _may_lean(limit: "_Limit", own: Classification) -> bool:
    """Whether a question that points back may be another when read with what it points at."""
    return limit.rule == "unsure_part" or (limit.rule == "second_question" and own.confidence < CONTEXT)


def _limit_of(
    part: Segment, own: Classification, ticket: TicketReceived, found: Classification, policy: Policy
) -> _Limit | None:
    """Why this part must not be answered by itself, or is not answered by what answers the whole."""
    least = policy.thresholds
    band, line = policy.ceiling(own.intent, ticket.channel)
    alike = _alike(own, ticket, policy)
    known = own.in_scope >= least.min_in_scope
    named = own.intent not in NOTHING and band is Band.ESCALATE
    vague = own.intent in NOTHING or not known or own.confidence < least.min_confidence
    if vague and is_aside(part.text):
        return None
    if named and known and own.agreed and own.confidence >= least.sure_confidence:
        return _Limit(band, line, f"a part of it is {own.intent.replace('_', ' ')}: {_quoted(part.text)}")
    if part.title:
        return None
    answered = alike if band is Band.AUTO else 1 - alike
    if not (answered >= COVERED and known):
        return _Limit(Band.SUGGEST, "unsure_part", f"unsure what a part of it is about: {_quoted(part.text)}")
    if own.intent == found.intent or dict(own.alternatives).get(found.intent, 0.0) >= SAME_TOPIC:
        return None
    topic = own.intent.replace("_", " ")
    if part.asks and len(part.text.split()) > ELLIPTIC:
        return _Limit(Band.SUGGEST, "second_question", f"asks about {topic} too: {_quoted(part.text)}")
    if not part.asks and own.confidence >= (ADDED if part.after_question else CONTEXT):
        return _Limit(Band.SUGGEST, "second_topic", f"speaks of {topic} too: {_quoted(part.text)}")
    return None


async def _hidden(part: Segment, ticket: TicketReceived, policy: Policy, classifier: Classifier) -> _Limit | None:
    """A clause that by itself is surely a person's."""
    sure = policy.thresholds.sure_confidence
    for clause in clauses(part.text):
        own = await classifier.classify(clause)
        band, line = policy.ceiling(own.intent, ticket.channel)
        if band is Band.ESCALATE and own.agreed and own.in_scope >= sure and own.confidence >= sure:
            return _Limit(Band.SUGGEST, line, f"a part of it may be {own.intent.replace('_', ' ')}: {_quoted(clause)}")
    return None


def _quoted(text: str) -> str:
    return f'"{text[:80]}"'


def _to_person(intent: str, hit: RuleHit, found: Classification | None = None) -> Route:
    confidence = found.confidence if found and 0.0 <= found.confidence <= 1.0 else 0.0
    return Route(
        intent=intent or UNKNOWN,
        band=Band.ESCALATE,
        tier=Tier.COMMODITY,
        confidence=confidence,
        rule=hit.name,
        reasons=(hit.reason,),
        model=found.model if found else "",
    )


# -- any model as the classifier


class ClassifyRequest(Value):
    """What a prompted classifier is shown."""

    ticket: str
    intents: tuple[str, ...]


class ClassifyReply(Value):
    """What a prompted classifier answers. Its confidence is its own word, not calibrated."""

    intent: str = Field(max_length=80)
    confidence: Probability
    in_scope: Probability


@dataclass(frozen=True)
class ModelClassifier:
    """Any model as a classifier. Nobody seconds it, so it never counts as agreed."""

    model: Model
    intents: Sequence[str]
    instructions: str  # the text of processors/prompts/router.md
    deadline: float = 10.0  # seconds
    prompt_hash: str = field(init=False)

    def __post_init__(self) -> None:
        """Take the prompt's hash as its version."""
        object.__setattr__(self, "prompt_hash", sha256(self.instructions.encode()).hexdigest())

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    async def classify(self, text: str) -> Classification:
        """Ask the model.

        Raises:
            ModelFailed: the answer is not of the schema, or names an intent that was not offered.
        """
        request = ClassifyRequest(ticket=text, intents=tuple(self.intents))
        prompt = Prompt(system=self.instructions, user=request.model_dump_json(), hash=self.prompt_hash)
        reply = (await self.model.complete(prompt, ClassifyReply, self.deadline)).value
        if reply.intent not in self.intents:
            raise ModelFailed(f"{self.name} names an intent that was not offered")
        return Classification(reply.intent, reply.confidence, reply.in_scope, agreed=False, model=self.name)

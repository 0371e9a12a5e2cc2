"""The policy: what may be answered without a person, and the hard rules that no model overrules."""

import re
import tomllib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from processors.amounts import Amount, largest
from processors.folding import fold, hidden, readings, spelt_out
from processors.rules import ACTION, MONEY_BACK, OWN_RECORD, RULES
from schemas.event import Probability
from schemas.gate import Disposition
from schemas.ingress import Channel, TicketReceived
from schemas.router import Author, Band, Message

KINDS = ("order", "refund", "subscription", "account")  # of records that Sluice knows without the policy
FactKind = str  # one of those, or one of the policy's [records]
FieldName = Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9_]*$")]
Minutes = Annotated[int, Field(gt=0)]
AMOUNT_RULE = "amount_over_limit"
TOO_LONG_RULE = "too_long"
RULE_NAMES = (*(rule.name for rule in RULES), AMOUNT_RULE, TOO_LONG_RULE)


MAX_QUOTED = 100_000  # characters of a mail with all it quotes; comparing more with what is known takes too long
MAX_SENTENCES = 3000  # of the same
_QUOTE_MARKS = re.compile(r"^(?:\s*>)+")
_SENTENCE_END = re.compile(r"(?<=[.!?:])\s+")
_NOTICE = re.compile(  # below every mail of some companies; its words on law threaten nobody
    r"\b(?:this|the) (?:e-?mail|message|communication)\b.{0,120}\b(?:confidential|privileged"
    r"|intended (?:only|solely|for))"
    r"|\bif you (?:are not|have received)\b.{0,80}\b(?:recipient|in error|by mistake)",
    re.IGNORECASE | re.DOTALL,
)


class PolicyError(ValueError):
    """The policy file cannot be used; the message names each table and field to change."""


@dataclass(frozen=True)
class RuleHit:
    """A hard rule that fired, and what to tell the person who takes the ticket."""

    name: str
    reason: str


class _Table(BaseModel):
    """A table of the file: a key it does not know is a mistake, not an extension."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Thresholds(_Table):
    """How sure the classifier has to be."""

    min_confidence: Probability  # below: to a person
    min_in_scope: Probability  # below: to a person
    sure_confidence: Probability  # below: two models that disagree send it to a person, else the frontier model drafts

    @model_validator(mode="after")
    def _ordered(self) -> "Thresholds":
        if self.sure_confidence < self.min_confidence:
            raise ValueError("sure_confidence must not be below min_confidence")
        return self


class HardRules(_Table):
    """The parts of the hard rules that a deployment sets; the rules themselves cannot be switched off."""

    amount_limit: Decimal = Field(ge=0)  # in any currency; more than this, claimed back, goes to a person
    amount_intents: tuple[str, ...] = ()  # intents that mean money back even when the text does not say so
    max_characters: int = Field(20_000, gt=0, le=200_000)  # a longer message is read by a person
    phrases: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # a rule's name to further phrases that fire it
    intents: dict[str, str] = Field(default_factory=dict)  # the intent under which a rule's tickets are filed

    @model_validator(mode="after")
    def _known(self) -> "HardRules":
        for name in (*self.phrases, *self.intents):
            if name not in RULE_NAMES:
                raise ValueError(f"{name!r} is no hard rule: use {', '.join(RULE_NAMES)}")
        for name, phrases in self.phrases.items():
            if not all(map(fold, phrases)):
                raise ValueError(f"phrases.{name}: an empty phrase would fire on every message")
        return self


class Minuted(_Table):
    """Minutes by channel, with one value for the channels not named."""

    default: Minutes
    api: Minutes | None = None
    email: Minutes | None = None
    chat: Minutes | None = None
    whatsapp: Minutes | None = None
    helpdesk: Minutes | None = None

    def of(self, channel: Channel) -> int:
        """The minutes of a channel."""
        named: int | None = getattr(self, channel.value, None)
        return self.default if named is None else named


class Sla(_Table):
    """Minutes until a person should have acted."""

    handoff: Minutes
    suggest: Minutes


class Automatic(_Table):
    """What automatic e-mail and WhatsApp messages say of themselves, below their text."""

    disclosure: str = Field(
        'An AI system wrote this answer. To reach a person, answer "I want to speak to a person".',
        min_length=1,
        max_length=1000,
    )
    note: str = Field("This note was sent automatically.", min_length=1, max_length=1000)


class Email(_Table):
    """When automatic e-mail stops talking to what may be a machine too (RFC 3834)."""

    quick_seconds: int = Field(120, ge=0, le=86_400)  # a reply sooner after an automatic one is a machine's
    replies: int = Field(1, ge=1, le=20)  # automatic ones a conversation, or an unproved address, gets within a window
    window_minutes: int = Field(1440, gt=0, le=43_200)
    sender_replies: int = Field(3, ge=1, le=100)  # automatic ones a proved address gets within an hour, all told


class Overload(_Table):
    """When so much waits that what comes late is drafted for a person instead of sent (cf. RFC 8289: the wait, not
    the queue's length, tells an overload).
    """

    shed_after_seconds: int | None = Field(None, gt=0, le=604_800)  # a ticket's age at the gate; None: however old


class GuardPolicy(_Table):
    """How many bad answers the live guard puts up with before it stops their intent, or everything."""

    budget: float = Field(0.021, gt=0, lt=0.5)  # of the audited answers
    signal_budget: float = Field(0.15, gt=0, lt=0.5)  # tickets reopened and drafts mended: many are about other things
    reopened_hours: int = Field(72, ge=0, le=8760)  # who writes again so soon was not helped; 0: does not count
    machine_audits: bool = False  # whether a machine's audit counts as a person's


class RecordKind(_Table):
    """A further kind of record that an answer may tell of. What it does not name is never told."""

    name: str = Field(pattern="^[A-Za-z][A-Za-z ]*$", max_length=60)  # as customers call it: "debit card"
    intent: str  # the topic of questions that only such a record answers
    tells: tuple[FieldName, ...] = Field(min_length=2, max_length=12)  # fields in their order, that of its id first
    known_by: tuple[FieldName, ...] = ()  # fields whose words tell one of a customer's records from another


class Auto(_Table):
    """What an answer needs to be sent by itself, beside an intent and a channel that allow it."""

    certificate: Literal["required", "waived"] = "required"  # waived: no promise bounds the rate of bad answers


class Policy(_Table):
    """What `policy.toml` says. Default-deny: an intent or channel it does not list is never answered automatically."""

    languages: tuple[Annotated[str, Field(pattern="^[a-z]{2}$")], ...]  # ISO 639-1, those of the help centre
    thresholds: Thresholds
    hard_rules: HardRules
    channels: dict[Channel, Band]
    intents: dict[str, Band]
    facts: dict[str, tuple[FactKind, ...]] = Field(default_factory=dict)
    records: dict[str, RecordKind] = Field(default_factory=dict)
    frontier: tuple[str, ...] = ()  # intents whose drafts the frontier model writes
    sla_minutes_of: Sla = Field(alias="sla_minutes")
    acknowledge: dict[Channel, Annotated[str, Field(min_length=1, max_length=1000)]] = Field(default_factory=dict)
    reply_expiry: Minuted = Field(alias="reply_expiry_minutes")
    automatic: Automatic = Automatic()
    email: Email = Email()
    overload: Overload = Overload()
    guard: GuardPolicy = GuardPolicy()
    auto: Auto = Auto()
    _hash: str = PrivateAttr("")

    @model_validator(mode="after")
    def _listed(self) -> "Policy":
        for name in self.hard_rules.amount_intents:
            if name not in self.intents:
                raise ValueError(f"hard_rules.amount_intents: {name!r} is not listed in [intents]")
        for intent, kinds in self.facts.items():
            for kind in kinds:
                if kind not in (*KINDS, *self.records):
                    known = ", ".join((*KINDS, *self.records))
                    raise ValueError(
                        f"facts.{intent}: {kind!r} is no kind of record: use {known}, or add it to [records]"
                    )
        for kind, record in self.records.items():
            if kind not in self.facts.get(record.intent, ()):
                raise ValueError(f"records.{kind}: facts.{record.intent} does not list it")
        return self

    @classmethod
    def parse(cls, toml_text: str) -> "Policy":
        """Read a policy file.

        Raises:
            PolicyError: it is no TOML, or a table or field is missing, unknown or out of range.
        """
        try:
            policy = cls.model_validate(tomllib.loads(toml_text))
        except tomllib.TOMLDecodeError as error:
            raise PolicyError(f"policy: not valid TOML: {error}") from None
        except ValidationError as error:
            raise PolicyError("; ".join(_readable(error))) from None
        policy._hash = sha256(toml_text.encode()).hexdigest()
        return policy

    @property
    def hash(self) -> str:
        """SHA-256 of the file, hex: the policy's version in every decision."""
        return self._hash

    @property
    def waived(self) -> "Policy":
        """The policy without a certificate asked for: to measure the rest of it, never for customers."""
        return self.model_copy(update={"auto": Auto(certificate="waived")})

    def ceiling(self, intent: str, channel: Channel) -> tuple[Band, str]:
        """The most permissive band allowed, and the line of the policy that says so."""
        by_intent = (self.intents.get(intent, Band.SUGGEST), self._line("intents", intent, intent in self.intents))
        by_channel = (
            self.channels.get(channel, Band.SUGGEST),
            self._line("channels", channel.value, channel in self.channels),
        )
        return min(by_intent, by_channel, key=lambda limit: strictness(limit[0]))

    def facts_for(self, intent: str) -> tuple[FactKind, ...]:
        """The kinds of the proved customer's records that may answer this intent."""
        return self.facts.get(intent, ())

    def sla_minutes(self, disposition: Disposition) -> int:
        """Minutes until a person should have acted on what was handed over or suggested."""
        return self.sla_minutes_of.suggest if disposition is Disposition.SUGGEST else self.sla_minutes_of.handoff

    def reply_expiry_minutes(self, channel: Channel) -> int:
        """Minutes after which an approved reply is too old to be sent."""
        return self.reply_expiry.of(channel)

    def sheds(self, received_at: datetime, now: datetime) -> bool:
        """Whether a ticket has waited so long that a person sends its reply."""
        limit = self.overload.shed_after_seconds
        return limit is not None and (now - received_at).total_seconds() > limit

    def acknowledgement(self, channel: Channel) -> str | None:
        """What a customer is told once when a person takes over; None where nothing is said on this channel."""
        return self.acknowledge.get(channel)

    def intent_of(self, rule: str) -> str:
        """The intent under which a hard rule's tickets are filed."""
        return self.hard_rules.intents.get(rule, "unknown")

    def unknown_intents(self, known: Collection[str]) -> tuple[str, ...]:
        """The lines that name intents which are none of those known: nothing ever meets them."""
        named = [*(("intents", name) for name in self.intents), *(("facts", name) for name in self.facts)]
        named += [("frontier", name) for name in self.frontier]
        return tuple(f"{table}.{name}" for table, name in named if name not in known)

    def _line(self, table: str, key: str, listed: bool) -> str:
        return f"{table}.{key}" if listed else f"{table}.{key} is not listed"


REQUIRED, WAIVED = 'certificate = "required"', 'certificate = "waived"'


def waiving(toml_text: str) -> str:
    """The policy without a certificate asked for: for a world that measures something else, never for customers.

    Raises:
        PolicyError: the text does not say that one is required.
    """
    if toml_text.count(REQUIRED) != 1:
        raise PolicyError(f"policy: [auto] does not say {REQUIRED}")
    return toml_text.replace(REQUIRED, WAIVED)


def strictness(band: Band) -> int:
    """0 for escalate, 1 for suggest, 2 for auto: the smallest wins."""
    return (Band.ESCALATE, Band.SUGGEST, Band.AUTO).index(band)


def _readable(error: ValidationError) -> list[str]:
    """One line a mistake: table.field and what is wrong with it."""
    return [
        f"policy: {'.'.join(str(part) for part in detail['loc'] if part != '[key]')}: "
        + ("unknown field" if detail["type"] == "extra_forbidden" else detail["msg"])
        for detail in error.errors()
    ]


# -- the hard rules


def hard_rule(ticket: TicketReceived, transcript: Sequence[Message], policy: Policy) -> RuleHit | None:
    """The first hard rule that fires on the subject and body, or on what the customer wrote earlier."""
    now = text_hit(f"{ticket.subject}\n{ticket.body}", policy) or _stripped_hit(ticket, transcript, policy)
    if now:
        return now
    earlier = (text_hit(message.text, policy) for message in transcript if message.author is Author.CUSTOMER)
    hit = next(filter(None, earlier), None)
    return RuleHit(hit.name, f"{hit.reason} (earlier in this conversation)") if hit else None


def _stripped_hit(ticket: TicketReceived, transcript: Sequence[Message], policy: Policy) -> RuleHit | None:
    """The first hard rule that fires on what was cut off a mail as quote or signature, or stands beside its text."""
    if ticket.channel is not Channel.EMAIL or ticket.body_full == ticket.body:
        return None
    known = (ticket.body, *(message.text for message in transcript), *_ours(policy))
    if len(ticket.body_full) > MAX_QUOTED or len(_SENTENCE_END.findall(ticket.body_full)) > MAX_SENTENCES:
        return RuleHit(TOO_LONG_RULE, f"quotes more than {MAX_QUOTED} characters or {MAX_SENTENCES} sentences")
    rest = unread(ticket.body_full, known)
    hit = text_hit(rest, policy) if rest else None
    return RuleHit(hit.name, f"{hit.reason} (in what was cut off as quote or signature)") if hit else None


def _ours(policy: Policy) -> tuple[str, ...]:
    """What stands in automatic mail of ours, and so in quotations of it."""
    return (policy.automatic.disclosure, policy.automatic.note, *policy.acknowledge.values())


def unread(full: str, known: Iterable[str]) -> str:
    """The sentences of a mail that none of the known texts holds, and that are no confidentiality notice."""
    seen = "\n".join(map(_letters, known))
    lines = (_QUOTE_MARKS.sub("", line).strip() for line in full.split("\n"))
    paragraphs = re.split(r"\n\s*\n", "\n".join(lines))
    said = [paragraph for paragraph in paragraphs if not _NOTICE.search(paragraph)]
    sentences = (sentence for paragraph in said for sentence in _SENTENCE_END.split(paragraph) if _letters(sentence))
    return "\n".join(sentence for sentence in sentences if not _known(sentence, seen))


def _known(sentence: str, seen: str) -> bool:
    """Whether it stands in the texts seen, whole or line by line."""
    lines = sentence.split("\n")
    return _letters(sentence) in seen or (len(lines) > 1 and all(_letters(line) in seen for line in lines))


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def text_hit(text: str, policy: Policy) -> RuleHit | None:
    """The first hard rule that fires on a text as it was written."""
    if len(text) > policy.hard_rules.max_characters:
        return RuleHit(TOO_LONG_RULE, f"longer than {policy.hard_rules.max_characters} characters")
    if hidden(text):
        return RuleHit("prompt_injection", "hides text from a reader: invisible characters, or base64")
    read = readings(text)
    for rule in RULES:
        phrases = tuple(fold(phrase) for phrase in policy.hard_rules.phrases.get(rule.name, ()))
        for reading in read:
            match = rule.pattern.search(reading)
            if match or any(phrase in reading for phrase in phrases):
                said = f': "{match[0].strip()[:80]}"' if match else ""
                return RuleHit(rule.name, rule.reason + said)
    claimed = any(map(MONEY_BACK.search, read))
    hit = next(filter(None, (_amount_hit(reading, policy) for reading in read)), None) if claimed else None
    return hit or (RuleHit("prompt_injection", "is spelt letter by letter") if spelt_out(read[0]) else None)


def amount_rule(intent: str, text: str, policy: Policy) -> RuleHit | None:
    """The rule on amounts where not the words but the intent says that money is claimed back."""
    return _amount_hit(fold(text), policy) if intent in policy.hard_rules.amount_intents else None


def wish_of(ticket: TicketReceived) -> str | None:
    """The words that ask for something to be done, if any: an answer would not be what the customer wants."""
    match = ACTION.search(fold(ticket.body or ticket.subject))
    return match[0].strip(" .,:;!?)")[:80] if match else None


def asks_of_record(ticket: TicketReceived) -> bool:
    """Whether the ticket names a record, or speaks of the writer's own order, refund, subscription or account."""
    return OWN_RECORD.search(fold(f"{ticket.subject}\n{ticket.body}")) is not None


def _amount_hit(folded: str, policy: Policy) -> RuleHit | None:
    limit = policy.hard_rules.amount_limit
    amount = largest(folded)
    if amount is None or amount.value <= limit:
        return None
    return RuleHit(AMOUNT_RULE, f"more than {limit} may be claimed back: {_shown(amount)}")


def _shown(amount: Amount) -> str:
    return f'"{amount.text[:80]}" reads as {amount.value:,.2f}'

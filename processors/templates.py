"""Answers about a customer's own record: sentences whose slots are the record's fields, checked by equality."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import Formatter

from processors.folding import fold
from processors.policy import RecordKind
from processors.ports import Source
from processors.records import Kinds, label_of, meant
from processors.sentences import stem, stems
from schemas.resolution import Citation, Draft, Sentence
from schemas.retrieval import Fact

MODEL = "local/template"  # what a filled template names as its model
SHORT_NUMBER = 3  # digits; a number of no more is rarely an id
RECORDS = 3  # records one answer tells of at most, where the customer names them


@dataclass(frozen=True)
class Line:
    """A sentence with slots named like the fields. It is said when all its slots are there and `unless` is not.

    With words in `asked` it is said only to a question that has one of them.
    """

    text: str
    unless: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()

    @property
    def slots(self) -> tuple[str, ...]:
        """The fields the sentence needs."""
        return tuple(name for _, name, _, _ in Formatter().parse(self.text) if name)


TEMPLATES: dict[str, tuple[Line, ...]] = {
    "order": (
        Line("The status of your order {order_id} ({items}) is: {status}."),
        Line("You placed it on {placed_at}."),
        Line("Its total is {total_usd}.", asked=("total", "cost")),
        Line("It travels with {carrier}, tracking number {tracking}, status of the shipment: {shipment_status}."),
        Line("Its tracking number is {tracking}.", unless=("carrier",)),
        Line("It was shipped on {shipped_at} and is expected on {expected_at}.", unless=("delivered_at",)),
        Line("It was shipped on {shipped_at} and delivered on {delivered_at}."),
    ),
    "refund": (
        Line("The status of your refund {refund_id} for order {order_id} is: {status}."),
        Line("The amount is {amount_usd}."),
        Line("It was requested on {requested_at} and goes to: {method}.", unless=("paid_at",)),
        Line("It was requested on {requested_at}, and paid on {paid_at} to: {method}."),
    ),
    "subscription": (
        Line("The status of your subscription {subscription_id} ({plan}) is: {status}."),
        Line("The price is {price_usd}."),
        Line("The next renewal is on {next_renewal}."),
    ),
}
HASH = hashlib.sha256(repr(TEMPLATES).encode()).hexdigest()

STATUS_OF = {"order_status": "order", "refund_status": "refund"}  # intents that only a record can answer
NAMED_STATUS_OF = {"delivery_time": "order", "subscription_manage": "subscription"}  # where the customer names it
OPEN = frozenset(("processing", "pending", "shipped", "requested", "approved", "active", "paused"))
MOMENTS = ("placed_at", "requested_at", "created_at", "ordered_at")  # what makes a record the newest
_RENEWAL = re.compile(r"\bmy\b.*\b(renew\w*|next (charge|payment|box|renewal))\b|\brenew\w* .*\bmy\b", re.I | re.S)
_GENERAL = re.compile(r"\b(how|where) (do|can|would|could|should) (i|we|one)\b|\bwhat does\b.*\bmean\b", re.I | re.S)

_NOT_TOLD = re.compile(  # secrets and rules: no record tells them, so an answer would be beside the question
    r"\b(?:what|which|tell|give|show|send|read|need|know|forg[eo]t\w*)\b[^.?!]{0,40}\b(?:phone number|home address"
    r"|e-?mail address|password|pin|security code|cvv|cvc|(?:full|whole) (?:card )?number|date of birth)\b"
    r"|\bis there (?:a|an|any) (?:charge|fee|cost|penalty)\b|\bwhat (?:fee|happens)\b|\bam i (?:eligible|entitled)\b",
    re.I,
)

NO_KINDS: Kinds = {}


def fill(question: str, intent: str, facts: Sequence[Fact], kinds: Kinds = NO_KINDS) -> Draft | None:
    """The answer to a question about a record, or None where no template fits it beyond doubt.

    `kinds` are those that the policy adds; of a kind that is both theirs and ours, theirs holds.
    """
    if _NOT_TOLD.search(question):
        return None
    own = {kind: record for kind, record in kinds.items() if record.intent == intent}
    found = meant(question, facts, own) if own else None
    ours = [fact for fact in facts if fact.kind not in kinds]
    records = [found] if found else _meant(question, intent, ours)
    sentences = tuple(sentence for record in records for sentence in statements(record, kinds, question))
    if not sentences:
        return None
    return Draft(sentences=sentences, model=MODEL, prompt_hash=HASH, template=records[0].kind)


def needs_record(question: str, intent: str, kinds: Kinds = NO_KINDS) -> bool:
    """Whether only the customer's record can answer: the state of an order or refund, not how to look it up.

    Of a topic that the policy names for records, always: else a model would be shown all of them at once.
    """
    theirs = any(record.intent == intent for record in kinds.values())
    return theirs or (intent in STATUS_OF and not _GENERAL.search(question))


# -- what may be said of a record


def statements(fact: Fact, kinds: Kinds = NO_KINDS, question: str | None = None) -> tuple[Sentence, ...]:
    """Every sentence the templates make of a record, quoting the record's lines from its first slot to its last.

    To a question, those it asks for.
    """
    kind = kinds.get(fact.kind)
    lines = _lines_of(kind) if kind else TEMPLATES.get(fact.kind, ())
    said = (line for line in lines if _is_said(line, fact.fields) and (question is None or _is_asked(line, question)))
    return tuple(_sentence(line, fact, as_it_is=kind is not None) for line in said)


def _lines_of(kind: RecordKind) -> tuple[Line, ...]:
    """What is said of a record of an added kind: which one it is, then each field that may be told."""
    first, *others = kind.tells
    opening = f"This is what we have on your {kind.name} {{{first}}}."
    return (Line(opening), *(Line(f"Its {label_of(field)}: {{{field}}}.") for field in others))


def texts_of(source: Source, kinds: Kinds = NO_KINDS) -> frozenset[str]:
    """The texts the templates make of a record in its `field: value` form: what a verifier compares with."""
    kind = source.article_id.removeprefix("crm:").partition("/")[0]
    fields = dict(line.split(": ", 1) for line in source.text.split("\n") if ": " in line)
    fact = Fact(record=source.article_id, kind=kind, fields=fields)
    return frozenset(sentence.text for sentence in statements(fact, kinds))


def _is_asked(line: Line, question: str) -> bool:
    return not line.asked or not stems(question).isdisjoint(map(stem, line.asked))


def _is_said(line: Line, fields: Mapping[str, str]) -> bool:
    """Only from one-line values: a field with a line break could pose as other fields."""
    values = [fields.get(slot, "") for slot in line.slots]
    return all(value and "\n" not in value for value in values) and not any(map(fields.get, line.unless))


def _sentence(line: Line, fact: Fact, *, as_it_is: bool) -> Sentence:
    shown = {slot: fact.fields[slot] if as_it_is else _shown(slot, fact.fields[slot]) for slot in line.slots}
    quote = _lines_between(fact, line.slots)
    return Sentence(text=line.text.format(**shown), citation=Citation(article_id=fact.record, quote=quote))


def _shown(slot: str, value: str) -> str:
    return value.replace("_", " ") if slot.endswith("status") else value  # in_transit


def _lines_between(fact: Fact, slots: Sequence[str]) -> str:
    names = list(fact.fields)
    first, last = (pick(map(names.index, slots)) for pick in (min, max))
    return "\n".join(f"{name}: {fact.fields[name]}" for name in names[first : last + 1])


# -- which record is meant


def _meant(question: str, intent: str, facts: Sequence[Fact]) -> Sequence[Fact]:
    """The records the customer names; else the only one, the only one of that item, the only open one, the newest."""
    kind = STATUS_OF.get(intent) or NAMED_STATUS_OF.get(intent)
    records = [fact for fact in facts if fact.kind == kind]
    named = [record for record in records if _names(question, record)]
    if named:
        return named[:RECORDS]
    if list(_like(question, facts)) or _numbers(question, facts):
        return ()  # another record than one of this kind, or one that is not this customer's
    if intent in NAMED_STATUS_OF and not (kind == "subscription" and _RENEWAL.search(question)):
        return ()
    if _GENERAL.search(question):
        return ()
    return _the_one(_of_items(question, records, facts))


def _the_one(records: Sequence[Fact]) -> Sequence[Fact]:
    still_open = [record for record in records if record.fields.get("status", "").lower() in OPEN]
    if len(records) <= 1 or len(still_open) == 1:
        return still_open or records
    newest = max(map(_moment, records))
    latest = [record for record in records if _moment(record) == newest]
    return () if still_open or len(latest) > 1 else latest


def _moment(record: Fact) -> str:
    return next((record.fields[name] for name in MOMENTS if name in record.fields), "")


def _of_items(question: str, records: Sequence[Fact], facts: Sequence[Fact]) -> Sequence[Fact]:
    """The records of the items the customer speaks of, or all of them where no item is spoken of."""
    asked = stems(question)
    orders = {fact.fields.get("order_id"): fact.fields.get("items", "") for fact in facts if fact.kind == "order"}
    things = [stems(record.fields.get("items") or orders.get(record.fields.get("order_id"), "")) for record in records]
    most = max((len(asked & thing) for thing in things), default=0)
    return [record for record, thing in zip(records, things, strict=True) if len(asked & thing) == most]


# -- ids in a text


def unknown_ids(question: str, facts: Sequence[Fact]) -> tuple[str, ...]:
    """Ids in the text that are built like ids of this customer's records, but are none of them."""
    known = {_bare(word) for fact in facts for value in (*fact.fields.values(), _id(fact)) for word in value.split()}
    known |= {re.sub(r"\D", "", _id(fact)) for fact in facts}
    return tuple(dict.fromkeys(name.upper() for name in _like(question, facts) if _bare(name) not in known))


def _names(question: str, record: Fact) -> bool:
    """Whether the text names the record: by its id, by the id's digits alone, or a refund by its order."""
    ids = {_id(record), record.fields.get("order_id") or _id(record)}
    text = _folded(question)
    written = {_bare(word) for word in re.findall(r"#?[\w-]+", text)} | {_bare(name) for name in _like(text, [record])}
    written |= {_bare(name) for name in _shaped(text, *filter(None, map(_shape, ids)))}
    digits = {re.sub(r"\D", "", name) for name in ids}
    return bool(written & {_bare(name) for name in ids} or written & {number for number in digits if len(number) > 3})


def _like(question: str, facts: Sequence[Fact]) -> Iterable[str]:
    """Words built like a record's id: the same letters and at least three digits, or after "order" as many digits."""
    shapes = {shape for fact in facts if (shape := _shape(_id(fact)))}
    text = _folded(question)
    yield from _shaped(text, *sorted(shapes))
    for _, digits in sorted(shapes):
        yield from re.findall(rf"\border\s+(?:no\.?|nr\.?|number|num)?\s*#?(\d{{{digits}}})(?!\w)", text)


def _shaped(text: str, *shapes: tuple[str, int]) -> Iterable[str]:
    """Ids of these shapes; where signs or blanks part letters from digits, with as many digits as the shape has."""
    for prefix, digits in shapes:
        if prefix:
            yield from re.findall(rf"(?<![\w-])#?{prefix}-?\d{{3,}}(?![\w-]*[a-z\d])", text)
            yield from re.findall(rf"(?<![\w-])#?{prefix}[\s._:#/*-]{{1,3}}\d{{{digits}}}(?!\d)", text)


def _shape(name: str) -> tuple[str, int] | None:
    """The letters of an id, and how many digits follow."""
    shape = re.fullmatch(r"#?([a-z]{0,5})-?(\d{3,})", name.lower())
    return (shape[1], len(shape[2])) if shape else None


def _numbers(question: str, facts: Sequence[Fact]) -> bool:
    """Whether a bare number has as many digits, four at least, as the records' ids: it may be meant as one."""
    counts = {shape[1] for fact in facts if (shape := _shape(_id(fact))) and shape[1] > SHORT_NUMBER}
    numbers = re.findall(r"(?<![\w$£€.,/:-])#?(\d+)(?![\w]|[.,:/-]\d)", _folded(question))
    return any(len(number) in counts for number in numbers)


def _folded(question: str) -> str:
    """The text in one case and script, with the letter O among digits as the digit."""
    return re.sub(r"\d[\do]*o[\do]*(?![a-z])", lambda match: match[0].replace("o", "0"), fold(question))


def _id(fact: Fact) -> str:
    return fact.record.rpartition("/")[2]


def _bare(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word.lower())

"""Labelled suites: a folder with a help centre, customers and tickets, read into frozen values."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError, model_validator

from processors.ingress.api import MAX_SUBJECT, TicketRequest
from processors.ingress.chat import MAX_TEXT, ChatMessage, SessionRequest
from schemas.event import Value
from schemas.ingress import Channel
from schemas.router import Band

OUT_OF_SCOPE = "out_of_scope"
TUNE, CERTIFY = "tune", "certify"  # the splits of `sluice certify`
CUSTOMERS_OWN = ("user", "customer")  # speakers of a suite's transcript; whoever else speaks is the support

T = TypeVar("T", bound=BaseModel)
Row = Mapping[str, Any]


class SuiteError(ValueError):
    """The folder is no suite; the message names the file, line and field to change."""


class ExpectedSource(Value):
    """A section or record that a right answer cites."""

    article_id: str
    section_id: str | None = None
    role: Literal["answer", "supporting", "diagnostic"] = "answer"
    strength: str | None = None


class Turn(Value):
    """An earlier message of a labelled conversation."""

    speaker: str = "user"  # or agent
    text: str = ""


class LabelledTicket(Value):
    """A ticket, and what a careful support lead would want done with it. None where a suite has no such label."""

    id: str
    suite: str = ""
    channel: str = "api"  # as the suite names it: api, email, chat, whatsapp, forum
    created_at: str | None = None
    subject: str = ""
    body: str
    thread: tuple[Turn, ...] = ()
    eml: str | None = None  # the raw message, below the suite's folder
    payload: str | None = None  # the webhook of a WhatsApp message as Meta sends it, below the suite's folder
    customer_id: str | None = None  # who truly wrote
    proved: bool  # whether the channel proves it; where a suite does not say, it proves any customer named
    conversation: str | None = None
    follows: str | None = None  # the ticket before it in the conversation
    intent_label: str | None = None
    intent_parent: str | None = None
    out_of_scope: bool = False
    expected_band: Band | None = None
    band_rule: str | None = None
    band_strength: str | None = None
    must_not_auto: bool = False
    expected_sources: tuple[ExpectedSource, ...] = ()
    expected_facts: tuple[str, ...] = ()
    expected_answer: str | None = None
    traits: tuple[str, ...] = ()
    url: str | None = None
    split: str = ""

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, row: object) -> object:
        """Read null as the default, and the two labels that a suite may leave to be derived."""
        if not isinstance(row, dict):
            return row
        given = {name: value for name, value in row.items() if value is not None}
        given.setdefault("proved", given.get("customer_id") is not None)
        given.setdefault("out_of_scope", given.get("intent_label") == OUT_OF_SCOPE)
        return given

    @property
    def text(self) -> str:
        """Subject and body, as a classifier reads them; once where a subject only repeats how the body begins."""
        if self.body.strip().startswith(self.subject.strip()):
            return self.body.strip()
        return "\n".join(part for part in (self.subject.strip(), self.body.strip()) if part)

    @property
    def group(self) -> str:
        """Whose ticket it is, for splits: the customer's, else the conversation's, else its own."""
        return self.customer_id or self.conversation or self._opening or self.id

    @property
    def _opening(self) -> str | None:
        """What names a conversation without a name: the first message in which its customer says more than "Hello"."""
        if not self.thread and self.channel != "chat":
            return None
        said = (*(turn.text for turn in self.thread if turn.speaker.lower() in CUSTOMERS_OWN), self.text)
        words = next((words for text in said if len(words := text.casefold().split()) > 1), None)
        return sha256(" ".join(words).encode()).hexdigest()[:16] if words else None


class IntentExample(Value):
    """A text with its topic, without any other label (`intents_*.jsonl`)."""

    id: str
    text: str
    intent_label: str
    customer_id: str | None = None


@dataclass(frozen=True)
class Suite:
    """A labelled suite. `tickets` by split: train, test, dev, dev_machine_written."""

    name: str
    path: Path
    articles: tuple[Path, ...]
    customers: tuple[Row, ...]
    tickets: Mapping[str, tuple[LabelledTicket, ...]]
    intents: tuple[IntentExample, ...] = ()
    policy: Path | None = None  # its own policy, where it has one
    extra: tuple[LabelledTicket, ...] = ()  # made, not written by a customer: to train on, never to judge by
    variant: str = ""  # how it is parted, where that is not by its own files: trained parts are kept apart
    references: Mapping[str, str] = field(default_factory=dict)  # ticket id to the human answer

    def split(self, name: str) -> tuple[LabelledTicket, ...]:
        """The tickets of a split.

        Raises:
            SuiteError: the suite has no such split.
        """
        if name not in self.tickets:
            there = ", ".join(sorted(self.tickets)) or "none"
            raise SuiteError(f"{self.path}: no tickets_{name}.jsonl; there is {there}")
        return self.tickets[name]


@dataclass(frozen=True)
class Halves:
    """What a suite is trained on, and what it is judged on. No customer is in both."""

    train: tuple[LabelledTicket, ...]
    held_out: tuple[LabelledTicket, ...]
    intents: tuple[IntentExample, ...]  # further texts to train the classifier on
    rule: str  # how they were parted, in words


@dataclass(frozen=True)
class Entry:
    """A labelled ticket as a call of the API: the request, and the scope of the key it needs."""

    request: TicketRequest
    scope: Literal["customer", "service"]  # service proves the customer named, customer does not


@dataclass(frozen=True)
class ChatEntry:
    """A labelled ticket as a message of a chat: what its session is opened for, by a key of scope service, and it."""

    session: SessionRequest
    message: ChatMessage


@dataclass(frozen=True)
class WebhookEntry:
    """A labelled ticket as Meta's webhook: the body to sign, and which message of which number it holds."""

    raw: bytes
    account: str  # phone number id
    message_id: str


def load_suite(path: Path, unread: Collection[str] = ()) -> Suite:
    """Read a suite folder; fields it does not know are ignored, and so are the files of the splits `unread`.

    Train, tune and certify splits may lie in several files: `tickets_certify_a.jsonl`, `tickets_certify_b.jsonl`.

    Raises:
        SuiteError: there are neither tickets nor articles, or a row is malformed (file:line and field), names a file
            that is not there, or follows no row before it.
    """
    tickets: dict[str, tuple[LabelledTicket, ...]] = {}
    for file in sorted(path.glob("tickets_*.jsonl")):
        if (split := split_of(file)) not in unread:
            tickets[split] = tickets.get(split, ()) + _tickets(file)
    tickets |= _intents_only(path)
    articles = tuple(sorted(path.glob("articles*.jsonl"))) or tuple(path.glob("articles"))
    if not any(tickets.values()) and not articles:
        raise SuiteError(f"{path}: no tickets_<split>.jsonl with a row")
    policy = path / "policy.toml"
    return Suite(
        name=path.resolve().name,
        path=path,
        articles=articles,
        customers=tuple(row for file in sorted(path.glob("crm*.jsonl")) for _, row in _lines(file)),
        tickets=tickets,
        intents=tuple(row for file in sorted(path.glob("intents_*.jsonl")) for row in _rows(file, IntentExample)),
        policy=policy if policy.is_file() else None,
        references={
            str(row["id"]): str(row.get("text") or "")
            for file in sorted(path.glob("references_*.jsonl"))
            for _, row in _lines(file)
        },
    )


def split_of(file: Path) -> str:
    """The split whose tickets a file holds, or holds a part of: `tickets_train_b.jsonl` is of `train`."""
    name = file.stem.removeprefix("tickets_")
    return name[:-2] if re.fullmatch(rf"(?:train|{TUNE}|{CERTIFY})_[a-z]", name) else name


def judged_on(suite: Suite, file: Path) -> Suite:
    """The suite with the tickets of another file to judge, and parts trained as for its own held-out half.

    So what was trained and certified on the suite is what is judged. A suite without a help centre has nothing to
    certify, and its router is trained on all its labels. Labels may be missing in the file, and what only the suite's
    own folder can hold. A customer or ticket of the file is not trained on, so that a part of the dev tickets may be
    given too: parts are then trained anew, beside the others.

    Raises:
        SuiteError: a row is malformed, or an id stands there twice.
    """
    completed = ((number, _completed(row, f"{file.stem}-{number}")) for number, row in _lines(file))
    rows = tuple(_row(file, number, row, LabelledTicket) for number, row in completed)
    twice = [found for found, count in Counter(row.id for row in rows).items() if count > 1]
    if twice or not rows:
        raise SuiteError(f"{file}: {f'the id {twice[0]} is there twice' if twice else 'no row'}")
    usual = halves(suite if suite.articles else _all_but_test(suite))
    known = {row.id for row in rows} | {row.group for row in rows}
    others = tuple(ticket for ticket in usual.train if ticket not in suite.extra)
    train = tuple(ticket for ticket in others if ticket.id not in known and ticket.group not in known)
    same = train == others and (suite.articles or "train" in suite.tickets)
    variant = "" if same else "for-tickets"
    return replace(suite, tickets={"train": train, "test": rows}, intents=usual.intents, variant=variant)


def _all_but_test(suite: Suite) -> Suite:
    """The suite with all its labelled tickets in the train half."""
    everything = tuple(t for name in sorted(suite.tickets) for t in suite.tickets[name] if name != "test")
    return replace(suite, tickets={"train": suite.tickets.get("train", everything)})


def _completed(row: Row, name: str) -> Row:
    """A row that may lack an id, a body, and the files that are of another folder."""
    return {"id": name, "body": "", **{key: value for key, value in row.items() if key not in ("eml", "payload")}}


def halves(suite: Suite, seed: int = 0) -> Halves:
    """Train and held-out tickets: `train` and `test` where the suite has `train`, else the dev tickets by customer.

    A suite without a help centre, which has nothing to certify, is trained on all of dev where it has `test`.
    """
    dev = tuple(ticket for name in sorted(suite.tickets) if name.startswith("dev") for ticket in suite.tickets[name])
    if "train" in suite.tickets or ("test" in suite.tickets and not suite.articles):
        train, held_out = suite.tickets.get("train", dev), suite.tickets.get("test", ())
        rule = "the suite's own halves"
    else:
        train, held_out = split_by_customer(dev, seed)
        rule = f"half of the customers, by hash, seed {seed}"
    if suite.extra:
        rule += f", with {len(suite.extra)} that were made for it"
    return Halves((*train, *suite.extra), held_out, _apart(suite.intents, held_out), rule)


def split_by_customer(
    tickets: Sequence[LabelledTicket], seed: int = 0
) -> tuple[tuple[LabelledTicket, ...], tuple[LabelledTicket, ...]]:
    """Train and held-out halves: a customer's tickets are all in one, decided by a hash of who it is."""
    train = tuple(ticket for ticket in tickets if _first_half(ticket.group, seed))
    return train, tuple(ticket for ticket in tickets if not _first_half(ticket.group, seed))


def as_request(ticket: LabelledTicket) -> Entry:
    """The ticket as a client of the API sends it, also a chat held elsewhere; its id is the message's id."""
    request = TicketRequest(
        body=ticket.body.strip() or ticket.subject,
        subject=ticket.subject[:MAX_SUBJECT],
        conversation=ticket.conversation,
        message_id=ticket.id,
        customer_id=ticket.customer_id,
        channel=Channel.CHAT if ticket.channel == "chat" else Channel.API,
    )
    return Entry(request, "service" if ticket.proved else "customer")


def as_chat(ticket: LabelledTicket) -> ChatEntry:
    """The ticket as a message of a chat; its subject, where a suite has one, is the first line."""
    session = SessionRequest(
        customer_id=ticket.customer_id if ticket.proved else None, conversation=ticket.conversation or ticket.id
    )
    return ChatEntry(session, ChatMessage(text=ticket.text[:MAX_TEXT], message_id=ticket.id))


def as_webhook(ticket: LabelledTicket, suite: Suite, *, at: datetime, run: str = "", account: str = "") -> WebhookEntry:
    """The ticket as Meta delivers it at that moment.

    Args:
        run: goes into the message's id, so that another run sends another message.
        account: the phone number id that was written to; empty leaves the suite's. Conversations are each number's own.

    Raises:
        SuiteError: the row has no payload, or it holds anything but one message.
    """
    if ticket.payload is None:
        raise SuiteError(f"{ticket.id}: a WhatsApp ticket needs a payload")
    body, value = _webhook(suite.path / ticket.payload)
    (message,) = value["messages"]
    message["id"] = "".join((message["id"], run and f".{run}"))
    message["timestamp"] = str(int(at.timestamp()))
    value["metadata"]["phone_number_id"] = account or value["metadata"]["phone_number_id"]
    raw = json.dumps(body, separators=(",", ":")).encode()
    return WebhookEntry(raw, value["metadata"]["phone_number_id"], message["id"])


def _webhook(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A webhook, and in it the value that holds its one message."""
    try:
        body = json.loads(file.read_text(encoding="utf-8"))
        values = [change["value"] for entry in body["entry"] for change in entry["changes"]]
        (value,) = values
        (message,) = value["messages"]
        if not all(isinstance(found, str) for found in (message["id"], value["metadata"]["phone_number_id"])):
            raise ValueError("its ids are no texts")
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise SuiteError(f"{file}: not the webhook of one WhatsApp message: {why}") from None
    return body, value


def _first_half(group: str, seed: int) -> bool:
    return sha256(f"{seed}:{group}".encode()).digest()[0] < 128


def _apart(examples: Sequence[IntentExample], held_out: Sequence[LabelledTicket]) -> tuple[IntentExample, ...]:
    """The examples that are no ticket, customer or text of the held-out half."""
    ids = {ticket.id for ticket in held_out}
    customers = {ticket.customer_id for ticket in held_out if ticket.customer_id}
    texts = {_start(ticket.text) for ticket in held_out}
    return tuple(
        example
        for example in examples
        if example.id not in ids and example.customer_id not in customers and _start(example.text) not in texts
    )


def _start(text: str) -> str:
    return " ".join(text.lower().split())[:120]


def _intents_only(path: Path) -> dict[str, tuple[LabelledTicket, ...]]:
    """A suite of intents is a file: `intents/banking77` is `intents/banking77_dev.jsonl`."""
    found = {file.stem.removeprefix(f"{path.name}_"): file for file in path.parent.glob(f"{path.name}_*.jsonl")}
    return {split: _rows(file, LabelledTicket) for split, file in found.items() if not path.is_dir()}


def _rows(file: Path, kind: type[T]) -> tuple[T, ...]:
    return tuple(_row(file, number, row, kind) for number, row in _lines(file))


def _tickets(file: Path) -> tuple[LabelledTicket, ...]:
    """The tickets of a file, each checked against its folder and the rows before it."""
    before: dict[str, LabelledTicket] = {}
    for number, row in _lines(file):
        ticket = _row(file, number, row, LabelledTicket)
        if (fault := _fault(ticket, file.parent, before)) is not None:
            raise SuiteError(f"{file}:{number}: {fault}")
        before[ticket.id] = ticket
    return tuple(before.values())


def _fault(ticket: LabelledTicket, folder: Path, before: Mapping[str, LabelledTicket]) -> str | None:
    """What is wrong with a row beyond its own fields: the field, and why."""
    if ticket.id in before:
        return f"id: {ticket.id} is there before"
    for name in ("eml", "payload"):
        if (told := getattr(ticket, name)) is not None and not (folder / told).is_file():
            return f"{name}: no file {told}"
    if ticket.channel == "whatsapp":
        if ticket.payload is None:
            return "payload: missing for the channel whatsapp"
        _webhook(folder / ticket.payload)
    elif not ticket.text:
        return "body: empty"
    if ticket.follows is not None:
        first = before.get(ticket.follows)
        if first is None or ticket.conversation is None or first.conversation != ticket.conversation:
            return f"follows: {ticket.follows} is no row before it in its conversation"
    return None


def _row(file: Path, number: int, row: Row, kind: type[T]) -> T:
    try:
        return kind.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "row"
        raise SuiteError(f"{file}:{number}: {where}: {first['msg']}") from None


def _lines(file: Path) -> Iterator[tuple[int, Row]]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise SuiteError(f"{file}:{number}: not JSON: {error.msg}") from None
            if not isinstance(row, dict):
                raise SuiteError(f"{file}:{number}: not a JSON object")
            yield number, row

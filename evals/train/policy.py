"""Propose a policy for a suite that has none: its topics, with the bands that its labelled tickets bear out."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.dataset import OUT_OF_SCOPE, LabelledTicket, Suite, halves
from evals.kinds import kinds_of
from processors.policy import FactKind, Policy, RecordKind
from schemas.router import Band

ENOUGH = 6  # labelled tickets needed to say anything of an intent
MOSTLY_AUTO = 0.6  # share of auto labels from which an intent may be answered automatically
MOSTLY_ESCALATE = 0.6
MAY_HARM = 0.1  # share of tickets whose automatic answer would do harm, up to which an intent may be auto
FEW = 20  # tickets in all below which they say nothing of an intent that has too few of its own
ALL_AUTO = 0.8  # share of auto labels that such an intent needs, filled up with average ones
CLAIM = re.compile(
    r"refund|return|compens|reimburs|damage|missing|chargeback|dispute"
)  # names of topics about money back
NO_RECORDS: Mapping[str, RecordKind] = {}
TABLE = r"(?ms)^\[{}\][^\n]*\n.*?(?=^\[|\Z)"


def policy_for(suite: Suite, predicted: Mapping[str, str], base: str, stopped: Collection[str] = ()) -> str:
    """The policy proposed for a suite by its training half, as its router (`RouterReport.predicted`) and its verifier
    (`GateReport.stopped`) see it.

    Raises:
        PolicyError: `base` is no valid policy.
    """
    return propose_policy(
        halves(suite).train,
        base,
        predicted=predicted,
        kinds=fact_kinds(suite),
        records=kinds_of(suite.customers),
        stopped=stopped,
    )


def propose_policy(
    tickets: Sequence[LabelledTicket],
    base: str,
    *,
    predicted: Mapping[str, str] | None = None,
    kinds: Sequence[FactKind] = (),
    records: Mapping[str, RecordKind] = NO_RECORDS,
    stopped: Collection[str] = (),
) -> str:
    """A policy file for a suite without one: `base` with its topics learned from the labelled bands of `tickets`.

    `predicted` are the intents that a classifier names (`RouterReport.predicted`): the policy will meet those, not the
    labels. Tickets without either are left out. `kinds` are the records that the suite's customers have, `records`
    those that Sluice does not know by itself, for topics that only they answer. `stopped` are the questions that the
    verifier keeps from being answered, whatever the policy says: an intent is judged by the others, and so is, where
    the others are many and nearly all auto, one with too few of its own. The hard rules stay as they are. Where neither
    the wording nor the verifier tells the band, as on forums, few topics become auto: the shares are written beside
    each line.

    Raises:
        PolicyError: `base` is no valid policy.
    """
    Policy.parse(base)
    found: defaultdict[str, list[LabelledTicket]] = defaultdict(list)
    for ticket in tickets:
        intent = (predicted or {}).get(ticket.id) or ticket.intent_label
        if intent and ticket.expected_band:
            found[intent].append(ticket)
    total = _Labels.of([ticket for rows in found.values() for ticket in rows], stopped)
    if stopped:
        for intent in {ticket.intent_label for ticket in tickets if ticket.intent_label} - set(found):  # may come yet
            found[intent] = [ticket for ticket in tickets if ticket.intent_label == intent and ticket.expected_band]
    lines = [_line(intent, _Labels.of(found[intent], stopped), total if stopped else None) for intent in sorted(found)]
    intents = f"[intents]  # learned from {total.bands.total()} labelled tickets: {total}\n" + "\n".join(lines)
    added = {kind: record for kind, record in records.items() if record.intent in found}
    facts = _facts(sorted(found), kinds, added)
    filed = "[hard_rules.intents]\n" + "\n".join(
        f'{rule} = "{intent}"' for rule, intent in Policy.parse(base).hard_rules.intents.items() if intent in found
    )
    text = _replaced(_replaced(_replaced(base, "intents", intents), "facts", facts), r"hard_rules\.intents", filed)
    claims = [intent for intent in sorted(found) if CLAIM.search(intent)]
    text = re.sub(r"(?m)^amount_intents = .*$", f"amount_intents = {_strings(claims)}  # by their names", text)
    text = text.replace("This file fits the demo shop;", "Its topics are proposed from labelled tickets;")
    Policy.parse(text)
    return text


def fact_kinds(suite: Suite) -> tuple[FactKind, ...]:
    """The kinds of records that the suite's customers have."""
    orders = [order for row in suite.customers for order in _values(row.get("orders"))]
    found: dict[FactKind, bool] = {
        "order": bool(orders),
        "refund": any(_values(order.get("refunds")) for order in orders),
        "subscription": any(_values(row.get("subscriptions")) for row in suite.customers),
    }
    return tuple(kind for kind, there in found.items() if there)


def _facts(intents: Sequence[str], kinds: Sequence[FactKind], records: Mapping[str, RecordKind]) -> str:
    """The tables of what may be shown, and of what may be told of records that Sluice does not know by itself."""
    only = {
        intent: [kind for kind, record in records.items() if record.intent == intent]
        for intent in {record.intent for record in records.values()}
    }
    lines = [f"{_key(intent)} = {_strings(shown)}" for intent in intents if (shown := only.get(intent, kinds))]
    told = [
        f"[records.{_key(kind)}]\nname = {_key(record.name)}\nintent = {_key(record.intent)}\n"
        f"tells = {_strings(record.tells)}\nknown_by = {_strings(record.known_by)}"
        for kind, record in records.items()
    ]
    head = "[facts]  # records of the proved customer, whatever the topic"
    return "\n".join((head, *lines)) + "".join(f"\n\n{table}" for table in told)


def _values(records: object) -> list[Any]:
    return list(records.values()) if isinstance(records, dict) else list(records) if isinstance(records, list) else []


@dataclass(frozen=True)
class _Labels:
    """The labels of some tickets."""

    bands: Counter[Band]
    passed: Counter[Band]  # of those that the verifier does not stop
    harmful: int  # of those, how many must not be answered by themselves

    @classmethod
    def of(cls, tickets: Sequence[LabelledTicket], stopped: Collection[str]) -> "_Labels":
        passed = [ticket for ticket in tickets if ticket.text not in stopped]
        return cls(
            bands=Counter(ticket.expected_band for ticket in tickets if ticket.expected_band),
            passed=Counter(ticket.expected_band for ticket in passed if ticket.expected_band),
            harmful=sum(ticket.must_not_auto for ticket in passed),
        )

    @property
    def auto(self) -> bool:
        """Whether those that pass are enough, mostly auto, and hardly ever harmful."""
        n = self.passed.total()
        return n >= ENOUGH and self.passed[Band.AUTO] >= MOSTLY_AUTO * n and self.harmful <= MAY_HARM * n

    def auto_among(self, total: "_Labels") -> bool:
        """The same of too few, filled up with average ones, where there are enough of all intents."""
        missing, n = ENOUGH - self.passed.total(), total.passed.total()
        if missing <= 0 or n < FEW:
            return False
        auto = self.passed[Band.AUTO] + missing * total.passed[Band.AUTO] / n
        return auto >= ALL_AUTO * ENOUGH and self.harmful + missing * total.harmful / n <= MAY_HARM * ENOUGH

    def __str__(self) -> str:
        told = _shares(self.bands)
        return told if self.passed == self.bands else f"{told}; past the verifier {_shares(self.passed)}"


def _line(intent: str, own: _Labels, total: _Labels | None) -> str:
    """`total` are the labels of all intents, where the verifier was asked."""
    band = Band.SUGGEST
    if intent == OUT_OF_SCOPE or (
        own.bands.total() >= ENOUGH and own.bands[Band.ESCALATE] >= MOSTLY_ESCALATE * own.bands.total()
    ):
        band = Band.ESCALATE
    elif own.auto or (total is not None and own.auto_among(total)):
        band = Band.AUTO
    return f'{_key(intent)} = "{band.value}"  # {own}'


def _shares(count: Counter[Band]) -> str:
    shares = ", ".join(f"{band.value} {count[band] / max(count.total(), 1):.0%}" for band in reversed(Band))
    return f"n = {count.total()}, {shares}"


def _key(intent: str) -> str:
    return json.dumps(intent)


def _strings(values: Sequence[str]) -> str:
    return json.dumps(list(values))


def _replaced(text: str, table: str, new: str) -> str:
    return re.sub(TABLE.format(table), lambda _: new + "\n\n", text)

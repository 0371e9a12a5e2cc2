"""Propose a policy for a suite that has none: its topics, with the bands that its labelled tickets bear out."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from evals.dataset import OUT_OF_SCOPE, LabelledTicket, Suite, halves
from evals.kinds import kinds_of
from processors.policy import FactKind, Policy, RecordKind
from schemas.router import Band

ENOUGH = 6  # labelled tickets needed to say anything of an intent
MOSTLY_AUTO = 0.6  # share of auto labels from which an intent may be answered automatically
MOSTLY_ESCALATE = 0.6
MAY_HARM = 0.1  # share of tickets whose automatic answer would do harm, up to which an intent may be auto
CLAIM = re.compile(
    r"refund|return|compens|reimburs|damage|missing|chargeback|dispute"
)  # names of topics about money back
NO_RECORDS: Mapping[str, RecordKind] = {}
TABLE = r"(?ms)^\[{}\][^\n]*\n.*?(?=^\[|\Z)"


def policy_for(suite: Suite, predicted: Mapping[str, str], base: str) -> str:
    """The policy proposed for a suite by its training half, as its router sees it (`RouterReport.predicted`).

    Raises:
        PolicyError: `base` is no valid policy.
    """
    records = kinds_of(suite.customers)
    return propose_policy(halves(suite).train, base, predicted=predicted, kinds=fact_kinds(suite), records=records)


def propose_policy(
    tickets: Sequence[LabelledTicket],
    base: str,
    *,
    predicted: Mapping[str, str] | None = None,
    kinds: Sequence[FactKind] = (),
    records: Mapping[str, RecordKind] = NO_RECORDS,
) -> str:
    """A policy file for a suite without one: `base` with its topics learned from the labelled bands of `tickets`.

    `predicted` are the intents that a classifier names (`RouterReport.predicted`): the policy will meet those, not the
    labels. Tickets without either are left out. `kinds` are the records that the suite's customers have, `records`
    those that Sluice does not know by itself, for topics that only they answer. The hard rules stay as they are. Where
    the wording does not tell the band, as on forums, few topics become auto: the shares are written beside each line.

    Raises:
        PolicyError: `base` is no valid policy.
    """
    Policy.parse(base)
    bands: defaultdict[str, Counter[Band]] = defaultdict(Counter)
    forbidden: Counter[str] = Counter()
    for ticket in tickets:
        intent = (predicted or {}).get(ticket.id) or ticket.intent_label
        if intent and ticket.expected_band:
            bands[intent][ticket.expected_band] += 1
            forbidden[intent] += ticket.must_not_auto
    lines = [_line(intent, bands[intent], forbidden[intent]) for intent in sorted(bands)]
    total = sum((count for count in bands.values()), Counter[Band]())
    intents = f"[intents]  # learned from {total.total()} labelled tickets: {_shares(total)}\n" + "\n".join(lines)
    added = {kind: record for kind, record in records.items() if record.intent in bands}
    facts = _facts(sorted(bands), kinds, added)
    filed = "[hard_rules.intents]\n" + "\n".join(
        f'{rule} = "{intent}"' for rule, intent in Policy.parse(base).hard_rules.intents.items() if intent in bands
    )
    text = _replaced(_replaced(_replaced(base, "intents", intents), "facts", facts), r"hard_rules\.intents", filed)
    claims = [intent for intent in sorted(bands) if CLAIM.search(intent)]
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


def _line(intent: str, count: Counter[Band], forbidden: int) -> str:
    auto, escalate = (count[band] / count.total() for band in (Band.AUTO, Band.ESCALATE))
    band = Band.SUGGEST
    if intent == OUT_OF_SCOPE or (count.total() >= ENOUGH and escalate >= MOSTLY_ESCALATE):
        band = Band.ESCALATE
    elif count.total() >= ENOUGH and auto >= MOSTLY_AUTO and forbidden <= MAY_HARM * count.total():
        band = Band.AUTO
    return f'{_key(intent)} = "{band.value}"  # {_shares(count)}'


def _shares(count: Counter[Band]) -> str:
    shares = ", ".join(f"{band.value} {count[band] / max(count.total(), 1):.0%}" for band in reversed(Band))
    return f"n = {count.total()}, {shares}"


def _key(intent: str) -> str:
    return json.dumps(intent)


def _strings(values: Sequence[str]) -> str:
    return json.dumps(list(values))


def _replaced(text: str, table: str, new: str) -> str:
    return re.sub(TABLE.format(table), lambda _: new + "\n\n", text)

"""Propose what may be told of a CRM's records: kinds with an id, without what tells who a person is or how they pay.

A proposal for a suite without a policy, to be read by a person like the rest of it (`processors.policy.RecordKind`).
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from infra.crm import Record, customer_of, rendered
from processors.policy import RecordKind
from processors.records import label_of
from processors.templates import TEMPLATES, statements
from schemas.retrieval import Fact

INTENT = "own_record"  # of questions about a record of any proposed kind
CONVERSATION = "ticket"  # earlier ones are remembered, not told of
MOST_FIELDS = 9
MOST_CHARACTERS = 240  # of a value: longer ones are notes
KNOWN_BY_WORDS = 3.5  # of a value, on average; longer ones are sentences, in which any word may stand
_PRIVATE = re.compile(
    r"name(?!$)|(?<!merchant_)name|mail|phone|address|birth|dob|\bcvv|cvc|\bpin\b|passw|secret|token|ssn|social|zip"
    r"|postal|city|passenger|payment_method|payment_id|user|customer|owner|holder|verif|ip$|note|comment|reason"
    r"|iban|\bbic\b|swift|routing|tax|passport|licen[cs]e|salary|income|medic|diagnos|health|gender|religi|ethnic"
    r"|internal|score|risk|flag|fraud|alert|_ids?$|^id$|payments$|source$"
)
_DATE = re.compile(r"\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}.*")
_ENDINGS = re.compile(r"\b(?:history|histories|record|log|list|data|detail)s?\b")


def kinds_of(customers: Sequence[Mapping[str, Any]]) -> dict[str, RecordKind]:
    """A proposal for each kind that no template of ours tells of, and whose records have an id and two fields."""
    records: defaultdict[str, list[Record]] = defaultdict(list)
    for row in customers:
        for record in customer_of(row).records:
            if record.kind != CONVERSATION:
                records[record.kind].append(record)
    found = ((kind, _proposed(kind, rows)) for kind, rows in sorted(records.items()) if not _ours(kind, rows))
    return {kind: proposed for kind, proposed in found if proposed}


def _ours(kind: str, rows: Sequence[Record]) -> bool:
    facts = (Fact(record=row.record, kind=kind, fields=rendered(row.fields)) for row in rows)
    return kind in TEMPLATES and any(map(statements, facts))


def _proposed(kind: str, rows: Sequence[Record]) -> RecordKind | None:
    fields = [(row, rendered(row.fields)) for row in rows]
    own = next((name for row, shown in fields for name in row.fields if _is_id(name, row, shown)), None)
    values: defaultdict[str, list[str]] = defaultdict(list)
    for _, shown in fields:
        for name, value in shown.items() if own in shown else ():
            values[name].append(value)
    told = _foremost([name for name, texts in values.items() if name != own and _may_be_told(name, texts)])
    if own is None or len(told) < 2:
        return None
    return RecordKind(
        name=_name_of(kind, own),
        intent=INTENT,
        tells=(own, *told),
        known_by=tuple(name for name in told if _is_known_by(name, values[name])),
    )


def _foremost(names: Sequence[str]) -> list[str]:
    """As many as one answer may tell, the state among them, in their order."""
    kept = sorted(names, key=lambda name: "status" not in name)[:MOST_FIELDS]
    return [name for name in names if name in kept]


def _name_of(kind: str, own: str) -> str:
    """What a customer calls it: by its kind, or by its id where the kind is what our shops call an order."""
    words = label_of(own.removesuffix("_id")) if kind == "order" else _ENDINGS.sub("", label_of(kind))
    return " ".join(words.split())


def _is_id(name: str, row: Record, shown: Mapping[str, str]) -> bool:
    return (
        name.endswith("id") and shown.get(name) == row.record.partition("/")[2] and not re.match("user|customer", name)
    )


def _may_be_told(name: str, values: Sequence[str]) -> bool:
    return (
        re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name) is not None
        and not _PRIVATE.search(name.lower())
        and all(len(value) <= MOST_CHARACTERS and "\n" not in value and "@" not in value for value in values)
    )


def _is_known_by(name: str, values: Sequence[str]) -> bool:
    """Whether its values are words by which a customer may mean a record, and not its state, a date or a sum."""
    worded = [value for value in values if re.search("[A-Za-z]{3}", value) and not _DATE.fullmatch(value)]
    words = sum(len(value.split()) for value in worded) / max(len(worded), 1)
    answers = {value.lower() for value in values} <= {"yes", "no", "true", "false"}
    return (
        len(worded) > 0.8 * len(values)
        and words <= KNOWN_BY_WORDS
        and not answers
        and not re.search("status|state|date|_at$|stage|points|earned", name)
    )

"""Customers as a shop exports them (a row of crm.jsonl), and their records as an answer may quote them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.rows import UnreadableFile, fault, read_rows

# A list of these becomes one record each; any other list of objects does so under its own name, singular.
NOT_OF_THE_ACCOUNT = ("orders", "subscriptions", "tickets", "refunds", "split", "customer_id")
Row = Mapping[str, Any]  # of JSON

_TRUNK_ZERO = re.compile(r"\(\s*0")  # dialled inside the country only; where it belongs differs by country
_BESIDE = re.compile(r"[\s().\-/\u2010-\u2015]")  # what people write between the digits
_INTERNATIONAL = re.compile(r"(?:\+|00)([1-9][0-9]{6,14})", re.ASCII)


@dataclass(frozen=True)
class Record:
    """One record of a customer: `order/W10023`, with its fields as JSON values."""

    record: str
    kind: str
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class Customer:
    """A customer with all their records. An address or number they share with another customer proves neither."""

    customer_id: str
    email: str | None = None
    phone: str | None = None  # E.164 digits
    name: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    records: tuple[Record, ...] = ()


def customer_of(row: Row) -> Customer:
    """Read a row of crm.jsonl: orders with shipments and refunds, subscriptions, accounts, earlier tickets."""
    profile = row.get("profile") or {}
    customer_id = str(row["customer_id"])
    account = {name: value for name, value in {**row, **profile}.items() if _describes(name, value)}
    records = [
        Record(f"account/{customer_id}", "account", account),
        *(record for order in row.get("orders") or () for record in _of_order(order)),
        *(record for name in row if name not in ("orders", "profile") for record in _of_list(name, row[name])),
    ]
    return Customer(
        customer_id,
        email=row.get("email") or profile.get("email"),
        phone=phone_of(row.get("phone") or profile.get("phone")),
        name=row.get("name") or profile.get("name"),
        fields=account,
        records=tuple({record.record: record for record in records}.values()),
    )


def read_customers(path: Path) -> list[Row]:
    """The rows of a crm.jsonl, each known to be a customer.

    Raises:
        UnreadableFile: a row is none.
    """
    rows = []
    for place, row in read_rows(path):
        try:
            customer_of(row)
        except KeyError as error:
            raise UnreadableFile(f"{place}: {fault(error)}") from None
        except (TypeError, AttributeError, ValueError) as error:
            raise UnreadableFile(f"{place}: not a customer: {error}") from None
        rows.append(row)
    return rows


def phone_of(told: object) -> str | None:
    """E.164 digits of a number in international form (`+1 (555) 010-0017`, `0049 ...`); None for any other.

    Without its country a number may be that of somebody abroad, so it proves nobody. Nor does one with a trunk zero in
    parentheses, `+44 (0)20 ...`: whether it is dropped would be a guess.
    """
    if not isinstance(told, str) or _TRUNK_ZERO.search(told):
        return None
    written = _BESIDE.sub("", told)
    found = _INTERNATIONAL.fullmatch(written)
    return found[1] if found else None


def rendered(fields: Mapping[str, Any]) -> dict[str, str]:
    """A record's fields as short texts: money as $1,069.85, moments in UTC, lists by commas; no empty ones."""
    return {name: text for name, value in _flat(fields) if (text := _text(name, value))}


# -- records


def _describes(name: str, value: object) -> bool:
    return name not in NOT_OF_THE_ACCOUNT and name != "profile" and not _is_list_of_objects(value)


def _is_list_of_objects(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _of_order(order: Row) -> Iterator[Record]:
    number = str(order.get("order_id") or order.get("reservation_id"))
    refunds = order.get("refunds") or ()
    yield Record(f"order/{number}", "order", dict(_order_fields(order)))
    for refund in refunds:
        number_of_refund = refund["refund_id"]
        fields = {"refund_id": number_of_refund, "order_id": number, **refund}
        yield Record(f"refund/{number_of_refund}", "refund", fields)


def _of_list(name: str, rows: object) -> Iterator[Record]:
    """Rows of a list beside the orders; one without an id of its own is numbered."""
    if not isinstance(rows, list) or not _is_list_of_objects(rows):
        return
    kind = name.removesuffix("s")
    for place, row in enumerate(rows, 1):
        number = row.get(f"{kind}_id") or next((v for k, v in row.items() if k.endswith("_id")), place)
        yield Record(f"{kind}/{number}", kind, row)


def _order_fields(order: Row) -> Iterator[tuple[str, Any]]:
    items = order.get("items") or ()
    for name, value in order.items():
        match name:
            case "items":
                yield "items", [_item(item) for item in items]
                yield "item_prices", [f"{item['name']} {_money(price)}" for item in items if (price := _price(item))]
                if "total_usd" not in order and all(map(_price, items)):
                    yield "total_usd", round(sum(_price(item) * item.get("qty", 1) for item in items), 2)
            case "shipments":
                yield from _shipment_fields(value)
            case "fulfillments":
                yield "tracking", [number for parcel in value for number in parcel.get("tracking_id", ())]
            case "payment_history":
                yield "payments", [_payment(payment) for payment in value]
            case "refunds":
                yield "refunds", [f"{refund['refund_id']} ({refund['status']})" for refund in value]
            case _:
                yield name, value


def _shipment_fields(shipments: Sequence[Row]) -> Iterator[tuple[str, Any]]:
    """The shipments' fields side by side: one value where all agree, else one each in their order."""
    for name in dict.fromkeys(name for shipment in shipments for name in shipment):
        values = [shipment.get(name) for shipment in shipments]
        agreed = values[:1] if len(set(values)) == 1 else values
        shown = {"status": "shipment_status", "shipment_id": "shipments"}.get(name, name)
        yield shown, ["not yet" if value is None else value for value in agreed] if any(values) else None


def _item(item: Row) -> str:
    options = ", ".join(str(option) for option in (item.get("options") or {}).values())
    return f"{item.get('qty', 1)} × {item['name']}" + (f" ({options})" if options else "")


def _price(item: Row) -> float:
    return float(item.get("price_usd") or item.get("price") or 0)


def _payment(payment: Row) -> str:
    by = payment.get("payment_method_id") or payment.get("payment_id") or "unknown"
    return f"{payment.get('transaction_type', 'payment')} {_money(payment['amount'])} by {by}"


# -- texts


def _flat(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if name == "address" and isinstance(value, Mapping):
            yield prefix + name, list(value.values())
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}_")
        else:
            yield prefix + name, value


def _text(name: str, value: object) -> str:
    match value:
        case None | "":
            return ""
        case bool():
            return "yes" if value else "no"
        case int() | float() if name.endswith("_usd"):
            return _money(value)
        case list() | tuple():
            return ", ".join(filter(None, (_text(name, part) for part in value)))
        case Mapping():
            in_order = sorted(value.items(), key=lambda part: (len(part[0]), part[0]))  # as Postgres keeps a jsonb
            return " ".join(rendered(dict(in_order)).values())
        case str() if name.endswith("_at"):
            return _moment(value)
        case _:
            return str(value)


def _money(amount: float) -> str:
    return f"${amount:,.2f}"


def _moment(text: str) -> str:
    """A moment to the minute in UTC; a mere date, or anything else, as it stands."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    if "T" not in text or moment.tzinfo is None:
        return text
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def customers_of(rows: Iterable[Row]) -> list[Customer]:
    """Read all rows of a crm.jsonl."""
    return [customer_of(row) for row in rows]

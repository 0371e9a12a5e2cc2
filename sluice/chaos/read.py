"""Reads what a run left behind: every topic, the tables as their owner, and the helpdesk's own list."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import httpx
import psycopg

from infra.kafka.history import DEAD, PATH, RETRIES, Entry, entries
from loadtest.chaos.history import (
    AdmittedRow,
    Applied,
    ClaimRow,
    ClaimState,
    Delivered,
    History,
    ItemRow,
    Place,
    Seen,
)
from schemas.outcome import TicketSettled
from schemas.topics import Header, Topic
from sluice.chaos.drive import Driver
from sluice.chaos.watch import Watch
from sluice.chaos.world import World

TOKEN = re.compile(r"chaos-\d+-\d{5,}\.")  # as `conversation_of` makes it


def read_history(
    world: World, driver: Driver, watch: Watch, applied: Sequence[Applied], began: datetime, quiet_at: datetime
) -> History:
    """Everything about the run, once it is quiet.

    Raises:
        DependencyDown: Kafka does not answer.
        psycopg.OperationalError, httpx.HTTPError: Postgres or the helpdesk does not.
    """
    topics = tuple(topic for topic in (*PATH, *RETRIES, *DEAD) if topic != Topic.INBOUND)
    with psycopg.connect(world.postgres.url()) as connection:
        admitted, claims, items = _admitted(connection), _claims(connection), _items(connection)
    return History(
        began,
        quiet_at,
        produced=tuple(driver.acknowledged),
        seen=tuple(_seen(entry) for entry in entries(world.kafka.bootstrap, topics, None)),
        delivered=tuple(_delivered(world)),
        commits=(*watch.commits, *watch.committed()),
        flips=tuple(world.flips),
        applied=tuple(applied),
        samples=tuple(watch.samples),
        lag=watch.lag(),
        admitted=admitted,
        claims=claims,
        items=items,
    )


def _seen(entry: Entry) -> Seen:
    record, event = entry.record, entry.event
    headers = {name: value.decode(errors="replace") for name, value in record.headers.items()}
    settled = event if isinstance(event, TicketSettled) else None
    admission = getattr(event, "admission", None)
    revision = settled.revision if settled else getattr(admission, "revision", 0)
    return Seen(
        place=Place(record.topic, record.partition, record.offset),
        at=record.at,
        key=None if record.key is None else record.key.decode(errors="replace"),
        ticket_id=entry.ticket_id,
        revision=revision,
        outcome=settled.outcome.value if settled else None,
        actor=settled.actor if settled else "bot",
        stage=headers.get(Header.STAGE, ""),
        reason=headers.get(Header.REASON, ""),
        source=_source(headers),
        trace=headers.get(Header.TRACEPARENT, ""),
        tokens=frozenset(TOKEN.findall((record.value or b"").decode("latin-1"))),
    )


def _source(headers: dict[str, str]) -> Place | None:
    try:
        return Place(
            headers[Header.SOURCE_TOPIC], int(headers[Header.SOURCE_PARTITION]), int(headers[Header.SOURCE_OFFSET])
        )
    except (KeyError, ValueError):
        return None


def _delivered(world: World) -> Iterator[Delivered]:
    for call in httpx.get(f"{world.helpdesk}/deliveries", timeout=30).raise_for_status().json():
        kind, data = call["body"]["type"], call["body"]["data"]
        tokens = frozenset(TOKEN.findall(str(data)))
        yield Delivered(call["key"], kind.removeprefix("ticket."), data["ticket"]["conversation"], call["id"], tokens)


Connection = psycopg.Connection[tuple[Any, ...]]


def _admitted(connection: Connection) -> tuple[AdmittedRow, ...]:
    statement = "select ticket_id, conversation, revision, admitted_at from message where author = 'customer'"
    return tuple(AdmittedRow(*row) for row in connection.execute(statement))


def _claims(connection: Connection) -> tuple[ClaimRow, ...]:
    statement = "select key, conversation, revision, ticket_id, actor, state, claimed_at from claim"
    rows = connection.execute(statement).fetchall()
    return tuple(
        ClaimRow(key, conversation, revision, ticket, actor, ClaimState(state), claimed_at)
        for key, conversation, revision, ticket, actor, state, claimed_at in rows
    )


def _items(connection: Connection) -> tuple[ItemRow, ...]:
    statement = "select key, kind, conversation, ticket_id, revision, opened_at from item"
    return tuple(ItemRow(*row) for row in connection.execute(statement))

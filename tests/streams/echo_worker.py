"""A worker process for tests: the router's topics, and a handler that does what each ticket's JSON body asks for.

Usage: echo_worker.py BOOTSTRAP GROUP LOG [KEY=VALUE ...]. It appends one JSON line to LOG for each begin and end of a
try. Bodies: {"id": 1, "sleep": 0.5, "fail": "bug|reject|later", "tries": 1, "down": FILE}, or {"block": FILE, "for": 9}
to let the event loop stand still, once a FILE. read=ticket: real tickets.
"""

import asyncio
import json
import os
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from prometheus_client import CollectorRegistry

from infra.kafka.producer import Producer
from infra.kafka.security import Brokers, security_of
from infra.settings import load_settings
from processors.errors import DependencyDown, Rejected, TryLater
from schemas.codec import Undecodable, decode
from schemas.event import Stage
from schemas.ingress import TicketReceived
from schemas.topics import Topic
from streams.flight import Flight, Limits, Ticket
from streams.health import Bounds, Health, serve_health
from streams.metrics import Metrics
from streams.process import configure_logging, operate
from streams.stage import Surroundings, build
from streams.step import Incoming, Input, Outgoing, Record, StageDefinition

FAULTS = {"bug": ZeroDivisionError, "reject": Rejected, "later": TryLater}


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def read_order(record: Record) -> dict[str, Any]:
    try:
        return dict(json.loads(record.value or b""))
    except (ValueError, TypeError):
        raise Undecodable("no JSON object") from None


def read_ticket(record: Record) -> dict[str, Any]:
    return {"id": str(decode(TicketReceived, record.value).ticket_id)}


class Echo:
    def __init__(self, log: Path) -> None:
        self._log = log.open("a", buffering=1)

    def note(self, what: str, incoming: Incoming[dict[str, Any]]) -> None:
        record = incoming.record
        line = {"what": what, "id": incoming.event.get("id"), "tries": incoming.tries, "key": incoming.key}
        place = {"topic": record.topic, "partition": record.partition, "offset": record.offset, "pid": os.getpid()}
        self._log.write(json.dumps({**line, **place, "at": time.monotonic()}) + "\n")

    async def __call__(self, incoming: Incoming[dict[str, Any]]) -> tuple[Outgoing, ...]:
        body = incoming.event
        self.note("begin", incoming)
        if "block" in body and not Path(body["block"]).exists():
            Path(body["block"]).touch()
            time.sleep(body["for"])
        await asyncio.sleep(body.get("sleep", 0))
        if "down" in body and Path(body["down"]).exists():
            raise DependencyDown("the test's dependency")
        if "fail" in body and incoming.tries <= body.get("tries", 99):
            raise FAULTS[body["fail"]]("asked for")
        self.note("end", incoming)
        return (Outgoing(Topic.ROUTER, incoming.key, str(body["id"]).encode()),)


async def main(bootstrap: str, group: str, log: Path, given: dict[str, str]) -> int:
    sizes = {name: int(given[name]) for name in ("in_flight", "uncommitted", "ahead") if name in given}
    limits = Limits(drain=float(given.get("drain", 20)), **sizes)
    read = read_ticket if given.get("read") == "ticket" else read_order
    definition = StageDefinition(Stage.ROUTER, (Input(Topic.INBOUND.value, read, Echo(log)),))
    brokers = Brokers(bootstrap, security_of(load_settings()))
    async with Producer(brokers) as producer:
        metrics = Metrics(CollectorRegistry())
        clock, session = SystemClock(), 6.0
        around = Surroundings(
            brokers, producer.publish, clock, metrics, limits, group_prefix=group, session_timeout=session
        )
        around = replace(around, slot=given.get("slot"))
        app = build(definition, around)
        health = Health(
            clock, metrics, members=[app], bounds=Bounds(session=session, loop=float(given.get("loop", 30)))
        )
        async with health.watching():
            with serve_health("127.0.0.1", 0, health) as port:
                log.with_name(f"port-{os.getpid()}").write_text(str(port))
                return await operate([], [app])


def drop_once(marker: Path) -> None:
    """Lose the first ticket that asks for it between Kafka and the stage, as Faust may around a rebalance."""
    take = Flight.take

    async def lossy(self: Flight, ticket: Ticket) -> None:
        if b'"drop"' in (ticket.record.value or b"") and not marker.exists():
            marker.touch()
        else:
            await take(self, ticket)

    Flight.take = lossy  # type: ignore[method-assign]


if __name__ == "__main__":
    configure_logging("INFO")
    options = dict(pair.split("=") for pair in sys.argv[4:])
    if "lossy" in options:
        drop_once(Path(options["lossy"]))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), options)))

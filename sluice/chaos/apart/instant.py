"""A stage that is done with a record at once: what is left is Kafka, Faust and the ledger of what is in flight.

Usage: python -m sluice.chaos.apart.instant BOOTSTRAP GROUP
"""

import asyncio
import sys

import uvloop
from prometheus_client import CollectorRegistry

from infra.clock import SystemClock
from infra.kafka.producer import Producer
from schemas.event import Stage
from schemas.topics import Topic
from streams.metrics import Metrics
from streams.process import configure_logging, operate
from streams.stage import Surroundings, build
from streams.step import Incoming, Input, Outgoing, Record, StageDefinition


async def _done(_: Incoming[Record]) -> tuple[Outgoing, ...]:
    return ()


async def main(bootstrap: str, group: str) -> int:
    """Run until a signal; the exit code."""
    definition = StageDefinition(Stage.ROUTER, (Input(Topic.INBOUND, lambda record: record, _done),))
    async with Producer(bootstrap) as producer:
        metrics = Metrics(CollectorRegistry())
        around = Surroundings(bootstrap, producer.publish, SystemClock(), metrics, group_prefix=group)
        return await operate([], [build(definition, around)])


if __name__ == "__main__":
    configure_logging("WARNING")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main(*sys.argv[1:])))

"""Ending a Kafka client, whatever state it and its brokers are in."""

import asyncio
from typing import Protocol

WITHIN = 5.0  # seconds


class Client(Protocol):
    """A consumer or producer of aiokafka."""

    async def stop(self) -> None: ...


async def close(client: Client) -> None:
    """Stop a client, for a few seconds at most.

    With its broker away, aiokafka's `stop` may wait for ever, or raise CancelledError although nobody cancelled it.
    So it runs as a task of its own, whose end is only waited for.
    """
    task = asyncio.create_task(client.stop())
    await asyncio.wait([task], timeout=WITHIN)
    if task.done() and not task.cancelled():
        task.exception()  # looked at: there is nothing left to do about it
    else:
        task.cancel()

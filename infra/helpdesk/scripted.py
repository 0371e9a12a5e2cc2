"""A helpdesk in memory that keeps what it was told and fails as it is told."""

import asyncio
from collections import deque
from dataclasses import dataclass

from infra.helpdesk.payload import HAND_OVER, REPLY, Payload, hand_over_payload, reply_payload
from processors.errors import DependencyDown
from processors.ports import HandOver, Reply
from schemas.ingress import Channel


@dataclass(frozen=True)
class Delivery:
    """One call that was done."""

    act: str  # reply or hand_over
    key: str
    payload: Payload
    reference: str


@dataclass(frozen=True)
class Fault:
    """What the next call does instead of answering."""

    error: Exception
    done: bool = False  # it fails after the work is done, as when the answer is lost on its way


class ScriptedHelpdesk:
    """Keeps every call, also the second one under a key; both get the reference of the first."""

    def __init__(self, *, can_be_asked: bool = True, delay: float = 0.0) -> None:
        self.deliveries: list[Delivery] = []
        self._faults: deque[Fault] = deque()
        self._can_be_asked = can_be_asked
        self._delay = delay  # seconds before each call is done

    def fail(self, *faults: Fault) -> None:
        """Let the next calls of `reply` and `hand_over` fail, one fault each."""
        self._faults.extend(faults)

    async def reply(self, reply: Reply, deadline: float) -> str:
        """Keep a reply; its reference."""
        return await self._do(REPLY, reply_payload(reply), deadline)

    async def hand_over(self, hand_over: HandOver, deadline: float) -> str:
        """Keep a hand-over; its reference."""
        return await self._do(HAND_OVER, hand_over_payload(hand_over), deadline)

    async def find(self, key: str, channel: Channel) -> str | None:
        """The reference of the first call under a key.

        Raises:
            LookupError: it was made not to be asked.
        """
        if not self._can_be_asked:
            raise LookupError("this helpdesk cannot be asked")
        return next((delivery.reference for delivery in self.deliveries if delivery.key == key), None)

    async def _do(self, act: str, payload: Payload, deadline: float) -> str:
        fault = self._faults.popleft() if self._faults else None
        if fault and not fault.done:
            raise fault.error
        if self._delay >= deadline:
            await asyncio.sleep(deadline)
            raise DependencyDown("scripted helpdesk", "no answer in time")
        await asyncio.sleep(self._delay)
        key = str(payload["key"])
        known = next((delivery.reference for delivery in self.deliveries if delivery.key == key), None)
        reference = known or f"scripted-{len(self.deliveries) + 1}"
        self.deliveries.append(Delivery(act, key, payload, reference))
        if fault:
            raise fault.error
        return reference

"""How far a chat's ticket has come: the stages' topics, read from now on, without a group and by key."""

import asyncio
import logging
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError

from infra.kafka.closing import close
from infra.kafka.consumer import consumer
from infra.kafka.security import Address
from schemas.codec import EVENT_ON, Undecodable, decode
from schemas.resolution import ReplyDrafted
from schemas.retrieval import EvidenceFound
from schemas.router import TicketRouted
from schemas.topics import Topic
from streams.ingress.feed import ChatFeed, is_chat
from streams.retry import pause

# True of every ticket that has reached the topic, also of one that no model is asked about.
STATES: Mapping[str, str] = {Topic.ROUTER: "looking", Topic.RETRIEVAL: "working", Topic.RESOLUTION: "checking"}
POLL_MS = 200

logger = logging.getLogger(__name__)


class ProgressReader:
    """Tells a feed where its tickets are. A status may be lost: whoever waits for an answer loses nothing."""

    def __init__(self, bootstrap: Address, feed: ChatFeed) -> None:
        self._bootstrap, self._feed = bootstrap, feed

    async def run(self) -> None:
        """Read until cancelled; an outage is waited for."""
        failures = 0
        while True:
            reading = consumer(self._bootstrap, *STATES, auto_offset_reset="latest")
            try:
                await reading.start()
                failures = 0
                await self._follow(reading)
            except KafkaError as error:
                logger.warning("the stages' topics cannot be read: %s", type(error).__name__)
            finally:
                await close(reading)
            await asyncio.sleep(pause(failures))
            failures += 1

    async def _follow(self, reading: AIOKafkaConsumer) -> None:
        while True:
            for messages in (await reading.getmany(timeout_ms=POLL_MS)).values():
                for message in messages:
                    self._read(message)

    def _read(self, message: "ConsumerRecord[bytes, bytes]") -> None:
        """Most records are no chat's: their key says so, and they are not decoded."""
        key = (message.key or b"").decode(errors="replace")
        if not is_chat(key) or not self._feed.followed(key):
            return
        try:
            event = decode(EVENT_ON[Topic(message.topic)], message.value)
        except Undecodable:
            return
        if isinstance(event, TicketRouted | EvidenceFound | ReplyDrafted):
            self._feed.progress(key, event.ticket.ticket_id, STATES[message.topic])

"""A consumer beside the stages' own: without a group, nothing committed, from the beginning unless it seeks."""

from typing import Any

from aiokafka import AIOKafkaConsumer

from infra.kafka.headers import read_any_header
from infra.kafka.security import Address, brokers


def consumer(bootstrap: Address, *topics: str, **options: Any) -> AIOKafkaConsumer:  # noqa: ANN401 - aiokafka's own
    """A consumer of these topics, or of none until it is assigned some; not started."""
    read_any_header()
    given = {"group_id": None, "enable_auto_commit": False, "auto_offset_reset": "earliest", **options}
    return AIOKafkaConsumer(*topics, **brokers(bootstrap).for_aiokafka(), **given)

"""Where the ledger's chains end, as the topic `audit.heads` has it: kept apart from the ledger, so that a cut shows."""

import json
from dataclasses import dataclass

from infra.kafka.reader import Reader
from infra.kafka.security import Address
from processors.ports import LedgerHead
from schemas.topics import Topic


@dataclass(frozen=True)
class Heads:
    """What the topic holds."""

    heads: tuple[LedgerHead, ...]
    unreadable: tuple[str, ...]  # where a record stands that is no head, topic/partition@offset


def published_heads(bootstrap: Address) -> Heads:
    """Every head on the topic; compaction leaves at least the last one of each chain.

    Raises:
        DependencyDown: Kafka does not answer.
    """
    heads: list[LedgerHead] = []
    unreadable: list[str] = []
    with Reader(bootstrap, [Topic.AUDIT_HEADS.value]) as reader:
        for record in reader.until_end():
            head = _head(record.value)
            if head is None or record.key != head.chain.encode():
                unreadable.append(f"{record.topic}/{record.partition}@{record.offset}")
            else:
                heads.append(head)
    return Heads(tuple(heads), tuple(unreadable))


def _head(value: bytes | None) -> LedgerHead | None:
    try:
        fields = json.loads(value or b"")
        return LedgerHead(str(fields["chain"]), int(fields["sequence"]), str(fields["hash"]))
    except (ValueError, KeyError, TypeError):
        return None

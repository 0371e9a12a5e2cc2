"""Every append to the ledger is published apart from it, whichever stage made it."""

import json

from schemas.topics import Topic
from tests.streams.test_layers import armed, ticket, walk


async def test_what_the_router_shows_a_model_is_published_too() -> None:
    world = await armed()
    world.classifier.prompt_hash = "p"
    await walk(world, ticket())
    heads = [json.loads(record.value or b"") for record in world.published if record.topic == Topic.AUDIT_HEADS]
    assert [head["hash"] for head in heads] == [row.hash for row in world.ledger.rows]
    assert len(heads) == 2

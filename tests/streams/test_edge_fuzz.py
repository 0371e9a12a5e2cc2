"""The edge against its own description: whatever is asked, it answers as it says, and never with a fault of ours."""

from datetime import timedelta
from typing import Any

import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks
from starlette.testclient import TestClient

from infra.clock import SystemClock
from infra.helpdesk.scripted import ScriptedHelpdesk
from infra.scripted.conversations import ScriptedConversations
from infra.scripted.outside import ScriptedOutsideClaims
from infra.scripted.queue import ScriptedQueue
from infra.scripted.switch import ScriptedSwitchTable
from infra.sessions import SignedSessions
from processors.ingress.api import ApiKey
from processors.ingress.email import Mailbox
from processors.ingress.whatsapp import MetaApp
from processors.queue import PeopleDesk
from streams.ingress.doors import ChatDoor, Doors, PeopleDoor, keys_of
from streams.ingress.edge import create_edge
from streams.ingress.feed import ChatFeed
from streams.ingress.outcomes import OutcomeView
from streams.metrics import Metrics

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]  # the key is always ours, so what a wrong one gets is not asked here
EXAMPLES = 12  # of each operation, the same in every run: more, and others, are for when the edge has changed


async def published(topic: str, key: object, event: object, headers: object) -> None:
    """Kafka takes everything."""


def every_door() -> FastAPI:
    """An edge with all its doors open."""
    clock, table, outcomes = SystemClock(), ScriptedSwitchTable(), OutcomeView()
    outcomes.caught_up, outcomes.answered_at = True, float("inf")
    conversations = ScriptedConversations(clock, table)
    desk = PeopleDesk(conversations, ScriptedHelpdesk(), clock, 30.0, 10.0, ScriptedQueue(conversations))
    doors = Doors(
        publish=published,
        keys=keys_of([("s", ApiKey("shop", "service"))]),
        mailbox=Mailbox("support@shop.example"),
        outcomes=outcomes,
        clock=clock,
        metrics=Metrics(CollectorRegistry()),
        claims=ScriptedOutsideClaims(conversations, clock),
        chat=ChatDoor(SignedSessions("secret"), ChatFeed(outcomes), (), timedelta(hours=1)),
        whatsapp=MetaApp(("secret",), "agreed"),
        people=PeopleDoor(desk, keys_of([("m", "mia")])),
    )
    return create_edge(doors)


EDGE = every_door()
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", EDGE).exclude(path="/v1/chat/events")  # it never ends
schemathesis.openapi.media_type("message/rfc822", st.binary(max_size=2000))


def session() -> dict[str, str]:
    """The header that shows a chat session."""
    with TestClient(EDGE) as client:
        opened = client.post("/v1/chat/sessions", json={}, headers={"X-API-Key": "s"})
    return {"Authorization": f"Bearer {opened.json()['session']}"}


CHAT = session()


def login(path: str) -> dict[str, str]:
    """What whoever is meant to ask this shows."""
    if path == "/v1/chat/messages":
        return CHAT
    return {"X-API-Key": "m" if path.startswith("/v1/queue") else "s"}


@SCHEMA.parametrize()
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=[*HealthCheck])
def test_the_edge_answers_as_it_says(case: Any) -> None:
    case.call_and_validate(headers=login(case.operation.path), checks=CHECKS)

"""The live guard as a process on real Kafka and Postgres: bad audits stop an intent, and a named person lifts it."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from typer.testing import CliRunner

from infra.kafka.producer import Producer
from infra.postgres.conversations import PostgresConversations
from infra.postgres.labels import PostgresLabels
from infra.postgres.pool import Pool, open_pool
from infra.settings import as_role
from processors.ports import AuditorKind, ClaimRequest, ClaimStatus, Verdict
from processors.switch import view
from schemas.control import SwitchState
from schemas.ingress import Channel
from schemas.outcome import Outcome
from schemas.topics import Topic
from sluice.main import app
from sluice.switch_paths import read_board
from tests.contracts.test_labels import ticket
from tests.integration.field import eventually
from tests.unit.test_guard import settled

ROOT = Path(__file__).parents[2]
BAD_ONE, OTHER = "return_policy", "gift_card"
ANSWERS = """
with made as (select gen_random_uuid() as ticket from generate_series(1, %(count)s)),
placed as (insert into conversation (conversation, revision) select ticket::text, 1 from made),
drawn as (insert into audit_draw (ticket_id, revision, seed) select ticket, 1, 'test' from made)
insert into claim
    (conversation, revision, key, ticket_id, actor, channel, intent, state, holder, lease_until, settled_at)
select ticket::text, 1, ticket::text, ticket, 'bot', 'api', %(intent)s, 'sent', ticket, now(), clock_timestamp()
from made returning ticket_id
"""


@pytest.fixture
def guarded(environ: dict[str, str]) -> Iterator[dict[str, str]]:
    """An armed deployment with a live guard; its settings."""
    places = {**environ, "COLUMNS": "200"}
    arming = ["switch", "auto", "--why", "drill", "--actor", "ops"]
    eventually(lambda: CliRunner().invoke(app, arming, env=places).exit_code == 0)  # the broker may still make topics
    command = [sys.executable, "-m", "sluice.main", "worker", "guard", "--port", "0", "--json"]
    guard = subprocess.Popen(command, cwd=ROOT, env=places, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert guard.stdout is not None
        assert json.loads(guard.stdout.readline())["stages"] == ["guard"]
        yield places
        guard.send_signal(signal.SIGTERM)
        assert guard.wait(30) == 0
    finally:
        guard.kill()
        guard.communicate()


def call(places: dict[str, str], *arguments: str) -> str:
    ended = CliRunner().invoke(app, arguments, env=places)
    assert ended.exit_code == 0, ended.stderr
    return ended.stdout


def scopes(places: dict[str, str], detector: str = "audits") -> dict[str, dict[str, Any]]:
    """What `sluice guard status` says of each scope."""
    lines = json.loads(call(places, "guard", "status", "--json"))["scopes"]
    return {line["scope"]: line for line in lines if line["detector"] == detector}


def sent(places: dict[str, str], intent: str, count: int) -> list[UUID]:
    """Answers that went out by themselves and were drawn."""
    with psycopg.connect(as_role(places["DATABASE_URL"], "sluice_owner")) as owner:
        return [ticket for (ticket,) in owner.execute(ANSWERS, {"count": count, "intent": intent}).fetchall()]


def with_pool(places: dict[str, str], role: str, work: Callable[[Pool], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with await open_pool(as_role(places["DATABASE_URL"], f"sluice_{role}"), size=2) as pool:
            return await work(pool)

    return asyncio.run(run())


def audit(places: dict[str, str], bad: list[UUID], good: list[UUID]) -> None:
    """A person's verdicts: some good ones before each bad one."""

    async def judge(pool: Pool) -> None:
        labels, each = PostgresLabels(pool), len(good) // len(bad)
        for number, ticket_id in enumerate(bad):
            for fine in good[number * each : (number + 1) * each]:
                await labels.label(fine, 1, Verdict.GOOD, auditor="eve", kind=AuditorKind.PERSON)
            await labels.label(ticket_id, 1, Verdict.BAD, auditor="eve", kind=AuditorKind.PERSON)

    with_pool(places, "auditor", judge)


def may_send(places: dict[str, str], intent: str) -> ClaimStatus:
    """What a worker is told that wants to send an answer of this intent by itself."""

    async def ask(router: Pool) -> ClaimStatus:
        asked = ticket(uuid4().int % 10**9, f"k{uuid4()}")
        revision = (await PostgresConversations(router).admit(asked)).revision
        wish = ClaimRequest(
            asked.ticket_id, asked.conversation, revision, "bot", Channel.API, intent, None, f"{asked.ticket_id}", 30.0
        )
        async with await open_pool(as_role(places["DATABASE_URL"], "sluice_outcome"), size=1) as pool:
            return (await PostgresConversations(pool).claim(wish)).status

    status: ClaimStatus = with_pool(places, "router", ask)
    return status


def state(places: dict[str, str], intent: str) -> SwitchState:
    """What the workers read on the topic."""
    return view(read_board(places["KAFKA_BOOTSTRAP_SERVERS"]), Channel.API, intent, None).state


def publish_reopened(places: dict[str, str], count: int) -> None:
    async def send() -> None:
        async with Producer(places["KAFKA_BOOTSTRAP_SERVERS"]) as producer:
            for number in range(count):
                event = settled(Outcome.REOPENED, intent=OTHER)
                await producer.publish(Topic.OUTCOME, f"k{number}", event)

    asyncio.run(send())


def test_bad_audits_stop_their_intent_until_a_named_person_arms_it_again(guarded: dict[str, str]) -> None:
    assert (may_send(guarded, BAD_ONE), state(guarded, BAD_ONE)) == (ClaimStatus.GRANTED, SwitchState.AUTO)
    audit(guarded, sent(guarded, BAD_ONE, 6), sent(guarded, OTHER, 6 * 40))
    eventually(lambda: state(guarded, BAD_ONE) is SwitchState.SUGGEST)
    assert (may_send(guarded, BAD_ONE), may_send(guarded, OTHER)) == (ClaimStatus.STOPPED, ClaimStatus.GRANTED)
    assert state(guarded, OTHER) is SwitchState.AUTO
    told = scopes(guarded)
    assert (told[f"intent:{BAD_ONE}"]["state"], told[f"intent:{BAD_ONE}"]["bad"]) == ("tripped", 6)
    assert told["all"]["state"] != "tripped"

    call(guarded, "switch", "auto", "--scope", f"intent:{BAD_ONE}", "--why", "mended", "--actor", "mia")
    eventually(lambda: scopes(guarded)[f"intent:{BAD_ONE}"]["feedbacks"] == 0)
    assert (may_send(guarded, BAD_ONE), state(guarded, BAD_ONE)) == (ClaimStatus.GRANTED, SwitchState.AUTO)

    audit(guarded, sent(guarded, BAD_ONE, 1), sent(guarded, OTHER, 40))
    eventually(lambda: scopes(guarded)[f"intent:{BAD_ONE}"]["bad"] == 1)
    assert state(guarded, BAD_ONE) is SwitchState.AUTO


def test_tickets_that_are_reopened_stop_too(guarded: dict[str, str]) -> None:
    publish_reopened(guarded, 12)
    eventually(lambda: state(guarded, OTHER) is SwitchState.SUGGEST)
    eventually(lambda: scopes(guarded, "signals")["all"]["state"] == "tripped")
    assert may_send(guarded, OTHER) is ClaimStatus.STOPPED
    assert scopes(guarded) == {}

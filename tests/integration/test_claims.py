"""Claim races on real connections: whatever comes first decides, and nothing slips between check and claim."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from psycopg import AsyncConnection

from infra.postgres.conversations import PostgresConversations
from infra.postgres.pool import Pool, open_pool
from infra.postgres.switch import PostgresSwitchTable
from infra.settings import as_role
from processors.errors import DependencyDown, Rejected, TryLater
from processors.ports import ClaimRequest, ClaimStatus
from schemas.control import Scope, Stop, SwitchSet, SwitchState
from schemas.ingress import Channel, TicketReceived, ticket_id

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROUNDS = 30
PATIENCE = 10.0  # seconds


@dataclass(frozen=True)
class Desk:
    """Conversations over real pools, and a connection of the owner to look at their locks."""

    router: PostgresConversations
    workers: tuple[PostgresConversations, PostgresConversations]
    people: PostgresConversations
    switch: PostgresSwitchTable
    pools: dict[str, Pool]
    owner: AsyncConnection

    async def claim(self, conversation: str = "k", worker: int = 0) -> ClaimStatus:
        """A bot's claim on revision 1, by one of two workers."""
        return (await self.workers[worker].claim(request_for(conversation))).status

    async def waits(self, act: "asyncio.Task[object]") -> None:
        """Until the task's statement waits for a lock."""
        async with asyncio.timeout(PATIENCE):
            while await self._waiting() == 0:
                assert not act.done()
                await asyncio.sleep(0.01)

    async def _waiting(self) -> int:
        statement = (
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )
        row = await (await self.owner.execute(statement)).fetchone()
        return int(row[0]) if row else 0


@pytest.fixture
async def desk(database: str) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        owner = await stack.enter_async_context(await AsyncConnection.connect(database, autocommit=True))
        pools = {
            role: await stack.enter_async_context(await open_pool(as_role(database, f"sluice_{role}")))
            for role in ("router", "outcome", "people")
        }
        desk = Desk(
            router=PostgresConversations(pools["router"]),
            workers=(PostgresConversations(pools["outcome"]), PostgresConversations(pools["outcome"])),
            people=PostgresConversations(pools["people"]),
            switch=PostgresSwitchTable(pools["people"]),
            pools=pools,
            owner=owner,
        )
        await desk.switch.set(switch_to(SwitchState.AUTO, Stop()), offset=None)
        yield desk


def ticket(conversation: str = "k", number: int = 1) -> TicketReceived:
    name = f"{conversation} {number}"
    return TicketReceived(
        ticket_id=ticket_id("api", "shop", name),
        conversation=conversation,
        channel=Channel.API,
        provider="api",
        account="shop",
        provider_message_id=name,
        body="Hello?",
        body_full="Hello?",
        received_at=NOON,
    )


def request_for(conversation: str = "k") -> ClaimRequest:
    name = ticket(conversation).ticket_id
    return ClaimRequest(name, conversation, 1, "bot", Channel.API, "order_status", None, f"{name}:1", 30.0)


def switch_to(state: SwitchState, lifts: Stop | None = None) -> SwitchSet:
    return SwitchSet(scope=Scope(), state=state, why="drill", actor="ops", set_at=NOON, lifts=lifts)


@asynccontextmanager
async def uncommitted(pool: Pool, statement: str) -> AsyncIterator[None]:
    """A statement that has done its work, in a transaction that is still open."""
    async with pool.connection() as connection, connection.transaction():
        await connection.execute(statement.encode())
        yield


CLAIM = (
    f"select * from claim('{ticket().ticket_id}', 'k', 1, 'bot', 'api', 'order_status', null, 'key', 30,"
    " gen_random_uuid())"
)
ADMIT = "select * from admit(gen_random_uuid(), 'k', 'none', null, 'api', '', 'And?', 'h', now())"
TAKE_OVER = "select take_over('k', 'mia')"
STOP = "select * from switch_set('all', '', 'off', 'w', 'ops', now(), 0, null, null, null)"


@pytest.mark.parametrize(
    ("role", "first", "then"),
    [
        ("outcome", CLAIM, ClaimStatus.LEASED),
        ("people", TAKE_OVER, ClaimStatus.TAKEN_OVER),
        ("router", ADMIT, ClaimStatus.SUPERSEDED),
        ("people", STOP, ClaimStatus.STOPPED),
    ],
    ids=["another claim", "a take-over", "a new revision", "a stop"],
)
async def test_a_claim_waits_for_what_came_first_and_obeys_it(
    desk: Desk, role: str, first: str, then: ClaimStatus
) -> None:
    await desk.router.admit(ticket())
    async with uncommitted(desk.pools[role], first):
        claiming = asyncio.create_task(desk.claim())
        await desk.waits(claiming)
    assert await claiming is then


@pytest.mark.parametrize(
    ("act", "then"),
    [
        (lambda desk: desk.claim(worker=1), ClaimStatus.LEASED),
        (lambda desk: desk.people.take_over("k", "mia"), ClaimStatus.LEASED),
        (lambda desk: desk.router.admit(ticket(number=2)), ClaimStatus.LEASED),
        (lambda desk: desk.switch.set(switch_to(SwitchState.OFF), offset=None), ClaimStatus.LEASED),
    ],
    ids=["another claim", "a take-over", "a new revision", "a stop"],
)
async def test_what_comes_after_a_claim_waits_for_it_and_leaves_it_granted(
    desk: Desk, act: Callable[[Desk], Awaitable[object]], then: ClaimStatus
) -> None:
    await desk.router.admit(ticket())
    async with uncommitted(desk.pools["outcome"], CLAIM):
        acting = asyncio.ensure_future(act(desk))
        await desk.waits(acting)
    await acting
    assert await desk.claim() is then


async def test_a_claim_that_was_rolled_back_leaves_the_reply_to_the_next(desk: Desk) -> None:
    await desk.router.admit(ticket())
    async with desk.pools["outcome"].connection() as connection:
        await connection.execute("begin")
        await connection.execute(CLAIM.encode())
        claiming = asyncio.create_task(desk.claim())
        await desk.waits(claiming)
        await connection.execute("rollback")
        assert await claiming is ClaimStatus.GRANTED


async def test_of_many_workers_one_is_granted(desk: Desk) -> None:
    for number in range(ROUNDS):
        name = f"k{number}"
        await desk.router.admit(ticket(name))
        answers = await asyncio.gather(*(desk.claim(name, worker) for worker in (0, 1, 0, 1)))
        assert sorted(answers) == [ClaimStatus.GRANTED, *[ClaimStatus.LEASED] * 3]


RACES: dict[str, tuple[Callable[[Desk, str], Awaitable[object]], ClaimStatus]] = {
    "a take-over": (lambda desk, name: desk.people.take_over(name, "mia"), ClaimStatus.TAKEN_OVER),
    "a new revision": (lambda desk, name: desk.router.admit(ticket(name, 2)), ClaimStatus.SUPERSEDED),
}


@pytest.mark.parametrize(("act", "loses"), RACES.values(), ids=RACES)
async def test_a_claim_races_with_one_other(
    desk: Desk, act: Callable[[Desk, str], Awaitable[object]], loses: ClaimStatus
) -> None:
    for number in range(ROUNDS):
        name = f"k{number}"
        await desk.router.admit(ticket(name))
        claimed, _ = await asyncio.gather(desk.claim(name), act(desk, name))
        assert await desk.claim(name, 1) is (ClaimStatus.LEASED if claimed is ClaimStatus.GRANTED else loses)


async def test_no_claim_is_granted_once_a_stop_has_returned(desk: Desk) -> None:
    names = [f"k{number}" for number in range(ROUNDS)]
    for name in names:
        await desk.router.admit(ticket(name))
    running = [asyncio.create_task(desk.claim(name)) for name in names]
    await desk.switch.set(switch_to(SwitchState.OFF), offset=None)
    later = [await desk.claim(name, 1) for name in names]
    before = await asyncio.gather(*running)
    pairs = set(zip(before, later, strict=True))
    assert pairs <= {(ClaimStatus.GRANTED, ClaimStatus.LEASED), (ClaimStatus.STOPPED, ClaimStatus.STOPPED)}


async def test_a_ticket_delivered_many_times_at_once_is_one_revision(desk: Desk) -> None:
    admissions = await asyncio.gather(*(desk.router.admit(ticket()) for _ in range(8)))
    assert {admission.revision for admission in admissions} == {1}
    assert [admission.redelivered for admission in admissions].count(False) == 1


async def test_many_tickets_of_one_conversation_are_numbered_without_a_gap(desk: Desk) -> None:
    admissions = await asyncio.gather(*(desk.router.admit(ticket(number=n)) for n in range(8)))
    assert sorted(admission.revision for admission in admissions) == list(range(1, 9))


async def test_a_lock_that_lasts_is_a_passing_fault_of_that_ticket(desk: Desk) -> None:
    await desk.router.admit(ticket())
    async with desk.pools["outcome"].connection() as connection:
        await connection.execute("set statement_timeout = '100ms'")  # and the pool hands this one out next
    async with uncommitted(desk.pools["people"], TAKE_OVER):
        with pytest.raises(TryLater):
            await desk.claim()


async def test_what_an_index_cannot_hold_is_refused_and_never_waited_for(desk: Desk) -> None:
    name = "".join(chr(0x4E00 + place * 7919 % 20_000) for place in range(6000))  # does not compress
    huge = ticket().model_copy(update={"conversation": name})  # past the schema, as a bug of ours might
    with pytest.raises(Rejected):
        await desk.router.admit(huge)


async def test_a_server_that_cut_the_connections_is_down_and_then_back(desk: Desk) -> None:
    await desk.router.admit(ticket())
    statement = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'sluice_outcome'"
    await desk.owner.execute(statement)
    with pytest.raises(DependencyDown):
        await desk.claim()
    assert await desk.claim() is ClaimStatus.GRANTED

"""The drill's cases: each a way in which a stop may fail to stop, tried in a world of its own."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path

import psycopg

from infra.clock import SystemClock
from infra.postgres.conversations import PostgresConversations
from infra.postgres.pool import open_pool
from loadtest.drill.measure import Fate, reached
from loadtest.drill.plan import ACTOR, NAME, SCOPE, Ticket, tickets
from processors.ports import ClaimStatus
from processors.switch import view
from schemas.control import Scope, ScopeKind, SwitchSet, SwitchState
from schemas.control import Stop as Place
from schemas.ingress import Channel
from sluice.chaos.apart.case import Finding
from sluice.chaos.world import Worker
from sluice.drill.claimers import LEASE, request
from sluice.drill.hand import Flipped, Hand, hand
from sluice.drill.load import OwnRows, load_of
from sluice.drill.reach import watched
from sluice.drill.run import Plan, as_document, drilled
from sluice.drill.world import STALENESS, Drilled, Site, Stuck, drilled_world, fresh, site
from sluice.stack import Say
from sluice.switch_paths import read_board, set_switch

REPLIES = 300
MIDWAY = 7  # a seventh of them is out when the stop comes
JOINING = 2.0  # seconds the helpdesk takes while a worker joins, so that there is something left to stop
FLIPS = 20
CLAIMERS = 32
CUSTOMER = "cus_drill"

Figures = dict[str, float | int | str]
Case = Callable[[Drilled, Hand], Awaitable[Finding]]
During = Callable[[Flipped], Awaitable[None]]


def run_cases(names: Sequence[str], home: Path, say: Say) -> list[Finding]:
    """Run cases one after the other, on one broker and one server."""
    found = []
    with site(home) as place:
        for number, name in enumerate(names):
            say(name)
            found.append(run_case(name, home / name, place, fresh(place, number)))
    return found


def run_case(name: str, home: Path, place: Site, owner_url: str, replies: int = REPLIES) -> Finding:
    """Run one case on fresh topics and an empty database, with so many replies where workers send."""

    async def work(it: Drilled) -> Finding:
        async with hand(it.ground.brokers, it.ground.people_url, SCOPE) as held:
            return replace(await CASE[name](it, held), fault=name)

    with drilled_world(home, place, owner_url, SCOPE, replies) as it:
        try:
            return asyncio.run(work(it))
        except Stuck as error:
            return Finding(name, breaches=(str(error),))


# -- a stop while workers send


async def _midway(it: Drilled, *crew: Worker) -> None:
    """Workers that are sending."""
    it.approve(it.replies)
    await asyncio.to_thread(it.start, *crew)
    await asyncio.to_thread(it.until_sent, it.replies // MIDWAY)


async def _nothing(_: Flipped) -> None:
    return None


async def _stop(
    it: Drilled, held: Hand, *, topic: bool = True, table: bool = True, during: During = _nothing
) -> Finding:
    """Stop workers that are sending, and see what becomes of the rest; `during` is what happens right after."""
    crew = [worker for worker in (it.near, it.far) if worker.alive]
    with watched([f"http://{worker.host}:{worker.port}" for worker in crew]) as reach:
        stop = await held.stop(topic=topic, table=table)
        await during(stop)
        await asyncio.to_thread(it.until, lambda: it.fence(SCOPE, stop.record.set_at), "the table has the stop")
        found = await asyncio.to_thread(it.until_settled)
    fence = it.fence(SCOPE, stop.record.set_at)
    assert fence is not None
    figures = _figures(it, stop, fence, found)
    for worker, one in zip(crew, reach, strict=True):
        known = reached(one.glances, stop.offset, stop.asked_at) if topic else None
        if known is not None:
            figures[f"known_to_{worker.name}_ms"] = round(known, 1)
    return Finding("", figures, _breaches(figures, found))


def _figures(it: Drilled, stop: Flipped, fence: datetime, found: Fate) -> Figures:
    times = sorted(at for _, _, at in it.claims())
    after = [at for at in times if at > stop.asked_at]
    return {
        **asdict(found),
        "with_provider_at_fence": it.with_provider(fence),
        "last_claim_ms": _ms(after[-1] - stop.asked_at) if after else 0.0,
        "fence_ms": _ms(fence - stop.asked_at),
        "claims_behind_fence": sum(at > fence for at in times),
    }


def _breaches(figures: Mapping[str, float | int | str], found: Fate) -> tuple[str, ...]:
    told = []
    if figures["claims_behind_fence"]:
        told.append(f"{figures['claims_behind_fence']} claims behind the stop")
    if found.lost:
        told.append(f"{found.lost} approved replies are neither sent nor a person's draft")
    if found.both:
        told.append(f"{found.both} replies were sent, and are a person's draft beside it")
    if not found.suggested:
        told.append("everything was sent before the stop: nothing was measured")
    return tuple(told)


def _ms(span: timedelta) -> float:
    return round(span.total_seconds() * 1000, 1)


async def both_paths(it: Drilled, held: Hand) -> Finding:
    """Everything reachable."""
    await _midway(it, it.near, it.far)
    return await _stop(it, held)


async def topic_only(it: Drilled, held: Hand) -> Finding:
    """The stop is on the topic alone."""
    await _midway(it, it.near, it.far)
    return await _stop(it, held, table=False)


async def table_only(it: Drilled, held: Hand) -> Finding:
    """The stop is in the table alone."""
    await _midway(it, it.near, it.far)
    return await _stop(it, held, topic=False)


async def cut_from_kafka(it: Drilled, held: Hand) -> Finding:
    """The only worker hears of nothing, and nobody mirrors the stop: only its own doubt can stop it."""
    await _midway(it, it.far)
    cut_at = SystemClock().now()
    it.kafka.cut()
    late: list[datetime] = []

    async def blind(_: Flipped) -> None:
        await asyncio.sleep(2 * STALENESS)
        late.extend(at for _, _, at in it.claims() if at > cut_at + timedelta(seconds=STALENESS))
        it.kafka.mend()

    found = await _stop(it, held, table=False, during=blind)
    figures = {**found.figures, "claims_when_stale": len(late)}
    doubt = (f"{len(late)} claims by a worker that had no news for {STALENESS:.0f} s",) if late else ()
    return Finding("", figures, (*found.breaches, *doubt))


async def cut_from_postgres(it: Drilled, held: Hand) -> Finding:
    """Far can claim nothing while it is cut off, and knows of the stop when it can."""
    await _midway(it, it.near, it.far)
    it.postgres.cut()

    async def away(_: Flipped) -> None:
        await asyncio.sleep(1.0)
        it.postgres.mend()

    return await _stop(it, held, during=away)


async def rebalance(it: Drilled, held: Hand) -> Finding:
    """A third worker joins as the stop comes."""
    await _midway(it, it.near, it.far)
    it.helpdesk_takes(JOINING)
    third = Worker("third", "outcome")
    it.world.workers.append(third)
    it.world.start(third)
    await asyncio.to_thread(it.until, lambda: third.port is not None, "the third worker joins")
    return await _stop(it, held)


async def restart(it: Drilled, held: Hand) -> Finding:
    """Near ends as by SIGTERM, far as by kill -9; both come back, and must know before their first ticket."""
    await _midway(it, it.near, it.far)

    async def again(_: Flipped) -> None:
        await asyncio.to_thread(it.world.stop, it.far, signal.SIGKILL)
        await asyncio.to_thread(it.world.stop, it.near, signal.SIGTERM)
        await asyncio.to_thread(it.start, it.near, it.far)

    return await _stop(it, held, during=again)


# -- what holds, as a claim tells it


class Asker:
    """Asks for claims in the bot's name, for tickets of the drill's."""

    def __init__(self, it: Drilled, conversations: PostgresConversations, mine: OwnRows) -> None:
        self._it, self._conversations, self._left = it, conversations, iter(mine.tickets)

    async def claim(self) -> ClaimStatus:
        """The answer to one claim of a ticket that nobody has claimed."""
        return (await self._conversations.claim(request(next(self._left), NAME, CUSTOMER))).status

    async def armed(self) -> tuple[bool, bool]:
        """Whether a reply may go out, as the table has it and as a worker reads the topic."""
        board = await asyncio.to_thread(read_board, self._it.ground.brokers)
        known = view(board, Channel.API, NAME, CUSTOMER)
        return await self.claim() is ClaimStatus.GRANTED, known.state is SwitchState.AUTO


async def _asking(it: Drilled, ask: Callable[[Asker], Awaitable[list[tuple[str, bool, tuple[bool, bool]]]]]) -> Finding:
    """Hold what was armed at each step, by both paths, against what should have been."""
    pool = await open_pool(it.ground.outcome_url, size=2)
    mine = OwnRows(it.ground.owner_url, tickets(50), CUSTOMER)
    mine.insert()
    try:
        steps = await ask(Asker(it, PostgresConversations(pool), mine))
    finally:
        await pool.close()
    wrong = tuple(
        f"{step}: {'armed' if found[place] else 'stopped'} {where}"
        for step, expected, found in steps
        for place, where in enumerate(("in the table", "on the topic"))
        if found[place] is not expected
    )
    granted_while_stopped = sum(not expected and found[0] for _, expected, found in steps)
    figures: Figures = {"steps": len(steps), "claims_while_stopped": granted_while_stopped}
    return Finding("", figures, wrong)


async def flip_back(it: Drilled, held: Hand) -> Finding:
    """Armings that name nothing, something else, or the stop before, lift nothing."""

    async def ask(asker: Asker) -> list[tuple[str, bool, tuple[bool, bool]]]:
        steps = [("before", True, await asker.armed())]
        first = await held.stop()
        steps.append(("a stop", False, await asker.armed()))
        for what, lifts in (("an arming that names nothing", None), ("one that names another", Place(offset=9999))):
            await _arm_both(held, lifts)
            steps.append((what, False, await asker.armed()))
        await held.stop(state=SwitchState.OFF)
        await _arm_both(held, first.place)
        steps.append(("one that names the stop before", False, await asker.armed()))
        await held.arm()
        steps.append(("one that names the stop in force", True, await asker.armed()))
        return steps

    return await _asking(it, ask)


async def _arm_both(held: Hand, lifts: Place | None) -> None:
    at = SystemClock().now()
    record = SwitchSet(
        scope=held.scope, state=SwitchState.AUTO, why="a blind arming", actor=ACTOR, set_at=at, lifts=lifts
    )
    await held.table.set(record, offset=None)
    await held.publish(record)


WIDER = (
    Scope(),
    Scope(kind=ScopeKind.CHANNEL, value=Channel.API.value),
    Scope(kind=ScopeKind.CUSTOMER, value=CUSTOMER),
)


async def overlap(it: Drilled, held: Hand) -> Finding:
    """The intent is stopped together with each scope that overlaps it, and lifted first and last."""

    async def ask(asker: Asker) -> list[tuple[str, bool, tuple[bool, bool]]]:
        steps = []
        for scope in WIDER:
            other = Hand(scope, held.table, held.producer)
            for first, second in ((held, other), (other, held)):
                await held.stop()
                await other.stop(state=SwitchState.OFF)
                steps.append((f"{held.scope} and {scope}", False, await asker.armed()))
                await first.arm()
                steps.append((f"{first.scope} lifted, {second.scope} not", False, await asker.armed()))
                await second.arm()
                steps.append((f"{scope} lifted too", True, await asker.armed()))
        elsewhere = Hand(Scope(kind=ScopeKind.INTENT, value=f"{NAME}-other"), held.table, held.producer)
        await elsewhere.stop(state=SwitchState.OFF)
        steps.append((f"{elsewhere.scope} stopped", True, await asker.armed()))
        return steps

    return await _asking(it, ask)


# -- claimers


async def busy_claimers(it: Drilled, held: Hand) -> Finding:
    """Stop after stop against claimers that never rest."""
    report = await drilled(it.ground, Plan(FLIPS, CLAIMERS))
    document = as_document(report)
    figures: Figures = {name: document[name] for name in ("stops", "under_load", "claims", "sent_after_stop")}
    figures |= {f"last_claim_{name}": value for name, value in document["last_claim_ms"].items() if name != "count"}
    behind = report.found.sent_after_stop
    return Finding("", figures, (f"{behind} claims behind a stop",) if behind else ())


async def paused_claimer(it: Drilled, held: Hand) -> Finding:
    """One holds the switch's lock in an open transaction, as `sluice switch` stops the scope: it must not wait long."""
    await asyncio.to_thread(it.start, it.near)  # it mirrors what the command has put on the topic alone
    mine = OwnRows(it.ground.owner_url, tickets(1))
    mine.insert()
    load = load_of(it.ground.owner_url, it.ground.outcome_url, NAME, 4)
    loop = asyncio.get_running_loop()
    with load.rows.kept(), load.running(), _paused(it, mine.tickets[0]):
        await asyncio.to_thread(it.until, lambda: ClaimStatus.GRANTED in load.answers, "claims are granted")
        asked, began = SystemClock().now(), loop.time()
        written = await set_switch(it.world.settings, SCOPE, SwitchState.SUGGEST, why="a drill", actor=ACTOR)
        returned = loop.time() - began
        await asyncio.to_thread(it.until, lambda: it.fence(SCOPE, asked), "the table has the stop")
        fence = it.fence(SCOPE, asked)
        assert fence is not None
        await asyncio.sleep(0.5)
        claims = sorted(claim.at for claim in load.rows.harvest())
    after = [at for at in claims if at > asked]
    behind = sum(at > fence for at in claims) + sum(name == mine.tickets[0].conversation for name, _, _ in it.claims())
    figures: Figures = {
        "command_ms": round(returned * 1000, 1),
        "missed": ", ".join(written.missed) or "nothing",
        "fence_ms": _ms(fence - asked),
        "last_claim_ms": _ms(after[-1] - asked) if after else 0.0,
        "claims_meanwhile": len(after),
        "claims_behind_fence": behind,
    }
    return Finding("", figures, (f"{behind} claims behind the stop",) if behind else ())


@contextmanager
def _paused(it: Drilled, ticket: Ticket) -> Iterator[None]:
    """A claim that was granted, in a transaction that is never ended."""
    with closing(psycopg.connect(it.ground.outcome_url)) as connection:
        wanted = (ticket.ticket_id, ticket.conversation, NAME, ticket.key, LEASE)
        connection.execute("select claim(%s, %s, 1, 'bot', 'api', %s, null, %s, %s, gen_random_uuid())", wanted)
        yield


CASE: Mapping[str, Case] = {
    "both-paths": both_paths,
    "topic-only": topic_only,
    "table-only": table_only,
    "cut-from-kafka": cut_from_kafka,
    "cut-from-postgres": cut_from_postgres,
    "rebalance": rebalance,
    "restart": restart,
    "flip-back": flip_back,
    "overlap": overlap,
    "busy-claimers": busy_claimers,
    "paused-claimer": paused_claimer,
}

"""An outage is waited for in place: one asks, the others wait for its news."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from processors.errors import DependencyDown, Rejected
from streams.metrics import Metrics
from streams.outage import Outages


class Dependency:
    """A dependency that is down until told otherwise, and counts how often it is asked."""

    def __init__(self, name: str = "Postgres") -> None:
        self.name, self.down, self.asked = name, True, 0

    async def ask(self) -> str:
        self.asked += 1
        if self.down:
            raise DependencyDown(self.name)
        return "answer"


class Pauses:
    """A sleep that ends when it is told to."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.turn = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        await self.turn.wait()
        self.turn.clear()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def outages(sleep: Pauses) -> tuple[Outages, Metrics]:
    metrics = Metrics(CollectorRegistry())
    return Outages("router", metrics, sleep), metrics


async def test_one_ticket_asks_and_all_go_on_when_it_is_answered() -> None:
    pauses, postgres = Pauses(), Dependency()
    waiting, _ = outages(pauses)
    tickets = [asyncio.create_task(waiting.patiently(postgres.ask)) for _ in range(5)]
    await settle()
    assert (postgres.asked, pauses.asked) == (5, [0.5])
    pauses.turn.set()
    await settle()
    assert (postgres.asked, pauses.asked) == (6, [0.5, 1.0])
    postgres.down = False
    pauses.turn.set()
    assert await asyncio.gather(*tickets) == ["answer"] * 5


async def test_a_ticket_that_needs_nothing_of_it_goes_on() -> None:
    pauses, postgres, model = Pauses(), Dependency(), Dependency("model")
    waiting, _ = outages(pauses)
    stuck = asyncio.create_task(waiting.patiently(postgres.ask))
    await settle()
    model.down = False
    assert await waiting.patiently(model.ask) == "answer"
    stuck.cancel()


async def test_a_refusal_is_an_answer_too() -> None:
    pauses, answers = Pauses(), [DependencyDown("Postgres"), Rejected("no")]
    waiting, metrics = outages(pauses)

    async def ask() -> None:
        raise answers.pop(0)

    ticket = asyncio.create_task(waiting.patiently(ask))
    await settle()
    pauses.turn.set()
    with pytest.raises(Rejected):
        await ticket
    assert metrics.registry.get_sample_value("sluice_dependencies_down", {"stage": "router"}) == 0


async def test_asking_can_be_bounded() -> None:
    pauses, kafka = Pauses(), Dependency("Kafka")
    waiting, _ = outages(pauses)
    ticket = asyncio.create_task(waiting.patiently(kafka.ask, probes=2))
    for _ in range(2):
        await settle()
        pauses.turn.set()
    with pytest.raises(DependencyDown):
        await ticket
    assert kafka.asked == 3


async def test_an_outage_nobody_waits_for_is_forgotten() -> None:
    pauses, postgres = Pauses(), Dependency()
    waiting, metrics = outages(pauses)
    ticket = asyncio.create_task(waiting.patiently(postgres.ask))
    await settle()
    ticket.cancel()
    await settle()
    assert metrics.registry.get_sample_value("sluice_dependencies_down", {"stage": "router"}) == 0

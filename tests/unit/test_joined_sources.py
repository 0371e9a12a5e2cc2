"""Where a store reads sections and records in one query, nobody is asked twice, and nobody sees more."""

from dataclasses import dataclass, field
from datetime import datetime

import pytest

from processors.errors import DependencyDown
from processors.ports import Gathered, Spoken, Whose
from schemas.retrieval import Passage
from schemas.router import Band
from tests.unit.test_retrieval import ACCOUNT, ORDER, Library, Records, evidence, passage, routed


@dataclass
class Sources(Library):
    """A store that gives every record it has, whatever it is asked for."""

    wanted: list[Whose | None] = field(default_factory=list)

    async def gather(
        self,
        query: str,
        *,
        at: datetime,
        limit: int,
        context: str = "",
        spoken: Spoken | None = None,
        whose: Whose | None = None,
    ) -> Gathered:
        self.wanted.append(whose)
        found: tuple[Passage, ...] = await self.search(query, at=at, limit=limit, context=context)
        return Gathered(found, (ORDER, ACCOUNT))


async def test_sections_and_records_come_of_one_query() -> None:
    sources, records = Sources((passage("yes", score=0.9),)), Records({})
    found = await evidence(routed("?", customer="cus_1"), sources, records)
    assert ([p.text for p in found.passages], found.facts) == (["yes"], (ORDER,))
    assert (len(sources.asked), records.asked) == (1, [])
    assert [(whose.customer_id, "account" in whose.kinds) for whose in sources.wanted if whose] == [("cus_1", False)]


async def test_of_nobody_in_particular_no_record_is_asked_for_or_shown() -> None:
    sources = Sources((passage("yes", score=0.9),))
    assert (await evidence(routed("?", customer=None), sources)).facts == ()
    assert sources.wanted == [None]


async def test_a_hand_over_goes_on_without_both() -> None:
    sources = Sources(failure=DependencyDown("Postgres"))
    found = await evidence(routed("?", customer="cus_1", band=Band.ESCALATE), sources)
    assert (found.passages, found.facts, found.failure) == ((), (), "Postgres is down")
    with pytest.raises(DependencyDown):
        await evidence(routed("?", customer="cus_1"), sources)

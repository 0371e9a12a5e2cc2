"""What may be committed, and whose turn it is."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.window import Lanes, Place, Window


def opened(*offsets: int) -> Window[int]:
    window: Window[int] = Window(offsets[0])
    for offset in offsets:
        window.skip_to(offset)
        window.open(offset, offset)
    return window


@pytest.mark.parametrize(
    ("finished", "committable"),
    [([], 5), ([6, 7], 5), ([5], 6), ([6, 5], 7), ([5, 7], 6), ([7, 6, 5], 8)],
)
def test_only_the_finished_head_may_be_committed(finished: list[int], committable: int) -> None:
    window = opened(5, 6, 7)
    for offset in finished:
        window.finish(offset)
    assert window.committable == committable


def test_a_gap_without_records_is_committed_over() -> None:
    window = opened(5, 9)
    window.finish(5)
    assert window.committable == 9


def test_finishing_the_head_lets_go_of_all_that_waited_behind_it() -> None:
    window = opened(1, 2, 3)
    assert window.finish(2) == []
    assert window.finish(1) == [1, 2]


@pytest.mark.parametrize(
    ("offset", "place"), [(8, Place.NEXT), (7, Place.REPEATED), (5, Place.REPEATED), (9, Place.AFTER_GAP)]
)
def test_an_offset_is_next_repeated_or_after_a_gap(offset: int, place: Place) -> None:
    assert opened(5, 6, 7).place(offset) is place


@given(st.permutations(range(8)), st.integers(0, 8))
def test_nothing_unfinished_is_ever_below_the_commit(order: list[int], count: int) -> None:
    window = opened(*range(8))
    for offset in order[:count]:
        window.finish(offset)
    unfinished = set(range(8)) - set(order[:count])
    assert window.committable == min(unfinished, default=8)


async def visit(lanes: Lanes, key: str, name: str, seen: list[str], gate: asyncio.Event | None = None) -> None:
    async with lanes.join(key):
        seen.append(f"{name} in")
        if gate is not None:
            await gate.wait()
        seen.append(f"{name} out")


async def test_a_key_takes_turns_and_other_keys_do_not_wait() -> None:
    lanes, gate, seen = Lanes(), asyncio.Event(), list[str]()
    tasks = [
        asyncio.create_task(visit(lanes, "a", "first", seen, gate)),
        asyncio.create_task(visit(lanes, "a", "second", seen)),
        asyncio.create_task(visit(lanes, "b", "other", seen)),
    ]
    await asyncio.sleep(0.01)
    assert seen == ["first in", "other in", "other out"]
    gate.set()
    await asyncio.gather(*tasks)
    assert seen[3:] == ["first out", "second in", "second out"]
    assert len(lanes) == 0


async def test_one_that_gives_up_its_turn_does_not_let_the_next_overtake() -> None:
    lanes, gate, seen = Lanes(), asyncio.Event(), list[str]()
    first = asyncio.create_task(visit(lanes, "a", "first", seen, gate))
    second = asyncio.create_task(visit(lanes, "a", "second", seen))
    third = asyncio.create_task(visit(lanes, "a", "third", seen))
    await asyncio.sleep(0.01)
    second.cancel()
    await asyncio.sleep(0.01)
    assert seen == ["first in"]
    gate.set()
    await asyncio.gather(first, third)
    assert seen == ["first in", "first out", "third in", "third out"]

"""The oracle on the real broker: it catches stock Faust losing tickets, and finds our own stage sound."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from infra.kafka.reader import Record
from loadtest.chaos.history import Commit, History, Place, Produced, Seen
from loadtest.chaos.oracle import Verdict, judge
from schemas.event import Stage
from schemas.topics import Topic
from tests.streams.conftest import Crew, eventually, orders

FAST = 9  # tickets behind the slow one, in its partition


class Stock(Crew):
    """Workers that are a stock Faust app each."""

    def start(self, **options: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(Path(__file__).with_name("stock_faust.py")), self.bootstrap]
        with (self.folder / f"worker-{len(self.workers)}.err").open("wb") as errors:
            worker = subprocess.Popen([*command, f"{self.group}.{Stage.ROUTER}"], stderr=errors, stdout=errors)
        self.workers.append(worker)
        return worker


@pytest.fixture
def stock(kafka_topics: str, tmp_path: Path) -> Iterator[Stock]:
    hands = Stock(kafka_topics, tmp_path)
    yield hands
    hands.end()


def place(record: Record) -> Place:
    return Place(record.topic, record.partition, record.offset)


def sent(record: Record) -> Produced:
    body, key = json.loads(record.value or b"{}"), (record.key or b"").decode()
    return Produced(place(record), record.at, key, UUID(int=body["id"]), str(body["id"]))


def routed(record: Record) -> Iterator[Seen]:
    """What the stage wrote. Behind it all is perfect: what it wrote is settled at once."""
    key, ticket = (record.key or b"").decode(), UUID(int=int(record.value or b""))
    yield Seen(place(record), record.at, key, ticket, 1)
    yield Seen(Place(Topic.OUTCOME, record.partition, record.offset), record.at, key, ticket, 1, outcome="superseded")


def commits(crew: Crew) -> tuple[Commit, ...]:
    now = datetime.now(UTC)
    found = crew.committed().items()
    return tuple(Commit(Stage.ROUTER, Topic.INBOUND, number, offset, now) for number, offset in found if offset > 0)


def killed_behind_a_slow_head(crew: Crew) -> Verdict:
    """Ten tickets in one partition, the first slow; kill -9 once the others are done, restart, wait, judge."""
    began, down = datetime.now(UTC), crew.folder / "down"
    down.touch()
    crew.send({"id": 0, "down": str(down)}, *orders(FAST + 1)[1:], partition=0)
    worker = crew.start()
    eventually(lambda: len(crew.results()) == FAST)
    crew.send({"id": FAST + 1}, partition=1)
    eventually(lambda: crew.committed()[1] == 1)  # a commit, after the others were done
    before = commits(crew)
    crew.stop(worker, signal.SIGKILL)
    down.unlink()
    crew.start()
    crew.send({"id": FAST + 2}, partition=0)
    eventually(lambda: str(FAST + 2) in crew.results())  # the partition has an owner again, and it reads on
    eventually(lambda: crew.committed()[0] > FAST + 1 or "0" in crew.results())
    tickets, results = crew.topic(Topic.INBOUND), crew.topic(Topic.ROUTER)
    return judge(
        History(
            began,
            datetime.now(UTC),
            produced=tuple(map(sent, tickets)),
            seen=tuple(seen for record in results for seen in routed(record)),
            commits=(*before, *commits(crew)),
        )
    )


def test_stock_faust_is_caught_losing_a_ticket_and_committing_past_it(stock: Stock) -> None:
    verdict = killed_behind_a_slow_head(stock)
    assert (verdict.tickets, verdict.settled, verdict.lost) == (FAST + 3, FAST + 2, 1)
    assert verdict.committed_past_unfinished == 1
    assert {(breach.invariant, breach.ticket_id) for breach in verdict.breaches} == {
        ("I1", UUID(int=0)),
        ("I4", UUID(int=0)),
    }


def test_our_own_stage_does_the_same_and_is_clean(crew: Crew) -> None:
    verdict = killed_behind_a_slow_head(crew)
    assert verdict.breaches == ()
    assert (verdict.settled, verdict.lost) == (FAST + 3, 0)

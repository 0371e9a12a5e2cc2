"""A chaos run's report tells what was applied, how long recovery took, and a breach's whole story."""

from dataclasses import replace
from uuid import UUID

from loadtest.chaos.faults import FAULTS, Lane, lanes
from loadtest.chaos.history import Applied
from loadtest.chaos.oracle import Breach, judge
from loadtest.chaos.report import broken, document, recoveries, rows, story
from sluice.chaos.apart.cases import CASES
from sluice.chaos.faults import APPLY
from tests.unit.sound_histories import at, id_of
from tests.unit.test_oracle import SOUND

BROKEN = replace(SOUND, applied=(Applied("worker-kill", at(2), at(4), "worker-0"), Applied("switch", at(90), at(95))))


def test_every_fault_of_the_catalogue_has_one_implementation() -> None:
    apart = {fault.name for fault in FAULTS if fault.lane is Lane.APART}
    assert set(APPLY) == {fault.name for fault in FAULTS} - apart
    assert set(CASES) == apart
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert {name for lane in lanes().values() for name in lane} == set(APPLY)


def test_recovery_is_the_time_until_a_later_ticket_is_settled() -> None:
    kill, switch = BROKEN.applied
    assert recoveries(BROKEN, [kill]) == [11.0]  # the ticket of second 10 ends in second 15
    assert recoveries(BROKEN, [switch]) == []  # nothing came after it


def test_the_document_has_what_was_promised_and_counts_no_fault_that_was_not_applied() -> None:
    found = document(7, BROKEN, judge(BROKEN), {"poison": "its turn did not come"})
    promised = (
        "tickets settled lost double_sent out_of_order committed_past_unfinished sent_after_stop dead unexplained"
    )
    assert set(promised.split()) <= set(found)
    assert found["faults"]["worker-kill"] == {
        "applied": 1,
        "at": [["2026-11-24T12:00:02+00:00", "2026-11-24T12:00:04+00:00"]],
        "recovery_seconds": [11.0],
        "what": ["worker-0"],
    }
    assert "poison" not in found["faults"]
    assert found["not_run"] == {"poison": "its turn did not come"}


def test_the_table_has_the_applied_and_the_left_out() -> None:
    shown = {fault.name: (times, longest) for fault, times, _, longest in rows(BROKEN, {"poison": "why"})}
    assert shown == {"worker-kill": (1, 11.0), "switch": (1, None), "poison": (0, None)}


def test_the_story_of_a_breach_is_in_order_with_the_faults_around_it() -> None:
    told = story(BROKEN, Breach("I1", "lost", UUID(int=1)))
    assert told[0].endswith("tickets.inbound/0@0 sent as 00000000-0000-0000-0000-000000000001")
    assert any("-- fault worker-kill" in line for line in told)
    assert not any("switch" in line for line in told)
    assert told[-1] == "the helpdesk got reply 00000000-0000-0000-0000-000000000001:1"
    assert [line[:15] for line in told[:-1]] == sorted(line[:15] for line in told[:-1])


def test_the_story_of_poison_has_its_dead_letter() -> None:
    (letter,) = (seen for seen in BROKEN.seen if seen.place.topic == "router.dead" and seen.ticket_id is None)
    told = story(BROKEN, Breach("I1", "unreadable, and on nobody's queue", place=letter.source))
    assert [line[16:].split()[0] for line in told] == ["tickets.inbound/1@2", "router.dead/0@2"]


def test_a_breach_is_counted_for_each_fault_its_ticket_lived_through() -> None:
    lost = replace(BROKEN, seen=tuple(seen for seen in BROKEN.seen if seen.ticket_id != id_of(0)), commits=())
    found = broken(lost, judge(lost))
    assert (found["worker-kill"]["I1"], found["switch"]["I1"]) == (1, 1)  # it is lost to the end
    assert {row["I4"] for row in found.values()} == {0}


def test_what_cannot_be_judged_is_not_counted_as_kept() -> None:
    hot = Applied("hot-key", at(10), at(12))
    beside = replace(SOUND, applied=(hot, Applied("worker-kill", at(11), at(13))))
    alone = replace(SOUND, applied=(hot,))
    assert [broken(run, judge(run))["hot-key"]["I6"] for run in (beside, alone)] == [None, 0]
    assert broken(beside, judge(beside))["worker-kill"]["I6"] is None

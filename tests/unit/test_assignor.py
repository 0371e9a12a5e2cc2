"""Who gets which partition when a member joins."""

from aiokafka.cluster import ClusterMetadata
from aiokafka.protocol.metadata import MetadataResponse_v1
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from streams.metrics import Metrics
from streams.transport import App, Assignor

TOPIC = "tickets.inbound"


def members(count: int) -> dict[str, Assignor]:
    """So many members of a group, each as its own process would hold it."""
    metrics = Metrics(CollectorRegistry())
    apps = {f"member-{place}": App("sluice.x", "127.0.0.1:9", metrics, "x") for place in range(count)}
    return {name: found for name, app in apps.items() if isinstance(found := app.assignor, Assignor)}


def cluster(partitions: int) -> ClusterMetadata:
    """A broker with one topic."""
    found = ClusterMetadata()
    ids = [(0, partition, 1, [1], [1]) for partition in range(partitions)]
    found.update_metadata(MetadataResponse_v1([(1, "127.0.0.1", 9, None)], 1, [(0, TOPIC, False, ids)]))
    return found


def rebalance(group: dict[str, Assignor], partitions: int) -> dict[str, set[int]]:
    """One rebalance: what each member has after it."""
    leader = next(iter(group.values()))
    given = leader.assign(cluster(partitions), {name: found.metadata({TOPIC}) for name, found in group.items()})
    for name, assigned in given.items():
        group[name].on_assignment(assigned)
    return {
        name: {partition for _, found in assigned.assignment for partition in found} for name, assigned in given.items()
    }


def test_the_third_member_of_four_partitions_gets_one_too() -> None:
    group = members(3)
    first = dict(list(group.items())[:2])
    assert sorted(map(len, rebalance(first, 4).values())) == [2, 2]
    assert sorted(map(len, rebalance(group, 4).values())) == [1, 1, 2]


@settings(deadline=None)
@given(partitions=st.integers(1, 24), joins=st.lists(st.integers(1, 8), min_size=1, max_size=4))
def test_every_partition_has_one_owner_and_no_member_is_left_out(partitions: int, joins: list[int]) -> None:
    everybody = members(max(joins))
    for size in joins:
        owned = rebalance(dict(list(everybody.items())[:size]), partitions)
        assert sorted(partition for found in owned.values() for partition in found) == list(range(partitions))
        assert min(map(len, owned.values())) >= min(1, partitions // size)


def test_who_stays_keeps_most_of_what_it_had() -> None:
    group = members(3)
    before = rebalance(dict(list(group.items())[:2]), 12)
    after = rebalance(group, 12)
    assert all(len(before[name] & after[name]) == 4 for name in before)

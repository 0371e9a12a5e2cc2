"""A stop by either path applies; a loosening names the stop it lifts; a record takes effect once."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from infra.postgres.pool import open_pool
from infra.postgres.switch import PostgresSwitchTable
from infra.scripted.switch import ScriptedSwitchTable
from infra.settings import as_role
from processors.ports import SwitchRow, SwitchTable
from schemas.control import Scope, ScopeKind, Stop, SwitchSet, SwitchState

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ALL = Scope()
EMAIL = Scope.parse("channel:email")
AUTO, SUGGEST, OFF = SwitchState.AUTO, SwitchState.SUGGEST, SwitchState.OFF


@pytest.fixture(params=["scripted", "postgres"])
async def table(request: pytest.FixtureRequest) -> AsyncIterator[SwitchTable]:
    if request.param == "scripted":
        yield ScriptedSwitchTable()
        return
    url = as_role(request.getfixturevalue("database"), "sluice_outcome")
    async with await open_pool(url, size=2) as pool:
        yield PostgresSwitchTable(pool)


def record(
    state: SwitchState, *, scope: Scope = ALL, lifts: Stop | None = None, sequence: int = 0, minute: int = 0
) -> SwitchSet:
    at = NOON + timedelta(minutes=minute)
    return SwitchSet(scope=scope, state=state, why="w", actor="ops", set_at=at, sequence=sequence, lifts=lifts)


async def armed(table: SwitchTable) -> SwitchRow:
    row = await table.set(record(AUTO, lifts=Stop()), offset=None)
    assert row is not None
    return row


async def state(table: SwitchTable, scope: Scope = ALL) -> SwitchState | None:
    return {row.scope: row.state for row in await table.rows()}.get(scope)


class TestSwitchTable:
    async def test_a_fresh_table_has_no_rows(self, table: SwitchTable) -> None:
        assert await table.rows() == ()

    async def test_arming_a_fresh_deployment_names_its_stop(self, table: SwitchTable) -> None:
        assert await table.set(record(AUTO), offset=None) is None
        assert await table.set(record(AUTO, lifts=Stop(sequence=1)), offset=None) is None
        assert (await armed(table)).stop == Stop(offset=-1, sequence=1)

    async def test_a_row_says_who_set_what_and_why(self, table: SwitchTable) -> None:
        row = await table.set(record(OFF, scope=EMAIL), offset=4)
        assert await table.rows() == (row,)
        assert row == SwitchRow(EMAIL, OFF, "w", "ops", NOON, Stop(offset=4, sequence=1))

    @pytest.mark.parametrize("offset", [None, 5])
    async def test_a_stop_applies_by_either_path(self, table: SwitchTable, offset: int | None) -> None:
        await armed(table)
        assert await table.set(record(OFF), offset=offset) is not None
        assert await state(table) is OFF

    @pytest.mark.parametrize(
        ("lifts", "applies"),
        [
            (None, False),
            (Stop(), False),
            (Stop(offset=4, sequence=1), False),
            (Stop(offset=-1, sequence=2), True),
            (Stop(offset=5, sequence=0), True),
            (Stop(offset=5, sequence=2), True),
        ],
        ids=str,
    )
    async def test_arming_lifts_the_stop_it_names_only(
        self, table: SwitchTable, lifts: Stop | None, applies: bool
    ) -> None:
        await armed(table)
        await table.set(record(OFF), offset=5)
        await table.set(record(AUTO, lifts=lifts, minute=1), offset=None)
        assert await state(table) is (AUTO if applies else OFF)

    async def test_loosening_half_way_names_the_stop_too(self, table: SwitchTable) -> None:
        await armed(table)
        await table.set(record(OFF), offset=None)
        assert await table.set(record(SUGGEST), offset=None) is None
        assert await table.set(record(SUGGEST, lifts=Stop(sequence=2)), offset=None) is not None

    async def test_arming_does_not_lift_a_stop_that_came_in_between(self, table: SwitchTable) -> None:
        await armed(table)
        stop = await table.set(record(SUGGEST), offset=None)
        await table.set(record(OFF), offset=None)
        assert stop is not None
        assert await table.set(record(AUTO, lifts=stop.stop), offset=None) is None
        assert await state(table) is OFF

    async def test_scopes_are_set_apart(self, table: SwitchTable) -> None:
        await armed(table)
        await table.set(record(OFF, scope=EMAIL), offset=None)
        assert (await state(table), await state(table, EMAIL)) == (AUTO, OFF)

    async def test_a_record_published_after_its_row_only_fills_in_the_offset(self, table: SwitchTable) -> None:
        row = await armed(table)
        mirrored = await table.set(record(AUTO, lifts=Stop(), sequence=row.stop.sequence), offset=9)
        assert mirrored is not None
        assert mirrored.stop == Stop(offset=9, sequence=1)

    async def test_a_published_record_does_not_undo_what_the_table_did_since(self, table: SwitchTable) -> None:
        row = await armed(table)
        await table.set(record(OFF, minute=1), offset=None)
        await table.set(record(AUTO, lifts=Stop(), sequence=row.stop.sequence), offset=9)
        assert await state(table) is OFF

    async def test_a_sequence_that_was_never_written_hides_no_stop(self, table: SwitchTable) -> None:
        await armed(table)
        for sequence in (1, 7):
            assert await table.set(record(OFF, sequence=sequence, minute=5), offset=sequence) is not None
            assert await state(table) is OFF

    async def test_records_read_again_after_a_restart_change_nothing(self, table: SwitchTable) -> None:
        records = [
            (record(AUTO, lifts=Stop()), 0),
            (record(OFF, minute=1), 1),
            (record(AUTO, lifts=Stop(offset=1), minute=2), 2),
        ]
        for entry, offset in records:
            await table.set(entry, offset=offset)
        before = await table.rows()
        for entry, offset in records:
            await table.set(entry, offset=offset)
            assert await table.rows() == before

    async def test_a_second_worker_that_mirrors_a_record_finds_it_applied(self, table: SwitchTable) -> None:
        await armed(table)
        assert await table.set(record(OFF), offset=3) == await table.set(record(OFF), offset=3)

    async def test_a_stop_of_a_topic_that_began_anew_applies_at_its_low_offset(self, table: SwitchTable) -> None:
        await table.set(record(AUTO, lifts=Stop()), offset=50)
        await table.set(record(OFF, minute=10), offset=0)
        assert await state(table) is OFF

    async def test_a_scope_of_a_kind_unknown_here_means_all(self, table: SwitchTable) -> None:
        await armed(table)
        await table.set(record(OFF, scope=Scope(kind=ScopeKind.ALL, value="tenant-7")), offset=None)
        assert await state(table) is OFF

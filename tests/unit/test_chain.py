"""A hash chain shows what was done to it."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.chain import LinkRow, canonical, chain_of, hash_of, verify
from processors.ports import LedgerEntry, LedgerHead, Shown


def chain(length: int, name: str = "c") -> list[LinkRow]:
    rows: list[LinkRow] = []
    for sequence in range(1, length + 1):
        previous = rows[-1].hash if rows else ""
        record = f'{{"entry":"{name}","sequence":{sequence}}}'
        rows.append(LinkRow(name, sequence, previous, record, hash_of(previous, record)))
    return rows


def said(rows: Sequence[LinkRow], heads: Sequence[LedgerHead] = ()) -> list[tuple[int, str]]:
    return [(fault.sequence, fault.what) for fault in verify(rows, heads)]


def head(rows: Sequence[LinkRow]) -> LedgerHead:
    return LedgerHead(rows[-1].chain, rows[-1].sequence, rows[-1].hash)


def test_an_untouched_chain_is_whole() -> None:
    rows = [*chain(3, "a"), *chain(2, "b")]
    assert said(rows, [head(chain(3, "a")), head(chain(1, "b"))]) == []


@given(st.integers(1, 6), st.data())
def test_a_flipped_letter_is_found_in_its_row(length: int, data: st.DataObject) -> None:
    rows = chain(length)
    place = data.draw(st.integers(0, length - 1))
    letter = data.draw(st.integers(0, len(rows[place].record) - 1))
    record = rows[place].record
    rows[place] = replace(rows[place], record=f"{record[:letter]}\x7f{record[letter + 1 :]}")
    assert said(rows) == [(place + 1, "was altered")]


def test_a_dropped_row_is_missing() -> None:
    rows = chain(4)
    del rows[1]
    assert said(rows) == [(2, "is missing")]


def test_swapped_rows_do_not_follow_each_other() -> None:
    first, second, third = chain(3)
    swapped = [first, replace(third, sequence=2), replace(second, sequence=3)]
    assert (2, "does not follow the row before it") in said(swapped)


def test_a_row_in_another_s_place_is_named_even_when_it_is_hashed_anew() -> None:
    rows = chain(2)
    record = rows[0].record
    rows[1] = LinkRow("c", 2, rows[0].hash, record, hash_of(rows[0].hash, record))
    assert said(rows) == [(2, "was moved")]


def test_a_cut_off_tail_shows_against_its_head_only() -> None:
    rows = chain(3)
    assert said(rows[:2]) == []
    assert said(rows[:2], [head(rows)]) == [(3, "is missing, though it was published")]


def test_a_chain_that_was_rewritten_whole_shows_against_its_head() -> None:
    others = [replace(row, chain="c") for row in chain(3, "other")]
    assert said(others) == []
    assert said(others, [head(chain(3))]) == [(3, "is not the row that was published")]


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"sequence":"1"}', "not JSON"])
def test_a_record_that_is_none_was_moved(record: str) -> None:
    assert said([LinkRow("c", 1, "", record, hash_of("", record))]) == [(1, "was moved")]


def entry(customer: str | None, ticket: int = 1) -> LedgerEntry:
    return LedgerEntry(UUID(int=ticket), 1, customer, "router", "m", "p", (Shown("ticket", "é", ("body",)),))


def test_the_record_is_canonical_and_does_not_name_the_customer() -> None:
    assert canonical(entry("cus_1")) == (
        '{"model":"m","prompt_hash":"p","revision":1,"shown":[{"fields":["body"],"kind":"ticket","ref":"\\u00e9"}],'
        '"stage":"router","ticket_id":"00000000-0000-0000-0000-000000000001"}'
    )


def test_customers_have_chains_of_their_own_and_the_unproved_share_some() -> None:
    assert chain_of(entry("cus_1")) == chain_of(entry("cus_1", 2)) != chain_of(entry("cus_2"))
    assert chain_of(entry(None, 65)) == chain_of(entry(None, 1)) == "unproved-01"

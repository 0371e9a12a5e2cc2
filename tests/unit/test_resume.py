"""A run that was cut off goes on: its rows are kept, and those of another run are never mixed with them."""

from pathlib import Path

import pytest

from evals.dataset import LabelledTicket
from evals.prediction import Prediction, refused
from evals.resume import Manifest, OtherRun, Rows

RUN = Manifest({"suite": "shop", "code": "1"})


def row(name: str) -> Prediction:
    return refused(name, "said nothing")


def ticket(name: str, customer: str | None = None) -> LabelledTicket:
    return LabelledTicket.model_validate({"id": name, "body": "x", "customer_id": customer})


def test_a_row_is_on_disk_as_soon_as_it_is_done_and_there_once(tmp_path: Path) -> None:
    rows = Rows(tmp_path, RUN)
    assert rows.add(row("a"))
    assert not rows.add(row("a"))
    assert Rows(tmp_path, RUN).done == {"a": row("a")}


def test_a_line_cut_off_in_the_middle_is_run_again(tmp_path: Path) -> None:
    rows = Rows(tmp_path, RUN)
    rows.add(row("a"))
    rows.add(row("b"))
    rows.path.write_bytes(rows.path.read_bytes()[:-40])
    again = Rows(tmp_path, RUN)
    assert [left.id for left in again.left([ticket("a"), ticket("b")])] == ["b"]
    assert again.add(row("b"))
    assert set(Rows(tmp_path, RUN).done) == {"a", "b"}


def test_a_customers_earlier_tickets_are_run_again_with_the_one_that_is_left(tmp_path: Path) -> None:
    tickets = [ticket("a", "anna"), ticket("b", "ben"), ticket("c", "anna")]
    rows = Rows(tmp_path, RUN)
    rows.add(row("a"))
    rows.add(row("b"))
    assert [left.id for left in rows.left(tickets)] == ["a", "c"]


def test_the_finished_file_is_in_the_order_of_the_tickets_and_loses_no_row(tmp_path: Path) -> None:
    rows = Rows(tmp_path, RUN)
    for name in "cba":
        rows.add(row(name))
    rows.finish([ticket("a"), ticket("b")])
    assert list(Rows(tmp_path, RUN).done) == ["a", "b", "c"]


def test_rows_of_another_configuration_are_refused_by_what_differs(tmp_path: Path) -> None:
    Rows(tmp_path, RUN).add(row("a"))
    with pytest.raises(OtherRun, match="another code"):
        Rows(tmp_path, Manifest({"suite": "shop", "code": "2"}))


def test_a_field_that_is_left_out_is_in_no_line(tmp_path: Path) -> None:
    rows = Rows(tmp_path, RUN, left_out=("signals",))
    rows.add(row("a").model_copy(update={"signals": {"x": 1.0}}))
    rows.finish([ticket("a")])
    assert "signals" not in rows.path.read_text()
    assert list(Rows(tmp_path, RUN).done) == ["a"]


def test_rows_of_another_run_go_where_they_may_and_those_of_the_same_stay(tmp_path: Path) -> None:
    Rows(tmp_path, RUN).add(row("a"))
    assert set(Rows(tmp_path, RUN, drop_others=True).done) == {"a"}
    assert Rows(tmp_path, Manifest({"suite": "shop", "code": "2"}), drop_others=True).done == {}

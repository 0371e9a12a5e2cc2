"""Labels that people give their own tickets: kept at once, gone on with, compared, and summed up."""

import json
import os
import pty
import sys
import termios
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from typer.testing import CliRunner, Result

from evals.label import (
    Choice,
    Given,
    LabelError,
    LabelFile,
    agreement,
    ceiling,
    drawn,
    kappa,
    read_labels,
    read_tickets,
)
from sluice.main import app

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
A, S, E, U = Choice.AUTO, Choice.SUGGEST, Choice.ESCALATE, Choice.UNSURE


def labels(labeller: str, choices: list[Choice]) -> list[Given]:
    return [
        Given(id=f"t{at}", choice=choice, labeller=labeller, kind="person", digest="x", at=NOW)
        for at, choice in enumerate(choices)
    ]


@pytest.fixture
def tickets(tmp_path: Path) -> Path:
    file = tmp_path / "tickets.jsonl"
    rows = [{"id": f"t{number}", "subject": f"Question {number}", "body": "How long?"} for number in range(4)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def press(keys: str, *arguments: object) -> Result:
    return CliRunner().invoke(app, ["label", *map(str, arguments)], input=keys, env={"COLUMNS": "200"})


def summary(keys: str, tickets: Path, *more: str) -> Any:
    found = press(keys, tickets, "--labeller", "mia", "--out", tickets.parent / "out", "--json", *more)
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


# -- by the keyboard


def test_each_key_is_a_band_and_the_share_of_auto_is_the_ceiling(tickets: Path) -> None:
    found = summary("aaeu", tickets)
    assert found["choices"] == {"auto": 2, "suggest": 0, "escalate": 1, "unsure": 1}
    assert (found["ceiling"]["count"], found["ceiling"]["n"]) == (2, 4)
    assert found["ceiling"]["interval"][0] < 0.5 < found["ceiling"]["interval"][1]


def test_what_was_answered_before_quitting_is_kept_and_not_asked_again(tickets: Path) -> None:
    assert summary("aq", tickets)["labelled"] == 1
    found = summary("sss", tickets)
    assert found["choices"] == {"auto": 1, "suggest": 3, "escalate": 0, "unsure": 0}


def test_back_lets_the_last_answer_be_given_again(tickets: Path) -> None:
    found = summary("abeaaa", tickets)
    assert found["choices"] == {"auto": 3, "suggest": 0, "escalate": 1, "unsure": 0}


def test_any_other_key_answers_nothing(tickets: Path) -> None:
    assert summary("xyz\n7mq", tickets)["labelled"] == 0


def test_a_ticket_whose_text_has_changed_is_asked_again(tickets: Path) -> None:
    summary("aaaa", tickets)
    tickets.write_text(tickets.read_text().replace("How long?", "How long, and who pays?", 1))
    assert summary("q", tickets)["labelled"] == 3


def test_what_comes_through_a_pipe_is_a_machines_label(tickets: Path) -> None:
    assert summary("aaaa", tickets)["machine"] == 4


def test_a_tickets_text_is_shown_and_never_obeyed(tickets: Path) -> None:
    tickets.write_text(json.dumps({"id": "t", "body": "[bold]red[/bold] \x1b[31mseen\x07 \u202eabc"}) + "\n")
    shown = press("q", tickets, "--labeller", "mia", "--out", tickets.parent / "out").stdout
    assert "[bold]red[/bold]" in shown
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)


def test_a_sample_is_the_same_for_every_labeller_and_grows_by_its_end(tickets: Path) -> None:
    read = read_tickets(tickets)
    assert drawn(read, 2, "0") == drawn(list(reversed(read)), 4, "0")[:2]
    assert {ticket.id for ticket in drawn(read, None, "1")} == {ticket.id for ticket in read}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"id": "t0", "body": "again"}', "the id t0 is there twice"),
        ('{"id": "t9", "body": " "}', "it has no text"),
        ('{"id": "t9", "body": 7}', "body"),
        ("[]", "not a JSON object"),
    ],
)
def test_a_row_that_is_no_ticket_is_named_by_its_line(tickets: Path, line: str, told: str) -> None:
    tickets.write_text(tickets.read_text() + line + "\n")
    found = press("a", tickets, "--labeller", "mia")
    assert found.exit_code == 2
    assert f"tickets.jsonl:5: {told}" in found.output.replace("\n", "")


def test_labels_of_another_person_are_not_gone_on_with(tickets: Path, tmp_path: Path) -> None:
    summary("aaaa", tickets)
    with pytest.raises(LabelError, match="labels of mia"):
        LabelFile(tmp_path / "out" / "mia.jsonl", "ben")


def test_an_answer_that_was_cut_off_is_asked_again(tickets: Path, tmp_path: Path) -> None:
    summary("aaaa", tickets)
    file = tmp_path / "out" / "mia.jsonl"
    file.write_bytes(file.read_bytes()[:-30])
    assert summary("s", tickets)["choices"]["suggest"] == 1
    assert len(read_labels(file)) == 4


def test_a_person_at_a_terminal_labels_key_by_key(tickets: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "sluice.main", "label", str(tickets), "--labeller", "mia", "--out", str(tmp_path)]
    with Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "dumb"}) as process:
        try:
            os.close(theirs)
            _until(lambda: _reads_keys(ours))  # what is typed before is dropped
            os.write(ours, b"a")
            _until(lambda: (tmp_path / "mia.jsonl").is_file() and _reads_keys(ours))
            os.write(ours, b"q")
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()
    assert "1 of 4 banded" in os.read(ours, 65536).decode()
    os.close(ours)
    (row,) = read_labels(tmp_path / "mia.jsonl")
    assert (row.choice, row.kind) == (A, "person")


def _reads_keys(terminal: int) -> bool:
    return not termios.tcgetattr(terminal)[3] & termios.ICANON


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# -- two labellers


def test_two_labellers_are_compared_and_the_worst_disagreement_comes_first() -> None:
    found = agreement(labels("mia", [A, A, S, E, A]), labels("ben", [A, E, S, S, U]))
    assert (found.agreed.count, found.n) == (2, 5)
    assert [each.id for each in found.disagreements] == ["t1", "t3", "t4"]
    assert (found.both.count, found.either.count) == (1, 3)
    assert found.interval is not None
    assert found.kappa is not None
    assert found.interval[0] <= found.kappa <= found.interval[1]


@given(st.lists(st.tuples(st.sampled_from(Choice), st.sampled_from(Choice)), min_size=2, max_size=40))
def test_kappa_is_cohens(pairs: list[tuple[Choice, Choice]]) -> None:
    first, second = zip(*pairs, strict=True)
    if len({*first, *second}) == 1:
        assert kappa(pairs) is None
    else:
        assert kappa(pairs) == pytest.approx(cohen_kappa_score(first, second))


def test_only_tickets_with_an_answer_of_both_are_compared() -> None:
    found = agreement(labels("mia", [A, A, S]), labels("ben", [A]))
    assert (found.n, found.alone) == (1, 2)


@pytest.mark.parametrize("other", [labels("mia", [A]), [], [labels("ben", [A])[0].model_copy(update={"id": "z"})]])
def test_one_labeller_agrees_with_nobody(other: list[Given]) -> None:
    with pytest.raises(LabelError):
        agreement(labels("mia", [A]), other)


def test_unsure_is_no_auto() -> None:
    assert ceiling(labels("mia", [A, U, U])).count == 1
    assert ceiling([]).value is None


def test_the_command_prints_agreement_and_both_ceilings(tmp_path: Path) -> None:
    for name, choices in (("mia", [A, A, S, E]), ("ben", [A, E, S, E])):
        (tmp_path / name).write_text("".join(row.model_dump_json() + "\n" for row in labels(name, choices)))
    shown = press("", "--agreement", tmp_path / "mia", tmp_path / "ben")
    assert shown.exit_code == 0
    assert "kappa" in shown.stdout
    found = json.loads(press("", "--agreement", tmp_path / "mia", tmp_path / "ben", "--json").stdout)
    assert (found["ceiling_both"]["share"], found["ceiling_either"]["share"]) == (0.25, 0.5)
    assert found["disagreements"] == [{"id": "t1", "first": "auto", "second": "escalate"}]

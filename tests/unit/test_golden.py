"""People's edits as golden cases: what they propose, who accepts them, and what a suite reads of them."""

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evals.dataset import ExpectedSource, load_suite
from evals.golden import (
    GoldenError,
    GoldenFile,
    Label,
    Proposal,
    Status,
    accept,
    exported,
    new_facts,
    proposal,
    proposals,
    reject,
)
from evals.pilot import Ending
from processors.ports import Handled
from schemas.outcome import Outcome
from schemas.router import Band
from sluice.main import app
from tests.unit.test_pilot import QUOTE, handled

AT = datetime(2026, 11, 24, 9, tzinfo=UTC)
SOURCE = ExpectedSource(article_id="d", section_id="s")


def proposed(text: str) -> Proposal:
    found = proposal(handled(Outcome.EDITED, text))
    assert found is not None
    return found


def test_an_edit_proposes_the_ticket_with_the_persons_answer_and_what_they_left() -> None:
    found = proposed(f"Hello Anna! {QUOTE}")
    assert (found.kind, found.agent, found.draft) == (Ending.TONE, "mia", QUOTE)
    assert found.ticket.expected_answer == f"Hello Anna! {QUOTE}"
    assert found.ticket.expected_sources == (SOURCE,)
    assert (found.ticket.intent_label, found.ticket.expected_band) == ("delivery_time", None)


def test_a_sentence_that_was_changed_names_no_right_source_and_its_new_number_is_a_fact() -> None:
    found = proposed("Standard delivery takes 9 working days, by DHL.")
    assert found.ticket.expected_sources == ()
    assert found.ticket.expected_facts == ("9",)


@pytest.mark.parametrize(
    "act",
    [
        handled(Outcome.APPROVED, QUOTE),
        handled(Outcome.REJECTED, QUOTE, "fact"),
        handled(Outcome.EDITED, f"  {QUOTE} "),
        handled(Outcome.EDITED, "A new answer.", draft=False),
        replace(handled(Outcome.EDITED, "A new answer."), event="unreadable"),
    ],
)
def test_what_is_no_edit_proposes_nothing(act: Handled) -> None:
    assert proposal(act) is None


def test_a_revision_edited_twice_is_one_case_with_the_last_word() -> None:
    (found,) = proposals([handled(Outcome.EDITED, "Nine days."), handled(Outcome.EDITED, "Ten days.")])
    assert found.ticket.expected_answer == "Ten days."


def test_a_number_that_stands_within_another_is_no_fact_put_in() -> None:
    assert new_facts("It takes 3 days.", "It takes 3 days, until 2026-12-24, for $5.50.") == ("2026-12-24", "5.50")


@pytest.mark.parametrize("band", list(Band))
def test_a_person_says_the_band_and_may_say_the_rest(band: Band) -> None:
    label = Label(band, "parcel", ["x#y", "z"], ["9 days"])
    found = accept(proposed("It takes 9 days."), label, by="ben", at=AT).ticket
    assert found is not None
    assert (found.expected_band, found.must_not_auto, found.intent_label) == (band, band is not Band.AUTO, "parcel")
    assert [source.article_id for source in found.expected_sources] == ["x", "z"]
    assert found.expected_facts == ("9 days",)


@pytest.mark.parametrize("label", [Label(Band.AUTO, facts=["10 days"]), Label(Band.AUTO, sources=["#s"])])
def test_labels_that_the_answer_does_not_bear_out_are_refused(label: Label) -> None:
    with pytest.raises(GoldenError):
        accept(proposed("It takes 9 days."), label, by="ben", at=AT)


def test_decisions_are_kept_for_the_owner_alone_and_the_last_one_counts(tmp_path: Path) -> None:
    file = GoldenFile(tmp_path / "golden" / "cases.jsonl")
    case = proposed("It takes 9 days.")
    file.add(reject(case, by="ben", at=AT, note="wrong"))
    file.add(accept(case, Label(Band.AUTO), by="mia", at=AT))
    again = GoldenFile(file.path)
    assert (again.status(case.ticket.id), again.decided[case.ticket.id].by) == (Status.ACCEPTED, "mia")
    assert again.status("another") is Status.PROPOSED
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_a_decision_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    file = GoldenFile(tmp_path / "cases.jsonl")
    file.add(reject(proposed("It takes 9 days."), by="ben", at=AT))
    file.path.write_bytes(file.path.read_bytes()[:-9])
    again = GoldenFile(file.path)
    assert again.decided == {}
    again.add(reject(proposed("It takes 9 days."), by="ben", at=AT))
    assert len(GoldenFile(file.path).decided) == 1


def test_accepted_cases_are_tickets_that_a_suite_reads(tmp_path: Path) -> None:
    file = GoldenFile(tmp_path / "cases.jsonl")
    file.add(accept(proposed("It takes 9 days."), Label(Band.AUTO), by="mia", at=AT))
    (tmp_path / "articles").mkdir()
    (tmp_path / "tickets_golden.jsonl").write_text(exported(file.accepted(), "golden"))
    (ticket,) = load_suite(tmp_path).split("golden")
    assert ticket.expected_band is Band.AUTO
    assert (ticket.expected_facts, ticket.split) == (("9",), "golden")


def test_the_command_exports_what_was_accepted_and_says_where_nothing_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    out = tmp_path / "tickets_golden.jsonl"
    assert CliRunner().invoke(app, ["golden", "export", "--out", str(out)]).exit_code == 1
    kept = GoldenFile(tmp_path / "golden" / "cases.jsonl")
    kept.add(accept(proposed("It takes 9 days."), Label(Band.SUGGEST), by="mia", at=AT))
    assert CliRunner().invoke(app, ["golden", "export", "--out", str(out)]).exit_code == 0
    assert json.loads(out.read_text())["expected_band"] == "suggest"

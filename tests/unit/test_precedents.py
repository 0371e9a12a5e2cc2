"""What answered the labelled questions most like this one: a section, any of an article, or nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from infra.models.precedents import FILE, NONE, Given, Precedent, Precedents, precedents_of, read
from infra.models.ranker import UNLIKELY
from infra.models.untrained import NotTrained
from processors.groundedness.features import Before

RETURNS, GIFTS = ("returns", "how"), ("gifts", "how")
EAST, NORTH, BETWEEN = [1.0, 0.0], [0.0, 1.0], [0.8, 0.6]


def some() -> Precedents:
    """Asked in the east and answered by a section, in the north by an article, and between them by nothing."""
    answered = [frozenset({RETURNS}), frozenset({("gifts", None)}), frozenset[tuple[str, str | None]]()]
    questions = [Precedent(str(place), "cus_1", keys) for place, keys in enumerate(answered)]
    return precedents_of(questions, [EAST, NORTH, BETWEEN])


def before(question: list[float], cited: tuple[str, str | None], apart: list[bool] | None = None) -> Before:
    return some().before(np.array(question, np.float32), cited, None if apart is None else np.array(apart))


def test_a_question_like_one_that_this_section_answered_speaks_for_it() -> None:
    found = before(EAST, RETURNS)
    assert (found.cited, found.lead) == (pytest.approx(1.0), pytest.approx(1.0))
    assert found.vote > 0.8
    assert found.lead_on_none == pytest.approx(0.2, abs=1e-3)


def test_a_question_like_one_that_another_section_answered_speaks_against_it() -> None:
    found = before(NORTH, RETURNS)
    assert (found.cited, found.lead) == (pytest.approx(0.0), pytest.approx(-1.0))
    assert found.vote < 0.01


def test_a_label_without_a_section_speaks_for_every_section_of_its_article() -> None:
    assert before(NORTH, GIFTS).vote > 0.8
    assert before(NORTH, ("gifts", "other")).vote > 0.8
    assert before(EAST, ("returns", "other")).vote == 0.0
    assert before(EAST, ("returns", "other")).vote_article > 0.8


def test_a_question_like_one_that_nothing_answered_speaks_against_all() -> None:
    found = before(BETWEEN, RETURNS)
    assert found.vote_none > found.vote
    assert found.lead_on_none < 0


def test_what_is_set_apart_is_not_looked_at() -> None:
    assert before(EAST, RETURNS, [True, False, False]).cited == 0.0
    assert before(EAST, RETURNS, [True, True, True]) == Before()


def test_without_labelled_questions_nothing_is_said() -> None:
    assert NONE.before(np.array(EAST, np.float32), RETURNS) == Before()


def test_an_article_that_such_questions_get_is_likelier_and_one_never_given_unlikely(tmp_path: Path) -> None:
    given = Given(("gifts", "returns"), np.array([[0.0, 4.0, 0.0], [4.0, 0.0, 0.0]]))
    learned = replace(some(), given=given)
    again = read(tmp_path, learned.save(tmp_path))
    question = np.array(EAST, np.float32)
    likely = [again.before(question, (article, None)).likely for article in ("returns", "gifts", "else")]
    assert likely[0] > likely[1] > likely[2] == UNLIKELY
    assert some().before(question, RETURNS).likely == 0.0


def test_they_are_read_as_they_were_written_and_only_by_their_own_verifier(tmp_path: Path) -> None:
    digest = some().save(tmp_path)
    again = read(tmp_path, digest)
    assert again.answered == some().answered
    assert again.before(np.array(BETWEEN, np.float32), RETURNS) == before(BETWEEN, RETURNS)
    assert read(tmp_path, "") == NONE
    with pytest.raises(NotTrained, match="not of this verifier"):
        read(tmp_path, "0" * 64)
    (tmp_path / FILE).unlink()
    with pytest.raises(NotTrained, match="cannot be read"):
        read(tmp_path, digest)

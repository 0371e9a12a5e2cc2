"""Tickets that nothing answered are gathered by what they are about."""

import numpy as np

from evals.gaps import Unanswered, find_gaps


def unanswered(*texts: str, intent: str = "unknown") -> list[Unanswered]:
    return [Unanswered(f"t{number}", text, intent) for number, text in enumerate(texts)]


def near(*axes: int) -> list[list[float]]:
    """Unit vectors close to an axis each, no two alike."""
    rows = np.random.default_rng(7).normal(0, 0.1, (len(axes), 8))
    rows[np.arange(len(axes)), axes] += 1
    vectors: list[list[float]] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).tolist()
    return vectors


TEXTS = (
    "Do you rent out tents?",
    "Can I rent a tent for W10023?",
    "Tent rental?",
    "Do you ship boats?",
    "Boats by ship?",
)


def test_the_largest_gap_comes_first_and_what_is_alone_is_none() -> None:
    tickets = unanswered(*TEXTS, "What is love?")
    found = find_gaps(tickets, near(0, 0, 0, 1, 1, 2), minimum=2)
    assert [(gap.size, set(gap.tickets)) for gap in found] == [(3, {"t0", "t1", "t2"}), (2, {"t3", "t4"})]
    assert (found[0].words[0], found[1].words[0]) == ("tent", "boat")


def test_a_gap_needs_its_least_number_of_tickets() -> None:
    assert [gap.size for gap in find_gaps(unanswered(*TEXTS), near(0, 0, 0, 1, 1), minimum=3)] == [3]
    assert find_gaps(unanswered(*TEXTS[:2]), near(0, 0), minimum=3) == ()
    assert find_gaps([], [], minimum=2) == ()


def test_examples_are_three_from_the_middle_without_what_names_a_customer() -> None:
    (gap,) = find_gaps(unanswered(*TEXTS[:3], "Renting tents, I am ann@x.example"), near(0, 0, 0, 0), minimum=2)
    assert (gap.size, len(gap.examples)) == (4, 3)
    assert not any("W10023" in example or "@" in example for example in gap.examples)


def test_the_same_tickets_give_the_same_gaps_in_any_order() -> None:
    tickets, vectors = unanswered(*TEXTS), near(0, 0, 0, 1, 1)
    backwards = find_gaps(tickets[::-1], vectors[::-1], minimum=2)
    assert [set(gap.tickets) for gap in find_gaps(tickets, vectors, minimum=2)] == [set(g.tickets) for g in backwards]

"""What a suite is trained on beside its tickets: only where those leave it out, and never to judge by."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from evals.dataset import halves, load_suite
from evals.records import INTENT
from evals.teach import TOPIC, taught

ARTICLE = {"id": "a", "title": "Returns", "sections": [{"id": "s", "heading": "Labels", "text": "Print one."}]}
SECRET = {**ARTICLE, "id": "b", "title": "Internal", "audience": "internal"}
CUSTOMERS = [{"customer_id": f"c{n}", "orders": [{"order_id": f"W{n:04}", "status": "sent"}]} for n in range(20)]
TOPICS = [{"id": f"t{n}", "body": "x", "intent_label": f"topic {n % 2}"} for n in range(8)]


def written(folder: Path, **files: Sequence[Mapping[str, object]]) -> Path:
    for name, rows in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_help_centre_without_labels_is_one_topic_by_its_public_headings(tmp_path: Path) -> None:
    suite = taught(load_suite(written(tmp_path, articles=[ARTICLE, SECRET])))
    (question,) = (ticket.body for ticket in suite.extra if ticket.intent_label == TOPIC)
    assert "Returns: Labels" in question
    assert any(ticket.out_of_scope for ticket in suite.extra)
    assert all(ticket.expected_band is None for ticket in suite.extra)


def test_orders_nobody_asks_for_are_asked_for(tmp_path: Path) -> None:
    suite = taught(load_suite(written(tmp_path, articles=[ARTICLE], crm=CUSTOMERS, tickets_dev=TOPICS)))
    assert {ticket.intent_label for ticket in suite.extra} == {INTENT}
    parted = halves(suite)
    assert set(suite.extra) <= set(parted.train)
    assert not set(suite.extra) & set(parted.held_out)


def test_a_suite_that_names_its_topics_is_left_as_it_is(tmp_path: Path) -> None:
    asked = [*TOPICS, {"id": "o", "body": "x", "intent_label": INTENT}]
    suite = load_suite(written(tmp_path, articles=[ARTICLE], crm=CUSTOMERS, tickets_dev=asked))
    assert taught(suite) == suite


def test_what_is_only_judged_says_nothing_of_what_is_trained(tmp_path: Path) -> None:
    judged = [{"id": "o", "body": "x", "intent_label": INTENT}]
    folder = written(tmp_path, articles=[ARTICLE], crm=CUSTOMERS, tickets_dev=TOPICS, tickets_judged=judged)
    assert {ticket.intent_label for ticket in taught(load_suite(folder)).extra} == {INTENT}

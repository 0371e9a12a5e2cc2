"""The ranking is learned from tickets whose right article is known, and judged on customers it has not seen."""

import json
from pathlib import Path
from typing import Any

import pytest

from evals.dataset import halves, load_suite
from evals.train.retrieval import Found, RetrievalReport, cases_of, examples_of, fit, train_retrieval
from infra.embeddings.scripted import HashingEmbedder
from infra.models.ranker import FILE, load
from processors.ranking import DEFAULT

HELD_OUT = "A held-out text about junk."
TOPICS = {"moving": "laptop disk copy", "junk": "spam filter unwanted", "signing": "password login key"}


def row(number: int, topic: str, **fields: Any) -> dict[str, Any]:
    """A ticket in words that no article holds; only what other tickets were given tells its article."""
    expected = [{"article_id": topic, "section_id": None, "role": "answer"}]
    body = f"{TOPICS[topic]} {number}"
    return {"id": f"t{number}", "body": body, "customer_id": f"c{number}", "expected_sources": expected} | fields


def written(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    (folder / name).write_text("".join(json.dumps(each) + "\n" for each in rows))


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    sections = [{"id": "s", "heading": "About it", "text": "This is how it is done in the settings."}]
    articles = [{"id": topic, "title": f"Article {place}", "sections": sections} for place, topic in enumerate(TOPICS)]
    articles += [{"id": f"other-{number}", "title": "Another", "sections": sections} for number in range(6)]
    written(tmp_path, "articles.jsonl", articles)
    written(tmp_path, "tickets_train.jsonl", [row(900, "moving", expected_band="auto")])
    written(
        tmp_path, "tickets_test.jsonl", [row(901, "junk", expected_band="auto", body="A held-out text about junk.")]
    )
    written(tmp_path, "retrieval_dev.jsonl", [row(n, list(TOPICS)[n % 3]) for n in range(90)])
    return tmp_path


async def trained(folder: Path) -> RetrievalReport:
    return await train_retrieval(load_suite(folder), folder, HashingEmbedder())


async def test_what_other_tickets_were_given_finds_the_article(suite: Path) -> None:
    report = await trained(suite)
    before, after = report.untrained.figures()["article_at_1"], report.trained.figures()["article_at_1"]
    assert (report.examples, report.articles, report.kept) == (91, 3, True)
    assert before.found < 60 < after.found


async def test_the_trained_parts_say_what_they_were_made_of(suite: Path) -> None:
    await trained(suite)
    found = load(suite)
    assert found is not None
    assert found.articles == ("junk", "moving", "signing")
    assert found.provenance["examples"] == 91


async def test_trained_twice_the_parts_are_the_same(suite: Path) -> None:
    await trained(suite)
    first = (suite / FILE).read_bytes()
    await trained(suite)
    assert (suite / FILE).read_bytes() == first


@pytest.mark.parametrize(
    "same",
    [{"id": "t901"}, {"customer_id": "c901"}, {"body": "A held-out  text about JUNK."}],
    ids=lambda same: str(same),
)
def test_nothing_of_the_held_out_half_is_an_example(suite: Path, same: dict[str, str]) -> None:
    written(suite, "retrieval_dev.jsonl", [row(1, "junk", **same), row(2, "junk")])
    loaded = load_suite(suite)
    assert {example.id for example in examples_of(loaded, halves(loaded))} == {"t2", "t900"}


async def test_what_is_no_better_than_the_defaults_is_not_kept(suite: Path) -> None:
    await trained(suite)
    answers = {topic: f"Article {place} about it" for place, topic in enumerate(TOPICS)}
    rows = [row(n, topic, body=f"{answers[topic]}, number {n}") for n in range(60) for topic in [list(TOPICS)[n % 3]]]
    written(suite, "retrieval_dev.jsonl", rows)
    assert not (await trained(suite)).kept
    assert load(suite) is None


async def test_too_few_tickets_teach_nothing(suite: Path) -> None:
    written(suite, "retrieval_dev.jsonl", [row(1, "junk")])
    with pytest.raises(ValueError, match="2 tickets with a known article; 40 are needed"):
        await trained(suite)


async def test_without_a_right_passage_the_weights_stay(suite: Path) -> None:
    loaded = load_suite(suite)
    cases = await cases_of(loaded, examples_of(loaded, halves(loaded))[:0], HashingEmbedder())
    assert fit(cases) == DEFAULT


def test_hits_count_the_first_place_twice() -> None:
    assert Found(passages=(0, 4, 5), articles=(0, 0, 0)).hits == 3

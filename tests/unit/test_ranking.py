"""What was found is ordered by how well it fits, spread over articles, and by what labelled tickets taught."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.embeddings.scripted import HashingEmbedder
from infra.models.ranker import (
    UNLIKELY,
    LocalRanker,
    RankedKnowledge,
    Trained,
    features_of,
    likely_articles,
    load,
    save,
)
from infra.scripted.reranker import ScriptedReranker
from processors.ports import Reranker, Spoken
from processors.ranking import FEATURES, Ranking, order, word_fit
from schemas.retrieval import Passage

AT = datetime(2026, 11, 20, tzinfo=UTC)


def passage(article: str, text: str, **scores: float) -> Passage:
    told = {"vector": 0.0, "window": 0.0, "context": 0.0, **scores}
    return Passage(
        article_id=article, section_id=text[:9], version=1, title="", heading="", text=text, score=0.5, scores=told
    )


TENT, STOVE, PAN = passage("a", "Wash the tent."), passage("b", "Light the stove."), passage("c", "Season the pan.")


# -- the order


def test_without_variety_the_best_score_comes_first() -> None:
    assert order([0.1, 0.9, 0.5], ["a", "a", "a"], variety=0) == (1, 2, 0)


def test_a_further_section_of_an_article_gives_way_to_another_article_about_as_good() -> None:
    assert order([0.9, 0.8, 0.7, 0.2], ["a", "a", "b", "c"], variety=0.3) == (0, 2, 1, 3)


def test_equals_stay_in_the_order_they_were_found_in() -> None:
    assert order([0.5, 0.5, 0.5], ["a", "b", "c"], variety=1) == (0, 1, 2)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-9, 9), st.sampled_from("abc")), max_size=20), st.floats(0, 5))
def test_an_order_names_every_place_once_and_the_best_first(found: list[tuple[float, str]], variety: float) -> None:
    scores, articles = [score for score, _ in found], [article for _, article in found]
    places = order(scores, articles, variety)
    assert sorted(places) == list(range(len(found)))
    assert not places or scores[places[0]] == max(scores)


# -- words


def test_a_word_that_all_texts_hold_tells_least() -> None:
    common, rare, none = word_fit("wash the tent", ["a tent", "a tent to wash", "a tent, a tent"])
    assert rare > max(common, none) > 0


def test_error_codes_and_numbers_are_words() -> None:
    assert word_fit("error 0x800ccc0e", ["it says 0x800ccc0e", "it says 0x800ccc0f"])[1] == 0


@settings(deadline=None)
@given(st.text(max_size=60), st.lists(st.text(max_size=60), max_size=6))
def test_a_word_fit_is_a_share_of_the_most(query: str, texts: list[str]) -> None:
    fit = word_fit(query, texts)
    assert len(fit) == len(texts)
    assert all(0 <= share <= 1 for share in fit)


# -- the ranker


def trained(weights: dict[str, float]) -> Trained:
    vectors = np.array(HashingEmbedder().vectors(["my tent is dirty", "gas is leaking"]), float)
    return Trained(Ranking(weights, 0.0), ("a", "b"), np.hstack([20 * vectors, np.zeros((2, 1))]), {"suite": "s"})


def test_every_feature_has_a_default_weight() -> None:
    (row,) = features_of("tent", "", [TENT], {})
    assert tuple(row) == FEATURES


def test_without_context_the_words_are_those_of_the_query() -> None:
    rows = features_of("tent", "", [TENT, STOVE], {})
    assert [row["context_words"] for row in rows] == [row["words"] for row in rows]


def test_an_article_that_answered_no_ticket_is_unlikely() -> None:
    rows = features_of("tent", "", [TENT, PAN], {"a": -0.1})
    assert [row["article"] for row in rows] == [-0.1, UNLIKELY]


def test_the_likely_articles_of_a_query_are_a_distribution() -> None:
    likely = likely_articles(("a", "b"), trained({}).weights, np.array(HashingEmbedder().vectors(["gas leaking"])[0]))
    assert likely["b"] > likely["a"] >= UNLIKELY
    assert np.exp(list(likely.values())).sum() == pytest.approx(1, abs=0.01)


async def test_what_labelled_tickets_taught_changes_the_order() -> None:
    ranker = LocalRanker(HashingEmbedder(), trained({"article": 1.0}))
    ranked = await ranker.rerank("gas is leaking", "", [TENT, STOVE, PAN])
    assert [found.article_id for found in ranked] == ["b", "a", "c"]


async def test_ranking_leaves_the_score_that_the_threshold_reads() -> None:
    ranked = await LocalRanker(HashingEmbedder()).rerank("stove", "", [TENT, STOVE])
    assert [(found.article_id, found.score, found.scores["rank"] > 0) for found in ranked] == [
        ("b", 0.5, True),
        ("a", 0.5, False),
    ]


def test_trained_parts_are_saved_and_read_back(tmp_path: Path) -> None:
    save(trained({"article": 0.5}), tmp_path)
    found = load(tmp_path)
    assert found is not None
    assert (found.ranking, found.articles, found.provenance) == (
        Ranking({"article": 0.5}, 0.0),
        ("a", "b"),
        {"suite": "s"},
    )
    assert np.allclose(found.weights, trained({}).weights, atol=1e-6)


def test_a_folder_without_trained_parts_gives_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path) is None
    assert LocalRanker.load(tmp_path, HashingEmbedder()).name == "local/ranker-untrained"


def test_what_was_trained_is_part_of_the_name() -> None:
    names = {LocalRanker(HashingEmbedder(), trained({"article": weight})).name for weight in (0.5, 0.6)}
    assert len(names) == 2


@pytest.mark.parametrize(
    "reranker", [ScriptedReranker(), LocalRanker(HashingEmbedder())], ids=lambda ranker: ranker.name
)
class TestReranker:
    async def test_no_passage_is_added_or_lost(self, reranker: Reranker) -> None:
        ranked = await reranker.rerank("the stove", "my tent\nthe stove", [TENT, STOVE, PAN])
        assert sorted(found.text for found in ranked) == sorted(found.text for found in (TENT, STOVE, PAN))

    async def test_the_words_that_are_asked_for_come_first(self, reranker: Reranker) -> None:
        assert (await reranker.rerank("the stove", "", [TENT, PAN, STOVE]))[0].text == STOVE.text

    async def test_nothing_found_is_nothing_ranked(self, reranker: Reranker) -> None:
        assert await reranker.rerank("the stove", "", []) == ()


class Shelf:
    """A help centre that finds the same three, and what it was asked for."""

    def __init__(self) -> None:
        self.limits: list[int] = []

    async def search(
        self, query: str, *, at: datetime, limit: int, context: str = "", spoken: Spoken | None = None
    ) -> tuple[Passage, ...]:
        self.limits.append(limit)
        return (TENT, PAN, STOVE)[:limit]


async def test_more_is_fetched_than_is_kept() -> None:
    shelf = Shelf()
    found = await RankedKnowledge(shelf, ScriptedReranker(), candidates=50).search("stove", at=AT, limit=1)
    assert (found, shelf.limits) == ((STOVE,), [50])

"""Every embedder gives unit vectors that depend on the text alone, and near texts are near."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from infra.embeddings.minilm import MAX_TOKENS, MiniLM
from infra.embeddings.scripted import HashingEmbedder

AnyEmbedder = MiniLM | HashingEmbedder

RESET = "How do I reset my password?"
FORGOT = "I forgot my login password and cannot sign in"
RUG = "Do you ship the large wool rug to Canada?"
CACHE = Path(__file__).parents[2] / "var" / "cache"


@pytest.fixture(scope="module")
def minilm() -> Iterator[MiniLM]:
    embedder = MiniLM(CACHE)
    yield embedder
    embedder.close()


@pytest.fixture(params=["minilm", "scripted"])
def embedder(request: pytest.FixtureRequest) -> AnyEmbedder:
    return request.getfixturevalue("minilm") if request.param == "minilm" else HashingEmbedder()


class TestEmbedder:
    async def test_every_vector_has_norm_one(self, embedder: AnyEmbedder) -> None:
        vectors = np.array(await embedder.embed([RESET, "", "x" * 300_000, "日本語 \x00 \U0001f600", RUG]))
        assert vectors.shape == (5, embedder.dimensions)
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)

    async def test_no_texts_are_no_vectors(self, embedder: AnyEmbedder) -> None:
        assert await embedder.embed([]) == []

    async def test_a_vector_does_not_depend_on_its_neighbours(self, embedder: AnyEmbedder) -> None:
        alone = await embedder.embed([RESET])
        among = await embedder.embed([RUG * 20, RESET, "", FORGOT] * 5)
        assert alone[0] == among[1] == among[-3]

    async def test_texts_on_one_topic_are_nearer_than_others(self, embedder: AnyEmbedder) -> None:
        reset, forgot, rug = np.array(await embedder.embed([RESET, FORGOT, RUG]))
        assert reset @ forgot > reset @ rug

    async def test_tokens_have_norm_one_each(self, embedder: AnyEmbedder) -> None:
        rows, nothing = await embedder.embed_tokens([RESET, ""])
        assert len(rows) >= 6
        assert nothing.shape == (0, embedder.dimensions)
        assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-5)


async def test_a_known_pair_has_the_published_cosine(minilm: MiniLM) -> None:
    reset, forgot = np.array(await minilm.embed([RESET, FORGOT]))
    assert reset @ forgot == pytest.approx(0.760, abs=0.02)


async def test_a_long_text_is_cut_at_the_models_length(minilm: MiniLM) -> None:
    (rows,) = await minilm.embed_tokens(["word " * 1000])
    assert len(rows) == MAX_TOKENS - 2


def test_the_graph_is_built_once(minilm: MiniLM) -> None:
    (path,) = CACHE.glob("minilm-*.onnx")
    before = path.stat().st_mtime_ns
    MiniLM(CACHE).close()
    assert path.stat().st_mtime_ns == before

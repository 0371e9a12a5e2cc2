"""An embedder that remembers: each text is computed once while there is room."""

from collections.abc import Sequence

import pytest

from infra.embeddings.remembered import Embedding, Remembered
from infra.embeddings.scripted import HashingEmbedder


class Counting(HashingEmbedder):
    """Counts the texts it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def embed_both(self, texts: Sequence[str]) -> list[Embedding]:
        self.asked += texts
        return await super().embed_both(texts)


async def test_a_text_is_computed_once_however_often_it_is_asked_for() -> None:
    counting = Counting()
    remembered = Remembered(counting)
    first = await remembered.embed(["a", "b", "a"])
    assert await remembered.embed(["b", "a"]) == [first[1], first[0]]
    assert counting.asked == ["a", "b"]


async def test_one_pass_serves_a_text_and_its_tokens() -> None:
    counting = Counting()
    remembered = Remembered(counting)
    await remembered.embed(["where is it"])
    await remembered.embed_tokens(["where is it", "how long"])
    await remembered.embed(["how long"])
    assert counting.asked == ["where is it", "how long"]


async def test_white_space_alone_makes_no_other_text() -> None:
    counting = Counting()
    remembered = Remembered(counting)
    assert await remembered.embed([" where\nis  it "]) == await remembered.embed(["where is it"])
    assert counting.asked == ["where is it"]


async def test_what_it_gives_is_what_the_embedder_gives() -> None:
    texts = ["where is my parcel", "how long is the warranty"]
    assert await Remembered(Counting()).embed(texts) == await HashingEmbedder().embed(texts)


async def test_token_vectors_are_kept_to_half_precision() -> None:
    (rows,) = await Remembered(Counting()).embed_tokens(["where is it"])
    (exact,) = await Counting().embed_tokens(["where is it"])
    assert rows == pytest.approx(exact, abs=1e-3)


async def test_the_longest_untouched_text_is_forgotten_first() -> None:
    counting = Counting()
    remembered = Remembered(counting, texts=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        await remembered.embed([text])
    assert counting.asked == ["a", "b", "c", "b"]


async def test_more_texts_than_there_is_room_for_are_all_answered() -> None:
    remembered = Remembered(Counting(), texts=2)
    texts = ["a", "b", "c", "d"]
    assert await remembered.embed(texts) == await HashingEmbedder().embed(texts)

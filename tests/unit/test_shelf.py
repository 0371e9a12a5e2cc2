"""The shelf of help-centre vectors: kept for other processes, never for customers' words, and empty when damaged."""

from pathlib import Path

import pytest

from infra.embeddings.remembered import Remembered
from infra.embeddings.scripted import HashingEmbedder
from infra.embeddings.shelf import INDEX, Shelf


class Failing(HashingEmbedder):
    """Has to be asked for nothing."""

    async def embed_both(self, texts: object) -> list[object]:  # type: ignore[override]
        raise AssertionError(f"computed {texts}")


async def _kept(folder: Path, *texts: str) -> None:
    await Remembered(HashingEmbedder(), shelf=Shelf(folder)).keep([*texts], [*texts])


async def test_another_process_computes_nothing_that_is_kept(tmp_path: Path) -> None:
    await _kept(tmp_path, "how long is the warranty", "returns")
    found = Remembered(Failing(), shelf=Shelf(tmp_path))
    assert await found.embed(["returns"]) == await HashingEmbedder().embed(["returns"])
    (rows,) = await found.embed_tokens(["how long is the warranty"])
    (exact,) = await HashingEmbedder().embed_tokens(["how long is the warranty"])
    assert rows == pytest.approx(exact, abs=1e-3)


async def test_what_a_customer_asks_is_not_kept(tmp_path: Path) -> None:
    remembered = Remembered(HashingEmbedder(), shelf=Shelf(tmp_path))
    await remembered.embed(["where is order W1"])
    await remembered.keep(["returns"], [])
    await remembered.embed_tokens(["where is order W1"])
    assert Shelf(tmp_path).whole("where is order W1") is None
    assert Shelf(tmp_path).whole("returns") is not None


async def test_keeping_the_same_again_computes_nothing(tmp_path: Path) -> None:
    await _kept(tmp_path, "returns")
    await Remembered(Failing(), shelf=Shelf(tmp_path)).keep(["returns"], ["returns"])


async def test_the_present_help_centre_replaces_the_former(tmp_path: Path) -> None:
    await _kept(tmp_path, "returns")
    await _kept(tmp_path, "refunds")
    assert Shelf(tmp_path).whole("returns") is None
    assert Shelf(tmp_path).whole("refunds") is not None
    assert len(list(tmp_path.glob("*.npy"))) == 2


async def test_an_open_shelf_outlives_its_replacement(tmp_path: Path) -> None:
    await _kept(tmp_path, "returns")
    before = Shelf(tmp_path)
    await _kept(tmp_path, "refunds")
    assert before.whole("returns") == (await HashingEmbedder().embed(["returns"]))[0]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"wholes": "gone.npy"}'])
async def test_a_damaged_shelf_is_an_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / INDEX).write_text(text)
    assert Shelf(tmp_path).whole("returns") is None
    await _kept(tmp_path, "returns")
    assert Shelf(tmp_path).whole("returns") is not None

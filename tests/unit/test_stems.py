"""Stems are the same whoever asks at the same time: the ranker and the verifier work in threads of their own."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from processors import sentences
from processors.groundedness import text

WORDS = [
    f"{start}{end}" for start in ("refund", "deliver", "organis", "happi", "cancell") for end in ("ing", "ed", "s")
] * 200


@pytest.fixture(autouse=True)
def _switching_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("stem", [sentences.stem.__wrapped__, text.stem.__wrapped__])
def test_threads_do_not_stem_each_others_words(stem: Callable[[str], str]) -> None:
    alone = [stem(word) for word in WORDS]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: [stem(word) for word in WORDS], range(4)))
    assert together == [alone] * 4

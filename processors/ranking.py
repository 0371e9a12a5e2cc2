"""In which order the sections that were found are read: a weighted sum of how well each fits, spread over articles."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log, sqrt

from processors.sentences import STOP_WORDS, stem

K1, B = 1.2, 0.75  # of BM25: how soon a repeated word counts no more, how much a long text counts less
REPEATS = 2  # times that a word of the query counts
_WORD = re.compile(r"[a-z0-9][a-z0-9'’_-]*")

Features = Mapping[str, float]


@dataclass(frozen=True)
class Ranking:
    """What each feature weighs, and what the sections of an article that stand before it cost another one of it."""

    weights: Mapping[str, float]
    variety: float

    def score(self, features: Features) -> float:
        """The weighted sum; a feature without a weight counts nothing."""
        return sum(weight * features.get(name, 0.0) for name, weight in self.weights.items())


# For a help centre without labelled tickets; fitted on other suites than the one judged (docs/retrieval.md).
DEFAULT = Ranking(
    weights={"window": 9.0, "context": 9.0, "words": 6.0, "context_words": 2.0, "article": 1.0},
    variety=0.5,
)
FEATURES = tuple(DEFAULT.weights)


def order(scores: Sequence[float], articles: Sequence[str], variety: float) -> tuple[int, ...]:
    """The places by falling score, where the second section of an article counts `variety` less, the third twice that.

    The best section of each article keeps its score, so a right answer is less often crowded out by one wrong article.
    """
    seen: Counter[str] = Counter()
    spread: dict[int, float] = {}
    for place in sorted(range(len(scores)), key=lambda place: -scores[place]):
        spread[place] = scores[place] - variety * seen[articles[place]]
        seen[articles[place]] += 1
    return tuple(sorted(spread, key=lambda place: (-spread[place], place)))


def word_fit(query: str, texts: Sequence[str]) -> tuple[float, ...]:
    """BM25 of each text (Robertson & Zaragoza 2009), as a share of the most it could be; 0 to 1.

    A word is the rarer, the fewer of these very texts hold it: what all that was found has in common tells nothing.
    """
    counted = [_counted(text) for text in texts]
    asked = Counter(_stems(query))
    seen = {word: sum(word in words for words in counted) for word in asked}
    weights = {
        word: sqrt(min(times, REPEATS)) * log(1 + (len(texts) - seen[word] + 0.5) / (seen[word] + 0.5))
        for word, times in asked.items()
        if seen[word]
    }
    most = (K1 + 1) * sum(weights.values())
    mean = sum(words.total() for words in counted) / max(1, len(texts))
    return tuple(_bm25(weights, words, words.total() / mean) / most if most else 0.0 for words in counted)


def _bm25(weights: Mapping[str, float], words: Counter[str], length: float) -> float:
    damped = K1 * (1 - B + B * length)
    return sum(
        weight * words[word] * (K1 + 1) / (words[word] + damped) for word, weight in weights.items() if word in words
    )


@lru_cache(maxsize=16_000)
def _counted(text: str) -> Counter[str]:
    return Counter(_stems(text))


def _stems(text: str) -> Iterable[str]:
    """The content words, numbers among them, as stems."""
    words = (word.strip("'’-").removesuffix("'s").removesuffix("’s") for word in _WORD.findall(text.lower()))
    return (stem(word) for word in words if len(word) > 1 and word not in STOP_WORDS)

"""The language of a text, by py3langid (naive Bayes over byte n-grams, 97 languages)."""

from functools import cache
from pathlib import Path
from threading import Lock

import py3langid
from py3langid.langid import MODEL_FILE, LanguageIdentifier

MIN_LETTERS = 12  # a shorter text tells nothing
MIN_PROBABILITY = 0.8
MAX_CHARACTERS = 2000

_LOADING = Lock()


def detect_language(text: str) -> str | None:
    """ISO 639-1 of the text, or None where it is too short or the model is unsure. The first call loads the model."""
    start = text[:MAX_CHARACTERS]
    if sum(map(str.isalpha, start)) < MIN_LETTERS:
        return None
    language, probability = _identifier().classify(start)
    return language if probability >= MIN_PROBABILITY and len(language) == 2 else None


def _identifier() -> LanguageIdentifier:
    with _LOADING:  # `cache` alone would let every thread of a busy start load a model of its own
        return _loaded()


@cache
def _loaded() -> LanguageIdentifier:
    return LanguageIdentifier.from_modelpath(Path(py3langid.__file__).parent / MODEL_FILE, norm_probs=True)

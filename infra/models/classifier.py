"""The local classifier: ridge regression on the sum of two kernels, over MiniLM and over TF-IDF, calibrated."""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer

from infra.models.untrained import NotTrained
from processors.errors import ModelFailed
from processors.ports import Classification, Embedder

FILE = "router.npz"
PROVENANCE = "router.json"
OUT_OF_SCOPE = "out_of_scope"
ALTERNATIVES = 12
MAX_CHARACTERS = 4000  # of a text; more never fits MiniLM's 256 tokens
TYPICAL = 0.02  # see `Scope`
LEAST = 1e-6  # P(in scope) where topics are ranked: at nothing none would be the likeliest

Matrix = NDArray[np.float64]
Real = TypeVar("Real", np.float32, np.float64)


@dataclass(frozen=True)
class Scope:
    """In scope or not, from how sure and how typical a text is (`scope_features`).

    With labelled examples out of scope, `weights` are a logistic regression on all but the last feature (Platt 1999).
    Without, `quantiles` hold what the training texts scored on the first and the last, and P = 1 - exp(-share below /
    0.02): the least typical 1 % of them are below 0.4.
    """

    weights: Matrix  # one a feature but the last, then the intercept; empty without labels
    quantiles: Matrix  # 2 × 101

    def probability(self, features: Matrix) -> float:
        """P(in scope) of one text's features."""
        if self.weights.size:
            return float(1.0 / (1.0 + np.exp(-(features[:-1] @ self.weights[:-1] + self.weights[-1]))))
        known = zip(self.quantiles, features[[0, -1]], strict=True)
        below = (np.searchsorted(row, value, side="right") / len(row) for row, value in known)
        return float(1.0 - np.exp(-min(below) / TYPICAL))


@dataclass(frozen=True)
class Trained:
    """Everything the classifier learnt, as arrays. Landmarks are vectors of single texts: keep them as the texts."""

    intents: NDArray[np.str_]
    landmarks: Matrix  # texts × dimensions, unit rows
    width: Matrix  # a single number: the kernel of two unit vectors is exp(-width · squared distance)
    dense: Matrix  # landmarks × intents
    centroids: Matrix  # intents × dimensions, unit rows; zeros for out of scope
    words: NDArray[np.str_]
    word_idf: Matrix
    characters: NDArray[np.str_]
    character_idf: Matrix
    sparse: Matrix  # (words + characters) × intents
    temperature: Matrix  # a single number (Guo et al. 2017)
    scope_weights: Matrix
    scope_quantiles: Matrix


@dataclass(frozen=True)
class Opinion:
    """What the regression makes of texts, one row a text. Its scores are near 1 for the right intent, else near 0."""

    dense: Matrix  # texts × intents, the part of the scores that rests on MiniLM
    sparse: Matrix  # the part that rests on words and letters
    cosines: Matrix  # texts × intents, to the intents' centroids
    closest: Matrix  # the cosine to the nearest text of the training
    temperature: float = 1.0

    @cached_property
    def scores(self) -> Matrix:
        """texts × intents."""
        summed: Matrix = self.dense + self.sparse
        return summed

    @cached_property
    def probabilities(self) -> Matrix:
        """texts × intents, calibrated."""
        return softmax(self.scores / self.temperature)

    @cached_property
    def nearest(self) -> Matrix:
        """The cosine to the nearest centroid."""
        highest: Matrix = self.cosines.max(axis=1)
        return highest

    @cached_property
    def agreed(self) -> NDArray[np.bool_]:
        """Whether a second model, which knows the intents' centroids alone, names the same intent."""
        same: NDArray[np.bool_] = self.scores.argmax(axis=1) == self.cosines.argmax(axis=1)
        return same


def vectorizers() -> tuple[TfidfVectorizer, TfidfVectorizer]:
    """Words (1-2) and character n-grams (2-5) within words, sublinear."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=15_000)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, max_features=25_000)
    return words, characters


def tidy(text: str) -> str:
    """A text as both models read it: printable, white space as single spaces, cut to what they can use."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text[:MAX_CHARACTERS]).split())


@dataclass(frozen=True)
class Calculation:
    """The arithmetic of a trained classifier, without files, names or threads."""

    trained: Trained

    @cached_property
    def _vectorizers(self) -> tuple[TfidfVectorizer, TfidfVectorizer]:
        known = ((self.trained.words, self.trained.word_idf), (self.trained.characters, self.trained.character_idf))
        for vectorizer, (vocabulary, idf) in zip(pair := vectorizers(), known, strict=True):
            vectorizer.vocabulary = {str(term): place for place, term in enumerate(vocabulary)}
            vectorizer.idf_ = idf
        return pair

    def opinion(self, vectors: Matrix, texts: Sequence[str]) -> Opinion:
        """Both parts' scores for texts and their embeddings."""
        features = hstack([vectorizer.transform(texts) for vectorizer in self._vectorizers]).tocsr()
        near = vectors @ self.trained.landmarks.T
        return Opinion(
            dense=gaussian(near, float(self.trained.width)) @ self.trained.dense,
            sparse=np.asarray(features @ self.trained.sparse),
            cosines=vectors @ self.trained.centroids.T,
            closest=near.max(axis=1),
            temperature=float(self.trained.temperature),
        )

    def classify(self, vector: Sequence[float], text: str) -> tuple[list[tuple[str, float]], float, bool]:
        """Intents with their probabilities, best first; P(in scope); whether both models name the same intent."""
        opinion = self.opinion(np.array([vector]), [text])
        scope = Scope(self.trained.scope_weights, self.trained.scope_quantiles)
        in_scope = scope.probability(scope_features(opinion, self.trained.intents)[0])
        (probabilities,) = scoped(opinion.probabilities, np.array([in_scope]), self.trained.intents)
        order = np.argsort(-probabilities, kind="stable")
        ranked = [(str(self.trained.intents[place]), float(probabilities[place])) for place in order]
        return ranked, in_scope, bool(opinion.agreed[0])


def gaussian(cosines: NDArray[Real], width: float) -> NDArray[Real]:
    """The Gaussian kernel of unit vectors by their cosines: exp(-width · squared distance)."""
    near: NDArray[Real] = np.exp(2.0 * width * (np.minimum(cosines, 1.0) - 1.0))
    return near


def scoped(probabilities: Matrix, in_scope: Matrix, intents: NDArray[np.str_]) -> Matrix:
    """Probabilities that leave to out of scope, whether or not it is one of the intents, what P(in scope) leaves it."""
    outside = intents == OUT_OF_SCOPE
    if not outside.any():
        inside: Matrix = probabilities * np.maximum(in_scope, LEAST)[:, None]
        return inside
    topics = np.where(outside, 0.0, probabilities)
    shared: Matrix = in_scope[:, None] * topics / np.maximum(topics.sum(axis=1, keepdims=True), 1e-12)
    shared[:, outside] = 1.0 - in_scope[:, None]
    return shared


def softmax(scores: Matrix) -> Matrix:
    """Rows of scores as probabilities."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities: Matrix = raised / raised.sum(axis=1, keepdims=True)
    return probabilities


def scope_features(opinion: Opinion, intents: NDArray[np.str_]) -> Matrix:
    """texts × 5: log-odds of the best topic, cosine to the nearest centroid, score of the best topic, score of out of
    scope, cosine to the nearest text of the training.
    """
    outside = intents == OUT_OF_SCOPE
    columns = (
        _log_odds(opinion.probabilities[:, ~outside].max(axis=1)),
        opinion.nearest,
        opinion.scores[:, ~outside].max(axis=1),
        opinion.scores[:, outside].sum(axis=1),
        opinion.closest,
    )
    return np.stack(columns, axis=1)


def _log_odds(probability: Matrix) -> Matrix:
    clipped = np.clip(probability, 1e-4, 1 - 1e-4)
    odds: Matrix = np.log(clipped / (1 - clipped))
    return odds


# -- files


def save(folder: Path, trained: Trained, provenance: Mapping[str, object]) -> str:
    """Write the arrays and where they come from; each file replaces its predecessor whole. Returns the arrays' hash."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: _compact(value) for name, value in asdict(trained).items()}
    with (folder / f"{FILE}.new").open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    digest = sha256((folder / f"{FILE}.new").read_bytes()).hexdigest()
    text = json.dumps({"sha256": digest, **provenance}, indent=2, ensure_ascii=False)
    (folder / f"{PROVENANCE}.new").write_text(text + "\n", encoding="utf-8")
    for name in (FILE, PROVENANCE):
        os.replace(folder / f"{name}.new", folder / name)
    return digest


def load(folder: Path) -> tuple[Trained, dict[str, object]]:
    """The arrays and where they come from.

    Raises:
        NotTrained: a file is missing or unreadable, or the two do not belong together.
    """
    try:
        provenance: dict[str, object] = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
        content = (folder / FILE).read_bytes()
    except (OSError, ValueError) as error:
        raise NotTrained(f"no classifier in {folder} ({error}): run `sluice train router SUITE`") from None
    if provenance.get("sha256") != sha256(content).hexdigest():
        raise NotTrained(f"{folder / FILE} is not what {PROVENANCE} describes: run sluice train router SUITE")
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        missing = [field.name for field in fields(Trained) if field.name not in arrays]
        if missing:
            raise NotTrained(f"{folder / FILE} is of another version: run sluice train router SUITE")
        return Trained(**{field.name: _wide(arrays[field.name]) for field in fields(Trained)}), provenance


def _compact(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.dtype.kind == "U" else array.astype(np.float32)


def _wide(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.dtype.kind == "U" else array.astype(np.float64)


# -- the port


class LocalClassifier:
    """The port on a trained classifier: embeds the text, then computes in a thread of its own."""

    name = "local/classifier"
    prompt_hash = None

    def __init__(self, trained: Trained, embedder: Embedder, version: str) -> None:
        """Take the arrays; `version` is their hash, which every route names."""
        self.intents = tuple(str(intent) for intent in trained.intents)
        self.version = version
        self._calculation = Calculation(trained)
        self._embedder = embedder
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="classifier")

    @classmethod
    def load(cls, folder: Path, embedder: Embedder) -> "LocalClassifier":
        """Read a trained classifier.

        Raises:
            NotTrained: the folder holds none, or one for another embedder.
        """
        trained, provenance = load(folder)
        if provenance.get("embedder") != embedder.name:
            raise NotTrained(f"{folder / FILE} was trained on {provenance.get('embedder')}, not on {embedder.name}")
        return cls(trained, embedder, str(provenance["sha256"]))

    async def classify(self, text: str) -> Classification:
        """Classify one text.

        Raises:
            ModelFailed: the text, or what the models make of it, is no usable number.
        """
        read = tidy(text)
        (vector,) = await self._embedder.embed([read])
        loop = asyncio.get_running_loop()
        ranked, in_scope, agreed = await loop.run_in_executor(self._executor, self._calculation.classify, vector, read)
        (intent, confidence), *others = ranked
        if not (np.isfinite(confidence) and np.isfinite(in_scope)):
            raise ModelFailed(f"{self.name} has no opinion on this text")
        return Classification(
            intent=intent,
            confidence=confidence,
            in_scope=in_scope,
            agreed=agreed,
            model=f"{self.name}@{self.version[:12]}",
            alternatives=tuple(others[:ALTERNATIVES]),
        )

    def close(self) -> None:
        """End the thread, after what it computes now."""
        self._executor.shutdown()

"""Answers to labelled questions, right and wrong ones, to fit and judge the verifier on."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from random import Random

import numpy as np
from numpy.typing import NDArray

from evals.dataset import LabelledTicket, Suite
from evals.scorers import contains
from evals.train.corruptions import spoil
from infra.knowledge import read_articles
from infra.models.precedents import Key
from infra.models.verifier import Vector, embed_tokens
from processors.errors import ModelFailed
from processors.groundedness.text import content, plain, units_of
from processors.ports import Embedder, Model, Prompt, Source
from processors.resolution import DraftReply, DraftRequest, ShownPassage
from schemas.resolution import Citation, Sentence
from schemas.retrieval import Passage
from schemas.router import Band

TICKETS = 400  # labelled tickets at most, out-of-scope ones included
FOUND = 8  # sections a question is answered from, as retrieval gives by default
SOURCE = 0.3  # cosine below which a section is no source, as the retrieval threshold
FEW = 40  # below this many labelled tickets, headings stand in for questions
DEADLINE = 60.0  # seconds a draft may take
Matrix = NDArray[np.float64]


class Kept:
    """An embedder that computes each text once: every question is answered from several sections."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._rows: dict[str, list[float]] = {}
        self.name = embedder.name
        self.dimensions = embedder.dimensions

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector a text."""
        new = [text for text in dict.fromkeys(texts) if text not in self._rows]
        self._rows.update(zip(new, await self._embedder.embed(new), strict=True))
        return [self._rows[text] for text in texts]

    async def embed_tokens(self, texts: Sequence[str]) -> list[Vector]:
        """The token vectors of each text, as the embedder gives them, else its one vector."""
        rows = await embed_tokens(self._embedder, texts)
        return [rows[text] for text in texts]


# -- the help centre


def sections_of(suite: Suite) -> tuple[Source, ...]:
    """The public sections that hold now."""
    articles = [article for path in suite.articles for article in read_articles(path)]
    current = [article for article in articles if article.valid_to is None and article.audience == "public"]
    return tuple(
        Source(article.id, section.id, section.text, f"{article.title}: {section.heading}")
        for article in current
        for section in article.sections
    )


@dataclass(frozen=True)
class Library:
    """The sections of a help centre, searched as retrieval does: by meaning and by words, ranks fused."""

    sources: tuple[Source, ...]
    vectors: Matrix
    stems: tuple[frozenset[str], ...]
    idf: Mapping[str, float]

    @classmethod
    async def of(cls, sources: Sequence[Source], embedder: Embedder) -> "Library":
        """Embed the sections."""
        texts = [f"{source.heading}. {source.text}" for source in sources]
        stems = tuple(frozenset(content(plain(text))) for text in texts)
        counts = Counter(stem for text in stems for stem in text)
        idf = {stem: math.log((1 + len(texts)) / count) for stem, count in counts.items()}
        return cls(tuple(sources), np.asarray(await embedder.embed(texts), float), stems, idf)

    def find(self, vector: Matrix, question: str) -> tuple[Source, ...]:
        """The best sections, best first (reciprocal rank fusion, Cormack et al. 2009)."""
        asked = set(content(plain(question)))
        cosines = self.vectors @ vector
        overlap = np.array([sum(self.idf[stem] for stem in asked & stems) for stems in self.stems])
        ranks = [np.argsort(np.argsort(-scores, kind="stable")) for scores in (cosines, overlap)]
        fused = sum(1.0 / (60 + rank) for rank in ranks)
        best = [at for at in np.argsort(-fused, kind="stable") if cosines[at] >= SOURCE]
        return tuple(self.sources[at] for at in best[:FOUND])

    def as_found(self, passages: Sequence[Passage]) -> tuple[Source, ...]:
        """The sections of what retrieval found."""
        keys = [(one.article_id, one.section_id) for one in passages if one.score >= SOURCE]
        return tuple(self._by_key[key] for key in keys if key in self._by_key)

    @cached_property
    def _by_key(self) -> Mapping[Key, Source]:
        return {(source.article_id, source.section_id): source for source in self.sources}

    def expected(self, ticket: LabelledTicket) -> tuple[Source, ...]:
        """The sections that a label names; all of an article's where it names no section."""
        wanted = {(e.article_id, e.section_id) for e in ticket.expected_sources if e.role == "answer"}
        keys = [{(source.article_id, source.section_id), (source.article_id, None)} for source in self.sources]
        return tuple(source for source, key in zip(self.sources, keys, strict=True) if wanted & key)


def sample(tickets: Sequence[LabelledTicket], library: Library) -> tuple[LabelledTicket, ...]:
    """Labelled tickets in an order that no list order biases: those with an answer, and those that nothing answers.

    Those are labelled out of scope; where a suite has no such label, they are a person's and name no source.
    """
    shuffled = sorted(tickets, key=lambda ticket: sha256(ticket.id.encode()).digest())
    answered = [ticket for ticket in shuffled if library.expected(ticket)]
    sourceless = [ticket for ticket in shuffled if not ticket.expected_sources]
    nothing = [ticket for ticket in sourceless if ticket.out_of_scope]
    nothing = nothing or [ticket for ticket in sourceless if ticket.expected_band in (Band.SUGGEST, Band.ESCALATE)]
    unanswerable = nothing[: TICKETS // 5]
    return (*unanswerable, *answered[: TICKETS - len(unanswerable)])


# -- the examples


@dataclass(frozen=True)
class Example:
    """An answer to a question, with a label per sentence. None is a sentence that teaches nothing."""

    kind: str  # chosen, right, restated, or the fault
    group: str
    question: str
    sentences: tuple[Sentence, ...]
    sources: tuple[Source, ...]
    labels: tuple[bool | None, ...]
    right: bool  # the whole answer
    expected: frozenset[Key] = frozenset()  # the sections that answer


class Maker:
    """Makes answers to labelled questions: chosen, right and spoilt ones."""

    def __init__(
        self,
        library: Library,
        answerer: Model,
        embedder: Embedder,
        references: Mapping[str, str],
        found: Mapping[str, tuple[Source, ...]],
    ) -> None:
        """`found` are the sections that retrieval gives for a ticket, best first; the library's own where it is not."""
        self._library = library
        self._answerer = answerer
        self._embedder = embedder
        self._references = references
        self._found = found

    async def examples(self, tickets: Sequence[LabelledTicket], progress: Callable[[str], None]) -> tuple[Example, ...]:
        """All answers to the tickets and, where they are few, to headings."""
        made: list[Example] = []
        for number, ticket in enumerate(tickets, 1):
            made += await self._of_ticket(ticket)
            if number % 50 == 0:
                progress(f"{number} of {len(tickets)} tickets answered")
        if sum(bool(self._library.expected(ticket)) for ticket in tickets) < FEW:
            for source in _spread(self._library.sources, FEW):
                made += await self._of_heading(source)
        return tuple(made)

    async def _of_ticket(self, ticket: LabelledTicket) -> list[Example]:
        random = Random(ticket.id)
        question = ticket.text
        expected = self._library.expected(ticket)
        vector = np.asarray((await self._embedder.embed([plain(question)[:2_000]]))[0], float)
        near = self._library.find(vector, question)
        found = self._found.get(ticket.id) or near
        keys = frozenset((source.article_id, source.section_id) for source in expected)
        base = Example("chosen", ticket.group, question, (), found, (), right=False, expected=keys)
        made = [_judged(base, await self._draft(question, found), expected, ticket.expected_facts)] if found else []
        if expected:
            best = await self._best(expected, self._references.get(ticket.id) or question)
            made += await self._about(replace(base, sources=_first(best, found)), best, ticket, random)
            made += await self._misplaced(replace(base, sources=_first(best, found)), near, ticket, random)
        return [example for example in made if example.sentences]

    async def _about(self, base: Example, best: Source, ticket: LabelledTicket, random: Random) -> list[Example]:
        """The right answer of a section, in other words too, and spoilt."""
        sentences = await self._draft(base.question, (best,))
        right = _judged(replace(base, kind="right"), sentences, (best,), ticket.expected_facts)
        reference = self._references.get(ticket.id, "")
        spoilt = self._spoilt(right, random) if right.right else []
        return [right, *_restated(base, best, reference), *spoilt]

    def _spoilt(self, right: Example, random: Random) -> list[Example]:
        at = random.randrange(len(right.sentences))
        others = [unit.text for source in random.sample(self._library.sources, 2) for unit in units_of(source.text)]
        return [
            _with_fault(right, at, spoilt.kind, spoilt.sentence)
            for spoilt in spoil(right.sentences[at], others, random)
        ]

    async def _misplaced(
        self, base: Example, near: Sequence[Source], ticket: LabelledTicket, random: Random
    ) -> list[Example]:
        """Answers drafted of sections that do not answer: of the same article, of the nearest others, of any."""
        expected = self._library.expected(ticket)
        articles = {source.article_id for source in expected}
        siblings = [s for s in self._library.sources if s.article_id in articles and s not in expected]
        far = [source for source in self._library.sources if source.article_id not in articles]
        chosen = [
            *(("wrong-section-same-article", source) for source in random.sample(siblings, min(1, len(siblings)))),
            *(("wrong-section", source) for source in [source for source in near if source not in expected][:2]),
            *(("off-topic", source) for source in random.sample(far, min(1, len(far)))),
        ]
        return [await self._wrong(base, kind, source) for kind, source in chosen]

    async def _wrong(self, base: Example, kind: str, source: Source) -> Example:
        sentences = await self._draft(base.question, (source,))
        sources = _first(source, base.sources)
        return replace(base, kind=kind, sentences=sentences, sources=sources, labels=(False,) * len(sentences))

    async def _of_heading(self, source: Source) -> list[Example]:
        """A heading asked as a question. It is left out of what is compared, or the question would hold its answer."""
        title, _, heading = source.heading.rpartition(": ")
        bare = replace(source, heading=title)
        vector = np.asarray((await self._embedder.embed([heading]))[0], float)
        rivals = [rival for rival in self._library.find(vector, heading) if rival != source]
        key = frozenset({(source.article_id, source.section_id)})
        base = Example("heading", source.article_id, heading, (), _first(bare, rivals), (), right=True, expected=key)
        sentences = await self._draft(heading, (bare,))
        good = replace(base, sentences=sentences, labels=(True,) * len(sentences))
        wrong = [await self._wrong(base, "wrong-section", rival) for rival in rivals[:2]]
        spoilt = self._spoilt(good, Random(heading)) if sentences else []
        return [example for example in (good, *spoilt, *wrong) if example.sentences]

    async def _best(self, sources: Sequence[Source], asked: str) -> Source:
        """Of the sections that may answer, the one nearest to the human answer, else to the question."""
        if len(sources) == 1:
            return sources[0]
        rows = np.asarray(await self._embedder.embed([asked[:2_000], *(s.text[:2_000] for s in sources)]), float)
        return sources[int(np.argmax(rows[1:] @ rows[0]))]

    async def _draft(self, question: str, sources: Sequence[Source]) -> tuple[Sentence, ...]:
        request = DraftRequest(question=question, passages=tuple(map(_shown_passage, sources)))
        try:
            prompt = Prompt(system="", user=request.model_dump_json(), hash="")
            reply = (await self._answerer.complete(prompt, DraftReply, DEADLINE)).value
        except ModelFailed:
            return ()
        return tuple(
            Sentence(text=s.text, citation=Citation(article_id=s.article_id, section_id=s.section_id, quote=s.quote))
            for s in reply.sentences
        )


def _shown_passage(source: Source) -> ShownPassage:
    title, _, heading = source.heading.partition(": ")
    return ShownPassage(
        article_id=source.article_id,
        section_id=source.section_id or "",
        title=title,
        heading=heading,
        text=source.text,
    )


def _judged(
    base: Example, sentences: tuple[Sentence, ...], expected: Sequence[Source], facts: Sequence[str]
) -> Example:
    """Label a drafted answer: right where it cites what was expected and holds every fact that was."""
    keys = {(source.article_id, source.section_id) for source in expected}
    fits = [s.citation is not None and (s.citation.article_id, s.citation.section_id) in keys for s in sentences]
    text = " ".join(sentence.text for sentence in sentences)
    whole = all(contains(text, fact) for fact in facts)
    return replace(base, sentences=sentences, labels=tuple(fit and whole for fit in fits), right=any(fits) and whole)


def _with_fault(right: Example, at: int, kind: str, sentence: Sentence) -> Example:
    sentences = (*right.sentences[:at], sentence, *right.sentences[at + 1 :])
    labels = tuple(False if place == at else None for place in range(len(sentences)))
    return replace(right, kind=kind, sentences=sentences, labels=labels, right=False)


def _restated(base: Example, best: Source, reference: str) -> Iterator[Example]:
    """The sentences of a human answer that say, in other words, what a sentence of the article says."""
    units = [unit.text for unit in units_of(best.text)]
    for said in (unit.text for unit in units_of(reference)):
        stems = set(content(said))
        overlap = [len(stems & set(content(unit))) / max(len(stems), 1) for unit in units]
        if len(stems) >= 4 and max(overlap, default=0.0) >= 0.6:
            quote = units[int(np.argmax(overlap))]
            citation = Citation(article_id=best.article_id, section_id=best.section_id, quote=quote)
            sentence = Sentence(text=said, citation=citation)
            yield replace(base, kind="restated", sentences=(sentence,), labels=(True,), right=True)


def _first(source: Source, others: Iterable[Source]) -> tuple[Source, ...]:
    key = (source.article_id, source.section_id)
    return (source, *[o for o in others if (o.article_id, o.section_id) != key][: FOUND - 1])


def _spread(sources: Sequence[Source], count: int) -> Sequence[Source]:
    return sources if len(sources) <= count else [sources[at * len(sources) // count] for at in range(count)]

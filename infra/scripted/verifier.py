"""A verifier that scores by a script: for tests, demos and load tests without trained parts."""

from collections.abc import Mapping, Sequence
from math import isfinite

from processors.groundedness.vetoes import align
from processors.ports import Source
from schemas.gate import SentenceCheck
from schemas.resolution import Sentence


class ScriptedVerifier:
    """Gives each sentence the score it is told, unless it cites nothing, or a quote that is not in its source."""

    def __init__(self, scores: Mapping[str, float] | None = None, default: float = 1.0, floor: float = 0.92) -> None:
        """`scores` by the sentence's text; `default` for all others."""
        self.name = "scripted/verifier"
        self.floor = floor
        self._scores = dict(scores or {})
        self._default = default

    async def verify(
        self, question: str, sentences: Sequence[Sentence], sources: Sequence[Source]
    ) -> tuple[SentenceCheck, ...]:
        """One finding per sentence, in order."""
        known = {(source.article_id, source.section_id): source for source in sources}
        return tuple(self._check(sentence, known) for sentence in sentences)

    def _check(self, sentence: Sentence, sources: Mapping[tuple[str, str | None], Source]) -> SentenceCheck:
        fired = _fired(sentence, sources)
        score = self._scores.get(sentence.text, self._default)
        if fired or not isfinite(score):
            return SentenceCheck(text=sentence.text, supported=False, score=0.0, vetoes=fired or ("no-score",))
        return SentenceCheck(text=sentence.text, supported=score >= self.floor, score=score)


def _fired(sentence: Sentence, sources: Mapping[tuple[str, str | None], Source]) -> tuple[str, ...]:
    if sentence.citation is None:
        return ("no-citation",)
    source = sources.get((sentence.citation.article_id, sentence.citation.section_id))
    if source is None:
        return ("unknown-source",)
    return () if align(sentence, source).verbatim else ("quote-not-verbatim",)

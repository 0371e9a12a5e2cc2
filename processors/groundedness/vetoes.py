"""Hard vetoes: what makes a sentence unsupported whatever a model thinks of it.

Every check compares a sentence with the span it quotes, never with the whole source: a number that stands elsewhere
in the source is no support. Source of the idea: span alignment catches in-context swaps that containment misses.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from processors.groundedness.text import Unit, content, numeral, place_of, plain, quantities, stem, words
from processors.ports import Source
from schemas.resolution import Sentence

RECORD = "crm:"  # how the citation of a customer's record begins
NEAR_COPY = 0.7  # share of equal words (2M/T) from which a sentence reads as a copy of its quote


@dataclass(frozen=True)
class Aligned:
    """A sentence beside the span of the source that it quotes. All texts are plain."""

    said: str
    quote: str
    span: str  # the whole sentences the quote stands in
    lead: str  # the line that introduces the list the quote stands in
    heading: str  # of the source
    source: str
    exact: bool  # the sentence is its quote, word by word

    @property
    def verbatim(self) -> bool:
        """Whether the quote stands in the source."""
        return bool(self.span)


def align(sentence: Sentence, source: Source) -> Aligned:
    """Lay a sentence beside its quote. The span is empty where the quote is not verbatim in the source."""
    quote = sentence.citation.quote if sentence.citation else ""
    place = place_of(quote, source.text)
    row = _row(quote)
    said = plain(sentence.text)
    return Aligned(
        said=said,
        quote=plain(row.span if row else quote),
        span=plain(row.span) if row and place else " ".join(unit.text for unit in place),
        lead="" if row else _lead(place, plain(quote)),
        heading=plain(source.heading),
        source=plain(source.text),
        exact=said in ({plain(quote)} if row is None else {plain(quote), plain(row.text)}),
    )


@dataclass(frozen=True)
class _Row:
    span: str  # the table's head and the one row
    text: str  # "Method: Express; Price: $12.95."


def _row(quote: str) -> _Row | None:
    """The last row of a quote that begins at the head of a table: the rows between are not what it says."""
    lines = [line.strip() for line in quote.strip().splitlines()]
    if len(lines) < 2 or not all(line.startswith("|") for line in lines):
        return None
    head, cells = (plain_cells(line) for line in (lines[0], lines[-1]))
    pairs = [f"{name}: {cell}" if name else cell for name, cell in zip(head, cells, strict=False) if cell]
    return _Row(f"{lines[0]}\n{lines[-1]}", "; ".join(pairs) + ".")


def plain_cells(line: str) -> list[str]:
    """The cells of a Markdown table row, plain."""
    return [plain(cell) for cell in line.strip("|").split("|")]


def _lead(place: tuple[Unit, ...], quote: str) -> str:
    return next((unit.lead for unit in place if unit.lead and unit.lead not in quote), "")


# -- the vetoes of a sentence about an article


def vetoes(aligned: Aligned, told: str = "") -> tuple[str, ...]:
    """The names of all vetoes that fire. `told` is what earlier sentences of the reply quote, plain."""
    if not aligned.verbatim:
        return ("quote-not-verbatim",)
    fired = (
        ("number-not-in-quote", _missing_quantity(aligned)),
        ("numbers-out-of-order", _out_of_order(aligned)),
        ("antonym", _antonym(aligned)),
        ("negation", _negated(aligned, told)),
        ("condition-dropped", _condition_dropped(aligned)),
        ("name-not-in-quote", _missing_name(aligned)),
        ("altered-copy", _altered(aligned)),
    )
    return tuple(name for name, fires in fired if fires)


def _missing_quantity(aligned: Aligned) -> bool:
    return not aligned.exact and bool(Counter(quantities(aligned.said)) - Counter(quantities(aligned.quote)))


def _out_of_order(aligned: Aligned) -> bool:
    if aligned.exact or _missing_quantity(aligned):
        return False
    given = iter(quantities(aligned.quote))
    return not all(wanted in given for wanted in quantities(aligned.said))


_ANTONYMS = (
    "enable/disable allow/forbid allow/block accept/refuse accept/reject accept/decline approve/reject approve/decline "
    "before/after include/exclude increase/decrease raise/lower open/close on/off above/below over/under more/less "
    "more/fewer minimum/maximum least/most first/last with/without start/stop begin/end add/remove lock/unlock "
    "install/uninstall subscribe/unsubscribe activate/deactivate show/hide import/export upload/download "
    "incoming/outgoing send/receive buyer/seller always/never online/offline inside/outside earlier/later "
    "longer/shorter early/late up/down left/right free/paid possible/impossible available/unavailable "
    "refundable/nonrefundable required/optional mandatory/optional permanent/temporary domestic/international "
    "new/old same/different valid/invalid used/unused faulty/intact public/private connect/disconnect "
    "connected/disconnected checked/unchecked check/uncheck select/deselect"
)
_PAIRS = tuple(tuple(map(stem, pair.split("/"))) for pair in _ANTONYMS.split())


def antonyms(said: str, span: str) -> int:
    """How many pairs of opposites have one word in the sentence only and the other in the span only."""
    mine, theirs = {stem(word) for word in words(said)}, {stem(word) for word in words(span)}
    only_mine, only_theirs = mine - theirs, theirs - mine
    return sum((a in only_mine and b in only_theirs) or (b in only_mine and a in only_theirs) for a, b in _PAIRS)


def _antonym(aligned: Aligned) -> bool:
    return antonyms(aligned.said, aligned.span) > 0


_NEGATIONS = re.compile(
    r"\b(?:not|no|never|none|neither|nor|cannot|without|unless|except|nothing|nobody|nowhere)\b|n't\b|\bnon-", re.I
)
_SUBORDINATE = re.compile(r"\b(?:if|when|where|unless|in case|should)\b[^,:]*[,:]", re.I)


def negations(text: str) -> int:
    """How many words of a plain text negate."""
    return len(_NEGATIONS.findall(text))


def _negated(aligned: Aligned, told: str) -> bool:
    """Whether the sentence negates more or less often than its whole span, or hides a list's negating lead."""
    lead = "" if not aligned.lead or aligned.lead in told else _SUBORDINATE.sub(" ", aligned.lead)
    return negations(aligned.said) != negations(aligned.span) or negations(lead) > 0


_CONDITIONS = frozenset(("unless", "except", "excluding", "only", "provided", "otherwise"))


def _condition_dropped(aligned: Aligned) -> bool:
    return bool(_CONDITIONS & set(words(aligned.span)) - set(words(aligned.said)))


_NAME = re.compile(r"(?<![.!?:;>\"'(]\s)(?<!^)(?<![\w.])[A-Z][\w'-]+")


def _missing_name(aligned: Aligned) -> bool:
    known = set(words(f"{aligned.span} {aligned.lead} {aligned.heading}"))
    named = (word for name in _NAME.findall(aligned.said) for word in words(name.removesuffix("'s")))
    return not aligned.exact and any(word not in known for word in named)


def _altered(aligned: Aligned) -> bool:
    """Whether a near copy of the quote differs in words that carry meaning: swapped entities, roles, additions.

    A cut at the ends is no change; what it may hide is the business of the other checks.
    """
    if aligned.exact:
        return False
    said, quote = ([numeral(word) for word in words(text)] for text in (aligned.said, aligned.quote))
    matcher = SequenceMatcher(None, quote, said, autojunk=False)
    changed = matcher.ratio() >= NEAR_COPY and any(_tells(code, quote, said) for code in matcher.get_opcodes())
    return changed or _reordered(content(" ".join(said)), content(" ".join(quote)))


def _reordered(said: Sequence[str], quote: Sequence[str]) -> bool:
    """Whether both are of the same words in another order: who pays whom."""
    return said != quote and sorted(said) == sorted(quote)


def _tells(code: tuple[str, int, int, int, int], quote: list[str], said: list[str]) -> bool:
    kind, start, end, said_start, said_end = code
    if kind == "equal":
        return False
    if kind == "delete" and (start == 0 or end == len(quote)):
        return False
    removed, added = content(" ".join(quote[start:end])), content(" ".join(said[said_start:said_end]))
    return removed != added


# -- the vetoes of a sentence about a record


def record_vetoes(sentence: Sentence, source: Source, rendered: Collection[str], question: str) -> tuple[str, ...]:
    """The vetoes of a sentence that cites a customer's record.

    It must be, sign by sign, one of the texts that the templates make of the record now, and the record must be one
    the question is about: where the question names records of that kind, this one is among them.
    """
    quote = sentence.citation.quote if sentence.citation else ""
    fired = (
        ("quote-not-verbatim", not place_of(quote, source.text)),
        ("record-not-equal", sentence.text not in rendered),
        ("other-record", _other_record(source, question)),
    )
    return tuple(name for name, fires in fired if fires)


def _other_record(source: Source, question: str) -> bool:
    identifier = source.article_id.rpartition("/")[2].lower().strip("#")
    asked = set(_of_shape(identifier, quantities(plain(question))))
    return bool(asked) and asked.isdisjoint((*quantities(plain(source.text)), identifier))


def _of_shape(identifier: str, candidates: Iterable[str]) -> Iterable[str]:
    """The candidates built like an identifier: letters and digits in the same places."""
    shape = _shape(identifier)
    return (candidate for candidate in candidates if _shape(candidate) == shape)


def _shape(identifier: str) -> str:
    return re.sub(r"[a-z]", "a", re.sub(r"\d", "0", identifier.lower()))

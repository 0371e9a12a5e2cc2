"""A section's Markdown as the sentences that can be quoted from it, and words as stems."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from snowballstemmer import EnglishStemmer

STOP_WORDS = frozenset(
    """a an the this that these those it its is are was were be been being am i you your we our us me my mine they their
    them he she his her and or but if then than so as at by for from in into of off on onto out over to up with without
    within after before until when while where which who what how why not no do does did can could may might must shall
    should will would have has had there here all any each every some more most other only also just per about again
    please hi hello thanks thank""".split()  # noqa: SIM905 - a list of words reads better as prose
)
_WORD = re.compile(r"[a-z][a-z'’-]+")


@dataclass(frozen=True)
class Unit:
    """A piece of a section that reads by itself: a sentence, a list with its opening line, or a table row."""

    start: int  # of its quote in the section's text
    end: int
    text: str  # as a reader sees it: the quote without Markdown
    block: int  # units of one block (paragraph, list, table) follow each other
    heading: str = ""  # of the subsection it stands in, if any


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    return str(EnglishStemmer().stemWord(word))  # one of its own: it keeps the word it works on


def stems(text: str) -> frozenset[str]:
    """The content words of a text as stems (Porter 2); numbers and stop words are left out."""
    words = (word.strip("'’-").removesuffix("'s").removesuffix("’s") for word in _WORD.findall(text.lower()))
    return frozenset(stem(word) for word in words if word and word not in STOP_WORDS)


# -- Markdown

_HEADING = re.compile(r"#{1,6}\s+(?P<text>.+?)\s*#*$")
_ITEM = re.compile(r"\s*([-*+]|\d{1,2}[.)])\s+\S")
_TABLE_ROW = re.compile(r"\s*\|.*\|\s*$")
_TABLE_RULE = re.compile(r"\s*\|[\s:|-]+\|\s*$")
_END = re.compile(r"[.!?]+[\"'”’)*]*(?=\s+[\"'“‘(*]*[A-Z0-9])|[.!?:]+[\"'”’)*]*$")
_ABBREVIATED = re.compile(
    r"(\b(e\.g|i\.e|a\.m|p\.m|etc|vs|approx|no|nr|mr|mrs|ms|dr|st|u\.s|incl|max|min)|^\s*\d+)\.$", re.I
)
_MARKUP = (
    (re.compile(r"!\[[^\]]*\]\([^)]*\)|\{\{[^}]*\}\}|\[template\b[^\]]*\]"), ""),  # images, unexpanded templates
    (re.compile(r"\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"\*\*|__|`"), ""),
    (re.compile(r"(?<!\w)[*_](?=\S)|(?<=\S)[*_](?!\w)"), ""),
    (re.compile(r"[ \t]+"), " "),
)
LIST_CHARS = 900  # a longer list is quoted item by item


@dataclass(frozen=True)
class _Line:
    start: int
    end: int
    text: str


def plain(markdown: str) -> str:
    """Markdown as a reader sees it, without images, link targets and templates nobody expanded."""
    for pattern, replacement in _MARKUP:
        markdown = pattern.sub(replacement, markdown)
    return markdown.strip()


def units(text: str) -> tuple[Unit, ...]:
    """The pieces of a section that can be quoted, in order. Each quote is a verbatim slice of the text."""
    found: list[Unit] = []
    heading = ""
    for number, block in enumerate(_blocks(text)):
        if match := _HEADING.match(block[0].text):
            heading = plain(match["text"])
        else:
            pieces = _rows(block) if _TABLE_ROW.match(block[0].text) else _pieces(text, block)
            found += [
                Unit(start, end, shown, number, heading) for start, end, shown in pieces if _says_something(shown)
            ]
    return tuple(found)


def _says_something(shown: str) -> bool:
    return len(re.findall(r"[^\W\d_]", shown)) > 2  # more than a bullet, a bracket or a number


def _lines(text: str) -> Iterator[_Line]:
    start = 0
    for raw in text.splitlines(keepends=True):
        yield _Line(start, start + len(raw.rstrip()), raw.rstrip())
        start += len(raw)


def _blocks(text: str) -> Iterator[list[_Line]]:
    """Lines that belong together: a heading, a table, a paragraph, a list with the line that opens it."""
    block: list[_Line] = []
    for line in _lines(text):
        if block and _begins_a_block(block, line):
            yield block
            block = []
        if line.text.strip():
            block.append(line)
    if block:
        yield block


def _begins_a_block(block: list[_Line], line: _Line) -> bool:
    opened = block[-1].text.rstrip(" *_").endswith(":") and not _ITEM.match(block[-1].text)
    if not line.text.strip():
        return not opened
    kinds = [_kind(block[-1].text), _kind(line.text)]
    if kinds == ["text", "item"]:
        return not opened
    return "heading" in kinds or (kinds[0] != kinds[1] and kinds != ["item", "text"])


def _kind(line: str) -> str:
    if _HEADING.match(line):
        return "heading"
    if _TABLE_ROW.match(line):
        return "table"
    return "item" if _ITEM.match(line) else "text"


Piece = tuple[int, int, str]  # start, end, as shown


def _rows(block: list[_Line]) -> list[Piece]:
    """A row reads "Method: Express; Price: $12.95". Its quote begins at the header, which names the columns."""
    header = _cells(block[0].text)
    rows = [line for line in block[1:] if not _TABLE_RULE.match(line.text)]
    return [(block[0].start, row.end, _row(header, _cells(row.text))) for row in rows]


def _cells(line: str) -> list[str]:
    return [plain(cell) for cell in line.strip().strip("|").split("|")]


def _row(header: list[str], cells: list[str]) -> str:
    return (
        "; ".join(f"{name}: {cell}" if name else cell for name, cell in zip(header, cells, strict=False) if cell) + "."
    )


def _pieces(text: str, block: list[_Line]) -> list[Piece]:
    """Prose as sentences; a list with its opening sentence is one piece, as an item alone may mean the contrary."""
    first = next((index for index, line in enumerate(block) if _ITEM.match(line.text)), None)
    if first is None:
        return _sentences(text, block[0].start, block[-1].end)
    before = _sentences(text, block[0].start, block[first - 1].end) if first else []
    opening = before.pop()[0] if before else block[first].start
    if block[-1].end - opening <= LIST_CHARS:
        return [*before, (opening, block[-1].end, plain(text[opening : block[-1].end]))]
    items = [line for line in block if _ITEM.match(line.text)]
    ends = [following.start for following in items[1:]] + [block[-1].end]
    starts = [opening, *(item.start for item in items[1:])]
    return before + [_piece(text, start, end) for start, end in zip(starts, ends, strict=True)]


def _piece(text: str, start: int, end: int) -> Piece:
    end = start + len(text[start:end].rstrip())
    return start, end, plain(text[start:end])


def _sentences(text: str, start: int, end: int) -> list[Piece]:
    found: list[Piece] = []
    begin = start
    for match in _END.finditer(text, start, end):
        if match.end() < end and _ABBREVIATED.search(text[begin : match.start() + 1]):
            continue
        found.append(_piece(text, begin, match.end()))
        begin = match.end() + len(text[match.end() : end]) - len(text[match.end() : end].lstrip())
    return found if begin >= end else [*found, _piece(text, begin, end)]

"""Articles as HTML pages, one H2 a section: what a reader of the page sees, and nothing that is hidden from them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inscriptis import get_text
from lxml import etree, html  # type: ignore[import-untyped]

from infra.knowledge.article import Article, ArticleSection, UnreadableArticle, article_of, section_of
from infra.rows import read_text

# What stands around an article, or is not shown. A hidden text is the place to slip a quote into.
UNREAD = (
    "//script | //style | //noscript | //template | //iframe | //form | //svg | //nav | //aside | //comment()"
    " | //body/header | //body/footer | //*[@hidden] | //*[@aria-hidden='true']"
)
INVISIBLE = re.compile(r"(display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]*[1-9]))", re.IGNORECASE)
FIELDS = ("id", "audience", "updated", "review_by", "valid_from", "valid_to", "license")  # as <meta name="...">

# Marks of the private use area around a heading's number: they go through the conversion to text unchanged.
_OPEN, _CLOSE = "\ue000", "\ue001"
_DECLARED = re.compile(r"^\s*<\?xml[^>]*\?>")  # an encoding that a text no longer has
_MARK = re.compile(f"^.*{_OPEN}(\\d+){_CLOSE}.*$", re.MULTILINE)


def read_html(path: Path) -> Article:
    """An article of a page: title from its H1 or <title>, language from <html lang>, address from rel=canonical.

    <meta name="audience" content="internal"> and the like say what front matter says in Markdown.

    Raises:
        UnreadableFile: it is no text, or has no title.
    """
    text = read_text(path)
    page = _parsed(text)
    title = _first(page, "//h1") or _first(page, "//title")
    if not title:
        raise UnreadableArticle(f"{path}: it has neither an <h1> nor a <title>")
    meta = {name: page.xpath(f"string(//meta[@name='{name}']/@content)") for name in FIELDS}
    fields = {
        **{name: value for name, value in meta.items() if value},
        "title": title,
        "lang": page.xpath("string(/html/@lang)") or None,
        "url": page.xpath("string(//link[@rel='canonical']/@href)") or None,
    }
    main = page.xpath("//main | //article") or [page]
    return article_of({"id": path.stem, **fields}, _cut(main[0], title), str(path))


def sections_of(body: str, title: str) -> list[ArticleSection]:
    """Cut the HTML of an article at its H2 headings; what stands before the first is a section under the title."""
    return _cut(_parsed(body), title)


def _parsed(text: str) -> Any:  # noqa: ANN401 - lxml has no types
    clean = _DECLARED.sub("", text.replace(_OPEN, "").replace(_CLOSE, "").replace("\x00", ""))
    try:
        page = html.document_fromstring(clean or "<p></p>")
    except (etree.ParserError, ValueError):  # nothing but comments and white space
        page = html.document_fromstring(f"<p>{re.sub('<[^>]*>', ' ', clean)}</p>")
    for element in page.xpath(UNREAD):
        _drop(element)
    for element in page.xpath("//*[@style]"):
        if INVISIBLE.search(element.get("style")):
            _drop(element)
    return page


def _drop(element: Any) -> None:  # noqa: ANN401
    if element.getparent() is not None:
        element.drop_tree()


def _cut(page: Any, title: str) -> list[ArticleSection]:  # noqa: ANN401
    for heading in page.xpath(".//h1"):
        _drop(heading)
    for heading in page.xpath(".//h3 | .//h4 | .//h5 | .//h6"):
        heading.text = "#" * int(heading.tag[1]) + f" {heading.text or ''}"
    headings: list[tuple[str, str | None]] = [(title, None)]
    for heading in page.xpath(".//h2"):
        name = " ".join(heading.text_content().split())
        if not name:
            continue
        section_id = heading.get("id") or None
        heading.clear(keep_tail=True)
        heading.text = f"{_OPEN}{len(headings)}{_CLOSE}"
        headings.append((name, section_id))
    parts = _MARK.split(get_text(html.tostring(page, encoding="unicode")))
    numbers = [0, *(int(number) for number in parts[1::2])]
    return [
        section_of(headings[number][0], _tidied(text), headings[number][1])
        for number, text in zip(numbers, parts[::2], strict=True)
    ]


def _tidied(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", "\n".join(_lines(text))).strip()


def _lines(text: str) -> Iterator[str]:
    for line in text.replace("\xa0", " ").splitlines():
        indent = len(line) - len(line.lstrip())
        yield " " * max(0, indent - 2) + line.strip() if line.strip().startswith(("*", "-")) else line.strip()


def _first(page: Any, path: str) -> str:  # noqa: ANN401
    found = page.xpath(path)
    return " ".join(found[0].text_content().split()) if found else ""

"""Articles as Markdown with front matter, one H2 a section."""

import re
from itertools import pairwise
from pathlib import Path

import frontmatter
from markdown_it import MarkdownIt
from yaml import YAMLError  # type: ignore[import-untyped]  # frontmatter brings it, without types

from infra.knowledge.article import Article, ArticleSection, UnreadableArticle, article_of, section_of
from infra.rows import read_text

HEADING = re.compile(r"^(?P<heading>.*?)\s*(?:\{#(?P<id>[^}]+)\})?$")  # `Gifts {#gift-returns}`


def read_markdown(path: Path) -> Article:
    """An article with its front matter (id, title, ...); text before the first H2 is a section under the title.

    Raises:
        UnreadableFile: it is no text, or its front matter is missing or wrong.
    """
    try:
        matter, body = frontmatter.parse(read_text(path))
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise UnreadableArticle(f"{where}: the front matter is no YAML: {getattr(error, 'problem', error)}") from None
    fields = {"id": path.stem, **matter}
    if "title" not in fields:
        raise UnreadableArticle(f"{path}: the front matter has no title")
    return article_of(fields, sections_of(body, str(fields["title"])), str(path))


def sections_of(body: str, title: str) -> list[ArticleSection]:
    """Cut Markdown at its H2 headings; a `##` within a code block is none."""
    lines = body.splitlines()
    starts = [(0, 0, title)]  # first line of the heading, of the text; heading
    tokens = MarkdownIt().parse(body)
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open" and opening.map and opening.level == 0 and opening.markup in ("#", "##"):
            start, end = opening.map
            starts.append((start, end, inline.content if opening.markup == "##" else title))
    ends = [start for start, _, _ in starts[1:]] + [len(lines)]
    return [_section(heading, lines[begin:end]) for (_, begin, heading), end in zip(starts, ends, strict=True)]


def _section(heading: str, lines: list[str]) -> ArticleSection:
    found = HEADING.match(heading)
    name, section_id = (found["heading"], found["id"]) if found else (heading, None)
    return section_of(name, "\n".join(lines), section_id)

"""The texts of a help centre that are embedded anew for every ticket, unless they are kept on a shelf."""

from collections.abc import Iterable
from dataclasses import dataclass

from infra.knowledge import Article
from infra.models.extractive import embedded_of, whole_of
from infra.models.verifier import section_of
from processors.ports import Source
from processors.resolution import ShownPassage


@dataclass(frozen=True)
class Texts:
    """What the answerer and the verifier compare a question with."""

    whole: tuple[str, ...]
    tokens: tuple[str, ...]  # those compared token by token


def texts_of(articles: Iterable[Article]) -> Texts:
    """The texts of the sections that hold now, or will."""
    whole: list[str] = []
    tokens: list[str] = []
    for article in articles:
        for section in article.sections if article.valid_to is None and article.audience == "public" else ():
            passage = ShownPassage(
                article_id=article.id,
                section_id=section.id,
                title=article.title,
                heading=section.heading,
                text=section.text,
            )
            checked = section_of(Source(article.id, section.id, section.text, f"{article.title}: {section.heading}"))
            whole += [*embedded_of(passage), checked.heading]
            tokens += [whole_of(passage), checked.whole]
    return Texts(tuple(dict.fromkeys(whole)), tuple(dict.fromkeys(tokens)))

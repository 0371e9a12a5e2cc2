"""Articles of an Intercom help centre, from its Articles API.

Fields and pagination: developers.intercom.com, "List all articles" (version 2.11). Internal articles are another
endpoint, so what is listed here is public once it is published.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from infra.knowledge.article import INTERNAL, PUBLIC, Article, UnreadableArticle, article_of
from infra.knowledge.html import sections_of
from infra.knowledge.paging import Paged, get, json_object
from infra.rows import fault

PAGE = 50  # articles a page
VERSION = "2.11"
META = ("type",)  # keys beside the locales of translated_content


async def fetch_articles(paged: Paged, base_url: str, token: str) -> list[Article]:
    """Every article with its translations, drafts as internal ones.

    Args:
        base_url: https://api.intercom.io, or the one of the workspace's region.

    Raises:
        DependencyDown: Intercom does not answer, or not as documented.
        Rejected: it refuses the token.
    """
    headers = {"Authorization": f"Bearer {token}", "Intercom-Version": VERSION, "Accept": "application/json"}
    found: dict[str, Article] = {}  # the newest come first, so one that is edited meanwhile moves to a page before
    query: dict[str, str] | None = {"page": "1", "per_page": str(PAGE)}
    while query is not None:
        page = await get(paged, f"{base_url}/articles", query, headers=headers)
        rows = page.get("data")
        if not isinstance(rows, list):
            raise UnreadableArticle(f"{base_url}/articles: no list of articles in the answer")
        for number, row in enumerate(rows, 1):
            found |= {article.id: article for article in _of_row(row, f"{base_url}/articles: article {number}")}
        query = _next(page, query)
    return list(found.values())


def _next(page: Mapping[str, Any], asked: Mapping[str, str]) -> dict[str, str] | None:
    """The query of the next page: the documentation has a cursor, a further page's number, and an address for it."""
    pages = json_object(page.get("pages") or {}, "Intercom", "pages")
    following = pages.get("next")
    size = {"per_page": str(PAGE)}
    if isinstance(following, dict) and following.get("starting_after"):
        return {**size, "starting_after": str(following["starting_after"])}
    if isinstance(following, str) and (number := parse_qs(urlsplit(following).query).get("page")):
        return {**size, "page": number[0]}
    if "page" in asked and int(asked["page"]) < int(pages.get("total_pages") or 1):
        return {**size, "page": str(int(asked["page"]) + 1)}
    return None


def _of_row(row: object, where: str) -> Iterator[Article]:
    try:
        yield from _articles(json_object(row, "Intercom", "data"), where)
    except KeyError as error:
        raise UnreadableArticle(f"{where}: {fault(error)}") from None
    except (TypeError, AttributeError):
        raise UnreadableArticle(f"{where}: not an article as the API gives it") from None


def _articles(row: Mapping[str, Any], where: str) -> Iterator[Article]:
    default = str(row.get("default_locale") or "en")
    translated = row.get("translated_content") or {}
    texts = {str(locale): text for locale, text in translated.items() if locale not in META and text}
    for locale, text in {default: row, **texts}.items():
        title = str(text.get("title") or row["title"])
        fields = {
            "id": str(row["id"]) if locale == default else f"{row['id']}-{locale.lower()}",
            "title": title,
            "url": text.get("url"),
            "lang": locale,
            "audience": PUBLIC if text.get("state") == "published" else INTERNAL,
            "updated": datetime.fromtimestamp(text["updated_at"], UTC) if text.get("updated_at") else None,
        }
        yield article_of(fields, sections_of(text.get("body") or "", title), where)

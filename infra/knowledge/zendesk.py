"""Articles of Zendesk Guide, from its Help Center API or from an export of what that API answers.

Fields and pagination: developer.zendesk.com, "Articles", "Translations" and "Cursor pagination".
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from infra.knowledge.article import INTERNAL, PUBLIC, Article, UnreadableArticle, article_of, moment
from infra.knowledge.html import sections_of
from infra.knowledge.paging import Paged, get, json_object
from infra.rows import fault, read_text

PAGE = 100  # articles a page, the most that is allowed
ARTICLES = "/api/v2/help_center/articles.json"


def read_export(path: Path) -> list[Article]:
    """The articles of JSON files: pages of the API (`{"articles": [...]}`), or a bare list of articles.

    Raises:
        UnreadableFile: a file is neither, or one of its articles is none; the message names it.
    """
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    if not files:
        raise UnreadableArticle(f"{path}: no .json file in it")
    return [article for file in files for article in _of_file(file)]


async def fetch_articles(paged: Paged, base_url: str, email: str, token: str) -> list[Article]:
    """Every article that this account may see, with its translations.

    Args:
        base_url: https://SUBDOMAIN.zendesk.com, of the brand whose help centre it is.
        email: whose API token it is; an agent's, or drafts and internal articles stay unseen.

    Raises:
        DependencyDown: Zendesk does not answer, or not as documented.
        Rejected: it refuses the token.
    """
    auth = httpx.BasicAuth(f"{email}/token", token)
    articles: list[Article] = []
    query: dict[str, str] = {"page[size]": str(PAGE), "include": "translations"}
    while True:
        page = await get(paged, f"{base_url}{ARTICLES}", query, auth=auth)
        articles += _of_page(page, base_url)
        meta = json_object(page.get("meta"), "Zendesk", "meta")
        if not meta.get("has_more"):
            return articles
        query["page[after]"] = str(meta["after_cursor"])


def _of_file(path: Path) -> Iterator[Article]:
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise UnreadableArticle(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
    page = content if isinstance(content, dict) else {"articles": content}
    return _of_page(page, str(path))


def _of_page(page: Mapping[str, Any], place: str) -> Iterator[Article]:
    rows = page.get("articles", [page["article"]] if "article" in page else None)
    if not isinstance(rows, list):
        raise UnreadableArticle(f"{place}: no list of articles in it")
    for number, row in enumerate(rows, 1):
        where = f"{place}: article {row.get('id') or number}" if isinstance(row, dict) else f"{place}: article {number}"
        try:
            yield from _articles(row, where)
        except KeyError as error:
            raise UnreadableArticle(f"{where}: {fault(error)}") from None
        except (TypeError, AttributeError):
            raise UnreadableArticle(f"{where}: not an article as the API gives it") from None


def _articles(row: Mapping[str, Any], where: str) -> Iterator[Article]:
    """An article, and one further for each of its translations, under its id and their locale."""
    source = str(row.get("source_locale") or row["locale"])
    translations = {str(text["locale"]): text for text in row.get("translations") or ()}
    shown = {str(row["locale"]): row, **translations}
    for locale, text in shown.items():
        fields = {
            "id": str(row["id"]) if locale == source else f"{row['id']}-{locale.lower()}",
            "title": text["title"],
            "url": text.get("html_url") or row.get("html_url"),
            "lang": locale,
            "audience": _audience(row, text),
            "updated": text.get("updated_at") or row.get("updated_at"),
            "review_by": _review_by(row, text),
        }
        yield article_of(fields, sections_of(text.get("body") or "", str(text["title"])), where)


def _audience(row: Mapping[str, Any], text: Mapping[str, Any]) -> str:
    """Public is only what everyone may read: no user segment, no draft, not hidden.

    A segment may be "signed-in users", but who writes to us is not signed in there.
    """
    limited = row.get("user_segment_id") is not None or any(s is not None for s in row.get("user_segment_ids") or ())
    unpublished = row.get("draft", True) or text.get("draft", False) or text.get("hidden", False)
    return INTERNAL if limited or unpublished or "user_segment_id" not in row else PUBLIC


def _review_by(row: Mapping[str, Any], text: Mapping[str, Any]) -> datetime | None:
    """A translation that is behind its source is due since the source changed."""
    return moment(row.get("edited_at") or row.get("updated_at")) if text.get("outdated") else None

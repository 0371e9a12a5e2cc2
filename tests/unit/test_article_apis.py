"""Zendesk Guide and Intercom, as their documentation has them answer: pages, waits, drafts, refusals."""

import base64
from collections.abc import Callable

import httpx
import pytest

from infra.knowledge import intercom, zendesk
from infra.knowledge.paging import Paged, get
from processors.errors import DependencyDown, Rejected

ZENDESK, INTERCOM = "https://shop.zendesk.com", "https://api.intercom.io"
Handler = Callable[[httpx.Request], httpx.Response]


class Waits(list[float]):
    """Sleeps by noting how long."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


def paged(handler: Handler, waits: Waits | None = None) -> Paged:
    return Paged(httpx.AsyncClient(transport=httpx.MockTransport(handler)), waits if waits is not None else Waits())


def answers(*responses: httpx.Response) -> Handler:
    """These, one after the other, and the last one again and again."""
    left = list(responses)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


def guide(number: int, **changes: object) -> dict[str, object]:
    row = {"id": number, "title": f"T{number}", "locale": "en-us", "source_locale": "en-us", "draft": False}
    return {**row, "user_segment_id": None, "body": "<h2>One</h2><p>Text.</p>", **changes}


def page(rows: list[dict[str, object]], after: str | None = None) -> httpx.Response:
    meta = {"has_more": after is not None, "after_cursor": after, "before_cursor": None}
    return httpx.Response(200, json={"articles": rows, "meta": meta, "links": {"next": "https://evil.example/"}})


# -- Zendesk


async def test_zendesk_is_read_by_cursor_to_its_end() -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return page([guide(len(asked))], "x/y=" if len(asked) == 1 else None)

    articles = await zendesk.fetch_articles(paged(answer), ZENDESK, "a@shop.example", "t")
    assert [article.id for article in articles] == ["1", "2"]
    assert [url.params.get("page[after]") for url in asked] == [None, "x/y="]
    assert {(url.host, url.path) for url in asked} == {("shop.zendesk.com", "/api/v2/help_center/articles.json")}


async def test_zendesk_gets_the_token_as_documented() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return page([])

    await zendesk.fetch_articles(paged(answer), ZENDESK, "a@shop.example", "tok")
    assert seen == ["Basic " + base64.b64encode(b"a@shop.example/token:tok").decode()]


async def test_a_rate_limit_is_waited_for_as_it_says() -> None:
    waits = Waits()
    limited = httpx.Response(429, headers={"retry-after": "17"})
    handler = answers(limited, httpx.Response(503), page([guide(1)]))
    assert len(await zendesk.fetch_articles(paged(handler, waits), ZENDESK, "a", "t")) == 1
    assert waits == [17.0, 2.0]


async def test_a_limit_without_end_is_an_outage_and_no_wait_is_endless() -> None:
    waits = Waits()
    limited = httpx.Response(429, headers={"retry-after": "86400"})
    with pytest.raises(DependencyDown, match=r"shop\.zendesk\.com is down: it answers 429"):
        await zendesk.fetch_articles(paged(answers(limited), waits), ZENDESK, "a", "t")
    assert waits == [120.0] * 5


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (httpx.Response(401), Rejected),
        (httpx.Response(302, headers={"location": "https://evil.example/"}), Rejected),
        (httpx.Response(404), Rejected),
        (httpx.Response(200, text="<html>sign in</html>"), DependencyDown),
        (httpx.Response(200, json=[]), DependencyDown),
        (httpx.Response(200, json={"articles": []}), DependencyDown),
    ],
)
async def test_another_answer_than_the_documented_one_imports_nothing(
    response: httpx.Response, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await zendesk.fetch_articles(paged(answers(response)), ZENDESK, "a", "t")


async def test_a_broken_connection_is_tried_again() -> None:
    waits = Waits()

    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("silence")

    with pytest.raises(DependencyDown, match="ReadTimeout"):
        await get(paged(broken, waits), ZENDESK, {})
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0]


# -- Intercom


def article(number: int, state: str = "published", **changes: object) -> dict[str, object]:
    row = {"type": "article", "id": str(number), "title": f"T{number}", "body": "<p>Text.</p>", "state": state}
    return {**row, "url": f"https://help.example/{number}", "updated_at": 1_760_000_000, **changes}


def listed(rows: list[dict[str, object]], **pages: object) -> httpx.Response:
    return httpx.Response(200, json={"type": "list", "data": rows, "total_count": 9, "pages": {"page": 1, **pages}})


async def test_intercom_gets_its_version_and_token() -> None:
    seen: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return listed([article(1)], total_pages=1)

    (found,) = await intercom.fetch_articles(paged(answer), INTERCOM, "tok")
    assert (seen[0]["intercom-version"], seen[0]["authorization"]) == ("2.11", "Bearer tok")
    assert (found.id, found.audience, str(found.updated)[:4]) == ("1", "public", "2025")


@pytest.mark.parametrize(
    ("pages", "asked"),
    [
        ({"total_pages": 2}, {"page": "2"}),
        ({"total_pages": 2, "next": f"{INTERCOM}/articles?page=2"}, {"page": "2"}),
        ({"total_pages": 2, "next": {"per_page": 50, "starting_after": "c"}}, {"starting_after": "c"}),
    ],
    ids=["number", "address", "cursor"],
)
async def test_intercom_is_read_to_its_end_however_it_names_the_next_page(
    pages: dict[str, object], asked: dict[str, str]
) -> None:
    queries: list[dict[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        queries.append(dict(request.url.params))
        return listed([article(len(queries))], **(pages if len(queries) == 1 else {"total_pages": 2, "page": 2}))

    assert [found.id for found in await intercom.fetch_articles(paged(answer), INTERCOM, "t")] == ["1", "2"]
    assert queries[1:] == [{"per_page": "50", **asked}]


async def test_an_intercom_draft_is_internal_in_each_of_its_languages() -> None:
    content = {"title": "Titel", "body": "<p>Wort.</p>", "state": "draft", "updated_at": 1_760_000_000}
    translated = {"type": "article_translated_content", "de": content, "fr": None}
    row = article(1, default_locale="en", translated_content=translated)
    english, german = await intercom.fetch_articles(paged(answers(listed([row, article(1)][:1]))), INTERCOM, "t")
    assert (english.id, english.audience, german.id, german.audience) == ("1", "public", "1-de", "internal")


async def test_an_article_that_moves_between_pages_is_one() -> None:
    first = listed([article(1), article(2)], total_pages=2)
    handler = answers(first, listed([article(2), article(3)], total_pages=2, page=2))
    assert [found.id for found in await intercom.fetch_articles(paged(handler), INTERCOM, "t")] == ["1", "2", "3"]

"""HTML pages, tables and a Zendesk export become the same articles as Markdown, and what is wrong is named."""

import json
from pathlib import Path

import pytest

from infra.knowledge import Article, Format, UnreadableArticle, format_of, read_articles
from infra.knowledge.html import sections_of

PAGE = """<!doctype html><html lang="de"><head><title>Gift cards | Shop</title>
<meta name="audience" content="internal"><meta name="review_by" content="2027-06-30">
<link rel="canonical" href="https://help.example/gifts"></head>
<body><nav><h2>Menu</h2>Home</nav><main><h1>Gift cards</h1><p>Before&nbsp;everything.</p>
<h2 id="validity">How <em>long</em></h2><p>They hold for <b>24 months</b>.</p><h3>Even longer</h3>
<ul><li>One.</li><li>Two.</li></ul><h2></h2><h2>Terms &amp; more</h2><p>Done.</p></main>
<footer>About us</footer></body></html>"""


def read(folder: Path, name: str, text: str) -> list[Article]:
    (folder / name).write_text(text)
    return read_articles(folder / name)


def test_a_page_is_cut_at_its_h2_and_says_what_it_is(tmp_path: Path) -> None:
    (article,) = read(tmp_path, "gifts.html", PAGE)
    assert (article.id, article.title, article.language, article.audience) == ("gifts", "Gift cards", "de", "internal")
    assert (article.url, str(article.review_by)[:10]) == ("https://help.example/gifts", "2027-06-30")
    assert [(section.id, section.heading, section.text) for section in article.sections] == [
        ("gift-cards", "Gift cards", "Before everything."),
        ("validity", "How long", "They hold for 24 months.\n\n### Even longer\n\n* One.\n* Two."),
        ("terms-more", "Terms & more", "Done."),
    ]


@pytest.mark.parametrize(
    "hidden",
    [
        "<p hidden>Send us your password.</p>",
        '<p style="color:red; display: none">Send us your password.</p>',
        '<p style="font-size:0px">Send us your password.</p>',
        "<!-- Send us your password. -->",
        "<script>Send us your password.</script>",
        '<span aria-hidden="true">Send us your password.</span>',
        "<template>Send us your password.</template>",
    ],
)
def test_what_a_reader_of_the_page_does_not_see_is_not_read(hidden: str) -> None:
    (section,) = sections_of(f"<p>Before.</p>{hidden}<p>After.</p>", "T")
    assert section.text == "Before.\n\nAfter."


def test_xhtml_is_cut_as_well() -> None:
    page = '<?xml version="1.0" encoding="utf-8"?><html><body><h2>One</h2><p>Text.</p></body></html>'
    assert [(s.heading, s.text) for s in sections_of(page, "T") if s.text] == [("One", "Text.")]


def test_text_is_kept_where_the_size_is_merely_small() -> None:
    assert sections_of('<p style="font-size:0.9em">Kept.</p>', "T")[0].text == "Kept."


@pytest.mark.parametrize(
    "body", ["", "   ", "<!-- nothing -->", "plain words", "<h2>Only</h2>", "<p>\x00\ue0001\ue001</p>"]
)
def test_no_body_stops_the_import(body: str) -> None:
    assert all("\ue000" not in section.text for section in sections_of(body, "T"))


def test_a_page_without_a_title_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableArticle, match=r"a\.html: it has neither an <h1> nor a <title>"):
        read(tmp_path, "a.html", "<p>Only text</p>")


# -- tables

TABLE = """id,title,heading,text,audience,review_by
gifts,Gift cards,Validity,"24 months,
from purchase.",public,2027-06-30
gifts,Gift cards,Balance,Online.,,
staff,Refund limits,,Up to $50.,internal,
"""


def test_rows_of_one_id_are_the_sections_of_one_article(tmp_path: Path) -> None:
    gifts, staff = read(tmp_path, "a.csv", TABLE)
    assert [(section.id, section.text) for section in gifts.sections] == [
        ("validity", "24 months,\nfrom purchase."),
        ("balance", "Online."),
    ]
    assert (staff.audience, staff.sections[0].heading) == ("internal", "Refund limits")


def test_a_body_is_cut_like_an_article_of_its_kind(tmp_path: Path) -> None:
    (markdown,) = read(tmp_path, "a.csv", 'id,title,body\na,T,"## One\nx\n## Two\ny"\n')
    (page,) = read(tmp_path, "b.csv", "id,title,html\na,T,<h2>One</h2>x<h2>Two</h2>y\n")
    assert markdown.sections == page.sections


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("id,titel,text\n", "a.csv:1: column 'titel' is unknown"),
        ("id,text\n", "a.csv:1: column title is missing"),
        ("id,title,text,text\n", "a.csv:1: column text stands there twice"),
        ("id,title\n", "a.csv:1: give one of the columns text, body, html"),
        ("id,title,text\na,T,x\n,T,x\n", "a.csv:3: column id is empty"),
        ("id,title,text\na,T\n", "a.csv:2: 2 cells, the header has 3"),
        ("id,title,text,review_by\na,T,x,soon\n", "a.csv:2: column review_by is no date: 'soon'"),
        ("id,title,text,audience\na,T,x,agents\n", "a.csv:2: column audience is public or internal, not 'agents'"),
        ("id,title,text,audience\na,T,x,public\na,T,y,internal\n", "a.csv:3: column audience: differs from line 2"),
        ("id,title,text\na,T,x\nb,T,y\na,T,z\n", "a.csv:4: column id: a stands further up too"),
        ('id,title,text\na,T,"x\n', "a.csv:2: not CSV"),
    ],
)
def test_a_fault_of_a_table_is_named_by_line_and_column(content: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableArticle) as error:
        read(tmp_path, "a.csv", content)
    assert told in str(error.value)


# -- a Zendesk export


def guide(**changes: object) -> dict[str, object]:
    article = {
        "id": 360001,
        "html_url": "https://shop.zendesk.com/hc/en-us/articles/360001",
        "draft": False,
        "title": "Gift cards",
        "source_locale": "en-us",
        "locale": "en-us",
        "outdated": False,
        "updated_at": "2026-05-01T10:00:00Z",
        "edited_at": "2026-04-30T10:00:00Z",
        "user_segment_id": None,
        "label_names": [],
        "section_id": 7,
        "body": "<p>Intro.</p><h2>Validity</h2><p>24 months.</p>",
    }
    return {**article, **changes}


def test_an_export_gives_articles_with_their_sections(tmp_path: Path) -> None:
    (article,) = read(tmp_path, "a.json", json.dumps({"articles": [guide()], "meta": {"has_more": False}}))
    assert (article.id, article.language, article.audience) == ("360001", "en-us", "public")
    assert [section.heading for section in article.sections] == ["Gift cards", "Validity"]


@pytest.mark.parametrize(
    "changes", [{"draft": True}, {"user_segment_id": 12}, {"user_segment_ids": [12]}], ids=lambda c: next(iter(c))
)
def test_a_draft_or_an_article_for_some_is_internal(changes: dict[str, object], tmp_path: Path) -> None:
    (article,) = read(tmp_path, "a.json", json.dumps([guide(**changes)]))
    assert article.audience == "internal"


@pytest.mark.parametrize("field", ["draft", "user_segment_id"])
def test_an_export_that_does_not_say_who_may_read_is_internal(field: str, tmp_path: Path) -> None:
    row = guide()
    del row[field]
    assert read(tmp_path, "a.json", json.dumps([row]))[0].audience == "internal"


def test_a_translation_is_an_article_of_its_own_and_due_when_it_is_outdated(tmp_path: Path) -> None:
    german = {"locale": "de", "title": "Gutscheine", "body": "<p>Zwei Jahre.</p>", "outdated": True, "draft": False}
    french = {"locale": "fr", "title": "Cartes", "body": "<p>Deux ans.</p>", "outdated": False, "draft": True}
    _, de, fr = read(tmp_path, "a.json", json.dumps([guide(translations=[german, french])]))
    assert (de.id, de.language, str(de.review_by)[:10]) == ("360001-de", "de", "2026-04-30")
    assert (fr.id, fr.audience, fr.review_by) == ("360001-fr", "internal", None)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "a.json:1: not JSON"),
        ("{}", "a.json: no list of articles in it"),
        ("[1]", "a.json: article 1: not an article"),
        ('[{"id": 7, "locale": "en"}]', "a.json: article 7: the field title is missing"),
    ],
)
def test_what_is_no_export_is_named(content: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableArticle) as error:
        read(tmp_path, "a.json", content)
    assert told in str(error.value)


# -- which kind it is


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("help/a.md", Format.MARKDOWN),
        ("help/a.HTML", Format.HTML),
        ("a.csv", Format.CSV),
        ("a.json", Format.ZENDESK_EXPORT),
        ("articles.jsonl", Format.JSONL),
        ("https://shop.zendesk.com", Format.ZENDESK),
        ("https://api.eu.intercom.io", Format.INTERCOM),
    ],
)
def test_a_source_is_known_by_its_name(source: str, kind: Format) -> None:
    assert format_of(source) is kind


def test_a_folder_is_known_by_what_it_holds_and_asked_about_when_mixed(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(PAGE)
    assert format_of(str(tmp_path)) is Format.HTML
    (tmp_path / "b.md").write_text("---\ntitle: t\n---\n")
    with pytest.raises(UnreadableArticle, match="holds markdown and html: say which by --from"):
        format_of(str(tmp_path))


def test_an_unknown_address_is_asked_about() -> None:
    with pytest.raises(UnreadableArticle, match="say by --from"):
        format_of("https://help.example")

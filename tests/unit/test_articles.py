"""Help articles are read from Markdown and from a suite alike."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.knowledge import Article, ArticleSection, UnreadableArticle, read_articles, read_markdown
from infra.rows import UnreadableFile

MARKDOWN = """---
id: gifts
title: "Gift cards: the rules"
url: https://help.example/gifts
audience: public
review_by: 2027-06-30
valid_from: 2026-06-01T10:00:00
valid_to:
---

# Gift cards: the rules

Before everything.

## How long {#validity}

They hold for 24 months.

### Even longer

```
## not a heading
```

Setext is none
---

## Terms & more

- One.
"""
SHOP = Path(__file__).parent.parent.parent / "evals" / "datasets" / "shop"


@pytest.fixture
def article(tmp_path: Path) -> Article:
    path = tmp_path / "gifts.md"
    path.write_text(MARKDOWN)
    return read_markdown(path)


def test_the_front_matter_says_what_the_article_is(article: Article) -> None:
    assert (article.id, article.title, article.url) == ("gifts", "Gift cards: the rules", "https://help.example/gifts")
    assert (article.audience, article.language, article.valid_to, article.version) == ("public", "en", None, None)
    assert article.review_by == datetime(2027, 6, 30, tzinfo=UTC)
    assert article.valid_from == datetime(2026, 6, 1, 10, tzinfo=UTC)


def test_every_h2_is_a_section_and_nothing_else_is(article: Article) -> None:
    assert [(section.id, section.heading) for section in article.sections] == [
        ("gift-cards-the-rules", "Gift cards: the rules"),
        ("validity", "How long"),
        ("terms-more", "Terms & more"),
    ]
    assert article.sections[0].text == "Before everything."
    assert article.sections[1].text.startswith("They hold for 24 months.\n\n### Even longer")
    assert article.sections[1].text.endswith("Setext is none\n---")


def test_a_file_without_a_title_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Only text")
    with pytest.raises(UnreadableArticle, match=r"a\.md: the front matter has no title"):
        read_articles(tmp_path)


@pytest.mark.parametrize(
    "row", ["{", "{}", '{"id": "a", "sections": []}', '{"id": "a", "title": "t", "sections": [1]}']
)
def test_a_line_that_is_no_article_is_named(tmp_path: Path, row: str) -> None:
    path = tmp_path / "articles.jsonl"
    path.write_text(f"\n{row}\n")
    with pytest.raises(UnreadableFile, match=r"articles\.jsonl:2"):
        read_articles(path)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableArticle, match=r"no \.md file"):
        read_articles(tmp_path)


def test_sections_that_share_an_id_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("---\ntitle: t\n---\n## One {#x}\nA.\n## Two {#x}\nB.\n## Empty\n")
    (read,) = read_articles(tmp_path)
    assert read.sections == (ArticleSection("x", "One", "A."), ArticleSection("x-2", "Two", "B."))


def test_the_shop_s_markdown_and_its_suite_are_the_same_articles() -> None:
    folder, suite = (
        {(article.id, article.valid_from): article for article in read_articles(SHOP / name)}
        for name in ("articles", "articles.jsonl")
    )
    assert len(folder) == 41
    assert folder == suite


def test_only_what_a_customer_may_be_told_makes_another_content(article: Article) -> None:
    assert article.content_hash == Article(**{**vars(article), "review_by": None}).content_hash
    assert article.content_hash != Article(**{**vars(article), "title": "Other"}).content_hash

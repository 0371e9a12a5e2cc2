"""Help articles from wherever they are kept: files of several kinds, Zendesk Guide, Intercom."""

from infra.knowledge.article import Article, ArticleSection, UnreadableArticle
from infra.knowledge.files import Format, format_of, name_of, read_articles
from infra.knowledge.markdown import read_markdown

__all__ = [
    "Article",
    "ArticleSection",
    "Format",
    "UnreadableArticle",
    "format_of",
    "name_of",
    "read_articles",
    "read_markdown",
]

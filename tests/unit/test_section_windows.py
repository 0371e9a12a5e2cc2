"""A long section is cut into windows that overlap and lose nothing."""

from hypothesis import given, settings
from hypothesis import strategies as st

from infra.knowledge import Article, ArticleSection
from infra.knowledge.windows import OVERLAP, WORDS, windows

SENTENCES = [f"This is sentence number {number} of ten words, no more." for number in range(25)]


def test_a_short_section_has_no_windows() -> None:
    assert windows(" ".join(SENTENCES[:10])) == ()


def test_a_window_ends_where_a_sentence_ends() -> None:
    assert all(window.endswith("no more.") for window in windows(" ".join(SENTENCES)))


def test_a_window_begins_with_the_end_of_the_one_before_it() -> None:
    first, second, *_ = windows(" ".join(SENTENCES))
    assert first.split()[-2 * 10 :] == second.split()[: 2 * 10]


def test_a_sentence_longer_than_a_window_is_cut() -> None:
    assert [len(window.split()) for window in windows("word " * 250)] == [100, 100, 50]


@settings(deadline=None)
@given(st.lists(st.sampled_from(["one", "two.", "three\n", "four?"]), min_size=WORDS + 1, max_size=400))
def test_every_word_is_in_a_window_and_none_is_too_long(words: list[str]) -> None:
    found = [window.split() for window in windows(" ".join(words))]
    assert all(0 < len(window) <= WORDS for window in found)
    assert len([word for window in found for word in window]) <= len(words) + OVERLAP * (len(found) - 1)
    assert found[0] == " ".join(words).split()[: len(found[0])]
    assert found[-1][-1] == words[-1].strip()


def test_a_window_is_embedded_under_its_article_s_title_and_heading() -> None:
    long = ArticleSection("s", "Washing", " ".join(SENTENCES))
    article = Article(id="a", title="Tents", sections=(ArticleSection("t", "Short", "Few words."), long))
    assert article.windows[0] == ()
    assert all(text.startswith("Tents\nWashing\nThis is") for text in article.windows[1])

"""No wording gets past the hard rules: not another language, not another currency or notation, not a disguise."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.amounts import largest
from processors.folding import fold
from processors.policy import AMOUNT_RULE, Policy, text_hit
from processors.rules import ACTION
from tests.unit.spoken import PLAIN, SAID

POLICY = Policy.parse((Path(__file__).parents[2] / "infra" / "policy.toml").read_text())
ENGLISH = [said for languages in SAID.values() for said in languages["en"]]
EVERYTHING = [said for languages in SAID.values() for told in languages.values() for said in told]
INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
ALIKE = {
    "a": "аα𝐚ａá",
    "e": "еε𝑒ｅê",
    "o": "оο𝗈ｏö",
    "i": "іιｉï",
    "c": "сｃ",
    "p": "рρ",
    "s": "ѕｓ",
    "y": "уｙ",
    "u": "υü",
}
LEET = {"o": "0", "e": "3", "a": "4@", "s": "5$", "t": "7", "i": "1", "l": "1"}
AROUND = ("", "Hi there, ", "Where is my order W10023? ", "thanks for the quick answer!!! ", "Hello\n\n")


@st.composite
def replaced(draw: st.DrawFn, said: str, table: dict[str, str]) -> str:
    """Some of the letters as others that a reader takes for them."""
    swaps = draw(st.lists(st.booleans(), min_size=len(said), max_size=len(said)))
    pairs = zip(said, swaps, strict=True)
    return "".join(draw(st.sampled_from(table[sign])) if swap and sign in table else sign for sign, swap in pairs)


@st.composite
def leet(draw: st.DrawFn, said: str) -> str:
    """Digits for some of the letters; the first of a word stays, or "70" for "to" would be a number to anybody."""
    return " ".join(word[0] + draw(replaced(word[1:], LEET)) for word in said.split(" "))


@st.composite
def invisible(draw: st.DrawFn, said: str) -> str:
    """Invisible characters between the letters."""
    return "".join(sign + draw(st.text(INVISIBLE, max_size=1)) for sign in said)


@st.composite
def spelt(draw: st.DrawFn, said: str) -> str:
    """One of the longest words with a sign between its letters."""
    longest = sorted(said.split(), key=len)[-1]
    return said.replace(longest, draw(st.sampled_from(" .-_*")).join(longest))


@st.composite
def shouted(draw: st.DrawFn, said: str) -> str:
    """Any letters as capitals, any spaces as other white space."""
    signs = (sign.upper() if draw(st.booleans()) else sign for sign in said)
    return "".join(draw(st.sampled_from((" ", "\n", "\u00a0", "  "))) if sign == " " else sign for sign in signs)


def fires(said: str) -> bool:
    """Whether any hard rule hands it over."""
    return text_hit(said, POLICY) is not None


@pytest.mark.parametrize("rule", SAID)
@pytest.mark.parametrize("language", PLAIN)
def test_a_rule_speaks_seven_languages(rule: str, language: str) -> None:
    unheard = [said for said in SAID[rule][language] if not fires(said)]
    assert unheard == []


@pytest.mark.parametrize("language", PLAIN)
def test_plain_questions_fire_nothing(language: str) -> None:
    assert {said: hit.reason for said in PLAIN[language] if (hit := text_hit(said, POLICY))} == {}


@settings(max_examples=60, deadline=None)
@given(said=st.sampled_from(EVERYTHING), before=st.sampled_from(AROUND), after=st.sampled_from(AROUND))
def test_what_stands_around_it_hides_nothing(said: str, before: str, after: str) -> None:
    assert fires(f"{before}{said}. {after}")


@settings(max_examples=60, deadline=None)
@given(said=st.sampled_from(EVERYTHING).flatmap(lambda said: shouted(said)))
def test_capitals_and_white_space_hide_nothing(said: str) -> None:
    assert fires(said)


@settings(max_examples=60, deadline=None)
@given(said=st.sampled_from(EVERYTHING).flatmap(lambda said: invisible(said)))
def test_invisible_characters_hide_nothing(said: str) -> None:
    assert fires(said)


@settings(max_examples=60, deadline=None)
@given(said=st.sampled_from(EVERYTHING).flatmap(lambda said: replaced(said, ALIKE)))
def test_letters_that_look_alike_hide_nothing(said: str) -> None:
    assert fires(said)


@settings(max_examples=60, deadline=None)
@given(said=st.sampled_from(ENGLISH).flatmap(lambda said: leet(said)))
def test_digits_for_letters_hide_nothing(said: str) -> None:
    assert fires(said)


@settings(max_examples=60, deadline=None)
@given(said=st.sampled_from(ENGLISH).flatmap(lambda said: spelt(said)))
def test_a_word_spelt_letter_by_letter_hides_nothing(said: str) -> None:
    assert fires(said)


@settings(max_examples=30, deadline=None)
@given(said=st.sampled_from(EVERYTHING), sign=st.sampled_from(" .-_*"))
def test_a_message_spelt_letter_by_letter_goes_to_a_person(said: str, sign: str) -> None:
    assert fires(sign.join(said.replace(" ", "")))


# -- amounts

LIMIT = POLICY.hard_rules.amount_limit
ONES = {
    "de": ["null", "ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"],
    "nl": ["nul", "een", "twee", "drie", "vier", "vijf", "zes", "zeven", "acht", "negen"],
    "fr": ["zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf"],
    "it": ["zero", "uno", "due", "tre", "quattro", "cinque", "sei", "sette", "otto", "nove"],
    "en": ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
}
TENS = {
    "de": ["zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig"],
    "nl": ["twintig", "dertig", "veertig", "vijftig", "zestig", "zeventig", "tachtig", "negentig"],
    "fr": ["vingt", "trente", "quarante", "cinquante", "soixante", "septante", "quatre-vingt", "nonante"],
    "it": ["venti", "trenta", "quaranta", "cinquanta", "sessanta", "settanta", "ottanta", "novanta"],
    "en": ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"],
}
HUNDREDS = {
    "es": [
        "doscientos",
        "trescientos",
        "cuatrocientos",
        "quinientos",
        "seiscientos",
        "setecientos",
        "ochocientos",
        "novecientos",
    ],
    "pt": [
        "duzentos",
        "trezentos",
        "quatrocentos",
        "quinhentos",
        "seiscentos",
        "setecentos",
        "oitocentos",
        "novecentos",
    ],
}
FORTY = {"es": "cuarenta", "pt": "e quarenta"}
CLAIMS = {
    "en": "I want a refund of {}",
    "de": "Ich möchte {} zurück",
    "es": "quiero que me devuelvan {}",
    "fr": "je demande le remboursement de {}",
    "it": "voglio il rimborso di {}",
    "pt": "quero a devolução de {}",
    "nl": "ik wil {} terug",
}


def in_words(language: str, hundreds: int, tens: int) -> str:
    """A number of hundreds and tens as it is written in a language; tens from 2 on."""
    if language in HUNDREDS:
        return f"{HUNDREDS[language][hundreds - 2]} {FORTY[language]}"
    one, ten = ONES[language][hundreds], TENS[language][tens - 2]
    return {
        "de": f"{one}hundert{ten}",
        "nl": f"{one}honderd{ten}",
        "fr": f"{one} cent {ten}",
        "it": f"{one}cento{ten}",
        "en": f"{one} hundred and {ten}",
    }[language]


@settings(max_examples=60, deadline=None)
@given(
    language=st.sampled_from(sorted(CLAIMS)),
    hundreds=st.integers(min_value=2, max_value=9),
    tens=st.integers(min_value=2, max_value=9),
)
def test_an_amount_in_words_is_an_amount_in_seven_languages(language: str, hundreds: int, tens: int) -> None:
    hit = text_hit(CLAIMS[language].format(in_words(language, hundreds, tens) + " euro"), POLICY)
    assert hit is not None
    assert hit.name == AMOUNT_RULE


@settings(max_examples=60, deadline=None)
@given(
    language=st.sampled_from(sorted(CLAIMS)),
    value=st.integers(min_value=201, max_value=99_999),
    form=st.sampled_from(("{:,}", "{:_}", "{}", "{:,}.50", "{}.00", "{}-", "{},50")),
    currency=st.sampled_from(("€{}", "{} €", "EUR {}", "{} euro", "${}", "{} USD", "£{}", "CHF {}", "{} kr", "{} zł")),
)
def test_an_amount_in_digits_is_an_amount_in_any_notation(language: str, value: int, form: str, currency: str) -> None:
    written = form.format(value).replace("_", ".")
    assert fires(CLAIMS[language].format(currency.format(written)))


@given(value=st.integers(min_value=1, max_value=int(LIMIT)), currency=st.sampled_from(("€{}", "{} euro", "${}")))
def test_an_amount_within_the_limit_is_read_as_it_is(value: int, currency: str) -> None:
    found = largest(fold(f"refund {currency.format(value)}"))
    assert found is not None
    assert found.value == Decimal(value)


# -- wishes


@pytest.mark.parametrize(
    ("said", "wished"),
    [
        ("Keep my box paused until summer please, we are away.", True),
        ("deliver to my mother's pls, 6 elder close", True),
        ("Please have it taken to a pick-up point.", True),
        ("just the 14.45 back please, no new one", True),
        ("give me the tracking number please", False),
        ("refund status of R903 please", False),
        ("no news since monday, status please", False),
    ],
)
def test_a_wish_without_a_question_is_a_wish(said: str, wished: bool) -> None:
    assert (ACTION.search(fold(said)) is not None) is wished

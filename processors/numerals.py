"""Number words of German, Spanish, French, Italian, Portuguese and Dutch, as folded text spells them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_UNITS = (
    "null zero cero|ein eins eine einen un uno una um uma een un'|zwei zwo dos deux due dois duas twee|"
    "drei tres trois tre drie|vier cuatro quatre quattro quatro|funf cinco cinq cinque vijf|sechs seis six sei zes|"
    "sieben siete sept sette sete zeven|acht ocho huit otto oito|neun nueve neuf nove negen|"
    "zehn diez dix dieci dez tien|elf once onze undici|zwolf doce douze dodici doze twaalf|"
    "dreizehn trece treize tredici treze dertien|vierzehn catorce quatorze quattordici catorze veertien|"
    "funfzehn quince quinze quindici vijftien|sechzehn dieciseis seize sedici dezasseis dezesseis zestien|"
    "siebzehn diecisiete dix-sept diciassette dezassete dezessete zeventien|"
    "achtzehn dieciocho dix-huit diciotto dezoito achttien|"
    "neunzehn diecinueve dix-neuf diciannove dezanove dezenove negentien"
)
_TENS = (
    "zwanzig veinte vingt venti vinte twintig veinti vent|dreissig treinta trente trenta trinta dertig trent|"
    "vierzig cuarenta quarante quaranta quarenta veertig quarant|"
    "funfzig cincuenta cinquante cinquanta cinquenta vijftig cinquant|"
    "sechzig sesenta soixante sessanta sessenta zestig sessant|siebzig setenta septante settanta zeventig settant|"
    "achtzig ochenta octante huitante ottanta oitenta tachtig ottant|"
    "neunzig noventa nonante novanta negentig novant"
)
_HUNDREDS = "ciento cien cento|doscientos doscientas duzentos duzentas|trescientos trescientas trezentos trezentas|" + (
    "cuatrocientos cuatrocientas quatrocentos quatrocentas|quinientos quinientas quinhentos quinhentas|"
    "seiscientos seiscientas seiscentos seiscentas|setecientos setecientas setecentos setecentas|"
    "ochocientos ochocientas oitocentos oitocentas|novecientos novecientas novecentos novecentas"
)


def _numbered(words: str, first: int, step: int) -> dict[str, int]:
    return {word: first + step * at for at, group in enumerate(words.split("|")) for word in group.split()}


_VALUES = {
    **_numbered(_UNITS, 0, 1),
    **_numbered(_TENS, 20, 10),
    **_numbered(_HUNDREDS, 100, 100),
    "quatre-vingts": 80,
    "quatre-vingt": 80,
}
_HUNDRED = ("hundert", "honderd", "cents", "cent", "cento")
_THOUSAND = ("tausend", "duizend", "mille", "mila", "mil")
_AND = ("und", "en", "et", "e", "y", "i")
_PIECES = sorted({*_VALUES, *_HUNDRED, *_THOUSAND, *_AND, "-"}, key=len, reverse=True)
_ENGLISH = ("cent", "cents", "mile")  # alone, these are other words
_WORD = "(?:" + "|".join(map(re.escape, _PIECES)) + "){1,16}"
_RUN = re.compile(rf"(?<![a-z'-])(?:{_WORD})(?: {_WORD}){{0,9}}(?![a-z-])")
_SCALED = re.compile("hund|hond|cent|cien|ient|hent|zent|quin|taus|duiz|mil")
_REST = re.compile(rf"{_WORD}")
LONGEST = 200  # letters of a number word; a longer one is none


@dataclass(frozen=True)
class Numeral:
    """A number in words, from a hundred on, and where it stands."""

    value: int
    text: str
    start: int
    end: int


def numerals(folded: str) -> Iterator[Numeral]:
    """The numbers from a hundred on of a folded text."""
    for match in _RUN.finditer(folded):
        if len(match[0]) <= LONGEST and match[0] not in _ENGLISH and _SCALED.search(match[0]):
            value = _value(match[0])
            if value >= 100:
                yield Numeral(value, match[0], match.start(), match.end())


def _value(words: str) -> int:
    """The sum of the parts: a hundred multiplies what stands before it, a thousand all before it."""
    total = current = 0
    for piece in (piece for word in words.split(" ") for piece in _pieces(word)):
        if piece in _THOUSAND:
            total, current = total + max(current, 1) * 1000, 0
        elif piece in _HUNDRED:
            current = max(current, 1) * 100 if current < 100 else current + 100
        elif piece in _VALUES:
            current += _VALUES[piece]
    return total + current


def _pieces(word: str) -> list[str]:
    """A word's parts: each the longest after which the rest is a number word too ("tre-cento", not "trece")."""
    found: list[str] = []
    at = 0
    while at < len(word):
        fits = (piece for piece in _PIECES if word.startswith(piece, at) and _is_number(word, at + len(piece)))
        piece = next(fits, None)
        if piece is None:
            return []
        found.append(piece)
        at += len(piece)
    return found


def _is_number(word: str, start: int) -> bool:
    return start == len(word) or _REST.fullmatch(word, start) is not None

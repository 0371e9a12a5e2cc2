"""Amounts of money in a customer's words, in any usual notation. Where two readings are possible, the larger one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

_CODES = "usd|eur|gbp|cad|aud|nzd|chf|sek|nok|dkk|pln|czk|huf|inr|jpy|cny|mxn|brl|zar|sgd|hkd"
_SIGN = r"(?:us|ca|c|a|au|nz|hk|s|mx|r)?\$|[€£¥₹¢]"
_NAMES = (
    "(?:u\\.?s\\.? |us |canadian |australian )?dollars?|dollers?|bucks?|euros?|pounds?|quid|sterling|francs?|franken|"
    "rupees?|yen|pesos?|dolares|kron(?:er|or|a|e)|zloty|yuan"
)
_BEFORE = rf"(?:{_SIGN}|(?<![a-z])(?:{_CODES}|dollars?|euros?|rs\.?|fr\.|sfr\.?))"
_AFTER = rf"(?:{_SIGN}|(?:{_CODES}|{_NAMES})(?![a-z]))"
_DIGITS = r"\d{1,15}(?:[.,']\d{1,15}| \d{3}(?!\d)){0,5}"
_TIMES = r"(?: ?(?:k|grand|thousand|hundred|mil|tsd\.?)(?![a-z]))"

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_VALUES = {word: value for value, word in enumerate(_SMALL.split())}
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_VALUES |= {word: value * 10 for value, word in enumerate(_TENS.split(), 2)}
_VALUES |= {"fourty": 40, "fivety": 50, "ninty": 90, "a": 1, "an": 1, "couple": 2, "few": 3, "several": 3}
_SCALES = {"hundred": 100, "hundreds": 300, "thousand": 1000, "thousands": 3000, "grand": 1000}
_ONE_WORD = "|".join(sorted((*_VALUES, *_SCALES), key=len, reverse=True))
_WORDS = rf"(?<![a-z])(?:half )?(?:{_ONE_WORD})(?:(?:[ -]| and | of )(?:{_ONE_WORD})(?![a-z])){{0,16}}(?![a-z])"
_OTHER_UNITS = (
    r"(?! ?-?(?:%|percent|per cent|points?|pts|days?|weeks?|months?|years?|yrs?|hours?|minutes?|mins?|times|items?"
    r"|pieces?|"
    r"pairs?|people|persons?|guests?|miles?|km|metres?|meters?|cm|mm|inch(?:es)?|feet|foot|ft|g|kg|grams?|lbs?|ml"
    r"|litres?|"
    r"liters?|watts?|volts?|lumens?|degrees?|thread|count|words?|emails?|e-mails?|messages?|mails?|mb|gb|orders?|"
    r"characters?|stars?|run|race|steps)(?![a-z]))"
)

_MONEY = re.compile(  # the fourth case: "281.35" alone is a price
    rf"(?P<before>{_BEFORE}) ?(?:(?P<a>{_DIGITS})(?P<at>{_TIMES})?|(?P<aw>{_WORDS}))"
    rf"|(?<![\w.,])(?P<b>{_DIGITS})(?P<bt>{_TIMES})?(?:[.,]?-+)? ?(?:of |in )?{_AFTER}"
    rf"|(?P<w>{_WORDS})(?: and change)?[ -](?:of |in )?(?:{_CODES}|{_NAMES})(?![a-z])"
    rf"|(?<![\w.,#/:-])(?P<c>\d{{1,15}}(?:[.,' ]\d{{3}}){{0,5}}[.,]\d\d)(?![\w/:]|[.,-]\d){_OTHER_UNITS}"
    rf"|(?<![\w.,#/:-])(?P<k>{_DIGITS}){_TIMES}{_OTHER_UNITS}"
    rf"|(?P<v>{_WORDS}){_OTHER_UNITS}"
)
_ASKED = re.compile(
    r"(?:refund|reimburse|credit|pay|owe|compensat|claim|return|back|money)\w*"
    r"(?: (?:me|us|the|my|our|of|for|back|a|full|total|at|least|about|around|roughly|approx\w*|amount|sum|in|want|was"
    r"|is)){0,6}"
    rf" (?P<n>{_DIGITS})(?![\w/:-]|[.,]\d){_OTHER_UNITS}|(?<![\w#.,])(?P<m>\d[\d.,]{{0,15}}\d) back\b"
)
_JOINED = re.compile(r"[^.!?;]{0,60}?(?:\band\b|\bplus\b|\banother\b|\bas well as\b|[+&])[^.!?;]{0,60}")
_APART = re.compile(r"\b(?:only|instead|got|received|but|of|not|total|altogether)\b|[.!?;] ")


@dataclass(frozen=True)
class Amount:
    """An amount and the words that name it; the currency is left out, as limits are meant in any."""

    value: Decimal
    text: str
    start: int
    end: int


def amounts(folded: str) -> tuple[Amount, ...]:
    """The amounts of a folded text (`folding.fold`), in order."""
    found = {amount.start: amount for amount in (*_asked(folded), *_money(folded))}
    return tuple(found[start] for start in sorted(found))


def largest(folded: str) -> Amount | None:
    """The largest amount, or the largest sum of amounts joined by "and", "plus" or "+" in one sentence."""
    found = amounts(folded)
    return max((*found, *_sums(folded, found)), key=lambda amount: amount.value, default=None)


def _money(text: str) -> Iterator[Amount]:
    for match in _MONEY.finditer(text):
        digits = match["a"] or match["b"] or match["c"] or match["k"]
        words = match["aw"] or match["w"] or match["v"]
        value = _scaled(digits, match) if digits else _worded(words)
        bare = match["v"]  # without a currency "two hundred" is an amount; "twelve" and "thousands" are not
        if value is not None and (not bare or (value >= 100 and " " in bare)):
            yield Amount(value, match[0].strip(), match.start(), match.end())


def _asked(text: str) -> Iterator[Amount]:
    """Numbers without a currency where money is asked for: "refund me 450", "I want my 350 back"."""
    for match in _ASKED.finditer(text):
        group = "n" if match["n"] else "m"
        yield Amount(_number(match[group]), match[0], match.start(group), match.end(group))


def _sums(text: str, found: tuple[Amount, ...]) -> Iterator[Amount]:
    total = found[0] if found else None
    for amount in found[1:]:
        assert total is not None
        between = text[total.end : amount.start]
        if _JOINED.fullmatch(between) and not _APART.search(between):
            total = Amount(total.value + amount.value, text[total.start : amount.end], total.start, amount.end)
            yield total
        else:
            total = amount


def _scaled(digits: str, match: re.Match[str]) -> Decimal:
    times = (match["at"] or match["bt"] or (match[0][len(digits) :] if match["k"] else "")).strip()
    return _number(digits) * (100 if times.startswith("hundred") else 1000 if times else 1)


def _number(digits: str) -> Decimal:
    """ "1,250.00", "1.250,00", "1'250" and "1 250" are 1250: one sign before three digits parts thousands."""
    bare = digits.replace("'", "").replace(" ", "")
    sign = max(bare.rfind("."), bare.rfind(","))
    decimals = len(bare) - sign - 1
    if sign < 0 or decimals > 2:
        return Decimal(re.sub(r"[.,]", "", bare))
    return Decimal(re.sub(r"[.,]", "", bare[:sign]) + "." + bare[sign + 1 :])


def _worded(words: str) -> Decimal | None:
    """ "two hundred and fifty", "twelve hundred", "two grand", "four twenty-nine", "a couple of hundred"."""
    total = current = last = 0
    half = words.startswith("half ")
    for word in re.findall(r"[a-z]+", words.removeprefix("half ")):
        if word in _SCALES:
            scale = _SCALES[word]
            current = max(current, 1) * scale
            if scale >= 1000:
                total, current = total + current, 0
            last = scale
        elif word in _VALUES and word not in ("a", "an"):
            value = _VALUES[word]
            if 0 < current == last < 20 and value >= 20:
                current = current * 100 + value  # "two fifty"
            elif last and last < 100 and not (value < 10 <= last and last % 10 == 0):
                break  # "... twenty-nine ninety-five": the rest is cents
            else:
                current += value
            last = value
    value = total + current
    return Decimal(value) / (2 if half else 1) if value else None

"""Amounts of money in a customer's words, in any usual notation. Where two readings are possible, the larger one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from processors.folding import fold
from processors.numerals import numerals

_CODES = (  # ISO 4217, without those that are words: all, ang, bob, cop, cup, gel, kid, mad, pen, ron, sos, top, try
    "usd|eur|gbp|cad|aud|nzd|chf|sek|nok|dkk|pln|czk|huf|inr|jpy|cny|mxn|brl|zar|sgd|hkd|aed|afn|amd|aoa|ars|awg|azn|bbd|"
    "bdt|bgn|bhd|bif|bmd|bnd|bsd|btn|bwp|byn|bzd|cdf|clp|crc|cve|djf|dop|dzd|egp|ern|etb|fjd|fkp|ghs|gip|gmd|gnf|gtq|gyd|"
    "hnl|htg|idr|ils|iqd|irr|isk|jmd|jod|kes|kgs|khr|kmf|kpw|krw|kwd|kyd|kzt|lbp|lkr|lrd|lsl|lyd|mdl|mga|mkd|mmk|mnt|mru|"
    "mur|mvr|mwk|myr|mzn|ngn|nio|npr|omr|pab|pgk|php|pkr|pyg|qar|rmb|rsd|rub|rwf|sar|sbd|scr|sdg|shp|sle|srd|ssp|stn|syp|"
    "szl|thb|tjs|tmt|tnd|ttd|twd|tzs|uah|ugx|uyu|uzs|ves|vnd|vuv|wst|xaf|xcd|xof|xpf|yer|zmw|zwl|btc|eth|usdt"
)
_SIGN = r"(?:us|ca|c|a|au|nz|hk|s|mx|r|nt)?\$|[¢£¤¥֏؋৲৳৻૱௹฿៛\u20a0-\u20cf\ua838]"
_NAMES = (
    "(?:u\\.?s\\.? |us |canadian |australian )?dollars?|dollers?|bucks?|euros?|pounds?|quid|sterling|francs?|franken|"
    "rupees?|yen|pesos?|dolares|kron(?:er|or|a|e)|kr|zloty|zl|yuan|rands?|reais|real|shekels?|shekalim|dirhams?|riyals?|won|"
    "baht|lira|roubles?|rubles?|forint|kc|koruna|koron|ringgit|dong|naira|smackers?|dollari|"
    f"{fold('ドル')}|元|円|美元|" + fold("доллар") + "[a-zа-я]*|" + fold("рубл") + "[a-zа-я]*"
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
    r"(?:refund|reimburs|credit|pay|owe|compensat|claim|return|back|money)\w*"
    r"(?: (?:me|us|the|my|our|of|for|back|a|full|total|at|least|about|around|roughly|approx\w*|amount|sum|in|want|was"
    r"|is)){0,6}"
    rf" (?:(?<=me )r ?|(?<=us )r ?)?(?P<n>{_DIGITS})(?![\w/:-]|[.,]\d){_OTHER_UNITS}"
    rf"|(?<![\w#.,])(?:get |have |want )?r?(?P<m>\d[\d.,]{{0,15}}\d) back\b"
    rf"|(?P<o>\d[\d.,]{{0,15}}\d)(?= you owe| out of pocket)|(?<=owed )(?P<p>{_DIGITS})"
)
_JOINED = re.compile(
    r"(?:[^.!?;]{0,60}?(?:\band\b|\bplus\b|\banother\b|\bas well as\b|[+&]|\bfor\b[^.!?;]{0,40},)[^.!?;]{0,60}"
    r"|[^.!?;]{0,60}[.;] ?(?:and|also|plus|then|another)\b[^.!?;]{0,40})"
)
_APART = re.compile(
    r"\b(?:only|instead|got|received|but|of|not|total|altogether|now|before|from|to|reduced|discounted|rather"
    r"|than|while|i\.e|was)\b"
    r"|[!?] "
)
_NUMBER_WORDS = r"\d{1,3}|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|both|couple of|few|several"
_BEFORE_IT = re.compile(  # "3 x $99", "three coats at $89", "twice $99"
    rf"(?<![\w.,#])(?P<n>{_NUMBER_WORDS})(?: ?[x×*] ?| times | lots of | payments? of "
    rf"| (?:[a-z-]+ ){{1,4}}(?:at|for|of|@|a|costing|worth) )$|(?P<twice>\b(?:twice|double) (?:[a-z]+ )?)$"
)
_AFTER_IT = re.compile(  # "$99 x 3", "199.99 twice", "$50 each"
    rf"^(?: ?(?:{_CODES}|{_NAMES}))? ?(?:[x×*] ?(?P<n>\d{{1,3}})(?![\d.,]*\d)|(?P<times>{_NUMBER_WORDS}) times\b"
    r"|(?P<twice>twice|two times|doubled?|both times)\b"
    r"|(?P<each>each|apiece|a piece|per (?:piece|item|unit|head|person))\b)"
)
_COUNT = re.compile(rf"(?<![\w.,#$])(?P<n>{_NUMBER_WORDS})(?![\w.,]*\d)\b")
_LETTER_O = re.compile(r"(?<![a-z])\d[\do.,]*o[\do.,]*(?![a-z])")
_SPELT = re.compile(rf"(?:{_BEFORE}) ?(?P<n>\d{{1,2}}(?: \d{{1,2}}){{1,8}})(?![\d.,:/]*\d)")
_MIXED = re.compile(rf"(?<![\w.,#])(?P<n>{_DIGITS})(?P<t>{_TIMES}),? (?:and )?(?P<rest>\d{{1,3}}(?:[.,]\d\d)?)(?!\d)")
_HALVES = re.compile(r"(?P<n>\d{1,9}) ?/ ?\d (?P<t>hundred|k\b|grand|thousand)")  # 2½ is folded to 21/2
_ODD = re.compile(r"(?<!\w)(?:0x(?P<hex>[0-9a-f]{1,8})|(?P<n>\d{1,6})e(?P<e>\d{1,2}))(?!\w)")
_CENTS = re.compile(rf"\band (?P<n>\d{{1,2}}|an?|{_ONE_WORD}) (?:cents?|pence|pennies|penny|p)\b")


@dataclass(frozen=True)
class Amount:
    """An amount and the words that name it; the currency is left out, as limits are meant in any."""

    value: Decimal
    text: str
    start: int
    end: int


def amounts(folded: str) -> tuple[Amount, ...]:
    """The amounts of a folded text (`folding.fold`), in order; where two begin together, the larger."""
    text = _LETTER_O.sub(lambda match: match[0].replace("o", "0"), folded)
    found: dict[int, Amount] = {}
    for amount in (*_money(text), *_asked(text), *_unusual(text)):
        known = found.get(amount.start)
        if known is None or known.value < amount.value or amount.end > known.end:
            found[amount.start] = amount
    return tuple(found[start] for start in sorted(found))


def largest(folded: str) -> Amount | None:
    """The largest amount, product ("3 x $99", "$89 each") or sum of amounts that one sentence joins."""
    text = _LETTER_O.sub(lambda match: match[0].replace("o", "0"), folded)
    found = tuple(_times(text, amount) for amount in amounts(text))
    return max((*found, *_sums(text, found)), key=lambda amount: amount.value, default=None)


def _times(text: str, amount: Amount) -> Amount:
    """The amount as often as the words around it say."""
    before = _BEFORE_IT.search(text[max(0, amount.start - 60) : amount.start])
    after = _AFTER_IT.search(text[amount.end : amount.end + 40])
    count = max(_count(before), _count(after))
    if after and after["each"]:
        counts = [_counted(match["n"]) for match in _COUNT.finditer(text[max(0, amount.start - 120) : amount.start])]
        count = max((*counts, count, 2))
    return Amount(amount.value * count, amount.text, amount.start, amount.end) if count > 1 else amount


def _count(match: re.Match[str] | None) -> int:
    if match is None:
        return 1
    groups = match.groupdict()
    word = groups.get("n") or groups.get("times")
    return _counted(word) if word else 2 if groups.get("twice") else 1


def _counted(word: str) -> int:
    word = word.removesuffix(" of")
    return int(word) if word.isdecimal() else 2 if word == "both" else _VALUES[word]


def _unusual(text: str) -> Iterator[Amount]:
    """Notations that few use, and some to be read too small: "$ 2 5 0", "2 hundred 50", "2½ hundred", "2e2"."""
    for match in _SPELT.finditer(text):
        yield Amount(Decimal(match["n"].replace(" ", "")), match[0], match.start(), match.end())
    for match in _MIXED.finditer(text):
        value = _number(match["n"]) * _scale(match["t"]) + _number(match["rest"])
        yield Amount(value, match[0], match.start(), match.end())
    for match in _HALVES.finditer(text):
        yield Amount(Decimal(match["n"]) * _scale(match["t"]), match[0], match.start(), match.end())
    for match in _ODD.finditer(text):
        value = Decimal(int(match["hex"], 16)) if match["hex"] else Decimal(match["n"]).scaleb(int(match["e"]))
        yield Amount(value, match[0], match.start(), match.end())
    for match in _CENTS.finditer(text):
        cents = int(match["n"]) if match["n"].isdecimal() else _VALUES.get(match["n"], 1)
        yield Amount(Decimal(cents) / 100, match[0], match.start() + 4, match.end())
    for numeral in numerals(text):
        yield Amount(Decimal(numeral.value), numeral.text, numeral.start, numeral.end)


def _scale(words: str) -> int:
    return 100 if words.strip().startswith("hundred") else 1000


def _money(text: str) -> Iterator[Amount]:
    for match in _MONEY.finditer(text):
        digits = match["a"] or match["b"] or match["c"] or match["k"]
        words = match["aw"] or match["w"] or match["v"]
        value = _scaled(digits, match) if digits else _worded(words)
        bare = match["v"]  # without a currency "two hundred" is an amount; "twelve" and "thousands" are not
        if value is not None and (not bare or (value >= 100 and re.search("[ -]", bare))):
            yield Amount(value, match[0].strip(), match.start(), match.end())


def _asked(text: str) -> Iterator[Amount]:
    """Numbers without a currency where money is asked for: "refund me 450", "I want my 350 back"."""
    for match in _ASKED.finditer(text):
        group = next(name for name in "nmop" if match[name])
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
    return _number(digits) * (_scale(times) if times else 1)


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

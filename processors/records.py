"""Which record a question means, of the kinds that the policy adds: one beyond doubt, or none.

Everything that names something has to be found in that record: numbers and ids, proper names, what stands before the
noun ("my gold card"). A question that asks for an act, for a reason, or for another person's record means none.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from processors.policy import RecordKind
from processors.sentences import STOP_WORDS, stem, stems
from schemas.retrieval import Fact

MOST_WORDS = 60  # of a question; who writes more tells a story, which a person should read
Kinds = Mapping[str, RecordKind]  # by kind

_OWN = re.compile(r"\b(?:my|mine|our|ours|me|i|i'd|i'm|i've|we)\b")
_DIGITS = re.compile(r"\d+ ?")
_WORD = re.compile(r"[#$€£]?\w[\w'’./,-]*")
_DETERMINERS = frozenset(("my", "our", "the", "this", "that"))
_PLAIN = frozenset(map(stem, ("current", "own", "existing", "present", "actual")))  # before a noun, they pick nothing
_PICKING = frozenset(
    """latest newest oldest earliest previous other another second third both joint else former next recent all every
    each old""".split()  # noqa: SIM905 - a list of words reads better as prose
)  # they pick a record by what no field says
_SHORT_FORMS = frozenset(
    ("what", "that", "it", "there", "here", "let", "where", "when", "how", "who", "which", "he", "she")
)
_GREETED = frozenset(("hi", "hello", "hey", "thanks", "thank", "please", "good", "dear", "id", "ok", "usd", "eur"))
_LOOK = "know|see|check|ask|find|learn|look|understand|hear|tell|let me know|give me|show|confirm|say|remind"
_LOOKS_UP = re.compile(
    rf"\?|\b(?:{_LOOK}|update on|what|when|which|how (?:much|many))\b"
)  # else it is told or ordered, not asked
_NO_LOOK_UP = re.compile(  # a reason, a rule, a plan or a complaint is asked about, not what the record says
    r"\b(?:why|if|should|will(?! you)|next|per|unless|because|eligib\w+|qualif\w+|allowed|policy|policies|rules?"
    r"|fees?(?!-)|how (?:do|can|would|could|should|to|come)|what (?:does(?! it say)|happens|would|should|can)"
    r"|what do(?! (?:i|we) (?:\w+ )?(?:have|owe)\b)"
    r"|(?:can|could|may|should|must|shall) (?:i|we)"
    r"|(?:can|could|would|will) (?:you|somebody|someone)(?: please| kindly| also| just)* (?!please|kindly|also|just"
    rf"|{_LOOK})\w+|(?:has|have|had|needs?|must|got|ought) (?:to )?be\b"
    rf"|(?:want|like|need|wish|plan|going|have|trying) to (?!{_LOOK})\w+"
    r"|wrong\w*|incorrect\w*|mistakes?|errors?|unauthori[sz]ed|fraud\w*|stolen|lost|didn'?t|don'?t|doesn'?t|isn'?t"
    r"|wasn'?t|hasn'?t|haven'?t|won'?t|can'?t|cannot|never|not|no longer|instead|but|supposed|promised)\b"
)
_STATES = frozenset(
    map(
        stem,
        """status state active open opened closed pending approved processed shipped delivered complete completed
        blocked frozen resolved confirmed paid cancelled suspended requested booked scheduled progress update
        happening stand stands gone arrived sent""".split(),  # noqa: SIM905
    )
)
_SUMS = frozenset(
    map(
        stem,
        """balance much amount money cost total sum price owe paying spend spent purchase""".split(),  # noqa: SIM905
    )
)
_MONEY = re.compile(r"-?[$€£]?\s?-?\d[\d,]*(?:\.\d+)?")
_OPENING = frozenset(
    """what when where which how is are was were has have had did does do could can would will may tell give show let
    check look confirm say remind find know see i i'd i'm my our the a any hi hello hey good dear thanks thank please
    kindly just quick also so its it this that with for of on to what's when's where's how's it's morning afternoon
    evening need would until since till""".split()  # noqa: SIM905
)  # how a question begins, or goes on; a verb that is none of them orders something
_ASKING = frozenset(
    map(
        stem,
        """still already yet now currently current right moment today through end ending quick question hey hello hi
        good morning afternoon evening day number id record file show shown list listed say said tell know see check
        look find give let want like need wonder wondering curious exactly much many news long date time kindly sir
        madam thanks thank last get got remind confirm under until since till i'd i'm i've""".split(),  # noqa: SIM905
    )
)
_WHEN = re.compile(r"\bwhen (?:was|were|did)\b", re.IGNORECASE)
_DATE = re.compile(r"\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}\b.*")
_ALL = frozenset(map(stem, ("details", "information", "info")))


def meant(question: str, facts: Sequence[Fact], kinds: Kinds) -> Fact | None:
    """The one record that the question is about; None where there may be none, or more."""
    told = [_Told(fact, kinds[fact.kind]) for fact in facts if fact.kind in kinds]
    asked = _Asked(question, frozenset().union(*(one.labels_with_digits for one in told)))
    if not asked.looks_up:
        return None
    ids = asked.ids | asked.words & frozenset(one.own_id for one in told)
    if not ids and not asked.speaks_of_own:
        return None
    there = [one for one in told if one.there and ids <= one.ids]
    left = there if ids and len(there) == 1 else _named_most(asked, there)
    if len(left) != 1:
        return None
    return left[0].fact if asked.only(left[0]) and asked.asks_of(left[0]) else None


def _named_most(asked: "_Asked", left: Sequence["_Told"]) -> Sequence["_Told"]:
    """Those that explain all words that any explains; then those named in full, or that tell what is asked."""
    fields = frozenset().union(*(told.labels for told in left)) - frozenset().union(*(told.name for told in left))
    said = asked.stems - fields  # the points of a "Rewards Card" are asked for by "reward points", not the card
    most = frozenset().union(*(said & told.naming for told in left))
    left = [told for told in left if most and said & told.naming == most]
    left = [told for told in left if told.wholly_named(asked.stems)] or left
    if len({told.fact.kind for told in left}) > 1:
        left = [told for told in left if told.name <= asked.stems] or left
    if len({told.fact.kind for told in left}) > 1:
        labels = frozenset().union(*(asked.stems & (told.labels - told.name) for told in left))
        left = [told for told in left if labels and labels <= told.labels]
    return left


class _Told:
    """A record as the words that may name it."""

    def __init__(self, fact: Fact, kind: RecordKind) -> None:
        self.fact = fact
        self.kind = kind

    @property
    def there(self) -> bool:
        """Whether it has an id: a row of the same kind without one is another thing."""
        return bool(self._value(self.kind.tells[0]))

    @cached_property
    def name(self) -> frozenset[str]:
        return _stemmed(self.kind.name)

    @cached_property
    def naming(self) -> frozenset[str]:
        """What tells this record from others: its kind, and what it is known by."""
        return self.name | _stemmed(*map(self._value, self.kind.known_by))

    @cached_property
    def labels(self) -> frozenset[str]:
        """The words of the fields that are told."""
        return _stemmed(*(label_of(field) for field in self.kind.tells if self._value(field)))

    @cached_property
    def values(self) -> frozenset[str]:
        return _stemmed(*map(self._value, self.kind.tells))

    @cached_property
    def ids(self) -> frozenset[str]:
        """Its words with a digit, and the words of its id, each bare."""
        words = (word for field in self.kind.tells for word in _WORD.findall(self._value(field).lower()))
        own = map(_bare, self._value(self.kind.tells[0]).lower().split())
        return frozenset((*map(_bare, filter(_has_digit, words)), *own))

    @property
    def own_id(self) -> str:
        return _bare(self._value(self.kind.tells[0]))

    @property
    def labels_with_digits(self) -> frozenset[str]:
        """Names of fields that hold a digit, which is no id: "last 4 digits"."""
        return frozenset(filter(_has_digit, map(label_of, self.kind.tells)))

    def wholly_named(self, asked: frozenset[str]) -> bool:
        """Whether what it is known by is said in full where it is said: "my Blue Account" is no Light Blue Account."""
        known = (_stemmed(self._value(field)) - self.name for field in self.kind.known_by)
        return all(words <= asked for words in known if words & asked - self.labels)

    @cached_property
    def states(self) -> bool:
        return any("status" in field or "state" in field for field in self.kind.tells if self._value(field))

    @cached_property
    def sums(self) -> int:
        """How many sums of money it tells."""
        values = [(field, self._value(field)) for field in self.kind.tells[1:]]
        return sum(bool(_MONEY.fullmatch(value)) and "digit" not in field for field, value in values)

    @cached_property
    def dates(self) -> int:
        """How many dates it tells."""
        return sum(bool(_DATE.fullmatch(self._value(field))) for field in self.kind.tells[1:])

    def _value(self, field: str) -> str:
        return self.fact.fields.get(field, "")


class _Asked:
    """A question as words; names of fields that hold a digit are read as words without it."""

    def __init__(self, question: str, labels: Iterable[str]) -> None:
        self._text = _once(question.replace("’", "'"))
        for label in labels:
            self._text = re.sub(re.escape(label), _DIGITS.sub("", label), self._text, flags=re.IGNORECASE)
        self._words = [word.rstrip(".,'/-") for word in _WORD.findall(self._text)]

    @property
    def looks_up(self) -> bool:
        """Whether it may be a plain question about what a record says."""
        lower = self._text.lower()
        return (
            len(self._words) <= MOST_WORDS
            and _LOOKS_UP.search(lower) is not None
            and not _NO_LOOK_UP.search(lower)
            and _PICKING.isdisjoint(word.lower() for word in self._words)
        )

    @property
    def speaks_of_own(self) -> bool:
        """Whether the writer says that something is theirs."""
        return _OWN.search(self._text.lower()) is not None

    @cached_property
    def stems(self) -> frozenset[str]:
        words = [word for word in self._words if not _has_digit(word)]
        return _stemmed(" ".join(words)) | frozenset(word for word in map(str.lower, words) if word == "much")

    @cached_property
    def words(self) -> frozenset[str]:
        """All words, bare: an id may have no digit."""
        return frozenset(map(_bare, self._words))

    @cached_property
    def ids(self) -> frozenset[str]:
        """Words with a digit: each has to stand in the record."""
        return frozenset(_bare(word.lower()) for word in self._words if _has_digit(word))

    def only(self, told: _Told) -> bool:
        """Whether everything that picks a record, or names somebody, is of this one."""
        known = told.values | told.naming | told.labels | _PLAIN
        picked = (*self._names(), *self._owners(), *self._before(told.naming))
        named = all(stem(word.lower()) in known or _bare(word.lower()) in told.ids for word in picked)
        named = named and self._orders_nothing(known, told.ids) and self._nothing_else(known, told.ids)
        return named and told.wholly_named(self.stems)

    def asks_of(self, told: _Told) -> bool:
        """Whether something is asked for that the record tells."""
        labels = told.labels - (told.name - _stemmed(*map(label_of, told.kind.tells[1:])))
        return bool(
            self.stems & (labels - told.name | _ALL)
            or (told.states and self.stems & _STATES)
            or (told.sums == 1 and self.stems & _SUMS)
            or (told.dates == 1 and _WHEN.search(self._text))
        )

    def _names(self) -> Iterator[str]:
        """Words with a capital inside a sentence."""
        for sentence in re.split(r"[.!?:\n]\s*", self._text):
            words = [word.rstrip(".,'/-") for word in _WORD.findall(sentence)]
            for place, word in enumerate(words):
                said = word.lower().partition("'")[0]
                if word[0].isupper() and place and said not in STOP_WORDS | _GREETED and not _has_digit(word):
                    yield word.partition("'")[0]

    def _orders_nothing(self, known: frozenset[str], ids: frozenset[str]) -> bool:
        """Whether every sentence, and what follows an "and", begins as a question does, or with what is known."""
        firsts = (_WORD.findall(part) for part in re.split(r"[.!?:;\n]\s+|\b(?:and|then|also)\b", self._text.lower()))
        begun = (words[0].rstrip(".,'/-") for words in firsts if words)
        return all(word in _OPENING or stem(word) in known or _bare(word) in ids for word in begun)

    def _nothing_else(self, known: frozenset[str], ids: frozenset[str]) -> bool:
        """Whether no word is about anything but the record and asking, and each question is about it."""
        asking = known | _STATES | _SUMS | _ALL
        if self.stems - asking - _ASKING:
            return False
        for sentence in re.split(r"(?<=[.!?])\s+|\n", self._text.lower()):
            about = _stemmed(sentence)
            named = any(_bare(word) in ids for word in _WORD.findall(sentence))
            if sentence.endswith("?") and about and not named and not about & asking:
                return False
        return True

    def _owners(self) -> Iterator[str]:
        """Whose something is said to be."""
        owners = (word[:-2] for word in self._words if word.endswith("'s"))
        yield from (word for word in owners if word.lower() not in _SHORT_FORMS)

    def _before(self, nouns: frozenset[str]) -> Iterator[str]:
        """The words between "my" or "the" and a word of the kind."""
        lower = [word.lower() for word in self._words]
        for place, word in enumerate(lower):
            if stem(word) in nouns:
                yield from _modifiers(lower[:place])


def _modifiers(words: Sequence[str]) -> Sequence[str]:
    """The last words back to a determiner; none where another small word comes first.

    With "a" itself, which is no word of any record: a gold card is not the one that the customer has.
    """
    for place in range(len(words) - 1, -1, -1):
        if words[place] in ("a", "an", "any"):
            return words[place:]
        if words[place] in _DETERMINERS:
            return words[place + 1 :]
        if words[place] in STOP_WORDS:
            return ()
    return ()


def label_of(field: str) -> str:
    """A field as words: `current_balance_usd`, "current balance"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|_+", " ", field.removesuffix("_usd")).strip().lower()


def _once(question: str) -> str:
    """The question without a subject that only repeats how its body begins."""
    first, _, rest = question.partition("\n")
    return rest if rest.strip().startswith(first.strip()) else question


def _stemmed(*texts: str) -> frozenset[str]:
    return frozenset().union(*map(stems, texts))


def _has_digit(word: str) -> bool:
    return any(map(str.isdigit, word))


def _bare(word: str) -> str:
    """A number or id without signs, cents of nothing and leading zeros: $450.00 and 450, #07 and 7."""
    bare = re.sub(r"\.0+$", "", word.lower().rstrip(".,'/-"))
    return re.sub(r"[^a-z0-9]", "", bare).lstrip("0") or "0"

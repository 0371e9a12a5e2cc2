"""A message in parts: what it says and asks sentence by sentence, so that no part hides behind an easy question."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from processors.folding import fold

LONG_LINE = 55  # characters; a longer line that ends amid a sentence was wrapped by the mail client
TITLE_WORDS = 5  # a subject of no more words names the matter rather than saying something
NAME_WORDS = 3  # a last line of no more capitalized words is a name
CLAUSE_WORDS = 4, 5  # before and after a conjunction; shorter clauses are no requests of their own
RUN_ON_WORDS = 3, 3

_END = re.compile(r"(?<=[.!?…;。！？])(?<!\b[a-zA-Z]\.)(?<!\b(?:[nN]o|[nN]r|[mM]r|[mM]s|[dD]r|[sS]t)\.)(?<!\bmrs\.)\s+")
_CLAUSE = re.compile(
    r"(?:[,:–—-]\s+|[,]?\s+)(?:and|but|also|plus|then|or)\s+(?=(?:also |then |please |plz )?(?:do|does|did|can|could"
    r"|will|"
    r"would|is|are|was|what|when|where|why|how|which|who|whose|i|i'm|i'll|i've|we|my|our|you|please|tell|give|send)\b)",
    re.IGNORECASE,
)
_COMMA = re.compile(r"[,:()–—]\s*|\s-+\s")
_UNDER = (  # what a sentence goes on after
    "that if when because as until and but or for to of with on in at by from about is are am was were did do does"
    " can could will would "
    "should may might must have has had the a an what which who where how why than since after before while so not"
    " don't "
    "i you we they it he she please kindly let make my your our"
)
_RUN_ON = re.compile(  # a new sentence without a sign before it
    "".join(rf"(?<!\b{word})" for word in _UNDER.split())
    + r"\s+(?=(?:i'm|im|i am|i'll|i will|i'd|i've|i want|i need|i think|i told|i no|i don'?t|please|pls|do you|send"
    r" me|there is|there are|there'?s|why was|why is|why did|what do you|is there|are"
    r" you"
    r"|get me|give me|let me|stop|remove|close|delete|end|drop|purge|scrap|terminate|refund)\s)",
    re.IGNORECASE,
)
_OPEN = re.compile(  # begins a question whose verb is still to come: "In which order do you pay?" is one
    r"(?:^|[,:;–—] ?|\b(?:and|or|but|so) )(?:(?:in|for|on|at|by|to|from|of|with) )?(?:what|which|whose|how)"
    r"(?: (?!is|are|was|were|do|does|did|can|could|will|would|should|must|may|has|have)[\w'-]+){1,4}$",
    re.IGNORECASE,
)
_INVERTED = re.compile(r"\s+(?:do you|is there|are there|are you)\s", re.IGNORECASE)
_ASKS = re.compile(
    r"\?|^(?:(?:and|also|but|so|then|please|plz|pls|hi|hello|hey)[, ]+)*(?:what|whats|what's|when|where|wheres|why|how|"
    r"which|who|whose|can|could|do|does|did|is|are|will|would|may|should|tell|give|send|explain|let me know|i want|"
    r"i need|i'd like|i would like|we want|we need|please|write|show|find|forget|"
    r"help|confirm|check|look|status|any|news|track|update|about)\b"
)
_EMPTY = frozenset(  # words that say nothing of what a question is about
    """a an the and or but so then also about of to for from with without at on in by up out off all over again still
    yet just only now here there it its that this these those them they one ones he him his she her we us our you your
    u i me my mine is are was were be been being am do does did done doing have has had can could will would shall
    should may might must what which who whom whose when where why how whats wheres hows long much many soon often
    far if whether not no any some such thing things something anything get got go goes going mean means need needs
    right ok way left else really actually exactly please""".split()  # noqa: SIM905 - reads as words
)
_POINTS = frozenset(  # back at what was said
    ("it", "its", "that", "this", "these", "those", "them", "they", "one", "ones", "there", "such")
)
_ENGLISH = frozenset(  # words that few other languages write alike
    """the my is it its it's this that that's these those of you your are have has what what's when when's where
    we're we've took bought lives friend friend's friends ask asked year years month months went came said says told
    think thought nothing everything everyone someone always never already because should might through around ago
    our his she him than then each both hardly only
    where's how which who why can could would will for with and not does did been be from at by or if i'm i've i'd
    i'll there they them their please was want need back still any up out about do don't u ur im ive my mine got get
    just but for order refund status parcel am late day days last night week weeks today tomorrow yesterday two one
    after before since only eta""".split()  # noqa: SIM905 - reads as words
)
_ALARM = re.compile(  # what no aside speaks of without a reason
    r"\b(?:you|your|yours|u|ur|wrenfield|will|gonna|going to|shall|'ll|want|need|demand|expect|must|have to|can'?t"
    r"|cannot|won'?t"
    r"|never|i'?d|would|wish|better|worth|point|customer|details|identity|authorit\w*|respond|affirmative|anymore"
    r"|any ?more|enough|last chance|hurt|harm|pain|ill|sick|dead|die[ds]?|dying|death|kill\w*|blood|doctor|fire"
    r"|smoke|gas|poison|child|baby|son|daughter|police|press|court|law|legal\w*|rights?|claim|threat\w*|angry"
    r"|furious|disgust\w*"
    r"|liars?|thie(?:f|ves)|steal\w*|stole\w*|money|cash|ow(?:e|ed|ing)|paid|pay|refund\w*|charg\w*|bank|card"
    r"|account|profile"
    r"|data|privacy|password|bot|robot|human|person|people|life|live|living|lives|end|hopeless|alone|help|stop"
    r"|please|delete"
    r"|remove|close|cancel\w*|answer|reply|say|confirm|rules?|instructions?)\b|\d|[$\u20a0-\u20cf£¥]"
)
_SOCIAL = frozenset(
    """hi hello hey hiya dear good morning afternoon evening day g'day greetings to whom it may concern team support
    all there everyone folks guys sir madam or thanks thank you thx ty very so much many a lot in advance again
    cheers regards kind best warm kindest warmest sincerely yours faithfully truly respectfully bye ciao hope hoping
    this finds well are doing have nice great lovely wonderful weekend week with wishes and the for your help time
    quick short simple question check anyway please sorry bother sent from my iphone ipad android phone mobile ps
    p.s yes ok okay""".split()  # noqa: SIM905 - reads as words
)


def is_aside(text: str) -> bool:
    """Whether an English statement tells of nothing that could matter: no wish, nobody addressed, no harm, no money."""
    folded = fold(text)
    return not _ASKS.search(folded) and not _ALARM.search(folded) and is_english(text)


def is_english(text: str) -> bool:
    """Whether a few words look English: too short a text to detect its language by statistics. Codes are no words."""
    words = re.findall(r"(?<![\w'])[^\W\d_]+(?:'[^\W\d_]+)*(?![\w'])", fold(text))
    return (len(words) < 3 and text.isascii()) or any(word in _ENGLISH for word in words)


def leans(text: str) -> bool:
    """Whether a question points back and says by at most one word of its own what it is about: "What is it for?"."""
    words = re.findall(r"[^\W_]+", fold(text).replace("'", " "))
    own = [word for word in words if word not in _EMPTY and len(word) > 1]
    return text.isascii() and len(own) <= 1 and any(word in _POINTS for word in words)


@dataclass(frozen=True)
class Segment:
    """A part of a message that carries content."""

    text: str
    asks: bool  # whether it is worded as a question or a request
    after_question: bool = False  # whether a question or request stands before it in the body
    title: bool = False  # a name for the matter or the writer rather than a sentence: too little to be unsure about


def segments(subject: str, body: str) -> tuple[Segment, ...]:
    """The sentences of subject and body without greetings, thanks and signatures; further requests within one too."""
    sentences = [sentence for sentence in _sentences(body) if not _social(sentence)]
    heads = [_segment(subject, title=len(subject.split()) <= TITLE_WORDS)] if subject.strip() else []
    last = {place for place in range(len(sentences)) if place >= len(sentences) - 2}
    tails = [_segment(text, title=place in last and _is_name(text)) for place, text in enumerate(sentences)]
    asked = next((place for place, part in enumerate(tails) if part.asks), len(tails))
    tails[asked + 1 :] = [replace(part, after_question=True) for part in tails[asked + 1 :]]
    return tuple({part.text: part for part in (*heads, *tails)}.values())


def clauses(text: str) -> tuple[str, ...]:
    """The pieces of a sentence between commas and conjunctions; nothing where it is one piece."""
    pieces = [piece.strip() for part in _CLAUSE.split(text) for piece in _COMMA.split(part)]
    found = tuple(dict.fromkeys(piece for piece in pieces if len(piece.split()) > 1))
    return found if len(found) > 1 else ()


def _segment(text: str, *, title: bool) -> Segment:
    short = len(text.split()) == 1 and text.isascii()
    return Segment(text.strip(), asks=bool(_ASKS.search(fold(text))), title=title or short)


def _sentences(body: str) -> Iterator[str]:
    for paragraph in _unwrapped(body):
        for sentence in _END.split(paragraph):
            for clause in _cut(sentence, _CLAUSE, CLAUSE_WORDS):
                yield from (piece for piece in _cut(clause, _RUN_ON, RUN_ON_WORDS) if any(map(str.isalnum, piece)))


def _cut(text: str, between: re.Pattern[str], least: tuple[int, int]) -> Iterator[str]:
    """The text cut where `between` matches and at least so many words stand before and after."""
    begun = 0
    for match in between.finditer(text):
        if _INVERTED.match(text, match.start()) and _OPEN.search(text[begun : match.start()]):
            continue
        if len(text[begun : match.start()].split()) >= least[0] and len(text[match.end() :].split()) >= least[1]:
            yield text[begun : match.start()].strip()
            begun = match.end()
    yield text[begun:].strip()


def _unwrapped(body: str) -> Iterator[str]:
    """The lines, those that a mail client wrapped amid a sentence joined again."""
    open_line = ""
    for line in (*map(str.strip, body.split("\n")), ""):
        if open_line and line and len(open_line.rpartition("\n")[2]) >= LONG_LINE and line[0].islower():
            open_line = f"{open_line}\n{line}"
            continue
        if open_line:
            yield open_line.replace("\n", " ")
        open_line = line


def _social(text: str) -> bool:
    """Whether it is made of nothing but courtesies."""
    words = re.findall(r"[^\W_][\w']*", fold(text))
    return all(word in _SOCIAL or (len(word) == 1 and word.isascii()) for word in words)


def _is_name(text: str) -> bool:
    words = text.split()
    return len(words) <= NAME_WORDS and "?" not in text and all(word[0].isupper() and word != "I" for word in words)

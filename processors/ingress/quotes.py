"""What is new in a message: the text without the thread it quotes and without the signature."""

import re
from itertools import groupby

from mailparser_reply.parser import EmailMessage as Thread

_LANGUAGES = ("en", "de", "fr", "es", "it", "nl")
_MAX_THREAD = 32 * 1024  # characters; the library's patterns are quadratic in runs of blanks and in long lines
_MAX_LINE = 1000
_ABOVE = re.compile(r"^.*(?:reply above this line|fsReplyAbove).*$", re.IGNORECASE | re.MULTILINE)
_DELIMITER = re.compile(r"^-- ?$", re.MULTILINE)  # RFC 3676 §4.3
_ATTRIBUTION = re.compile(r"(?:on|am|le|el|il|op|den|em|from|von|de)\b[^?!]*$", re.IGNORECASE)
_SIGNATURE_LINES, _SIGNATURE_WORDS = 6, 8


def reply_of(full: str, *, first: bool) -> str:
    """What the sender wrote himself: without the quoted thread and the signature.

    The whole text where the answers stand between the quotes, where nothing would be left, and where more than nine
    tenths of the first message of a thread would go.
    """
    if _inline(full):
        return full
    body = _without_signature(_without_quotes(full)).strip()
    if not body or (first and len(body) * 10 < len(full.strip())):
        return full
    return body


def _inline(text: str) -> bool:
    """Whether the sender writes below or between quotes after having written above them."""
    lines = [line for line in text.split("\n") if line.strip()]
    blocks = [(quoted, list(block)) for quoted, block in groupby(lines, lambda line: line.startswith(">"))]
    texts = [block for at, (quoted, block) in enumerate(blocks) if not quoted and not _leads(block, blocks[at + 1 :])]
    return any(quoted for quoted, _ in blocks) and len(texts) > 1 and not _DELIMITER.match(texts[-1][0])


def _leads(block: list[str], after: list[tuple[bool, list[str]]]) -> bool:
    """A line or two that introduce a quote, "On Monday Ada wrote:", are not the sender's words."""
    introduces = bool(after) and block[-1].rstrip().endswith(":")
    return introduces and (len(block) == 1 or (len(block) == 2 and _ATTRIBUTION.match(block[0]) is not None))


def _without_quotes(text: str) -> str:
    text = _ABOVE.split(text, maxsplit=1)[0].strip() or text
    compact = re.sub(r"[ \t\xa0\u200b]{2,}", " ", re.sub(r"\n\s*\n", "\n\n", text))
    if len(compact) <= _MAX_THREAD and all(len(line) <= _MAX_LINE for line in compact.split("\n")):
        thread = Thread(text=compact, languages=[*_LANGUAGES])
        newest = thread.read().replies[0]
        text = newest.content.replace(newest.headers or "\n\n\n", "")
    return "\n".join(line for line in text.split("\n") if not line.startswith(">"))


def _without_signature(text: str) -> str:
    """Cut at `-- `, or at a closing line when what follows looks like a name card and not like a sentence."""
    text = _DELIMITER.split(text, maxsplit=1)[0]
    if len(text) > _MAX_THREAD:
        return text
    compact = re.sub(r"\n\s*\n", "\n\n", text).strip()
    thread = Thread(text=compact, languages=[*_LANGUAGES], keep_hyphen_lists=True)
    found = thread.SIGNATURE_REGEX.search(compact)
    if found and _is_name_card(found.group()):
        return compact[: found.start()]
    return text


def _is_name_card(text: str) -> bool:
    lines = [line for line in text.split("\n") if line.strip()]
    short = all(len(line.split()) <= _SIGNATURE_WORDS and "?" not in line for line in lines)
    return len(lines) <= _SIGNATURE_LINES and short

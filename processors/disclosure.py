"""What an automatic message says of itself below its text, in every channel that has no line of its own for it."""

from dataclasses import dataclass

from processors.ingress import clean
from processors.ports import Reply

BOT = "bot"


@dataclass(frozen=True)
class Disclosure:
    """The words of the policy."""

    answer: str  # below an automatic answer: that a machine wrote it, and the way to a person
    note: str  # below any other automatic message

    def below(self, reply: Reply) -> str:
        """What stands below a reply; nothing below a person's, which is that person's word."""
        if reply.actor != BOT:
            return ""
        return clean(self.answer if reply.sentences else self.note).strip()

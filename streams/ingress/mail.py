"""The mailbox as the settings describe it."""

from infra.settings import Settings
from processors.ingress.email import Mailbox


def mailbox_of(settings: Settings) -> Mailbox:
    """The own mailbox."""
    return Mailbox(
        account=settings.mail_account,
        addresses=frozenset(address.lower() for address in settings.email_mailboxes),
        domains=frozenset(domain.lower().lstrip("@") for domain in settings.email_domains),
        authserv_ids=frozenset(name.lower() for name in settings.email_authserv_ids),
        secret=settings.mail_secret.get_secret_value().encode() if settings.mail_secret else b"",
    )

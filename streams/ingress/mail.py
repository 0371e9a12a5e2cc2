"""The mailbox as the settings describe it."""

from infra.settings import Settings
from processors.ingress.email import Mailbox

UNNAMED = "mail"  # the account where no own address is configured


def mailbox_of(settings: Settings) -> Mailbox:
    """The own mailbox. Its first address is the account that names every mail ticket: changing it renames them."""
    addresses = [address.lower() for address in settings.email_mailboxes]
    return Mailbox(
        account=addresses[0] if addresses else UNNAMED,
        addresses=frozenset(addresses),
        domains=frozenset(domain.lower().lstrip("@") for domain in settings.email_domains),
        authserv_ids=frozenset(name.lower() for name in settings.email_authserv_ids),
        secret=settings.mail_secret.get_secret_value().encode() if settings.mail_secret else b"",
    )

"""Traffic: a mail sent again in another run is another mail."""

from email import message_from_bytes
from email.policy import default

from loadtest.traffic import renewed

RAW = (
    b"Message-ID: <b@example.com>\r\nReferences: <a@example.com>\r\n <z@example.com>\r\n"
    b"Subject: <kept>\r\n\r\nMessage-ID: <kept@example.com>\r\n"
)


def test_every_message_id_of_the_header_is_renewed_so_that_threads_still_hold() -> None:
    mail = message_from_bytes(renewed(RAW, "r1"), policy=default)
    assert mail["Message-ID"] == "<r1.b@example.com>"
    assert mail["References"].split() == ["<r1.a@example.com>", "<r1.z@example.com>"]


def test_subject_and_body_stay_as_they_are() -> None:
    mail = message_from_bytes(renewed(RAW, "r1"), policy=default)
    assert mail["Subject"] == "<kept>"
    assert mail.get_content().strip() == "Message-ID: <kept@example.com>"


def test_a_mail_without_a_body_is_renewed_too() -> None:
    assert renewed(b"Message-ID: <b@example.com>\n", "r1") == b"Message-ID: <r1.b@example.com>\n"

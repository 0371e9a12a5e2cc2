"""The language of a message: named where it is clear, left open where it is not."""

import pytest

from infra.language import detect_language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Where is my order W10023? It should have come on Monday.", "en"),
        ("Wo bleibt meine Bestellung? Sie sollte am Montag kommen.", "de"),
        ("Où est ma commande ? Elle devait arriver lundi dernier.", "fr"),
        ("¿Dónde está mi pedido? Tenía que llegar el lunes pasado.", "es"),
        ("W10023???", None),
        ("", None),
        ("\x00 \U0001f600 12345", None),
    ],
)
def test_a_language_is_named_where_it_is_clear(text: str, language: str | None) -> None:
    assert detect_language(text) == language

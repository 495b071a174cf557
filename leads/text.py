"""Folds text to what the search box compares: lower case, without accents."""

import unicodedata

# Letters that Unicode does not decompose into a base letter and a mark.
_LETTERS = str.maketrans(
    {
        "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ħ": "h", "ı": "i",
        "ŧ": "t", "ŋ": "n", "ĸ": "k", "ſ": "s", "ə": "e", "’": "'", "ʼ": "'", "‘": "'",
    }
)  # fmt: skip


def fold(text: str) -> str:
    """Return ``text`` lower-cased, its accents and compatibility forms removed, white space collapsed.

    Idempotent, so stored text and a typed query can both be folded and compared.
    """
    lowered = unicodedata.normalize("NFKD", text).casefold().translate(_LETTERS)
    bare = "".join(char for char in unicodedata.normalize("NFKD", lowered) if not unicodedata.combining(char))
    printable = "".join(char if char.isprintable() else " " for char in bare)
    return " ".join(printable.split())

"""Whether two written names can be the same person's: nicknames, initials, umlauts and particles allowed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from nicknames import NickNamer

from leads.text import fold

_TITLES = {
    "mr", "mrs", "ms", "miss", "dr", "prof", "professor", "sir", "dame", "ing", "dipl", "mag", "herr", "frau", "jr",
    "sr", "ii", "iii", "iv", "phd", "mba", "msc", "bsc", "md", "cpa", "cfa", "pmp", "esq", "ma", "ba",
}  # fmt: skip
_PARTICLES = {
    "van", "von", "der", "den", "de", "del", "della", "di", "da", "do", "dos", "das", "du", "la", "le", "el", "al",
    "bin", "ibn", "ter", "ten", "te", "zu", "af", "av", "y", "e", "st", "mc", "mac", "o", "d", "l",
}  # fmt: skip
_SPELLED_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "ñ": "nn"})
_DIGRAPHS = re.compile(r"(?<=[a-z])?(ae|oe|ue|aa)")


@dataclass(frozen=True, slots=True)
class PersonName:
    """A name as it is written somewhere; any part may be missing."""

    first: str = ""
    last: str = ""
    full: str = ""

    @property
    def display(self) -> str:
        """The name as one line."""
        return f"{self.first} {self.last}".strip() or self.full.strip()


def split_full_name(full: str) -> tuple[str, str]:
    """("Ines", "Moreau") from "Ines Moreau" or "Moreau, Ines"; one word is a first name."""
    before, comma, after = full.partition(",")
    if comma and after.strip() and fold(after).strip(". ") not in _TITLES:
        return after.strip(), before.strip()
    first, _, last = before.strip().partition(" ")
    return first, last.strip()


def names_agree(one: PersonName, other: PersonName) -> bool | None:
    """True if both can be one person, False if they cannot, None if there is too little to compare.

    Both the given and the family name must fit; a part that one side lacks is not held against the
    other. Family and given name may be swapped. Scripts that cannot be compared say nothing.
    """
    mine, theirs = _parts(one), _parts(other)
    if not all(part.isascii() for pair in (mine, theirs) for words in pair for part in words):
        return None
    if not any(mine) or not any(theirs):
        return None
    return _fits(mine, theirs) or _fits(mine, theirs[::-1])


def mailbox_of_another(local: str, name: PersonName) -> bool:
    """True when a mailbox is spelled like a person's name ("jon.smith") and no part of it fits ``name``."""
    words = [
        word for word in re.split(r"[._-]", fold(local.partition("+")[0])) if len(word) > 2 and word.isalpha()
    ]
    mine = [word for words_of in _parts(name) for word in words_of]
    if len(words) < 2 or not mine or not all(word.isascii() for word in (*mine, *words)):
        return False
    compact = "".join(mine)
    return not any(_alike(word, part) or word in compact for word in words for part in mine)


Words = tuple[str, ...]


@lru_cache(maxsize=8192)
def _parts(name: PersonName) -> tuple[Words, Words]:
    """(given, family) as folded words without titles; from the full name where a part is missing."""
    first, last = name.first, name.last
    if not (first and last) and name.full:
        first, last = split_full_name(name.full)
    given = _words(first)
    family = _words(last)
    return given, tuple(word for word in family if word not in _PARTICLES) or family


def _words(text: str) -> Words:
    words = re.split(r"[\s.,'\-()\"]+", _spelled(text))
    return tuple(word for word in words if word and word not in _TITLES)


def _spelled(text: str) -> str:
    """Folded, with "ö", "oe" and "o" all as "o", so that every spelling of an umlaut compares equal."""
    return _DIGRAPHS.sub(lambda found: found[1][0], fold(text.lower().translate(_SPELLED_OUT)))


def _fits(mine: tuple[Words, Words], theirs: tuple[Words, Words]) -> bool:
    (given, family), (their_given, their_family) = mine, theirs
    givens = not given or not their_given or _any_alike(given, their_given)
    families = (
        not family
        or not their_family
        or _any_alike(family, their_family)
        or "".join(family).endswith("".join(their_family))
        or "".join(their_family).endswith("".join(family))
    )
    compared = (given and their_given) or (family and their_family)
    return bool(compared and givens and families)


def _any_alike(some: Iterable[str], others: Iterable[str]) -> bool:
    return any(_alike(one, other) for one in some for other in others)


@lru_cache(maxsize=32768)
def _alike(one: str, other: str) -> bool:
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    if len(short) == 1 or (len(short) >= 3 and long.startswith(short)):
        return long.startswith(short)
    if short in _short_forms(long) or long in _short_forms(short) or _short_forms(short) & _short_forms(long):
        return True
    return len(short) >= 5 and _one_slip(short, long)


@lru_cache(maxsize=1)
def _nick_namer() -> NickNamer:
    return NickNamer()


@lru_cache(maxsize=4096)
def _short_forms(name: str) -> frozenset[str]:
    namer = _nick_namer()
    return frozenset(namer.nicknames_of(name) | namer.canonicals_of(name))


def _one_slip(short: str, long: str) -> bool:
    """One letter added, changed, or two neighbours swapped."""
    if len(long) - len(short) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    if len(short) < len(long):
        return short[start:] == long[start + 1 :]
    if short[start + 1 :] == long[start + 1 :]:
        return True
    return (
        short[start : start + 2] == long[start : start + 2][::-1] and short[start + 2 :] == long[start + 2 :]
    )

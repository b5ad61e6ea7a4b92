"""Whether two names are one person's, where the law wants a second one.

Names are what people type, so they are compared as a reader sees them. Two that look alike are the same, and so is each
pair of which one cannot be told from others by reading: nothing but spaces and dots, or letters of several scripts.
"""

from __future__ import annotations

import unicodedata

# Letters that look like Latin ones in capitals or in small letters, casefolded (Unicode Technical Standard 39, the
# confusables of Cyrillic and Greek; read 2026-11-27). A name that mixes others in is refused for its mixture.
_LOOKS_LIKE = str.maketrans(
    "авекмнорстухѕіјһӏԁԛԝ" + "αβεζηικμνορτυχ",
    "abekmhopctyxsijhldqw" + "abezhikmnoptyx",
)
_TOGETHER = {"HIRAGANA", "KATAKANA", "HANGUL", "CJK"}  # scripts that one name is written in


def is_same(one: str, other: str) -> bool:
    """Whether two names differ in nothing but case, spaces, dots, marks that do not show and letters that look alike.

    A name without a letter or digit, or with letters of several scripts, is anyone's.
    """
    return _bare(one) == _bare(other) or not is_telling(one) or not is_telling(other)


def _shown(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(c for c in folded if unicodedata.category(c)[0] in "LMN")


def as_read(text: str) -> str:
    """A text in small letters as a reader sees it: no marks, nothing that does not show, look-alikes as Latin."""
    parted = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return "".join(c for c in parted if unicodedata.category(c) not in ("Mn", "Cf")).translate(_LOOKS_LIKE)


def _bare(name: str) -> str:
    return _shown(name).translate(_LOOKS_LIKE)


def is_telling(name: str) -> bool:
    """Whether a reader can tell it from others: it has a letter or digit, and letters of one script."""
    shown = _shown(name)
    scripts = {unicodedata.name(c, "").split(" ")[0] for c in shown if unicodedata.category(c)[0] == "L"}
    return bool(shown) and (len(scripts) < 2 or scripts <= _TOGETHER)

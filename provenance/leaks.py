"""What the description of an item for the defence must not give away (R27), and that it says something at all.

The defence is handed the MG6C. Its descriptions must not reveal a source or what makes anything sensitive: references
to sources, grades, handling codes, techniques. The words lie in a versioned file, `leaks-1.json`, and are looked for as
a reader sees them: whatever case, dots or spaces between letters, marks that do not show, letters that only look Latin.
A finding names its kind and never the words, since who reads an error may not be who may read them. A clean verdict
says that none of these words is there, and no more: a person still reads each description.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib import resources

import orjson

from provenance import staff

THIN = "thin"  # a description that is a form number, a system's name or a few words (CPS Disclosure Manual, ch. 7)


@dataclass(frozen=True, slots=True)
class Terms:
    """One version of the words."""

    version: str
    kinds: dict[str, re.Pattern[str]]
    chis: re.Pattern[str]
    forms: re.Pattern[str]
    least_words: int

    def found(self, text: str, *, references: Collection[str] = ()) -> tuple[str, ...]:
        """Kinds of leaks in a text, each once, in order. `references` are ids of intelligence records."""
        plain = _plain(text)
        kinds = {kind for kind, pattern in self.kinds.items() if pattern.search(plain)}
        if any(f" {_plain(reference).strip()} " in plain for reference in references if reference.strip()):
            kinds.add("source")
        return tuple(sorted(kinds))

    def is_thin(self, text: str, *, systems: Collection[str] = ()) -> bool:
        """Whether a description says too little: without form numbers and systems, fewer words than are wanted."""
        left = self.forms.sub(" ", _plain(text))
        names = {word for system in systems for word in _plain(system).split()}
        return len({word for word in left.split() if word.isalpha() and len(word) > 1} - names) < self.least_words

    def speaks_of_chis(self, text: str) -> bool:
        """Whether handling conditions, or whatever a record says, mark it as resting on a covert human source."""
        return self.chis.search(_plain(text)) is not None


@cache
def terms() -> Terms:
    """The words that are in force."""
    said = orjson.loads(resources.files("provenance").joinpath("leaks-1.json").read_bytes())
    kinds = {
        kind: re.compile("|".join([_any(words), *said["patterns"].get(kind, ())]))
        for kind, words in said["terms"].items()
    }
    return Terms(
        said["version"], kinds, re.compile(_any(said["chis"])), re.compile("|".join(said["forms"])), said["least_words"]
    )


def _any(words: Collection[str]) -> str:
    """Any of these as whole words, in the singular or with an s."""
    return r"\b(?:" + "|".join(re.escape(word) for word in words) + r")s?\b"


def _plain(text: str) -> str:
    """As it reads: words with a space between and at both ends; behind them, what letters that stand alone in a row may
    spell, since `a C. H. I. S. report` is read as a word that begins anywhere in that row."""
    read = staff.as_read(text)
    words = "".join(c if c.isalnum() else " " for c in read).split()
    spelt: set[str] = set()
    run = ""
    for word in [*words, ""]:
        if len(word) == 1 and word.isalpha():
            run += word
        else:
            starts, least, most = range(len(run)), 3, 12  # letters of a word that somebody would spell
            spelt |= {run[at : at + size] for at in starts for size in range(least, min(most, len(run) - at) + 1)}
            run = ""
    return f" {' '.join(words)} " + "".join(f". {word} " for word in sorted(spelt))

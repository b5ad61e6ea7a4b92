"""What can go wrong, in the words of what to do next; each kind has its exit code.

A message names the thing, what was found and what was wanted. It never carries a personal value or
a secret: what stood in a cell is described by `shape`, and the file and line say where to look.
"""


class ProvenanceError(Exception):
    """Any error the product raises on purpose."""

    exit_code = 1


class Refused(ProvenanceError):
    """Not allowed: read the authority that the message names."""

    exit_code = 3


class Tampered(ProvenanceError):
    """Does not verify: stop, and preserve what is there."""

    exit_code = 4


class Missing(ProvenanceError):
    """Not there: restore it."""

    exit_code = 5


class Conflict(ProvenanceError):
    """Something else came first: try again."""

    exit_code = 6


class Malformed(ProvenanceError):
    """Not in the form that is wanted: fix the input."""

    exit_code = 7


def shape(value: str) -> str:
    """A value's form without its content: `CR-1234` becomes `AA-9999`, at most 24 characters of it.

    For messages and the rejects report, where the value itself may be a name.
    """
    form = "".join(
        "9" if c.isdigit() else "A" if c.isupper() else "a" if c.isalpha() else c if c in "-/:.;_ " else "?"
        for c in value[:24]
    )
    return form + ("…" if len(value) > 24 else "")

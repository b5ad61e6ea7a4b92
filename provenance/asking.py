"""What a page of the dashboard is asked for: a view, its subject and its filters, as the log has it too.

An Ask names people by their ids, which the log never holds: `logged` leaves them out, and whoever logs it puts their
tokens beside. Refuses a view, a filter or a subject that there is not, by name and never by value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provenance import canonical
from provenance.errors import Malformed
from provenance.records import KINDS, ROLES, THEMES

_ANY = -1
# Each view, and what it must be told of: a theme, a network, and how many nominals.
VIEWS: Mapping[str, tuple[bool, bool, int]] = {
    "associations": (True, False, 0),
    "change": (True, False, 0),
    "key-nominals": (True, False, 0),
    "places": (True, False, 0),
    "network": (False, True, 0),
    "nominal": (False, False, 1),
    "figures": (False, False, 1),
    "link": (False, False, 2),
    "search": (False, False, _ANY),  # the nominals are those that were found
}
THEME_VIEWS = tuple(view for view, (theme, _, _) in VIEWS.items() if theme)
ORDERS = ("strength", "harm", "links", "records")  # by which people are listed; networks by members too
_NETWORK = re.compile(r"[A-Z]{2,3}-[\w.-]{1,60}", re.ASCII)
_GRADE = re.compile(r"[0-9A-E]{1,3}", re.ASCII)
_LABEL = re.compile(r"\d{4}-W\d\d(\.\d{1,3})?", re.ASCII)
_LISTS = ("kinds", "grades", "roles")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One view of one build. Filters that are empty filter nothing."""

    view: str
    theme: str = ""
    network: str = ""
    nominals: tuple[str, ...] = ()  # sorted: a link has no direction
    since: str = ""  # label of the build that it is compared with; "" none, and the one before for a view of changes
    least: int = 0  # points of strength that a link must have
    kinds: tuple[str, ...] = ()  # of the records behind a link
    grades: tuple[str, ...] = ()  # as recorded, or "ungraded"
    roles: tuple[str, ...] = ()  # of either person in a record
    by: str = ORDERS[0]
    page: int = 1
    names: bool = True  # False: counts alone, for who may know no names (R48)

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise Malformed(f"view is not one that there is: wanted one of {', '.join(VIEWS)}")
        wants_theme, wants_network, people = VIEWS[self.view]
        if (wants_theme and self.theme not in THEMES) or self.theme not in ("", *THEMES):
            raise Malformed(f"view {self.view} wants a theme: one of {', '.join(THEMES)}")
        if bool(self.network) != wants_network or (self.network and not _NETWORK.fullmatch(self.network)):
            raise Malformed(f"view {self.view} wants {'the id of a network' if wants_network else 'no network'}")
        if people != _ANY and len(set(self.nominals)) != people:
            raise Malformed(f"view {self.view} wants {people} nominals: found {len(set(self.nominals))}")
        for name, allowed in (("kinds", KINDS), ("roles", ROLES)):
            if unknown := set(getattr(self, name)) - set(allowed):
                raise Malformed(
                    f"filter {name} has {len(unknown)} values that there are not: wanted {', '.join(allowed)}"
                )
        if not all(grade == "ungraded" or _GRADE.fullmatch(grade) for grade in self.grades):
            raise Malformed("filter grades wants grades as they were recorded, such as B2 or 1A, or `ungraded`")
        if self.since and not _LABEL.fullmatch(self.since):
            raise Malformed("filter since wants the label of a build, such as 2026-W11")
        if self.by not in (*ORDERS, "members"):
            raise Malformed(f"order is not one that there is: wanted one of {', '.join(ORDERS)}")
        if not self.names and self.view not in THEME_VIEWS:
            raise Malformed(f"view {self.view} names people: wanted one of {', '.join(THEME_VIEWS)}")
        if self.least < 0 or not 1 <= self.page < 100_000:
            raise Malformed("filter least wants points, 0 or more, and page a number from 1")
        for name in ("nominals", *_LISTS):
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))

    @property
    def is_filtered(self) -> bool:
        """Whether links are left out, or lose records, by what was asked."""
        return bool(self.least or self.kinds or self.grades or self.roles)

    def parameters(self) -> dict[str, Any]:
        """What differs from an unfiltered first page, by name."""
        plain = {"since": "", "least": 0, "kinds": (), "grades": (), "roles": (), "by": ORDERS[0], "page": 1}
        said = {name: getattr(self, name) for name, value in plain.items() if getattr(self, name) != value}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}

    def logged(self) -> str:
        """The whole of it but the nominals, as one line of canonical JSON."""
        subject = {name: getattr(self, name) for name in ("theme", "network") if getattr(self, name)}
        counts = {} if self.names else {"names": 0}
        return canonical.dumps({"view": self.view, **subject, **counts, **self.parameters()}).decode()


def read(logged: str, nominals: Sequence[str]) -> Ask:
    """What `logged` wrote, with the nominals back in. Raises Malformed."""
    content = canonical.loads(logged.encode())
    content["names"] = bool(content.get("names", 1))
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
    try:
        return Ask(**fields, nominals=tuple(nominals))
    except TypeError as error:
        raise Malformed("view was logged with a word that this version does not know") from error


def read_view(logged: str) -> str:
    """Which view `logged` wrote of. Raises Malformed."""
    return str(canonical.loads(logged.encode())["view"])

"""How pages say things, and read them: moments in London time and in words, codes in plain English."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from starlette.datastructures import QueryParams

from provenance import moments
from provenance.errors import Malformed
from provenance.history import Publication

THEMES = {
    "SOC": "Serious and organised crime",
    "CSE": "Child sexual exploitation",
    "CL": "County lines",
}
KINDS = {
    "crime": "Crime",
    "custody": "Custody",
    "intelligence": "Intelligence",
    "prison_release": "Prison release",
    "missing": "Missing person",
}
SEXES = {"M": "Male", "F": "Female", "X": "Another or not stated"}
ETHNICITIES = {  # the 16+1 codes of the 2001 census, as police record systems have them (unverified, 2026-11)
    "W1": "White British", "W2": "White Irish", "W9": "Any other White", "M1": "White and Black Caribbean",
    "M2": "White and Black African", "M3": "White and Asian", "M9": "Any other mixed", "A1": "Indian",
    "A2": "Pakistani", "A3": "Bangladeshi", "A9": "Any other Asian", "B1": "Caribbean", "B2": "African",
    "B9": "Any other Black", "O1": "Chinese", "O9": "Any other", "NS": "Not stated",
}  # fmt: skip
SCHEMES = {"3x5x2": "3x5x2", "5x5x5": "5x5x5 (before 2016)"}
LEFT_OUT = {  # why a record counts for nothing; see `links`
    "status": "the source had withdrawn or cancelled it",
    "no-grade": "intelligence without a grade",
    "grade-not-admitted": "its grade is not among those that count",
    "no-theme": "it belongs to none of the themes",
    "one-person": "it names one person only, so it links nobody",
    "over-cap": "it names so many people that being in it together means little",
}
HANDLING = {  # by scheme; 3x5x2 by the College of Policing's APP, 5x5x5 by its form; read 2026-11
    "3x5x2": {
        "P": "may be shared lawfully, for a policing purpose and with whoever has a legitimate need of it",
        "C": "may be shared lawfully under conditions, which stand beside the code",
    },
    "5x5x5": {
        "1": "may go to other law-enforcement and prosecuting agencies, without special conditions",
        "2": "may be shared with UK non-prosecuting parties, with authorisation and a record",
        "3": "may be shared with law enforcement outside the EEA, under special conditions",
        "4": "stays within the agency that recorded it",
        "5": "no further dissemination; refer to the originator, that is whoever recorded it, before passing it on",
    },
}
CONDITIONS = {  # action and sanitisation codes (unverified, 2026-11: Force to confirm)
    "A1": "covert development only", "A2": "covert use only", "A3": "overt use",
    "S1": "may be sanitised by whoever is authorised to", "S2": "refer to the originator before sanitising it",
}  # fmt: skip
_PARTS = ("day", "month", "year", "time")


def known(name: str, value: str) -> str:
    """What a source said of a person, with its code beside the words; a date of birth in words."""
    if name == "born" and moments.is_date(value):
        when = moments.day(value)[0].astimezone(moments.LONDON)
        return f"{when.day} {when:%B %Y}"
    text = {"sex": SEXES, "ethnicity": ETHNICITIES}.get(name, {}).get(value)
    return f"{text} ({value})" if text else value or "not recorded"


def handling(codes: Iterable[str]) -> dict[str, str]:
    """What these handling codes and conditions mean, in the order of their tables; free text explains itself."""
    held = set(codes)
    schemes = {code: f"{scheme}: {text}" for scheme, table in HANDLING.items() for code, text in table.items()}
    return {code: text for table in (schemes, CONDITIONS) for code, text in table.items() if code in held}


@lru_cache(maxsize=10_000)  # every page offers every build, by the moment from which it was live
def instant(text: str) -> str:
    """An instant of the log, in words: Saturday 14 March 2026 at 10:00."""
    return _said(moments.instant(text))


def moment(text: str) -> str:
    """A moment as it was asked for, in words."""
    return f"{day(text)}" if moments.is_date(text) else _said(moments.parse(text))


def day(text: str) -> str:
    """A date in words, whatever follows it."""
    return _day(moments.day(text[:10])[0]) if moments.is_date(text[:10]) else text


def london_day(text: str) -> str:
    """The day in London of an instant of the log."""
    return moments.london_day(text)


def _said(when: Any) -> str:
    local = when.astimezone(moments.LONDON)
    return f"{_day(local)} at {local:%H:%M}" + (f":{local:%S}" if local.second else "")


def _day(when: Any) -> str:
    local = when.astimezone(moments.LONDON)
    return f"{local:%A} {local.day} {local:%B %Y}"


def live(publication: Publication) -> dict[str, str]:
    """A build that was live on a day of several, for the list of them."""
    end = instant(publication.end) if publication.end else "now"
    return {"label": publication.label, "from": instant(publication.start), "to": end}


def picked(when: str) -> dict[str, str]:
    """The fields of the picker for a moment."""
    if not when:
        return dict.fromkeys(_PARTS, "")
    if moments.is_date(when):
        year, month, day_ = when.split("-")
        return {"day": str(int(day_)), "month": str(int(month)), "year": year, "time": ""}
    local = moments.parse(when).astimezone(moments.LONDON)
    return {"day": str(local.day), "month": str(local.month), "year": str(local.year), "time": f"{local:%H:%M}"}


def typed(query: QueryParams, prefix: str = "") -> str:
    """The moment that the fields of a picker say. Raises Malformed."""
    day_, month, year, time = (query.get(prefix + part, "").strip() for part in _PARTS)
    if not all(part.isascii() and part.isdigit() for part in (day_, month, year)) or len(year) != 4:
        raise Malformed("date is not whole: wanted a day, a month and a year of four digits, such as 14 3 2026")
    date = f"{year}-{int(month):02d}-{int(day_):02d}"
    if not moments.is_date(date):
        raise Malformed(f"date is not one that there is: found day {day_}, month {month}, year {year}")
    try:
        moments.day(date)
    except Malformed:
        raise Malformed(
            f"there is no such day in the calendar: found day {int(day_)}, month {int(month)}, year {year}"
        ) from None
    return f"{date}T{time}" if time else date

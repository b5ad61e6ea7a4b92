"""How an ethics report says a count, a share, a day and a group, for somebody who reads one once a quarter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from provenance import ethics, fairness, moments
from provenance.web import words

GROUPS = {"sex": "sex", "ethnicity": "recorded ethnicity", "age_band": "age", "area": "area"}
THEMES = {  # what a theme is, for somebody who has not heard of it
    "SOC": "grave crime that is planned by groups",
    "CSE": "adults who use children for sex",
    "CL": "gangs that sell drugs in other towns, often through children",
}
SHARES = {
    "offending": "How many of the people in the records are suspects in one",
    "linked": "How many of the people in the records are linked to somebody",
    "key": "How many of those who are linked are key people",
    "harmed": "How many of those who are linked have any harm",
}
SHORT = {"offending": "suspected", "linked": "linked", "key": "among the key people", "harmed": "counted with harm"}
UNSAID = "not said"
NOT_STATED = "NS"  # a code of ethnicity for somebody who was asked and did not say
BARE = "rest on one piece of intelligence, which nothing else bears out"
OUTGROWN = 10  # of a hundred people of a kind of crime, more in one network say nothing of who acts together
VAGUE = 200  # per mille: a span of more says nothing of a group
STALE_DAYS = 31  # a source that is further behind than this is no week's delivery that came late


def few(said: Mapping[str, Any]) -> str:
    """How a count reads that is too small to tell."""
    return f"0 to {said['least_count'] - 1}"


def cell(said: Mapping[str, Any], table: str, row: str, column: str) -> int | str:
    """A count for a table. A total that is kept back is no small count."""
    told = said["tables"].get(table, {})
    if [row, column] in told.get("unsaid", ()):
        return UNSAID
    return told.get("counts", {}).get(row, {}).get(column) or few(said)


def count(said: Mapping[str, Any], table: str, row: str, column: str) -> int | None:
    """A count for a sentence; None where it is too small to tell."""
    return said["tables"].get(table, {}).get("counts", {}).get(row, {}).get(column)


def people(said: Mapping[str, Any], column: str = "recorded") -> int | None:
    """How many people there are in all, or are linked, key or harmed."""
    return count(said, "people-in-all", "people", column)


def in_hundred(of: int | None, among: int | None) -> str:
    """`about 8 in 100`, of counts as they are told; "" where either is too small. What is not all is never 100."""
    if not of or not among:
        return ""
    if of >= among:
        return "all or nearly all"
    share = (200 * of + among) // (2 * among)
    if share == 100:
        return "more than 99 in 100"
    return f"about {share} in 100" if share else "fewer than 1 in 100"


def plural(count: int, one: str, many: str = "") -> str:
    """`1 week`, `1,200 weeks`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(parts: Sequence[str]) -> str:
    """`one, two and three`."""
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts)


def behind(days: int) -> str:
    """Days as years and months, `2 years and 3 months`, cut off."""
    years, months = days // 365, days % 365 // 30
    parts = [plural(years, "year")] * bool(years) + [plural(months, "month")] * bool(months)
    return listed(parts) or plural(days, "day")


def was(count: int) -> str:
    """The verb that goes with a count."""
    return "was" if count == 1 else "were"


def has(count: int) -> str:
    """The verb that goes with a count."""
    return "has" if count == 1 else "have"


def period(name: str) -> str:
    """`2026-Q4` or `2026-W46` as it is spoken."""
    year, _, number = name.partition("-Q")
    return f"{_QUARTERS[int(number) - 1]} {year}" if number else f"The {week(name)}"


def week(label: str) -> str:
    """`2026-W46` as `week 46 of 2026`, and which build of it where there are several."""
    week, _, again = label.partition(".")
    year, _, number = week.partition("-W")
    return f"week {int(number)} of {year}" + (f", build {again}" if again else "")


_QUARTERS = ("January to March", "April to June", "July to September", "October to December")


def london(instant: str) -> str:
    """The London day of an instant, as a date."""
    return moments.london_day(instant)


def day(when: str) -> str:
    """A date, or the London day of an instant, in words."""
    return words.day(when if moments.is_date(when) else moments.london_day(when))


def moment(instant: str) -> str:
    """The day of an instant, or the end of the day before where it is a midnight."""
    day, end = moments.london_day(instant), moments.instant(instant)
    if moments.day(day)[0] != end:
        return words.day(day)
    return "the end of " + words.day(date.fromordinal(date.fromisoformat(day).toordinal() - 1).isoformat())


def last_record(said: Mapping[str, Any]) -> str:
    """The day up to which the most recent source is complete, where that is before the period; "" otherwise."""
    latest = max((feed["complete_to"] for feed in said["feeds"]), default="")
    return day(latest) if latest and latest < london(said["start"]) else ""


def adopted(said: Mapping[str, Any]) -> bool:
    """Whether the force has adopted the harm tables."""
    return all(edition["adopted"] for edition in said["harm_editions"])


def invented(said: Mapping[str, Any], what: str) -> bool:
    """Whether the owner says that `grades`, or what `retention` goes by, were put in by whoever adapted the records."""
    return what in said["owner"]["invented"]


def plain(characteristic: str) -> str:
    """What a characteristic is called where it may not be recorded."""
    return GROUPS[characteristic].removeprefix("recorded ")


def groups(rates: Mapping[str, Any]) -> list[str]:
    """The groups of one share, without those that are none: everybody, and of whom it is not recorded."""
    return [group for group in rates if group not in (ethics.EVERYBODY, fairness.NOT_RECORDED)]


def largest_is_known(said: Mapping[str, Any]) -> bool:
    """Whether the size of the largest network can be told: after a disposal it may have been any."""
    return said["tables"]["people-in-largest"]["off_by"] < said["least_count"] * 100


def outgrown(said: Mapping[str, Any], themes: Sequence[str]) -> dict[str, tuple[int, int]]:
    """The kinds of crime of which one network holds too many: how many people it holds, and how many there are."""
    if not largest_is_known(said):
        return {}
    sizes = {
        theme: (count(said, "people-in-largest", "largest network", theme) or 0,
                count(said, "people-by-part", ethics.EVERYBODY, theme) or 0)
        for theme in themes
    }  # fmt: skip
    return {theme: (most, every) for theme, (most, every) in sizes.items() if most * 100 > OUTGROWN * every}


def gap(said: Mapping[str, Any], characteristic: str) -> str:
    """How those fare of whom a characteristic is not recorded, where that is not how the others do; "" elsewhere."""
    parts, among = [], 0
    for share in ("linked", "offending"):
        shares = said["rates"][characteristic][share]
        one, others = shares.get(fairness.NOT_RECORDED, {}), shares.get(ethics.EVERYBODY, {})
        if one.get("against") in ("higher", "lower"):
            among = one["among"]
            mine, all_ = two_in_hundred(one["per_mille"], others.get("per_mille"))
            parts.append(f"{mine} in 100 are {SHORT[share]} (of the others, {all_})")
    if not parts:
        return ""
    return f"Of {among:,} people the {plain(characteristic)} is not recorded: {listed(parts)}"


def whole(said: Mapping[str, Any], characteristic: str, share: str) -> str:
    """What a group is held against."""
    if ethics.is_of_all_people(said["tables"][f"groups-by-{characteristic.replace('_', '-')}"], share):
        return "all people in the records"
    return group(characteristic, ethics.EVERYBODY)


def vague(said: Mapping[str, Any], characteristic: str) -> list[str]:
    """The groups that are too small to say how often they are linked."""
    shares = said["rates"][characteristic]["linked"]
    return [
        one
        for one in groups(shares)
        if "per_mille" not in shares[one] or shares[one]["high"] - shares[one]["low"] > VAGUE
    ]


def strict(said: Mapping[str, Any]) -> bool:
    """Whether a link of one record never makes a network."""
    return said["rules"]["least_records"] > 1 and not said["rules"]["shared_associate"]


def blind(said: Mapping[str, Any]) -> list[str]:
    """The characteristics that no source records."""
    return [plain(name) for name in fairness.CHARACTERISTICS if not _is_recorded(said, name)]


def aged(said: Mapping[str, Any]) -> bool:
    """Whether anybody's age is recorded."""
    return _is_recorded(said, "age_band")


def _is_recorded(said: Mapping[str, Any], characteristic: str) -> bool:
    table = said["tables"][f"groups-by-{characteristic.replace('_', '-')}"]
    return bool(table["left_out"] or table["counts"].keys() - {fairness.NOT_RECORDED})


def two_in_hundred(one: int | None, other: int | None) -> tuple[str, str]:
    """Two shares, per mille, as they are said beside one another: in whole hundredths, where that tells them apart."""
    if one is None or other is None:
        return "", ""
    near = [f"{(share + 5) // 10}" for share in (one, other)]
    if near[0] == near[1]:
        near = [f"{share // 10}.{share % 10}" for share in (one, other)]
    return near[0], near[1]


def group(characteristic: str, group: str) -> str:
    """What a group of people is called."""
    if group == fairness.NOT_RECORDED:
        return group
    if group == ethics.EVERYBODY and characteristic == "ethnicity":
        return "all with an entry"
    if group == ethics.EVERYBODY:
        return f"all whose {GROUPS[characteristic].removeprefix('recorded ')} is recorded"
    if characteristic == "sex":
        return words.SEXES.get(group, group)
    if characteristic == "age_band":
        return f"aged {group}"
    if characteristic == "ethnicity":
        if group == NOT_STATED:
            return "Asked, but not stated"
        return words.ETHNICITIES.get(group, f"code {group}")
    return group

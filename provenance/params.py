"""What the force decides and the code does not: every weight, threshold and admitted grade, read from `params.yaml`.

A key that is missing, unknown, repeated or of another type is refused, with its path; so is a matrix with a hole in it.
Numbers are integers, percents and points among them. Values only: reading the file is all that touches the world.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from provenance import canonical
from provenance.errors import Malformed, Missing, Refused
from provenance.records import KINDS, MOPI_GROUPS, ROLES, SCHEMES, THEMES

NO_EQUIVALENT = "no_equivalent"
CLASSES = ("offending", "victim", "witness", "other")  # of roles; the order of the tallies' columns
ROLE_PAIRS = tuple(f"{first}-{second}" for first, second in combinations_with_replacement(CLASSES, 2))

HOLD_STATES = ("investigation", "proceedings", "custody", "six-months", "appeal", "ccrc")  # rows of the CPIA table

Kind = Literal[KINDS]
Role = Literal[ROLES]
Theme = Literal[THEMES]
Class = Literal[CLASSES]
Text = Annotated[str, StringConstraints(min_length=1)]
Count = Annotated[int, Field(ge=0)]
Percent = Annotated[int, Field(ge=0, le=100)]
Points = Annotated[int, Field(ge=1, le=1_000_000)]
Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]  # "" where nothing is pinned


DECISIVE = ("grading", "links", "networks", "harm")  # sections that say who is linked, joined and ranked
# Equality Act 2010, s.4, and the columns of the input contract that tell of them. Read 2026-11-22; force to confirm.
PROTECTED = frozenset(
    {
        "sex", "gender", "ethnicity", "ethnic", "race", "nationality", "age", "born", "child", "religion", "belief",
        "disability", "orientation", "pregnancy", "maternity", "marriage", "partnership",
    }
)  # fmt: skip


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _complete(where: str, found: Any, wanted: Any) -> None:
    missing, foreign = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    if missing or foreign:
        faults = [f"missing {', '.join(missing)}"] * bool(missing) + [f"foreign {', '.join(foreign)}"] * bool(foreign)
        raise ValueError(f"{where} needs exactly {', '.join(wanted)}; {'; '.join(faults)}")


def _complete_matrix(where: str, matrix: dict[str, dict[str, dict[str, Any]]]) -> None:
    _complete(where, matrix, SCHEMES)
    for name, scheme in SCHEMES.items():
        _complete(f"{where}.{name}", matrix[name], scheme.source)
        for source in scheme.source:
            _complete(f"{where}.{name}.{source}", matrix[name][source], scheme.assessment)


class ViewConversion(_Section):
    """5x5x5 shown in the words of 3x5x2, for reading only; nothing is ever stored or counted by it."""

    version: Text
    source: dict[str, Literal["1", "2", "3", "no_equivalent"]]
    assessment: dict[str, Literal["A", "B", "C", "D", "E", "no_equivalent"]]
    handling: dict[str, Literal["P", "C"]]
    conditions: dict[str, Text]  # what a handling code that becomes C says in words

    @model_validator(mode="after")
    def _whole(self) -> ViewConversion:
        legacy = SCHEMES["5x5x5"]
        for name, codes in (
            ("source", legacy.source),
            ("assessment", legacy.assessment),
            ("handling", legacy.handling),
            ("conditions", tuple(code for code in legacy.handling if self.handling.get(code) == "C")),
        ):
            _complete(name, getattr(self, name), codes)
        return self


class Grades(_Section):
    """Which recorded grades count, and how handling codes of both schemes compare."""

    force_to_confirm: bool  # true until the force has signed the matrix; shown beside every figure that rests on it
    needs_grade: tuple[Kind, ...]
    admitted: dict[str, dict[str, dict[str, bool]]]  # scheme, source, assessment
    handling_order: tuple[str, ...]  # least strict first
    view_conversion: ViewConversion

    @model_validator(mode="after")
    def _whole(self) -> Grades:
        _complete_matrix("admitted", self.admitted)
        codes = [code for scheme in SCHEMES.values() for code in scheme.handling]
        _complete("handling_order", self.handling_order, codes)
        if len(self.handling_order) != len(codes):
            raise ValueError("handling_order names a code twice")
        return self


class Links(_Section):
    """How a record becomes links and what each is worth, in points."""

    rule: Literal["same-record/1"]  # the id of the method in `links.py`; a changed method is a new id beside it
    people_per_record: Count  # a record of more people gives no link; 0 = no cap
    statuses_left_out: tuple[Text, ...]
    kind_points: dict[Kind, Points]
    role_classes: dict[Role, Class]
    role_pairs: dict[str, Percent]
    grade_percents: dict[str, dict[str, dict[str, Percent]]]  # scheme, source, assessment
    ungraded_percent: Percent

    @model_validator(mode="after")
    def _whole(self) -> Links:
        _complete("kind_points", self.kind_points, KINDS)
        _complete("role_classes", self.role_classes, ROLES)
        _complete("role_pairs", self.role_pairs, ROLE_PAIRS)
        _complete_matrix("grade_percents", self.grade_percents)
        return self


class Networks(_Section):
    """When a link is supported, and when a network has outgrown use."""

    least_records: Annotated[int, Field(ge=1)]
    least_strength: Points
    shared_associate: bool  # whether a link of fewer records counts where both people share an associate by others
    alarm_share_percent: Percent
    betweenness_members: Annotated[int, Field(ge=0, le=32_767)]  # in one block; `betweenness.LARGEST_LIMIT`
    subgroup_members: Annotated[int, Field(ge=2)]  # a network of fewer is not looked at for closer groups


class HarmEdition(_Section):
    """One harm table. Editions are shown side by side and never added."""

    name: Text
    file: Text  # relative to params.yaml
    unit: Literal["days", "severity-points"]
    sha256: Sha256
    force_to_confirm: bool | None = None  # None and not False: params of earlier builds say neither


class Harm(_Section):
    """Which records' harm counts towards whom."""

    editions: tuple[HarmEdition, ...]
    roles: tuple[Role, ...]

    @model_validator(mode="after")
    def _distinct(self) -> Harm:
        names = [edition.name for edition in self.editions]
        if len(set(names)) != len(names):
            raise ValueError("editions name one edition twice")
        return self


class Geography(_Section):
    """The boundaries of the areas that records name in `place`, for maps; no build reads them."""

    file: Text  # GeoJSON, perhaps with .gz; relative to params.yaml
    sha256: Sha256
    code_property: Text  # of a feature: the area code
    name_property: str  # of a feature: what the area is called; "" where it is not named
    attribution: Text  # what the licence of the boundaries wants to be said


class Suppression(_Section):
    """What whoever may know no one is given: counts, and none that is small (R48); no build reads it."""

    least_count: Annotated[int, Field(ge=2)]  # of an area's records and of its people; fewer are not said


class Thresholds(_Section):
    """What stops a build until a person has confirmed it."""

    max_drop_percent: Percent
    least_rows: Count  # a feed of fewer rows than this is too small for a drop to mean anything
    stale_watermark_days: Count
    max_rejects_percent: Percent


Years = Annotated[int, Field(ge=0, le=150)]
Action = Literal["review", "dispose"]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]


class Instrument(_Section):
    """Where a rule comes from, and when someone read it there."""

    instrument: Text
    paragraph: Text
    read: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d$")]
    force_to_confirm: bool


class GroupRule(Instrument):
    """How long one MOPI group is kept after its subject last came to notice, and what falls due then."""

    covers: Text
    clear_years: Annotated[Years, Field(ge=1)]
    action: Action
    keep_to_age: Years  # the birthday that ends it whatever reviews have said; 0: none does


class ClearPeriod(Instrument):
    """In which roles a person comes to notice, so that the clear period starts again."""

    resetting_roles: tuple[Role, ...]


class ChildRule(Instrument):
    """What is different for an event at which the person was younger than `under_age`."""

    under_age: Annotated[Years, Field(ge=1)]
    resets: bool  # whether such an event starts the clear period again
    at_most_years: Annotated[Years, Field(ge=1)]  # after which a person looks, where the group says later
    action: Action


class Choice(Instrument):
    """What happens where no group says it."""

    action: Action


class Withdrawal(Choice):
    """What happens with a record that its source hands over no longer."""

    years: Years  # from the day on which the source withdrew it


class NoGroup(Choice):
    """What happens with a record whose source named no group."""

    treated_as: Literal[MOPI_GROUPS]


class LatestBirth(Instrument):
    """When someone without a birth date is taken to have been born at the latest."""

    years_before_first_event: Years


class Reviews(Instrument):
    """What a review that keeps something says."""

    longest_years: Annotated[Years, Field(ge=1)]  # until the next one
    reasons: dict[Code, Text]


class Retention(_Section):
    """When people and records are due for review or disposal, and in which words that is decided (R40)."""

    version: Text
    groups: dict[Literal[MOPI_GROUPS], GroupRule]
    clear_period: ClearPeriod
    under_10: ChildRule
    under_18: ChildRule
    unknown_birth: LatestBirth
    no_group: NoGroup
    withdrawn: Withdrawal
    no_record: Choice  # a person who is in no record
    follow_people: tuple[Kind, ...]  # kinds kept for everyone in them but victims and witnesses
    still_needed: Choice  # a person whose time has come, and who is in a record whose time has not
    reviews: Reviews
    disposal_reasons: dict[Code, Text]
    returns_days: Count  # how long what was disposed of is recognised when it comes back

    @model_validator(mode="after")
    def _whole(self) -> Retention:
        _complete("groups", self.groups, MOPI_GROUPS)
        if self.under_10.under_age >= self.under_18.under_age:
            raise ValueError("under_10.under_age is below under_18.under_age")
        if not self.clear_period.resetting_roles:
            raise ValueError("clear_period.resetting_roles names at least one role")
        if not self.reviews.reasons or not self.disposal_reasons:
            raise ValueError("reviews.reasons and disposal_reasons name at least one each")
        return self


class HoldRow(Instrument):
    """One row of the table by which a case's material is let go."""

    keep_until: Text


class HoldTable(_Section):
    """How long a case's material is kept at the least; what its rows mean is in `holds.py`."""

    months_from_conviction: Annotated[int, Field(ge=1, le=1200)]
    rows: dict[Literal[HOLD_STATES], HoldRow]

    @model_validator(mode="after")
    def _whole(self) -> HoldTable:
        _complete("rows", self.rows, HOLD_STATES)
        return self


class Basis(Instrument):
    """A duty to keep material, and what ends a hold under it: the day of the table, or somebody's decision."""

    name: Text
    ends_by: Literal["table", "decision"]


class Holds(_Section):
    """Under which duties material is held, how long, and how soon each hold is looked at again (R37, R39)."""

    version: Text
    review_at_most_days: Annotated[int, Field(ge=1)]
    bases: dict[Code, Basis]
    table: HoldTable

    @model_validator(mode="after")
    def _some(self) -> Holds:
        if not self.bases:
            raise ValueError("bases names at least one")
        return self


class Document(_Section):
    """A document that a build statement cites; `sha256` is "" until the force has supplied the file.

    It holds from `first_day` to `last_day`, both included; without one, from or to any day.
    """

    title: Text
    version: str
    sha256: Sha256
    first_day: Day | None = None  # None and not "": the params of builds before there were days say neither
    last_day: Day | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Document:
        if self.first_day and self.last_day and self.first_day > self.last_day:
            raise ValueError("first_day is not after last_day")
        return self


class Governance(_Section):
    """The papers under which a build is made (R01)."""

    technical_report: Document
    dpia: Document
    legal_approval: Document
    accuracy_evaluation: Document
    ethics_advice: Document
    policy_document: Document
    algo_care: Document
    # Whether a build for a day on which one of them does not hold is refused, or made and the paper flagged.
    lapsed: Literal["block", "flag"] | None = None


class LandingPage(_Section):
    """The words that every answer carries."""

    version: Text
    text: Text


Invented = Literal["grades", "retention"]


class Owner(_Section):
    """Who answers for the archive and what its records are, in the owner's own words, for whoever knows neither. Each
    text may be "": a report then says that nobody has said it. Change the version whenever a text changes."""

    version: Text
    name: str
    contact: str
    records: str  # what the records are and are not, in a few sentences
    sources: dict[Text, str]  # what each source system is, by its name
    areas: str  # what the codes of areas stand for
    # What whoever made the records up or adapted them put in of their own: a report marks what rests on it.
    invented: tuple[Invented, ...] | None = None


class Params(_Section):
    """`params.yaml`, whole and checked."""

    systems: dict[Text, tuple[Kind, ...]]
    themes: dict[Theme, Text]
    grading: Grades
    links: Links
    networks: Networks
    harm: Harm
    geography: Geography | None = None
    suppression: Suppression | None = None
    thresholds: Thresholds
    retention: Retention
    holds: Holds
    governance: Governance
    landing_page: LandingPage
    owner: Owner | None = None

    @model_validator(mode="after")
    def _agree(self) -> Params:
        if not self.systems or not self.themes:
            raise ValueError("systems and themes name at least one each")
        for role in self.harm.roles:
            if self.links.role_classes[role] != "offending":  # R49: a victim's harm is never counted as theirs
                raise ValueError(f"harm.roles holds {role}, which links.role_classes does not call offending")
        for role in self.retention.clear_period.resetting_roles:  # R40: who was harmed or saw it did not come to notice
            if self.links.role_classes[role] in ("victim", "witness"):
                raise ValueError(
                    f"retention.clear_period.resetting_roles holds {role}, which links.role_classes calls "
                    f"{self.links.role_classes[role]}"
                )
        return self

    def canonical(self) -> bytes:
        """All params as canonical JSON, as the build statement carries them."""
        return canonical.dumps(self.model_dump(mode="json", exclude_none=True))

    def digest(self) -> str:
        """SHA-256, in hex, of all params as canonical JSON: comments and the order of keys do not change it."""
        return _digest(self.model_dump(mode="json", exclude_none=True))

    def with_values(self, values: Mapping[str, Any]) -> Params:
        """The same with other values under dotted keys, such as `links.kind_points.crime`.

        Raises Malformed for a key that there is not, and where the whole would not be admitted from a file.
        """
        whole = self.model_dump(mode="json", exclude_none=True)
        for key, value in values.items():
            *path, last = key.split(".")
            section: Any = whole
            for name in path:
                section = section.get(name) if isinstance(section, dict) else None
            if not isinstance(section, dict) or last not in section:
                raise Malformed(f"params have no key {key}: wanted one that params.yaml has, parted by dots")
            section[last] = value
        try:
            return Params.model_validate_json(orjson.dumps(whole))
        except ValidationError as error:
            raise Malformed("\n".join(sorted(_sentence("params", fault) for fault in error.errors()))) from error

    def differing(self, other: Params) -> dict[str, tuple[Any, Any]]:
        """Dotted keys under which the two differ, in order, with both values; None where one lacks the key."""
        mine, theirs = (dict(_leaves(side.model_dump(mode="json"), "")) for side in (self, other))
        keys = sorted(mine.keys() | theirs.keys())
        return {key: (mine.get(key), theirs.get(key)) for key in keys if mine.get(key) != theirs.get(key)}

    def linking_digest(self) -> str:
        """The same over what `links.supports` and `links.links` read: while it stands, stored links stand."""
        return _digest(self._linking())

    def tallying_digest(self) -> str:
        """The same over what `links.tallies` reads: the linking part and the harm section, not the table's bytes."""
        harm = self.harm.model_dump(mode="json", exclude={"editions": {"__all__": {"force_to_confirm"}}})
        return _digest(self._linking() | {"harm": harm})

    def _linking(self) -> dict[str, Any]:
        return {
            "themes": sorted(self.themes),
            "grading": self.grading.model_dump(mode="json", include={"needs_grade", "admitted", "handling_order"}),
            "links": self.links.model_dump(mode="json"),
        }


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value


def _digest(value: Any) -> str:
    return hashlib.sha256(canonical.dumps(value)).hexdigest()


def read(path: Path) -> Params:
    """The params in the YAML file `path`. Raises Missing when it is not there, Malformed for each key at fault, and
    Refused for a rule about who is linked or ranked that names a protected characteristic."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise Missing(f"params file is missing: wanted {path.name}") from error
    except UnicodeDecodeError as error:
        raise Malformed(f"params file is not UTF-8 text: {path.name}, byte {error.start}") from error
    try:
        loaded = yaml.load(text, Loader=_Loader)
        _refuse_protected(path.name, loaded)
        # Through JSON, so that a list may stand for a tuple while a number never stands for a text or a truth.
        return Params.model_validate_json(orjson.dumps(loaded, option=orjson.OPT_NON_STR_KEYS))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Malformed(f"params file is not YAML: {path.name}, line {line}: {error.problem}") from error
    except (yaml.YAMLError, orjson.JSONEncodeError) as error:
        raise Malformed(f"params file is not plain YAML: {path.name}: {error}") from error
    except ValidationError as error:
        raise Malformed("\n".join(sorted(_sentence(path.name, fault) for fault in error.errors()))) from error


def _refuse_protected(name: str, loaded: Any) -> None:
    """No params can express such a rule, since every key that is not known is refused; this says why, before that."""
    for section in DECISIVE:
        value = loaded.get(section) if isinstance(loaded, dict) else None
        for path, word in _words(value, section):
            if found := PROTECTED & set(re.split(r"[^a-z]+", word.lower())):
                raise Refused(
                    f"params let a protected characteristic decide: {name}: {path} names {', '.join(sorted(found))}; "
                    "who is linked, joined or ranked rests on records alone (Equality Act 2010, s.4)"
                )


def _words(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Keys and texts within a section, each with the path of its key."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{path}.{key}", str(key)
            yield from _words(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from _words(inner, path)
    elif isinstance(value, str):
        yield path, value


@lru_cache(maxsize=8)  # builds in a row mostly follow the same
def stated(text: str) -> Params:
    """The params that a build statement carries. Raises Malformed where they are of a form that this version lacks."""
    try:
        return Params.model_validate_json(text)
    except ValidationError as error:
        raise Malformed(f"params of a build are of another form: {error.error_count()} keys differ") from error


def _sentence(name: str, fault: Any) -> str:
    key = ".".join(str(part) for part in fault["loc"] if part != "[key]") or "(top level)"
    found = _WORDS.get(type(fault["input"]), type(fault["input"]).__name__)
    wanted = fault["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if fault["type"] == "missing":
        found, wanted = "nothing", "this key"
    elif fault["type"] == "extra_forbidden":
        wanted = "no such key"
    return f"params key is wrong: {name}: {key}: found {found}; wanted: {wanted}"


_WORDS = {
    str: "text", int: "a whole number", float: "a fraction", bool: "yes or no", list: "a list", dict: "a mapping",
    type(None): "nothing",
}  # fmt: skip


class _Loader(yaml.SafeLoader):
    """YAML in which a key occurs once. The library keeps the last of two, and a matrix would change in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            # By its text, because 1 and "1" are one key of the matrix.
            name = str(key.value)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {name} occurs twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)

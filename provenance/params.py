"""What the force decides and the code does not: every weight, threshold and admitted grade, read from `params.yaml`.

A key that is missing, unknown, repeated or of another type is refused, with its path; so is a matrix with a hole in it.
Numbers are integers, percents and points among them. Values only: reading the file is all that touches the world.
"""

from __future__ import annotations

import hashlib
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from provenance import canonical
from provenance.errors import Malformed, Missing
from provenance.records import KINDS, ROLES, SCHEMES, THEMES

NO_EQUIVALENT = "no_equivalent"
CLASSES = ("offending", "victim", "witness", "other")  # of roles; the order of the tallies' columns
ROLE_PAIRS = tuple(f"{first}-{second}" for first, second in combinations_with_replacement(CLASSES, 2))

Kind = Literal[KINDS]
Role = Literal[ROLES]
Theme = Literal[THEMES]
Class = Literal[CLASSES]
Text = Annotated[str, StringConstraints(min_length=1)]
Count = Annotated[int, Field(ge=0)]
Percent = Annotated[int, Field(ge=0, le=100)]
Points = Annotated[int, Field(ge=1, le=1_000_000)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]  # "" where nothing is pinned


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
    alarm_share_percent: Percent


class HarmEdition(_Section):
    """One harm table. Editions are shown side by side and never added."""

    name: Text
    file: Text  # relative to params.yaml
    unit: Literal["days"]
    sha256: Sha256


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


class Thresholds(_Section):
    """What stops a build until a person has confirmed it."""

    max_drop_percent: Percent
    least_rows: Count  # a feed of fewer rows than this is too small for a drop to mean anything
    stale_watermark_days: Count
    max_rejects_percent: Percent


class Document(_Section):
    """A document that a build statement cites; `sha256` is "" until the force has supplied the file."""

    title: Text
    version: str
    sha256: Sha256


class Governance(_Section):
    """The papers under which a build is made (R01)."""

    technical_report: Document
    dpia: Document
    legal_approval: Document
    accuracy_evaluation: Document
    ethics_advice: Document
    policy_document: Document
    algo_care: Document


class LandingPage(_Section):
    """The words that every answer carries."""

    version: Text
    text: Text


class Params(_Section):
    """`params.yaml`, whole and checked."""

    systems: dict[Text, tuple[Kind, ...]]
    themes: dict[Theme, Text]
    grading: Grades
    links: Links
    networks: Networks
    harm: Harm
    thresholds: Thresholds
    governance: Governance
    landing_page: LandingPage

    @model_validator(mode="after")
    def _agree(self) -> Params:
        if not self.systems or not self.themes:
            raise ValueError("systems and themes name at least one each")
        for role in self.harm.roles:
            if self.links.role_classes[role] != "offending":  # R49: a victim's harm is never counted as theirs
                raise ValueError(f"harm.roles holds {role}, which links.role_classes does not call offending")
        return self

    def canonical(self) -> bytes:
        """All params as canonical JSON, as the build statement carries them."""
        return canonical.dumps(self.model_dump(mode="json"))

    def digest(self) -> str:
        """SHA-256, in hex, of all params as canonical JSON: comments and the order of keys do not change it."""
        return _digest(self.model_dump(mode="json"))

    def linking_digest(self) -> str:
        """The same over what `links.supports` and `links.links` read: while it stands, stored links stand."""
        return _digest(self._linking())

    def tallying_digest(self) -> str:
        """The same over what `links.tallies` reads: the linking part and the harm section, not the table's bytes."""
        return _digest(self._linking() | {"harm": self.harm.model_dump(mode="json")})

    def _linking(self) -> dict[str, Any]:
        return {
            "themes": sorted(self.themes),
            "grading": self.grading.model_dump(mode="json", include={"needs_grade", "admitted", "handling_order"}),
            "links": self.links.model_dump(mode="json"),
        }


def _digest(value: Any) -> str:
    return hashlib.sha256(canonical.dumps(value)).hexdigest()


def read(path: Path) -> Params:
    """The params in the YAML file `path`. Raises Missing when it is not there and Malformed for each key at fault."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise Missing(f"params file is missing: wanted {path.name}") from error
    except UnicodeDecodeError as error:
        raise Malformed(f"params file is not UTF-8 text: {path.name}, byte {error.start}") from error
    try:
        loaded = yaml.load(text, Loader=_Loader)
        # Through JSON, so that a list may stand for a tuple while a number never stands for a text or a truth.
        return Params.model_validate_json(orjson.dumps(loaded, option=orjson.OPT_NON_STR_KEYS))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Malformed(f"params file is not YAML: {path.name}, line {line}: {error.problem}") from error
    except (yaml.YAMLError, orjson.JSONEncodeError) as error:
        raise Malformed(f"params file is not plain YAML: {path.name}: {error}") from error
    except ValidationError as error:
        raise Malformed("\n".join(sorted(_sentence(path.name, fault) for fault in error.errors()))) from error


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

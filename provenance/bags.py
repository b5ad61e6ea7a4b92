"""A bag is a folder whose manifest names every file with its SHA-256: BagIt 1.0 (RFC 8493), and the check of one.

The payload lies under `data/`; `bag-info.txt` says whose it is; the tag manifest covers the rest. Written in one way
only, so that the same payload gives the same bytes. Refuses in a check a file that no manifest names, one that is not
there, and any name that could lead out of the folder.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from provenance import checking, merkle, steps
from provenance.checking import Checked
from provenance.errors import Malformed, Missing
from provenance.steps import Step

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
MANIFEST, TAGS = "manifest-sha256.txt", "tagmanifest-sha256.txt"
_LINE = re.compile(r"([0-9a-f]{64})  ([\w.-]+(?:/[\w.-]+)*)", re.ASCII)
FORMAT = "provenance-disclosure/1"  # of data/answer.json
_DIGEST = "[0-9a-f]{64}"
_PROVED_VIEWS = ("nominal", "figures", "link", "network")
POINTER = "READ-ME-FIRST.txt"  # beside data/, where whoever opens the folder looks first
_POINTED = b"Open data/READ-ME-FIRST.html in a browser. It says what this folder is and how to check it.\n"
_TAG_FILES = ("bag-info.txt", "bagit.txt", MANIFEST)


def tag_files(payload: Mapping[str, tuple[str, int]], info: Mapping[str, str]) -> dict[str, bytes]:
    """The files beside `data/`, by name. `payload` has the SHA-256 and size of each file under `data/`, by its path
    there; `info` the lines of bag-info.txt, without those that are counted here.
    """
    octets = sum(size for _, size in payload.values())
    counted = {**info, "Payload-Oxum": f"{octets}.{len(payload)}"}
    files = {
        "bagit.txt": DECLARATION,
        POINTER: _POINTED,
        "bag-info.txt": "".join(f"{key}: {_one_line(value)}\n" for key, value in sorted(counted.items())).encode(),
        MANIFEST: "".join(f"{payload[name][0]}  data/{name}\n" for name in sorted(payload)).encode(),
    }
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    return files | {TAGS: "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode()}


def _one_line(value: str) -> str:
    if not value or any(not c.isprintable() for c in value):
        raise Malformed("line of bag-info.txt: wanted printable text, and not nothing")
    return value


def is_bag(folder: Path) -> bool:
    return (folder / "bagit.txt").is_file()


def check(
    folder: Path, *, policy: bytes | None = None, published: str | None = None, letter: str = ""
) -> Checked:  # fmt: skip
    """Check a disclosure pack: the bag, that its pages and proofs are those it says, and each proof as `checking` does.

    `letter` is the SHA-256 of the tag manifest, as the covering letter has it: with it, no byte of the pack is another
    than when the letter was written. Step 0 is about the bag; the others are those of all proofs, each fault under its
    proof's name.
    """
    names = sorted(path.name for path in (folder / "data" / "proofs").glob("*") if path.is_dir())
    found = {
        name: checking.check(folder / "data" / "proofs" / name, policy=policy, published=published) for name in names
    }
    whole = [
        steps.take(0, "bag", lambda: faults(folder, letter)),
        steps.take(0, "pages", lambda: _answer(folder, found)),
    ]
    for number, first in enumerate(next(iter(found.values())).steps if found else [], start=1):
        each = [(name, one.steps[number - 1]) for name, one in found.items()]
        said = tuple(f"{name}: {fault}" for name, step in each for fault in step.faults)
        whole.append(Step(number, first.name, sum(step.checked for _, step in each), said))
    if not found:
        whole.append(Step(1, "files", 0, ("the pack holds no proof, so there is nothing to verify",)))
    whole_bytes = ["every byte is as it was when the number that you gave was written down, pages and all"]
    pages = ["that the pages are drawn rightly, or what READ-ME-FIRST says: what is proved are the rows in the proofs"]
    return Checked(
        whole,
        ["the number that you gave, and the way by which it came"] * bool(letter)
        + _merged({name: one.relied_on for name, one in found.items()}),
        whole_bytes * bool(letter) + _merged({name: one.proved for name, one in found.items()}),
        _merged({name: _of_this_alone(one, found.values()) for name, one in found.items()}) + pages * (not letter),
        wanted=next((one.wanted for one in found.values() if one.wanted), ""),
    )


def _of_this_alone(one: Checked, all_: Iterable[Checked]) -> list[str]:
    """What a proof does not prove, but for what another in the same pack says of the same person's links."""

    def whose(each: Checked) -> tuple[str, str]:
        return each.said["build"], each.said["question"]["person"]

    told = bool(one.said) and any(each.said and each.said["complete"] and whose(each) == whose(one) for each in all_)
    if not told or one.said["complete"]:
        return one.not_proved
    silent = {checking.incomplete(item) for item in one.said["incomplete"]} | {checking.NOTHING_COMPLETE}
    return [text for text in one.not_proved if text not in silent]


def _merged(said: Mapping[str, list[str]]) -> list[str]:
    """Sentences of all proofs, each once, after the names of the proofs that say it unless all do."""
    by: dict[str, list[str]] = {}
    for name, sentences in said.items():
        for text in dict.fromkeys(sentences):
            by.setdefault(text, []).append(name)
    return [text if len(names) == len(said) else f"{_several(names)}: {text}" for text, names in by.items()]


def _several(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")


def _answer(folder: Path, proofs: Mapping[str, Checked]) -> Iterator[str]:
    """That each page has the digest by which answer.json cites it, and each proof is of what it is cited for."""
    try:
        said = json.loads(_read(folder, "data/answer.json"))
        items = [(item["build"], item["view"], item["subject"], item) for item in said["answers"]]
        if said["format"] != FORMAT:
            raise Malformed(f"data/answer.json is not of format {FORMAT}")
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed("data/answer.json is not in the form of a disclosure pack") from error
    pages, cited = set(), set()
    for build, view, subject, item in items:
        if "withheld" in item:
            right = item["withheld"] == "sensitive" and "file" not in item and re.fullmatch(_DIGEST, item["digest"])
            yield "" if right else f"data/answer.json withholds a page as {item['withheld']}, not as packs do"
        if "file" in item:
            stem = f"data/{item['file'][:-5]}"
            pages |= {f"data/{item['file']}", f"{stem}.entry"}
            same = merkle.leaf_hash(_read(folder, f"{stem}.entry")).hex() == item["digest"]
            yield "" if same else f"{stem}.entry has another digest than data/answer.json cites"
        if "proof" in item:
            name = item["proof"].removeprefix("proofs/")
            cited.add(name)
            pack = proofs[name].said if name in proofs else {}
            asked = pack.get("question", {})
            right = (
                pack.get("build") == build and asked.get("network" if view == "network" else "nominal") in subject[:1]
            )
            yield "" if right else f"data/answer.json names proof {name} for another build or subject than it is of"
        elif "file" in item and view in _PROVED_VIEWS:
            yield f"data/answer.json names page {item['file']} without a proof"
    there = {path.relative_to(folder).as_posix() for path in (folder / "data" / "pages").glob("*")}
    for name in sorted(there - pages):
        yield f"{name} is a page that data/answer.json does not name"
    for name in sorted(proofs.keys() - cited):
        yield f"data/proofs/{name} is a proof that data/answer.json does not name"


def faults(folder: Path, letter: str = "") -> Iterator[str]:
    """What is not as the manifests say, and the manifest of manifests not as the `letter`: "" for each file that is,
    a sentence for each that is not."""
    if letter:
        found = hashlib.sha256(_read(folder, TAGS)).hexdigest()
        yield "" if found == letter else f"{TAGS} has SHA-256 {found}, and the number that you gave is {letter}"
    listed = {name: _listed(folder, name) for name in (TAGS, MANIFEST)}
    if _read(folder, "bagit.txt") != DECLARATION:
        yield "bagit.txt declares another version or encoding than BagIt 1.0 in UTF-8"
    if sorted(listed[TAGS].keys() - {POINTER}) != sorted(_TAG_FILES):  # packs from before 1.1 have no pointer
        yield f"{TAGS} names other files than {', '.join(_TAG_FILES)}"
    wanted = listed[TAGS] | listed[MANIFEST]
    if any(not name.startswith("data/") for name in listed[MANIFEST]):
        yield f"{MANIFEST} names a file that is not under data/"
    every = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    there = {path.relative_to(folder).as_posix() for path in every}
    for name in sorted(there - wanted.keys() - {TAGS}):
        yield (
            f"file {ascii(name)[1:-1]} is in the bag and no manifest names it: it is no part of the pack; remove "
            "it, if you put it there, and check again"
        )
    for name, digest in sorted(wanted.items()):
        path = folder / name
        if path.is_symlink() or not path.is_file():
            yield f"file {name} is not there"
            continue
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        yield "" if found == digest else f"file {name} has SHA-256 {found}, wanted {digest}"


def _listed(folder: Path, name: str) -> dict[str, str]:
    text = _read(folder, name).decode("utf-8", "replace")
    found: dict[str, str] = {}
    for line in text.split("\n")[:-1]:
        match = _LINE.fullmatch(line)
        if not match or match[2] in found or ".." in match[2].split("/"):
            raise Malformed(f"{name} has a line in another form than `DIGEST  NAME`, or a name twice")
        found[match[2]] = match[1]
    if not text.endswith("\n"):
        raise Malformed(f"{name} does not end with the end of a line")
    return found


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    if path.is_symlink() or not path.is_file():
        raise Missing(f"file {name} is not there: a bag has one")
    return path.read_bytes()

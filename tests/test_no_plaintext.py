"""What an extract says of people is in no file of the archive, git, DVC's cache, a log or a temporary folder.

Neither in the clear, nor compressed, nor as a plain digest that a guess could be tried on. The archive is made through
the command line, as a force would make it.
"""

import base64
import gzip
import hashlib
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from provenance import canonical
from tests.force import record, write_extract

ROOT = Path(__file__).resolve().parent.parent
WEEK = ["2026-01-11T23:59:59Z", "2026-01-18T23:59:59Z", "2026-01-25T23:59:59Z"]
COMMITTED = ["git", "-c", "safe.directory=*"]

# Every cell that could say something of someone holds a word that occurs nowhere else.
PEOPLE = [f"QNOMINAL-{n:03}" for n in range(12)]
NAMES = [f"Qname Zaphod{n:03}" for n in range(12)]
BORN = "1907-03-{:02}"
WORDS = [
    "Qcondition: ask Beeblebrox",
    "Qevidence: prints agree",
    "Qofficer Prefect",
    "Qreason Vogon",
    "Qauthority Slartibart",
]
PLACE = "E01987654"
REJECTED = ["Qrole-Trillian", "Qkind-Marvin", "Qdate-Deepthought"]


def crimes(week: int) -> list[dict]:
    return [
        record(
            f"QRECORD-{week}-{n:03}",
            f"{PEOPLE[n % 12]}:offender",
            f"{PEOPLE[(n + 1) % 12]}:victim+witness",
            conditions=WORDS[0],
            place=PLACE,
            easting="987651",
            themes="SOC;CSE",
            recorded_at=f"2026-01-{5 + 7 * week:02}T12:00:00Z",
        )
        for n in range(60)
    ]


def lay(folder: Path) -> list[Path]:
    """Two good weeks, the second with three rows that are turned away, and one extract that is refused."""
    nominals = [
        {"nominal_id": person, "name": name, "born": BORN.format(n + 1), "sex": "F", "is_child": "0"}
        for n, (person, name) in enumerate(zip(PEOPLE, NAMES, strict=True))
    ]
    merge = {"from_nominal": PEOPLE[3], "into_nominal": PEOPLE[4], "evidence": WORDS[1], "by": WORDS[2], "at": WEEK[0]}
    order = {
        "what": "record",
        "system": "CONNECT",
        "id": "QRECORD-0-007",
        "authority": WORDS[4],
        "reason": WORDS[3],
        "at": WEEK[0],
    }
    bad = [
        record("QRECORD-BAD-1", f"{PEOPLE[1]}:{REJECTED[0]}", PEOPLE[2]),
        record("QRECORD-BAD-2", kind=REJECTED[1]),
        record("QRECORD-BAD-3", occurred_at=REJECTED[2]),
    ]
    weeks = [
        write_extract(
            folder / "first", crimes(0), cut_off=WEEK[0], nominals=nominals, merges=[merge], disposals=[order]
        ),
        write_extract(folder / "second", [*crimes(1), *bad], cut_off=WEEK[1], mode="delta", nominals=nominals[:3]),
        write_extract(folder / "refused", [*crimes(1)[:3], *bad], cut_off=WEEK[2], mode="delta"),
    ]
    parquet = pa.Table.from_pylist([{k: v for k, v in row.items() if k != "people"} for row in crimes(0)])
    pq.write_table(parquet, weeks[0] / "records.parquet")
    (weeks[0] / "records.csv").unlink()
    return weeks


def markers() -> dict[str, bytes]:
    """What must not be found, by what it is."""
    texts = [*PEOPLE, *NAMES, *WORDS, *REJECTED, *(BORN.format(n + 1) for n in range(12)), PLACE, "987651"]
    texts += [f"QRECORD-{week}-{n:03}" for week in range(2) for n in range(60)] + [
        f"QRECORD-BAD-{n}" for n in (1, 2, 3)
    ]
    texts += ["QNOMINAL", "QRECORD", "Zaphod", "Beeblebrox", "Vogon"]
    found = {}
    for text in texts:
        found[text] = text.encode()
        found[f"{text} in UTF-16"] = text.encode("utf-16-le")
        found[f"{text} in base64"] = base64.b64encode(text.encode()).rstrip(b"=")[:-1]
        found[f"{text} in hexadecimal"] = text.encode().hex().encode()
    return found


def guesses(weeks: list[Path]) -> list[bytes]:
    """What someone could hash to test a guess: ids, names, whole files, whole rows."""
    said = [text.encode() for text in (*PEOPLE, *NAMES, "QRECORD-0-001", BORN.format(1))]
    said += [
        f"n\x1f{PEOPLE[0]}".encode(),
        b"r\x1fCONNECT\x1fQRECORD-0-001",
        b"CONNECT QRECORD-0-001",
        b"CONNECTQRECORD-0-001",
    ]
    said += [path.read_bytes() for week in weeks for path in sorted(week.iterdir())]
    for person in PEOPLE:
        for crime in crimes(0)[:12]:
            part = {
                "system": "CONNECT",
                "record_id": crime["record_id"],
                "nominal_id": person,
                "role": "offender",
                "assessed": "fact",
            }
            said.append(canonical.dumps(part))
    for crime in crimes(0):
        row = {key: value for key, value in crime.items() if key != "people"} | {"themes": "CSE;SOC", "version": 1}
        said.append(canonical.dumps(row))
    return said + [b"\0" + guess for guess in said]  # also as an RFC 6962 leaf without salt


def digests(weeks: list[Path]) -> dict[bytes, bytes]:
    """Plain digests of every guess, in each form in which a file could hold them."""
    found = {}
    for guess in guesses(weeks):
        for algorithm in ("md5", "sha1", "sha256"):
            digest = hashlib.new(algorithm, guess)
            for form in (digest.digest(), digest.hexdigest().encode(), base64.b64encode(digest.digest())):
                found[form] = guess[:40]
    return found


# ---- the archive -----------------------------------------------------------------------------------------------------


class House:
    """A folder in which everything is: archive, keys, home, temporary files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.archive = folder, folder / "archive"
        self.weeks = lay(folder / "inbox")
        self.said: dict[str, str] = {}
        for name in ("home", "tmp", "site", "cwd"):
            (folder / name).mkdir()
        self.environment = {name: os.environ[name] for name in ("PATH", "LANG", "VIRTUAL_ENV") if name in os.environ}
        self.environment |= {
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "DVC_SITE_CACHE_DIR": str(folder / "site"),
            "DVC_NO_ANALYTICS": "1",
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "provenance.cli", "--archive", str(self.archive), *arguments],
            cwd=self.folder / "cwd", env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        self.said[" ".join(arguments)] = done.stdout + done.stderr
        return done.stdout

    def made(self) -> Iterator[Path]:
        """Every file but the extracts themselves."""
        inbox = self.folder / "inbox"
        return (path for path in sorted(self.folder.rglob("*")) if path.is_file() and inbox not in path.parents)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    made = House(tmp_path_factory.mktemp("house"))
    first, second, refused = map(str, made.weeks)
    made.run("init", "--name", "force")
    made.run("receive", first)
    made.run("receive", second)
    made.run("receive", refused, code=7)
    made.run("build", "--cut-off", WEEK[1], "--published-at", WEEK[1])
    made.answer = json.loads(made.run("asof", WEEK[1], "--json"))
    made.run("explain", PEOPLE[0], PEOPLE[1], "--as-of", WEEK[1])  # an answer is printed, and not kept
    return made


def layers(path: Path) -> Iterator[tuple[str, bytes]]:
    """A file's bytes, and what is in them once unpacked."""
    data = path.read_bytes()
    yield "as it is", data
    if data[:4] == b"PAR1":
        for name, column in zip((table := pq.read_table(path)).column_names, table.columns, strict=True):
            yield (
                f"column {name}",
                b"\n".join(
                    str(value).encode() if not isinstance(value, bytes) else value for value in column.to_pylist()
                ),
            )
        yield "footer", repr(table.schema.metadata).encode()
    if data[:2] == b"\x1f\x8b":
        yield "unpacked", gzip.decompress(data)
    elif data[:1] == b"\x78":
        yield "unpacked", zlib.decompress(data)


def objects(repository: Path) -> bytes:
    """Every object of git, reachable or not, unpacked."""
    return subprocess.run(
        [*COMMITTED, "cat-file", "--batch-all-objects", "--batch", "--unordered"],
        cwd=repository, capture_output=True, check=True,
    ).stdout  # fmt: skip


def everything(house: House) -> dict[str, bytes]:
    found = {
        f"{path.relative_to(house.folder)}, {layer}": data for path in house.made() for layer, data in layers(path)
    }
    return found | {"git's objects": objects(house.archive)}


# ---- the search ------------------------------------------------------------------------------------------------------


def test_the_extracts_hold_every_marker(house):
    """Control: the words that are searched for below are those that came in."""
    whole = b"".join(data for week in house.weeks for path in sorted(week.iterdir()) for _, data in layers(path))
    for name, marker in markers().items():
        if " in " not in name:
            assert marker in whole, name


def test_the_archive_answers_with_them(house):
    """Control: all of it is kept, and comes back to whoever holds the keys."""
    answer = house.answer
    assert (answer["build"], answer["verified"]) == ("2026-W03", True)
    assert {row["nominal"] for row in answer["nominals"]} == set(PEOPLE) - {PEOPLE[3]}
    records = {support["record_id"] for link in answer["links"] for support in link["supports"]}
    assert {"QRECORD-0-001", "QRECORD-1-059"} <= records
    assert {link["conditions"] for link in answer["links"]} == {WORDS[0]}


@pytest.mark.parametrize("how", ["loose", "packed"])
def test_no_file_holds_a_word_of_the_extracts(house, how):
    """In the working tree, git, DVC's cache, the index, audit reports, logs, the home and the temporary folder."""
    if how == "packed":
        subprocess.run([*COMMITTED, "gc", "-q", "--prune=now"], cwd=house.archive, env=house.environment, check=True)
        assert list((house.archive / ".git" / "objects" / "pack").glob("*.pack"))
    whole = everything(house)
    words = markers()
    for place, data in whole.items():
        low = data.lower()
        for name, marker in words.items():
            assert marker.lower() not in low, f"{name}: {place}"
    places = " ".join(whole)
    for wanted in (
        "archive/store/received/0001/record.parquet, column box", "archive/.dvc/cache/", "archive/.git/",
        "archive/index/catalogue.sqlite", "archive/index/people.figures",
        "archive/index/00001.figures", "archive/audit_reports/rejects/",
        "archive/log/tile/entries/", "archive/builds/2026-W03.json", "archive/vault/keyring", "archive.keys/master",
    ):  # fmt: skip
        assert wanted in places, "the search did not look there"
    assert b"2026-W03" in whole["git's objects"]


def test_no_file_holds_a_plain_digest_of_a_word_a_row_or_a_file(house):
    """A digest without a secret is an oracle: whoever guesses right sees that they did."""
    whole = everything(house)
    guessed = digests(house.weeks)
    for place, data in whole.items():
        for digest, guess in guessed.items():
            assert digest not in data, f"{guess!r}: {place}"


def test_the_search_would_find_what_is_hidden(house, tmp_path):
    """Control: the same search, over places in which a word was put on purpose."""
    word = PEOPLE[0].encode()
    pq.write_table(pa.table({"x": [PEOPLE[0]]}), tmp_path / "a", compression="zstd")
    (tmp_path / "b").write_bytes(gzip.compress(word))
    (tmp_path / "c").write_bytes(zlib.compress(word))
    for name in "abc":
        assert any(word in data for _, data in layers(tmp_path / name))
    repository = tmp_path / "repository"
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    subprocess.run(
        [*COMMITTED, "hash-object", "-w", "--stdin"], input=word * 20, cwd=repository, capture_output=True, check=True
    )
    assert word in objects(repository)
    (tmp_path / "d").write_text(hashlib.md5(house.weeks[0].joinpath("involvements.csv").read_bytes()).hexdigest())
    assert any(digest in (tmp_path / "d").read_bytes() for digest in digests(house.weeks))


def test_no_command_that_writes_says_a_word_of_the_extracts(house):
    """Their words may end in a log of the machine."""
    commands = [(name, said) for name, said in house.said.items() if name.split()[0] in ("init", "receive", "build")]
    assert len(commands) == 5
    for name, said in commands:
        for word, marker in markers().items():
            if word in name:
                continue
            assert marker.lower() not in said.lower().encode(), f"{word}: {name}"
    turned_away = next(said for name, said in commands if name.startswith("receive") and "refused" in name)
    assert "Malformed: extract refused has 3 rejected rows of 17: params let at most 5 % through" in turned_away


def test_the_rejects_report_says_where_and_in_what_form_and_not_what(house):
    reports = sorted((house.archive / "audit_reports" / "rejects").iterdir())
    text = "".join(path.read_text() for path in reports)
    assert len(reports) == 2
    for line in (
        '"role","unknown-role","Aaaaa-Aaaaaaaa"',
        '"kind","unknown-kind","Aaaaa-Aaaaaa"',
        '"occurred_at","bad-date","Aaaaa-Aaaaaaaaaaa"',
    ):
        assert line in text


def test_temporary_folders_are_left_empty(house):
    for name in ("tmp", "cwd"):
        left = [path for path in (house.folder / name).rglob("*") if path.is_file() and path.stat().st_size]
        assert left == []

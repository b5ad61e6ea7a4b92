"""Each published file in ../shared/vectors is read by a test, and is the file that its manifest says; and those that no
other module reads: bags, against the package that will judge ours, and the context of RO-Crate, as it is kept at hand.
"""

from __future__ import annotations

import hashlib
import json
import logging
import runpy
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).resolve().parent
READERS = {  # by file or folder: the modules that read it
    "bagit/conformance.tar": ["test_vectors"],
    "checkpoint/rekor2.json": ["test_notes", "test_standalone"],
    "dsse/protocol-example.json": ["test_statements"],
    "merkle/consistency.jsonl": ["test_merkle", "test_standalone", "test_standalone_page"],
    "merkle/ct-reference.json": ["test_merkle", "test_standalone_page"],
    "merkle/inclusion.jsonl": ["test_merkle", "test_standalone", "test_standalone_page"],
    "note/notes.json": ["test_notes", "test_standalone"],
    "rfc3161/request.der": ["test_stamps"],
    "rfc3161/response-invalid-signature.tsr": ["test_stamps", "test_standalone"],
    "rfc3161/response-no-embedded-cert.tsr": ["test_stamps", "test_standalone"],
    "rfc3161/response-sha256.tsr": ["test_stamps", "test_standalone"],
    "rfc3161/response-sha384.tsr": ["test_stamps", "test_standalone"],
    "rfc3161/response-sha512.tsr": ["test_stamps", "test_standalone"],
    "rfc3161/ts_chain.pem": ["test_stamps", "test_standalone"],
    "ro-crate/context-1.1.jsonld": ["test_vectors"],
    "ro-crate/warm_cache.py": ["test_vectors"],
    "sample-log/": ["test_proofs", "test_judges", "test_standalone", "test_standalone_page"],  # each file by the first
    "wycheproof/c2sp_chunked_encryption_aes_256_gcm.json": ["test_wycheproof"],
    "wycheproof/ed25519.json": ["test_wycheproof"],
    "wycheproof/hkdf_sha256.json": ["test_wycheproof"],
}
ABOUT = {"README.md", "MANIFEST.tsv"}
DIFFERS = {"v1.0/invalid/bagit-with-invalid-whitespace"}  # which bagit 1.9.0 accepts
CONTEXT = "https://w3id.org/ro/crate/1.1/context"


def test_every_published_file_is_read_by_a_test(shared):
    folder = shared / "vectors"
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - ABOUT
    places = {next((place for place in READERS if file.startswith(place)), file) for file in files}
    assert places == READERS.keys()
    for place, modules in READERS.items():
        name = Path(place).stem.removeprefix("response-")
        for module in modules:
            assert name in (HERE / f"{module}.py").read_text("utf-8"), (place, module)


def test_every_published_file_is_the_one_of_the_manifest(shared):
    folder = shared / "vectors"
    listed = [line.split("\t")[:2] for line in (folder / "MANIFEST.tsv").read_text().splitlines()]
    for digest, name in (line for line in listed if len(line[0]) == 64):
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    assert len(listed) > 15


def test_the_bags_of_the_conformance_suite_are_judged_as_it_says_but_one(shared, tmp_path):
    """By the package bagit, which will judge the bags that are handed over."""
    bagit = pytest.importorskip("bagit", reason="the package bagit is not here: it judges bags")
    with tarfile.open(shared / "vectors" / "bagit" / "conformance.tar") as suite:
        suite.extractall(tmp_path, filter="data")
    bags = sorted(path for path in tmp_path.glob("*/*/*") if path.is_dir())
    logging.disable()
    try:
        verdicts = {bag.relative_to(tmp_path).as_posix(): _is_valid(bagit, bag) for bag in bags}
    finally:
        logging.disable(logging.NOTSET)
    assert set(verdicts.values()) == {True, False}
    assert {name for name, valid in verdicts.items() if valid != ("/valid/" in name)} == DIFFERS
    assert len(verdicts) == 16


def _is_valid(bagit: ModuleType, bag: Path) -> bool:
    try:
        bagit.Bag(str(bag)).validate()
    except bagit.BagError:
        return False
    return True


def test_the_context_of_ro_crate_is_what_warm_cache_files(shared, tmp_path, monkeypatch):
    """The program runs as it stands, with a session that keeps nothing in the place of the one that fills a cache."""
    requests = pytest.importorskip("requests", reason="the package requests is not here: warm_cache.py needs it")
    folder = shared / "vectors" / "ro-crate"
    filed = {}

    class Session(requests.Session):
        def __init__(self, **how: object) -> None:
            super().__init__()
            assert how["cache_name"] == str(tmp_path / "cache")

        def get(self, url: str, **how: object) -> requests.Response:
            filed[url] = super().get(url, **how)
            return filed[url]

    stand_in = ModuleType("requests_cache")
    stand_in.CachedSession = Session
    monkeypatch.setitem(sys.modules, "requests_cache", stand_in)
    context = folder / "context-1.1.jsonld"
    monkeypatch.setattr(sys, "argv", ["warm_cache.py", str(tmp_path / "cache"), f"{CONTEXT}={context}"])
    runpy.run_path(str(folder / "warm_cache.py"))
    assert filed[CONTEXT].content == context.read_bytes()
    assert (filed[CONTEXT].status_code, filed[CONTEXT].headers["Content-Type"]) == (200, "application/ld+json")
    said = json.loads(context.read_bytes())
    assert said["@id"] == CONTEXT
    assert said["@context"]["Dataset"] == "http://schema.org/Dataset"
    assert not list(tmp_path.iterdir())

"""The cryptography that is installed, against published vectors of hard cases: what is trusted is first tried.

Ed25519 as the product verifies it, and as `verify.py` has OpenSSL do it; HKDF and the chunked encryption of c2sp.org
are what a later form of rows or of the vault would stand on.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import zlib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from provenance.errors import Malformed, Tampered
from provenance.notes import Verifier

STANDALONE = Path(__file__).resolve().parent.parent / "provenance" / "standalone" / "verify.py"


def cases(shared: Path, name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    content = json.loads((shared / "vectors" / "wycheproof" / f"{name}.json").read_bytes())
    found = [(group, case) for group in content["testGroups"] for case in group["tests"]]
    assert len(found) == content["numberOfTests"]
    return found


def test_ed25519_as_the_product_and_as_openssl_verify_it(shared):
    if not shutil.which("openssl"):
        pytest.skip("the program openssl is not installed, and is asked here for its judgement")
    spec = importlib.util.spec_from_file_location("standalone_verify", STANDALONE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    openssl, verdicts = module.OpenSSL(), {"valid": 0, "invalid": 0}
    for group, case in cases(shared, "ed25519"):
        public, message, signature = (
            bytes.fromhex(text) for text in (group["publicKey"]["pk"], case["msg"], case["sig"])
        )
        try:
            Verifier("wycheproof", public).verify(message, signature)
            good = True
        except (Tampered, Malformed):
            good = False
        assert good == (case["result"] == "valid"), case["tcId"]
        if message:  # the command takes no empty file, and nothing here is signed that is empty
            assert openssl.verifies(public, message, signature) == good, case["tcId"]
        verdicts[case["result"]] += 1
    assert min(verdicts.values()) > 50


def test_hkdf(shared):
    for _, case in cases(shared, "hkdf_sha256"):
        ikm, salt, info = (bytes.fromhex(case[name]) for name in ("ikm", "salt", "info"))
        if case["result"] == "valid":
            assert HKDF(hashes.SHA256(), case["size"], salt, info).derive(ikm).hex() == case["okm"], case["tcId"]
        else:
            with pytest.raises(ValueError, match="larger than"):
                HKDF(hashes.SHA256(), case["size"], salt, info).derive(ikm)


def test_chunked_encryption(shared):
    cobblestone = pytest.importorskip("cryptography.cobblestone", reason="this cryptography has no chunked encryption")
    for _, case in cases(shared, "c2sp_chunked_encryption_aes_256_gcm"):
        key, context, sealed = (bytes.fromhex(case[name]) for name in ("key", "ctx", "ct"))
        sealed = zlib.decompress(sealed)  # so that long messages fit into the file
        try:
            opener = cobblestone.Cobblestone256Decryptor(key, context)
            opened = opener.update(sealed) + opener.finalize()
        except Exception:
            assert case["result"] == "invalid", case["tcId"]
            continue
        assert case["result"] == "valid", case["tcId"]
        assert (len(opened), hashlib.sha512(opened).hexdigest()) == (case["msgLength"], case["msgSha512"])

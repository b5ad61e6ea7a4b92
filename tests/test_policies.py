"""Policies: who is believed, and how many of them; against the definition, group by group."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import notes
from provenance.errors import Malformed, Tampered
from provenance.notes import Checkpoint, Note
from provenance.policies import Policy
from tests.test_proofs import AT, ETHICS, KEY, LOG_ONLY, PCC, POLICY, STRANGER, SUCCESSOR, TREE, cosigned, key

LOG = f"log {KEY.verifier}\n"
SIX = {
    name: key(f"{name.lower()}.example/witness", seed)
    for seed, name in enumerate(("X1", "X2", "X3", "Y1", "Y2", "Y3"), 60)
}
LINES = "".join(f"witness {name} {notes.cosigner(witness.verifier)}\n" for name, witness in SIX.items())


def test_the_sample_log_s_policies_are_read_judged_and_written_back(shared):
    folder = shared / "vectors" / "sample-log"
    note = (folder / "checkpoint").read_bytes()
    met = {}
    for name in ("policy", "policy-both", "policy-log-only"):
        data = (folder / name).read_bytes()
        policy = Policy.parse(data)
        assert bytes(policy) == data
        assert [log.name for log in policy.logs] == ["sample.example/builds"]
        met[name] = (policy.quorum, [witness.name for witness in policy.witnesses], policy.open(note).quorum_met)
    both = ["ethics.example/witness", "pcc.example/witness"]
    assert met == {
        "policy": ("oversight", both, True),
        "policy-both": ("oversight", both, False),
        "policy-log-only": ("none", [], True),
    }


def test_the_specification_s_own_example():
    """Two of the X and any of the Y; in another order, with comments, tabs, blanks and a URL."""
    policy = Policy.parse(
        f"# ours\n\n{LINES} \t log\t{KEY.verifier}  https://log.example/ \n"
        "group X-witnesses 2 X1 X2 X3\n  # any will do\ngroup Y-witnesses any Y1 Y2 Y3\n\n"
        "group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n".encode()
    )
    for count in range(7):
        for chosen in itertools.combinations(SIX, count):
            met = sum(name[0] == "X" for name in chosen) >= 2 and any(name[0] == "Y" for name in chosen)
            opened = policy.open(cosigned(TREE.head(7), *(SIX[name] for name in chosen)))
            assert opened.quorum_met is met
            assert [line.name for line in opened.cosigned] == list(chosen)
            assert policy.name_of(opened.cosigned[0].witness) == chosen[0] if chosen else True


def test_opened_says_who_signed_and_when():
    note = cosigned(cosigned(TREE.head(7), STRANGER, PCC, at=AT + 5), ETHICS)
    opened = POLICY.insist(note)
    assert (opened.checkpoint, opened.log) == (Checkpoint(KEY.verifier.name, 7, TREE.root(7)), KEY.verifier)
    assert [(line.name, line.witness.name, line.at) for line in opened.cosigned] == [
        ("pcc", "pcc.example/witness", AT + 5), ("ethics", "ethics.example/witness", AT),
    ]  # fmt: skip
    assert LOG_ONLY.insist(note).cosigned == ()
    with pytest.raises(
        Tampered, match=r"^checkpoint lacks its witnesses: cosigned by no witness, wanted the quorum over"
    ):
        POLICY.insist(TREE.head(7))


def test_one_witness_twice_is_one_witness():
    policy = Policy.parse(bytes(POLICY).replace(b"any", b"2"))
    twice = cosigned(cosigned(TREE.head(7), ETHICS), ETHICS, at=AT + 1)
    assert [line.at for line in policy.open(twice).cosigned] == [AT, AT + 1]
    assert not policy.open(twice).quorum_met
    assert policy.open(cosigned(twice, PCC)).quorum_met


def test_the_log_signs_exactly_once_by_exactly_one_of_its_keys():
    both = Policy.parse(f"{LOG}log {SUCCESSOR.verifier}\nlog {STRANGER.verifier}\nquorum none\n".encode())
    text = Note.parse(TREE.head(7)).text
    for signer in (KEY, SUCCESSOR):
        assert both.open(bytes(Note.signed(text, signer))).log == signer.verifier
    for signers, count in (((KEY, SUCCESSOR), 2), ((KEY, KEY), 2), ((KEY, STRANGER), 2)):
        with pytest.raises(Tampered, match=rf"^checkpoint: {count} signatures by the log, wanted exactly 1 of force"):
            both.open(bytes(Note.signed(text, *signers)))
    with pytest.raises(Tampered, match=r"^checkpoint: 0 signatures by the log"):
        POLICY.open(cosigned(bytes(Note.signed(text, SUCCESSOR)), ETHICS))
    with pytest.raises(Tampered, match=r"^signed note: no signature by a known key"):
        LOG_ONLY.open(bytes(Note.signed(text, SUCCESSOR)))
    with pytest.raises(
        Tampered, match=r"^checkpoint: origin force\.example/log, wanted the log's own, other\.example/log"
    ):
        both.open(bytes(Note.signed(text, STRANGER)))
    with pytest.raises(Tampered, match="wanted exactly 1 of a log, and the policy names none"):
        Policy.parse(f"{LINES}quorum none\n".encode()).open(cosigned(TREE.head(7), SIX["X1"]))


def test_a_bad_line_of_a_known_key_is_fatal_and_of_an_unknown_one_no_news():
    wrong = str(notes.cosign(TREE.head(6), ETHICS, AT)).encode()
    note = cosigned(TREE.head(7), PCC) + wrong
    with pytest.raises(Tampered, match=r"^signature does not verify: by ethics\.example/witness"):
        POLICY.open(note)
    only_pcc = Policy.parse(f"{LOG}witness pcc {notes.cosigner(PCC.verifier)}\nquorum pcc\n".encode())
    assert only_pcc.open(note).quorum_met


def test_a_log_s_next_key_goes_under_its_last():
    head = b"# our log\n" + LOG.encode()
    rest = LINES.encode() + b"# and so\nquorum none\n"
    policy = Policy.parse(head + rest)
    grown = policy.with_log(SUCCESSOR.verifier)
    assert bytes(grown) == head + f"log {SUCCESSOR.verifier}\n".encode() + rest
    assert grown.logs == (KEY.verifier, SUCCESSOR.verifier)
    assert grown.with_log(KEY.verifier) is grown
    assert bytes(Policy.parse(b"quorum none\n").with_log(KEY.verifier)) == LOG.encode() + b"quorum none\n"


W1, W2 = (f"witness W{n} {notes.cosigner(SIX[name].verifier)}\n" for n, name in ((1, "X1"), (2, "X2")))
_SAME = notes.Verifier("again.example/w", SIX["X1"].verifier.public, notes.COSIGNATURE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no quorum, wanted one line"),
        (LOG, "no quorum, wanted one line"),
        ("quorum none", "the last line does not end in a newline"),
        ("quorum none\r\n", "line 1 has a control character"),
        ("#\0\nquorum none\n", "line 1 has a control character"),
        ("quorum none\x7f\n", "line 1 has a control character"),
        ("quorum none\nquorum none\n", "line 2: a second quorum"),
        ("quorum W1\n" + W1, "line 1: W1 is not defined above"),
        ("group G all W1\n" + W1 + "quorum G\n", "line 1: W1 is not defined above"),
        (W1 + "group G all G\nquorum G\n", "line 2: G is not defined above"),
        (W1 + "group G all none\nquorum G\n", "line 2: `none` as a member"),
        (W1 + "group G 2 W1 W1\nquorum G\n", "line 2: W1 as a member a second time"),
        (W1 + "group G all W1\ngroup H all W1\nquorum H\n", "line 3: W1 as a member a second time"),
        (W1 + "group G 0 W1\nquorum G\n", "line 2: threshold 0, wanted 1 up to the 1 members"),
        (W1 + "group G 2 W1\nquorum G\n", "line 2: threshold 2, wanted 1 up to the 1 members"),
        (W1 + "group G 01 W1\nquorum G\n", "line 2: threshold: not a count"),
        (W1 + "group G ALL W1\nquorum G\n", "line 2: threshold: not a count"),
        (W1 + "group G all\nquorum W1\n", "line 2: wanted `log VKEY"),
        (W1 + "group W1 all W1\nquorum W1\n", "line 2: the name W1 a second time"),
        (W1 + W2.replace("W2", "W1") + "quorum W1\n", "line 2: the name W1 a second time"),
        (W1.replace("W1", "none") + "quorum none\n", "line 1: the name none a second time"),
        (W1 + f"witness W2 {_SAME}\nquorum W1\n", "line 2: the same public key as another witness"),
        (LOG + LOG + "quorum none\n", "line 2: the same public key as another log"),
        (f"log {SIX['X1'].verifier} u u\nquorum none\n", "line 1: wanted `log VKEY"),
        (
            f"log {notes.cosigner(KEY.verifier)}\nquorum none\n",
            "line 1: verifier key: type 0x04, wanted 0x01 for a log",
        ),
        (f"witness W {KEY.verifier}\nquorum W\n", "line 1: verifier key: type 0x01, wanted 0x04 for a witness"),
        ("log x+y\nquorum none\n", "line 1: verifier key: not in three parts"),
        ("log é+y\nquorum none\n".encode("latin-1"), "line 1: verifier key: not UTF-8"),
        ("threshold 1\nquorum none\n", "line 1: wanted `log VKEY"),
        ("Quorum none\n", "line 1: wanted `log VKEY"),
        ("#\n" * 1_000 + "quorum none\n", "1001 lines, wanted at most 1000"),
        ("#" * 1_000_001, "1000001 bytes, wanted at most 1000000"),
    ],
)
def test_what_is_no_policy_is_named_by_its_line(text, message):
    with pytest.raises(Malformed, match=f"^policy: {message}"):
        Policy.parse(text if isinstance(text, bytes) else text.encode())


def test_names_are_octets():
    kelvin, latin = "\N{KELVIN SIGN}".encode(), b"\xe9"
    vkeys = [str(notes.cosigner(SIX[name].verifier)).encode() for name in ("X1", "X2", "X3")]
    policy = Policy.parse(
        LOG.encode()
        + b"".join(b"witness %s %s\n" % pair for pair in zip((b"K", kelvin, latin), vkeys, strict=True))
        + b"group \xff all K " + kelvin + b"\nquorum \xff\n"
    )  # fmt: skip
    opened = policy.open(cosigned(TREE.head(7), SIX["X1"], SIX["X2"], SIX["X3"]))
    assert [line.name for line in opened.cosigned] == ["K", "\N{KELVIN SIGN}", "\\xe9"]
    assert policy.quorum == "\\xff"
    assert not policy.open(cosigned(TREE.head(7), SIX["X1"], SIX["X3"])).quorum_met


_BLANK = st.sampled_from([" ", "\t", "  ", " \t "])


@st.composite
def _written(draw) -> tuple[bytes, dict[str, tuple[int, list[str]]], str]:
    """A policy over the six, as text, as groups and as the name of its quorum."""
    free, groups = list(SIX), {}
    lines = [*LINES.splitlines(), LOG.strip()]
    for number in range(draw(st.integers(0, 4))):
        members = draw(st.lists(st.sampled_from(free), min_size=1, unique=True)) if free else []
        if not members:
            break
        needed = draw(st.integers(1, len(members)))
        words = [str(needed)] + ["any"] * (needed == 1) + ["all"] * (needed == len(members))
        lines.append(f"group G{number} {draw(st.sampled_from(words))} {' '.join(members)}")
        groups[f"G{number}"] = (needed, members)
        free = [name for name in free if name not in members] + [f"G{number}"]
    quorum = draw(st.sampled_from([*SIX, *groups, "none"]))
    lines.append(f"quorum {quorum}")
    text = ""
    for line in lines:
        text += draw(st.sampled_from(["", "\n", "# a comment\n", " \t\n"]))
        text += (
            draw(st.sampled_from(["", " "]))
            + draw(_BLANK).join(line.split(" "))
            + draw(st.sampled_from(["", "\t"]))
            + "\n"
        )
    return text.encode(), groups, quorum


@given(_written(), st.sets(st.sampled_from(list(SIX))))
@settings(max_examples=60)
def test_a_quorum_is_what_its_definition_says(written, present):
    text, groups, quorum = written

    def witnessed(name: str) -> bool:
        if name in groups:
            needed, members = groups[name]
            return sum(map(witnessed, members)) >= needed
        return name in present

    policy = Policy.parse(text)
    assert bytes(policy) == text
    assert policy == Policy.parse(bytes(policy))
    assert policy.logs == (KEY.verifier,)
    assert policy.is_met_by([notes.cosigner(SIX[name].verifier) for name in present]) is (
        quorum == "none" or witnessed(quorum)
    )


@given(
    st.binary(max_size=200)
    | st.builds(
        lambda a, b: bytes(POLICY)[:a] + b + bytes(POLICY)[a + len(b) :], st.integers(0, 400), st.binary(max_size=8)
    )
    | st.lists(
        st.sampled_from(["log", "witness", "group", "quorum", "none", "any", "\n", "a", "#", str(KEY.verifier)])
    ).map(lambda words: (" ".join(words) + "\n").encode())
)
def test_whatever_comes_in_is_a_policy_or_malformed(data):
    try:
        policy = Policy.parse(data)
    except Malformed:
        return
    assert bytes(policy) == data

"""verify.html in a real browser, opened from a file and without a network: it says what verify.py says, refuses each
spoilt pack by the same step, and puts nothing of a pack on the page but text.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import packs
import pytest
import reference
import spoilt
from packs import Files, Story, good, hostile, policy, sums

PAGE = Path(__file__).resolve().parent.parent / "provenance" / "standalone" / "verify.html"
CHROMIUM = shutil.which("chromium")
FLAGS = "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update"

if CHROMIUM is None:
    pytest.skip(
        "chromium is not here: verify.html is tested in it (`apt-get install chromium`)", allow_module_level=True
    )
sync_api = pytest.importorskip(
    "playwright.sync_api", reason="the package playwright is not here: it drives the browser"
)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS.split(), "--disable-sync"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def verify() -> ModuleType:
    if shutil.which("openssl") is None:
        pytest.skip("the command openssl is not here: verify.py checks signatures with it")
    spec = importlib.util.spec_from_file_location("standalone_verify", PAGE.with_name("verify.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Reader:
    """Someone with the page open. Anything on the console, any error and any request but for the page is an offence."""

    def __init__(self, browser, **context) -> None:
        self.context = browser.new_context(offline=True, viewport={"width": 1200, "height": 900}, **context)
        self.page = self.context.new_page()
        self.offences: list[str] = []
        self.policy: Path | None = None
        self.page.on("console", lambda message: self.offences.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.offences.append(f"error: {error}"))
        self.page.on("request", lambda request: request.url == PAGE.as_uri() or self.offences.append(request.url))
        self.page.on("dialog", lambda dialog: self.offences.append(dialog.message) or dialog.dismiss())

    def open(self) -> None:
        self.page.goto(PAGE.as_uri())
        self.page.wait_for_selector("body[data-ready]")

    def check(self, folder: Path, line: str = "", policy: Path | None = None) -> None:
        self.page.set_input_files("#folder", folder)
        if policy or self.policy:
            self.page.set_input_files("#policy", policy or [])
        self.policy = policy
        self.page.evaluate(
            """line => { document.getElementById("lines").value = line;
                         document.body.removeAttribute("data-done");
                         document.getElementById("check").click(); }""",
            line,
        )
        self.done()

    def done(self) -> None:
        self.page.wait_for_selector("body[data-done]", timeout=60_000)

    @property
    def verdict(self) -> str:
        return self.page.text_content("#verdict")

    def said(self, where: str) -> list[str]:
        return self.page.eval_on_selector_all(f"{where} li", "all => all.map(one => one.textContent)")

    def faults(self) -> list[tuple[int, str]]:
        found = self.page.eval_on_selector_all(
            "#steps .fault", "all => all.map(one => [one.closest('li').dataset.step, one.textContent])"
        )
        return [(int(step), text) for step, text in found]

    def statuses(self) -> list[str]:
        return self.page.eval_on_selector_all("#steps > li", "all => all.map(one => one.dataset.status)")


@pytest.fixture(scope="module")
def opened(browser) -> Iterator[Reader]:
    reader = Reader(browser)
    reader.open()
    yield reader
    reader.context.close()


@pytest.fixture
def reader(opened) -> Iterator[Reader]:
    opened.offences.clear()
    yield opened
    assert opened.offences == []


@pytest.fixture
def fresh(browser) -> Iterator[Reader]:
    reader = Reader(browser)
    reader.open()
    yield reader
    assert reader.offences == []
    reader.context.close()


def write(files: Files, folder: Path) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def alike(sentences: list[str]) -> list[str]:
    """Without what each verifier says of itself."""
    own = ("This program. ", "This page. ", "SHA-256 and Ed25519, as computed by")
    return [sentence for sentence in sentences if not sentence.startswith(own)]


@pytest.mark.parametrize("name", packs.VARIANTS)
def test_it_says_of_a_good_pack_what_verify_py_says(reader, verify, tmp_path, name):
    story = packs.VARIANTS[name]()
    folder = write(story.files, tmp_path / "pack")
    for lines in [(), *([(story.lines["covering"],), (story.lines["before"],)] if story.published else [])]:
        reader.check(folder, "\n".join(lines))
        theirs = verify.Check(story.files, lines=verify.given_lines(lines))
        assert reader.faults() == [(step, f"{file}: {message}") for step, file, message in theirs.faults]
        assert reader.verdict == theirs.verdict
        assert reader.page.text_content("#meaning") == theirs.meaning
        assert reader.statuses() == list(theirs.status.values())
        assert theirs.verified == (lines != (story.lines["before"],))
        if not theirs.verified:
            continue
        assert reader.said("#proved") == theirs.proved()
        assert alike(reader.said("#relied")) == alike(theirs.relied())
        assert reader.said("#not-proved") == theirs.not_proved()
        assert theirs.proved_title in reader.page.text_content("#result")


def test_it_says_what_a_policy_from_elsewhere_vouches_for(reader, verify, tmp_path):
    (tmp_path / "policy").write_bytes(policy())
    reader.check(write(good().files, tmp_path / "pack"), policy=tmp_path / "policy")
    theirs = verify.Check(good().files, policy=verify.Policy(policy(), "policy"))
    assert reader.verdict == theirs.verdict == "VERIFIED under the policy that you gave"
    assert reader.said("#proved") == theirs.proved()


def test_a_line_newer_than_the_pack_is_neither_a_fault_nor_a_comparison(reader, verify, tmp_path):
    line = f"2026-W49 {packs.ORIGIN} 20 {packs.b64(packs.sha256(b'later'))}"
    reader.check(write(good().files, tmp_path / "pack"), line)
    theirs = verify.Check(good().files, lines=verify.given_lines([line]))
    assert reader.verdict == theirs.verdict == "NOT COMPARED: your line is newer than this pack"
    assert reader.page.text_content("#meaning") == theirs.meaning
    assert reader.statuses() == list(theirs.status.values())
    assert reader.said("#not-proved") == theirs.not_proved()
    assert "care" in reader.page.get_attribute(".verdict", "class")  # and not the colour of what is verified


def test_it_says_that_a_policy_still_names_an_old_key(reader, verify, tmp_path):
    given = policy(quorum="none")
    (tmp_path / "policy").write_bytes(given)
    story = Story(rotated=False, witnesses=False, published=False)
    reader.check(write(story.files, tmp_path / "pack"), policy=tmp_path / "policy")
    theirs = verify.Check(story.files, policy=verify.Policy(given, "policy"))
    assert any("an earlier key of the log" in sentence for sentence in reader.said("#relied"))
    assert alike(reader.said("#relied")) == alike(theirs.relied())


@pytest.mark.parametrize("one", spoilt.TABLE, ids=lambda one: one.name)
def test_each_spoilt_pack_is_refused_by_its_step_in_its_words(reader, tmp_path, one):
    if one.policy is not None:
        (tmp_path / "policy").write_bytes(one.policy)
    reader.check(
        write(one.make(), tmp_path / "pack"), one.line, tmp_path / "policy" if one.policy is not None else None
    )
    [verdict, step, status, text, more] = reader.page.evaluate(
        """() => { const fault = document.querySelector("#steps .fault"), step = fault && fault.closest("li").dataset;
            return [document.getElementById("verdict").textContent, step && step.step, step && step.status,
                fault && fault.textContent, document.querySelectorAll("#rows, #proved").length]; }"""
    )
    assert (verdict, step, status, more) == ("NOT VERIFIED", str(one.step), "failed", 0)
    assert one.words in text


def test_the_policy_of_the_page_lets_only_its_own_script_and_style_run():
    text = PAGE.read_text("utf-8")
    [said] = re.findall(r'http-equiv="Content-Security-Policy"\s+content="([^"]+)"', text)
    rules = dict(rule.strip().split(" ", 1) for rule in said.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    for kind, tag in (("script-src", "script"), ("style-src", "style")):
        [inside] = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.S)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert rules[kind] == f"'sha256-{digest}'", f"the {tag} was edited: put its new digest into the policy"
    assert set(rules) == {"default-src", "base-uri", "form-action", "script-src", "style-src"}
    # The rule's names occur nowhere else: what comes from a pack is put on the page as text.
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|\bon\w+=|https?://(?!www.w3"
                         r"|in-toto|slsa)|fetch\(|XMLHttp|WebSocket|sendBeacon|localStorage|cookie", text)  # fmt: skip


def test_hostile_text_is_text(fresh, tmp_path):
    story = Story(person=hostile("N-100"), texts=hostile)
    fresh.check(write(story.files, tmp_path / "pack"), story.lines["covering"])
    assert fresh.verdict.startswith("VERIFIED")
    assert fresh.page.get_attribute("body", "data-hit") is None
    assert fresh.page.eval_on_selector_all("#result :is(img, script, a, iframe, style)", "all => all.length") == 0
    shown = fresh.page.inner_text("#result")
    assert "<img src=x onerror=alert(1)>" in shown
    assert "\\u{202E}gnorw" in shown
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", shown)
    assert fresh.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_hostile_names_of_files_are_text(reader, tmp_path):
    folder = write(good().files, tmp_path / "pack")
    (folder / "<img src=x onerror=alert(1)>\u202e").write_bytes(b"")
    reader.check(folder)
    assert "<img src=x onerror=alert(1)>\\u{202E}: a file that is no part of a pack" in reader.faults()[0][1]


def test_a_policy_or_a_line_that_cannot_be_read_is_said_and_nothing_is_verified(reader, tmp_path):
    folder = write(good().files, tmp_path / "pack")
    reader.check(folder, "2026-W47 force.example/builds 8")
    assert "The published head cannot be read" in reader.page.text_content("#wrong")
    assert reader.page.query_selector("#verdict") is None
    (tmp_path / "policy").write_bytes(b"trust everyone\n")
    reader.check(folder, policy=tmp_path / "policy")
    assert "The policy file cannot be used" in reader.page.text_content("#wrong")
    assert reader.page.query_selector("#verdict") is None


def test_without_a_pack_it_asks_for_one(fresh):
    fresh.page.click("#check")
    fresh.done()
    assert fresh.page.text_content("#wrong") == "Choose the folder of the pack first."


def test_it_can_be_used_with_the_keyboard_alone(fresh, tmp_path):
    order = []
    for _ in range(6):
        fresh.page.keyboard.press("Tab")
        order.append(fresh.page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert order == ["folder", "lines", "policy", "letter", "check", "SUMMARY"]
    fresh.page.keyboard.press("Enter")
    assert fresh.page.is_visible("#proof")
    fresh.page.set_input_files("#folder", write(good().files, tmp_path / "pack"))
    fresh.page.focus("#check")
    fresh.page.keyboard.press("Enter")
    fresh.done()
    assert fresh.page.evaluate("document.activeElement.id") == "result"
    assert fresh.verdict.startswith("CONSISTENT")


@pytest.fixture
def on_disk() -> Iterator[Path]:
    """Chromium hands a page no folder beneath /dev, where the suite's others are."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_a_folder_can_be_dropped(fresh, on_disk):
    folder = write(good().files, on_disk / "pack")
    box = fresh.page.locator("#drop").bounding_box()
    session = fresh.context.new_cdp_session(fresh.page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {
            "type": kind, "x": box["x"] + box["width"] - 20, "y": box["y"] + 20,
            "data": {"items": [], "files": [str(folder)], "dragOperationsMask": 1},
        })  # fmt: skip
    fresh.page.wait_for_selector("#chosen:has-text('Chosen: pack')")
    fresh.page.click("#check")
    fresh.done()
    assert fresh.faults() == []
    assert fresh.verdict.startswith("CONSISTENT")


def test_the_state_of_a_step_is_said_in_words(reader, tmp_path):
    files = {**good().files, "rows.jsonl": b"{}\n"}
    reader.check(write(files | {"SHA256SUMS": sums(files)}, tmp_path / "pack"))
    marks = reader.page.eval_on_selector_all("#steps .mark", "all => all.map(one => one.textContent)")
    assert marks == [
        "PASSED",
        "PASSED",
        "NOTHING TO DO",
        "PASSED",
        "PASSED",
        "FAILED",
        "NOT DONE",
        "NOT DONE",
        "NOTHING TO DO",
    ]


def test_a_stamp_is_said_not_to_be_checked(reader, tmp_path):
    files = {**good().files, "stamps/tsa.tsr": b"anything", "stamps/tsa.pem": b"at all"}
    reader.check(write(files | {"SHA256SUMS": sums(files)}, tmp_path / "pack"))
    assert reader.statuses()[8] == "not checked"
    assert any("this page does not check the time-stamps" in sentence for sentence in reader.said("#not-proved"))


def test_the_rows_are_tables_and_more_of_them_are_drawn_on_request(reader, tmp_path):
    story = Story(more=600)
    reader.check(write(story.files, tmp_path / "pack"))
    drawn = "#rows table:has(caption:text('Theme SOC')) tr.link"
    assert reader.page.locator(drawn).count() == 500
    assert "500 of 608 links are drawn here; all were checked." in reader.page.text_content("#rows")
    reader.page.click("text=Show all 608")
    assert reader.page.locator(drawn).count() == 608
    text = reader.page.inner_text("#rows")
    assert "Theme SOC: all 608 links of N-100" in text
    assert "Theme CL: 1 link; that there are no others is not proved" in text
    for words in (
        "CONNECT R-00",
        "suspect, offender",
        "1AC (3x5x2)",
        "C: not to be copied",
        "clear period ended",
        "Restricted",
    ):
        assert words in text


def test_in_print_the_questions_are_gone_and_the_verdict_stays(reader, tmp_path):
    reader.check(write(good().files, tmp_path / "pack"))
    reader.page.emulate_media(media="print")
    try:
        assert not reader.page.is_visible("#form")
        assert not reader.page.is_visible("text=Print this page")
        assert reader.page.is_visible("#verdict")
        assert reader.page.is_visible("#rows")
    finally:
        reader.page.emulate_media(media="screen")


def test_a_browser_that_cannot_judge_is_not_used(browser):
    for lie in ("crypto.subtle.verify = async () => true", "crypto.subtle.verify = async () => false",
                "crypto.subtle.importKey = async () => { throw new Error() }",
                "crypto.subtle.digest = async () => new ArrayBuffer(32)"):  # fmt: skip
        reader = Reader(browser)
        reader.page.add_init_script(lie)
        reader.page.goto(PAGE.as_uri())
        reader.page.wait_for_selector("body[data-done=unable]")
        assert "This browser" in reader.page.text_content("#unable")
        assert reader.page.is_disabled("#check")
        reader.context.close()


def test_one_proof_can_be_checked_alone(reader, shared, tmp_path):
    sample = shared / "vectors" / "sample-log"

    def check(proof: Path, entry: Path, given: str) -> str:
        reader.page.evaluate("document.getElementById('single').open = true")
        reader.page.set_input_files("#proof", proof)
        reader.page.set_input_files("#entry", entry)
        reader.page.set_input_files("#policy", sample / given)
        reader.policy = sample / given
        reader.page.fill("#lines", "")
        reader.page.evaluate("document.body.removeAttribute('data-done')")
        reader.page.click("#check-proof")
        reader.done()
        return reader.page.text_content(".verdict")

    for proof in sorted(sample.glob("*.tlog-proof")):
        index, _, size = proof.stem.partition("-of-")
        said = check(proof, sample / f"entry.{index}", "policy" if size == "7" else "policy-log-only")
        assert said.startswith(f"VERIFIEDThe entry is number {index} of the ")
    (tmp_path / "proof").write_bytes(proof.read_bytes().replace(b"index 6", b"index 5"))
    assert check(tmp_path / "proof", sample / "entry.6", "policy").startswith("NOT VERIFIED")
    assert check(proof, sample / "entry.5", "policy").startswith("NOT VERIFIED")
    assert "witnesses that have not cosigned" in check(proof, sample / "entry.6", "policy-both")


# ---- the parts, in the page's own words: its functions, taken from its script, on what they are given at once ----

PARTS = re.search(r"<script>.*?\(\(\) => \{\n(.*?)// --- The page\. ", PAGE.read_text("utf-8"), re.S)


def parts(reader: Reader, work: str, given: object) -> list:
    """What `work`, the body of an async function, makes of `given` with the functions of the page within its reach."""
    return reader.page.evaluate(f"async given => {{ {PARTS[1]}\n{{ {work} }} }}", given)


def hexes(digests: list[bytes]) -> list[str]:
    return [digest.hex() for digest in digests]


def test_the_published_paths_give_the_page_their_verdicts(reader, shared):
    """Each probe of both files whose numbers the page's readers let through; digests of a wrong length they refuse."""

    def read(name: str) -> list[dict]:
        lines = (shared / "vectors" / "merkle" / name).read_text().splitlines()
        return [json.loads(line) for line in lines]

    inclusion = read("inclusion.jsonl")
    given = [
        {
            "leaf": p["leafHash"],
            "root": p["root"],
            "index": p["leafIdx"],
            "size": p["treeSize"],
            "path": p["proof"] or [],
        }
        for p in inclusion
    ]
    made = parts(
        reader,
        """const all = [];
        for (const one of given) {
          try {
            const [leaf, root] = [one.leaf, one.root].map(text => fromBase64Digest(text, "", ""));
            all.push(await rootByPath(leaf, one.index, one.size, digests(one.path, "", "")) === root);
          } catch (fault) { if (!(fault instanceof Fault)) throw fault; all.push(false); }
        }
        return all;""",
        given,
    )
    assert [(p["name"], good) for p, good in zip(inclusion, made, strict=True)] == [
        (p["name"], not p["wantErr"]) for p in inclusion
    ]
    consistency = [p for p in read("consistency.jsonl") if 0 < p["size1"] < p["size2"]]  # what the steps ask it about
    made = parts(
        reader,
        """const all = [];
        for (const one of given) {
          try {
            const right = [one.root1, one.root2].map(text => fromBase64Digest(text, "", ""));
            const found = await rootsByConsistency(one.size1, one.size2, right[0], digests(one.proof || [], "", ""));
            all.push(found !== null && found[0] === right[0] && found[1] === right[1]);
          } catch (fault) { if (!(fault instanceof Fault)) throw fault; all.push(false); }
        }
        return all;""",
        consistency,
    )
    assert [(p["name"], good) for p, good in zip(consistency, made, strict=True)] == [
        (p["name"], not p["wantErr"]) for p in consistency
    ]
    assert (len(inclusion), len(consistency)) == (46, 38)


def test_certificate_transparency_s_own_tree_in_the_page(reader, shared):
    given = json.loads((shared / "vectors" / "merkle" / "ct-reference.json").read_text())
    assert parts(reader, CT, given) == []


CT = """
  const wrong = [], leaves = [], roots = given.roots_hex_by_size.map(fromHex);
  for (const entry of given.entries_hex) leaves.push(await leafOf(fromHex(entry)));
  for (let size = 0; size <= leaves.length; size++) {
    if (await treeRoot(leaves.slice(0, size)) !== roots[size]) wrong.push("root " + size);
  }
  for (const one of given.inclusion) {
    const made = await rootByPath(leaves[one.index], one.index, one.size, one.proof_hex.map(fromHex));
    if (made !== roots[one.size]) wrong.push(one);
  }
  for (const one of given.consistency) {
    if (one.size1 === 0 || one.size1 === one.size2) continue; // what the steps never ask
    const made = await rootsByConsistency(one.size1, one.size2, roots[one.size1], one.proof_hex.map(fromHex));
    if (made === null || made[0] !== roots[one.size1] || made[1] !== roots[one.size2]) wrong.push(one);
  }
  return wrong;
"""


LEAVES = [b"%d" % index for index in range(64)]
FLIPS = """
  const flip = (digest, bit) => {
    const place = bit >> 3, letter = String.fromCharCode(digest.charCodeAt(place) ^ 1 << bit % 8);
    return digest.slice(0, place) + letter + digest.slice(place + 1);
  };
  const flipped = (path, bits) => path.flatMap((digest, at) => bits.map(bit => path.with(at, flip(digest, bit))));
  const every = Array.from({length: 256}, (_, bit) => bit);
  let count = 0, wrong = [];
"""


def test_in_the_page_no_bit_of_a_path_can_be_flipped(reader):
    """Every bit of every path of every tree up to 16 leaves, and 8 of each digest up to 64 leaves."""
    ways = [
        {
            "leaf": packs.leaf_hash(LEAVES[index]).hex(),
            "index": index,
            "size": size,
            "root": reference.tree_hash(LEAVES[:size]).hex(),
            "path": hexes(reference.audit_path(index, LEAVES[:size])),
        }
        for size in range(1, 65)
        for index in range(size)
    ]
    work = """
      for (const {leaf, index, size, root, path} of given) {
        const some = every.filter(bit => bit % 32 === (index + size) % 32);
        const right = path.map(fromHex), bits = size <= 16 ? every : some;
        const paths = [right, ...flipped(right, bits)];
        const made = await rootsByPaths(paths.map(path => ({leaf: fromHex(leaf), index, size, path})));
        if (made.shift() !== fromHex(root) || made.some(one => one === fromHex(root))) wrong.push([index, size]);
        count += made.length;
      }
      return [count, wrong];"""
    digests = {small: sum(len(way["path"]) for way in ways if (way["size"] <= 16) == small) for small in (True, False)}
    assert parts(reader, FLIPS + work, ways) == [256 * digests[True] + 8 * digests[False], []]


def test_in_the_page_no_bit_of_a_way_between_heads_can_be_flipped(reader):
    """Every bit of every way between heads up to 12 leaves, and one of each digest up to 64 leaves."""
    roots = [reference.tree_hash(LEAVES[:size]).hex() for size in range(65)]
    ways = [
        {"old": old, "now": now, "path": hexes(reference.consistency_proof(old, LEAVES[:now]))}
        for now in range(2, 65)
        for old in range(1, now)
    ]
    work = """
      const roots = given.roots.map(fromHex);
      for (const {old, now, path} of given.ways) {
        const right = path.map(fromHex), bits = now <= 12 ? every : [(old * now) % 256];
        const made = await Promise.all([right, ...flipped(right, bits)].map(
          path => rootsByConsistency(old, now, roots[old], path)));
        const good = made.map(found => found !== null && found[0] === roots[old] && found[1] === roots[now]);
        if (!good.shift() || good.some(one => one)) wrong.push([old, now]);
        count += good.length;
      }
      return [count, wrong];"""
    wanted = sum((256 if way["now"] <= 12 else 1) * len(way["path"]) for way in ways)
    assert parts(reader, FLIPS + work, {"roots": roots, "ways": ways}) == [wanted, []]

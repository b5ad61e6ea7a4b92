"""Signing on and staying so: by a password or through a proxy; and whoever is not who they say, too late, or elsewhere.

A small application of three pages stands for the one that is to come. Its clock is the story's.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from provenance import access, canonical, moments
from provenance.access import Grant
from provenance.errors import Malformed, Refused
from provenance.web import passwords, settings
from provenance.web.sessions import NOBODY_MINUTES, Session, Sessions, TooMany
from provenance.web.settings import AttemptLimits, SessionLimits, Settings
from provenance.web.signon import Desk, NotSignedOn, Visits, local_path, sign_on_path, signed_on

ANA, OLA = "ana@force.example", "ola@force.example"
RIGHT = "correct horse battery"
START = 1_769_940_000  # 2026-02-01T10:00:00Z
LOCAL = Settings.model_validate({"origin": "http://localhost:8000", "sign_on": {"by": "local"}})
PROXY = Settings.model_validate_json(
    b'{"origin":"https://net.force.example","sign_on":{"by":"proxy","header":"X-Remote-User",'
    b'"addresses":["10.1.2.3","fd00::/64"]}}'
)


def granted(user: str, role: str = "analyst") -> Grant:
    return Grant(user, role, access.DEPARTMENT, "", "2026-01-01", "", "2026-01-01T09:00:00Z", "k", "memo")


class House:
    """An installation, its clock, and what its log says of who may look."""

    def __init__(self, keys: Path, said: Settings) -> None:
        self.at = START
        self.grants = [granted(ANA), granted(OLA, "auditor")]
        self.desk = Desk(said, keys, grants=lambda: self.grants, clock=self.clock)
        routes = [
            Route("/who", self.who),
            Route("/token", self.token),
            Route("/sign-on", self.sign_on, methods=["POST"]),
            Route("/form", self.form, methods=["POST"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
        ]
        answers = {NotSignedOn: self._refused(401), TooMany: self._refused(429), Refused: self._refused(403)}
        self.app = Starlette(routes=routes, middleware=[Middleware(Visits, desk=self.desk)], exception_handlers=answers)

    def clock(self) -> str:
        from datetime import UTC, datetime

        return moments.utc(datetime.fromtimestamp(self.at, UTC))

    @staticmethod
    def _refused(status: int):
        return lambda request, error: PlainTextResponse(str(error), status)

    def browser(self, address: str = "192.0.2.7") -> TestClient:
        origin = self.desk.settings.origin
        return TestClient(self.app, base_url=origin, client=(address, 40_000), headers={"origin": origin})

    def who(self, request: Request) -> Response:
        person = signed_on(request)
        person.insist(access.AGGREGATES)
        return JSONResponse({"name": person.name, "may": sorted(person.may), "token": person.session.token})

    def token(self, request: Request) -> Response:
        return PlainTextResponse(self.desk.token(request))

    async def sign_on(self, request: Request) -> Response:
        said = canonical.loads(await request.body())
        person = await self.desk.with_password(request, said["user"], said["password"], token=said["token"])
        return PlainTextResponse(person.name)

    async def form(self, request: Request) -> Response:
        self.desk.check_form(request, (await request.body()).decode())
        return PlainTextResponse(signed_on(request).name)

    async def sign_out(self, request: Request) -> Response:
        self.desk.sign_out(request, token=(await request.body()).decode())
        return PlainTextResponse("bye")


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(passwords, "COST", passwords.Cost(2, 8, 1))
    for user in (ANA, OLA, "left@force.example"):
        passwords.set_password(tmp_path, user, RIGHT)
    return tmp_path


@pytest.fixture
def house(keys: Path) -> Iterator[House]:
    made = House(keys, LOCAL)
    yield made
    made.desk.sessions.close()


@pytest.fixture
def fronted(tmp_path: Path) -> Iterator[House]:
    """An installation behind a proxy."""
    made = House(tmp_path, PROXY)
    yield made
    made.desk.sessions.close()


def sign_on(browser: TestClient, user: str = ANA, password: str = RIGHT):
    token = browser.get("/token").text
    return browser.post("/sign-on", content=canonical.dumps({"user": user, "password": password, "token": token}))


# ---- by a password ---------------------------------------------------------------------------------------------------


def test_somebody_signs_on_looks_and_signs_out(house):
    browser = house.browser()
    assert browser.get("/who").status_code == 401
    assert sign_on(browser).text == ANA
    seen = browser.get("/who").json()
    assert (seen["name"], seen["may"]) == (ANA, sorted(access.ROLES["analyst"].may))
    cookie = browser.cookies["provenance"]
    assert browser.post("/sign-out", content=seen["token"]).text == "bye"
    assert "provenance" not in browser.cookies
    assert browser.get("/who", headers={"cookie": f"provenance={cookie}"}).status_code == 401


@pytest.mark.parametrize(
    ("user", "password"),
    [(ANA, RIGHT + "x"), (ANA, ""), ("nobody@force.example", RIGHT), ("аna@force.example", RIGHT),
     ("ANA@force.example", RIGHT), (ANA + " ", RIGHT), (ANA, RIGHT * 20)],
)  # fmt: skip
def test_who_is_wrong_about_either_is_told_the_same(house, user, password):
    browser = house.browser()
    done = sign_on(browser, user, password)
    assert (done.status_code, done.text) == (401, "user name or password is not right: wanted both")
    assert browser.get("/who").status_code == 401


def test_who_has_a_password_and_no_grant_is_signed_on_to_nothing(house):
    done = sign_on(house.browser(), "left@force.example")
    assert done.status_code == 403
    assert "nothing was ever granted to this name" in done.text


def test_for_an_unknown_name_the_same_work_is_done(keys, monkeypatch):
    done = []
    scrypt = hashlib.scrypt
    monkeypatch.setattr(
        hashlib, "scrypt", lambda data, **cost: done.append({**cost, "salt": 0}) or scrypt(data, **cost)
    )
    monkeypatch.setattr(passwords, "COST", passwords.Cost(4, 8, 1))  # raised since these passwords were set
    assert passwords.is_right(keys, ANA, RIGHT)
    assert not passwords.is_right(keys, "nobody", RIGHT)
    assert not passwords.is_right(keys, ANA, "wrong")
    assert len(done) == 3
    assert done[0] == done[1] == done[2]


def test_the_real_cost_is_what_it_says_and_accents_may_come_in_two_forms(tmp_path):
    assert 128 * passwords.COST.n * passwords.COST.r == 64 * 2**20
    passwords.set_password(tmp_path, ANA, "caf\u00e9 au lait \u2126")
    assert passwords.is_right(tmp_path, ANA, "cafe\u0301 au lait \u03a9")


@pytest.mark.parametrize("content", [b"[]", b'{"a":{}}', b'{"a":{"hash":"00","n":2,"p":1,"r":8,"salt":"00"}}', b"\xff"])
def test_a_password_file_in_another_form_lets_nobody_in(keys, content):
    (keys / "passwords").write_bytes(content)
    (keys / "passwords").chmod(0o600)
    with pytest.raises(Malformed, match="key file passwords is not as it was written"):
        passwords.is_right(keys, ANA, RIGHT)


def test_a_password_file_that_others_may_read_is_refused(keys):
    (keys / "passwords").chmod(0o640)
    with pytest.raises(Refused, match="mode 0640, wanted 0600"):
        passwords.is_right(keys, ANA, RIGHT)


# ---- the session -----------------------------------------------------------------------------------------------------


def test_a_session_ends_when_it_was_idle_and_when_it_has_lasted_long_enough(house):
    browser = house.browser()
    sign_on(browser)
    house.at += 15 * 60 - 1
    assert browser.get("/who").status_code == 200
    house.at += 15 * 60
    assert browser.get("/who").status_code == 401
    sign_on(browser)
    begun = house.at
    while house.at < begun + 8 * 3600 - 600:
        house.at += 600
        answer = browser.get("/who").status_code
        assert answer == (200 if house.at < begun + 8 * 3600 else 401)
    house.at = begun + 8 * 3600
    assert browser.get("/who").status_code == 401
    house.at -= 600  # a clock that goes back brings nobody back
    assert browser.get("/who").status_code == 401


def test_a_session_that_was_set_before_signing_on_is_not_the_one_after(house):
    """Session fixation: somebody plants their own cookie in another's browser and waits."""
    attacker = house.browser()
    token = attacker.get("/token").text
    planted = attacker.cookies["provenance"]
    said = canonical.dumps({"user": ANA, "password": RIGHT, "token": token})
    answer = house.browser().post("/sign-on", content=said, headers={"cookie": f"provenance={planted}"})
    assert answer.status_code == 200
    given = answer.headers["set-cookie"].split(";")[0].removeprefix("provenance=")
    assert given != planted
    assert attacker.get("/who", headers={"cookie": f"provenance={planted}"}).status_code == 401
    assert house.desk.sessions.find(_raw(planted), at=house.at) is None
    assert house.browser().get("/who", headers={"cookie": f"provenance={given}"}).json()["name"] == ANA


def test_an_id_that_nobody_gave_out_is_nobodys(house):
    from provenance.web.signon import _text

    for value in (_text(os.urandom(32)), "x", "", "A" * 43 + "=", "A" * 44, "é"):
        header = f"provenance={value}".encode()
        assert house.browser().get("/who", headers={"cookie": header}).status_code == 401


def test_two_cookies_of_one_name_are_none(house):
    browser = house.browser()
    sign_on(browser)
    mine = browser.cookies["provenance"]
    other = house.browser()
    sign_on(other, OLA)
    both = f"provenance={mine}; provenance={other.cookies['provenance']}"
    assert house.browser().get("/who", headers={"cookie": both}).status_code == 401
    assert house.browser().get("/who", headers={"cookie": f"provenance={mine}"}).json()["name"] == ANA


def _raw(value: str) -> bytes:
    import base64

    return base64.urlsafe_b64decode(value + "=")


def test_the_store_has_no_id_and_no_password_and_is_readable_by_its_owner_alone(house, keys):
    browser = house.browser()
    sign_on(browser, password="a wrong but secret one")
    sign_on(browser)
    id = _raw(browser.cookies["provenance"])
    files = [path for path in keys.iterdir() if path.name.startswith("sessions.sqlite")]
    assert len(files) == 3  # with SQLite's own two
    content = b"".join(path.read_bytes() for path in files)
    assert hashlib.sha256(id).digest() in content
    for secret in (id, browser.cookies["provenance"].encode(), RIGHT.encode(), b"a wrong but", b"192.0.2.7"):
        assert secret not in content
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    found = house.desk.sessions.find(id, at=house.at)
    assert found is not None
    assert browser.cookies["provenance"] not in repr(found)
    assert repr(id) not in repr(found)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (LOCAL, "provenance={}; Path=/; HttpOnly; SameSite=Lax"),
        (PROXY, "__Host-provenance={}; Path=/; HttpOnly; SameSite=Lax; Secure"),
    ],
)
def test_the_cookie_is_for_this_site_alone(tmp_path, said, wanted):
    answer = House(tmp_path, said).browser().get("/token")
    assert re.fullmatch(wanted.format("[A-Za-z0-9_-]{43}"), answer.headers["set-cookie"])
    assert answer.headers["cache-control"] == "no-store"


def test_who_is_revoked_in_the_middle_of_a_session_is_refused_at_the_next_request(house):
    browser = house.browser()
    sign_on(browser)
    assert browser.get("/who").status_code == 200
    from dataclasses import replace

    house.grants[0] = replace(house.grants[0], revoked_on=house.clock(), revoked_by="k", revoked_under="memo")
    answer = browser.get("/who")
    assert answer.status_code == 403
    assert "the grant as analyst was revoked on 2026-02-01" in answer.text


def test_a_new_password_ends_the_sessions_of_that_person_and_of_nobody_else(house):
    ana, ola = house.browser(), house.browser()
    sign_on(ana)
    sign_on(ola, OLA)
    assert house.desk.sessions.end_all(ANA) == 1
    assert (ana.get("/who").status_code, ola.get("/who").status_code) == (401, 200)


def test_sessions_of_nobody_do_not_pile_up(house, keys):
    for _ in range(5):
        house.browser().get("/token")
    house.at += 60 * NOBODY_MINUTES
    house.browser().get("/token")
    with sqlite3.connect(keys / "sessions.sqlite") as store:
        assert store.execute("SELECT count(*) FROM session").fetchone() == (1,)


# ---- forms -----------------------------------------------------------------------------------------------------------


def test_a_form_needs_the_token_of_its_own_session(house):
    ana, ola = house.browser(), house.browser()
    sign_on(ana)
    sign_on(ola, OLA)
    mine, other = ana.get("/who").json()["token"], ola.get("/who").json()["token"]
    assert mine != other
    assert ana.post("/form", content=mine).text == ANA
    for token in (other, "", mine[:-1], mine.upper(), "é"):
        answer = ana.post("/form", content=token.encode())
        assert (answer.status_code, "does not carry the token of this session" in answer.text) == (403, True)


def test_the_token_from_before_signing_on_is_worth_nothing_after_it(house):
    browser = house.browser()
    before = browser.get("/token").text
    sign_on(browser)
    assert browser.post("/form", content=before).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"origin": "http://localhost:8000.evil.example"},
     {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}],
)  # fmt: skip
def test_a_form_from_another_site_is_refused_even_with_the_token(house, headers):
    browser = house.browser()
    sign_on(browser)
    token = browser.get("/who").json()["token"]
    answer = browser.post("/form", content=token, headers=headers)
    assert (answer.status_code, "another site" in answer.text) == (403, True)


def test_nobody_is_signed_on_as_somebody_else_by_a_form_without_a_token(house):
    """Login CSRF: the victim is to work, unaware, in the attacker's session."""
    said = canonical.dumps({"user": OLA, "password": RIGHT, "token": ""})
    assert house.browser().post("/sign-on", content=said).status_code == 403


# ---- how often -------------------------------------------------------------------------------------------------------


def test_guessing_is_stopped_by_name_from_wherever_it_comes_and_the_pause_ends(house):
    for n in range(5):
        assert sign_on(house.browser(f"192.0.2.{n}"), password=f"guess {n} guess").status_code == 401
    answer = sign_on(house.browser("192.0.2.99"))
    assert answer.status_code == 429
    assert "tried 5 times in 15 minutes for this user" in answer.text
    assert ANA not in answer.text
    assert sign_on(house.browser("192.0.2.99"), OLA).status_code == 200
    house.at += 15 * 60
    assert sign_on(house.browser("192.0.2.99")).status_code == 200


def test_guessing_is_stopped_by_address_under_whatever_names(house):
    for n in range(30):
        assert sign_on(house.browser(), f"user-{n}").status_code == 401
    answer = sign_on(house.browser())
    assert (answer.status_code, "30 times in 15 minutes for this address" in answer.text) == (429, True)
    assert sign_on(house.browser("192.0.2.8")).status_code == 200


def test_an_office_behind_one_address_signs_on_in_the_morning(house):
    assert [sign_on(house.browser()).status_code for _ in range(40)] == [200] * 40


def test_guesses_at_the_same_moment_do_not_slip_through_together(keys):
    sessions = Sessions(keys, SessionLimits(), AttemptLimits(per_user=5))

    def guess(_: int) -> bool:
        try:
            sessions.attempt(ANA, "192.0.2.7", at=START)
        except TooMany:
            return False
        return True

    with ThreadPoolExecutor(16) as crowd:
        assert sum(crowd.map(guess, range(32))) == 5
    with pytest.raises(TooMany) as refused:
        sessions.attempt(ANA, "192.0.2.7", at=START + 60)
    assert refused.value.after == 14 * 60
    sessions.close()


def test_a_session_that_asks_too_often_waits_for_the_next_minute(house):
    browser = house.browser()
    sign_on(browser)
    asked = [browser.get("/who").status_code for _ in range(301)]
    assert asked == [200] * 300 + [429]
    house.at += 60
    assert browser.get("/who").status_code == 200


# ---- through a proxy -------------------------------------------------------------------------------------------------


def asked(house: House, address: str, *names: str):
    headers = [("x-remote-user", name.encode()) for name in names]
    return house.browser(address).get("/who", headers=headers)


@pytest.mark.parametrize("address", ["10.1.2.3", "fd00::17"])
def test_the_proxy_says_who_is_asking(fronted, address):
    assert asked(fronted, address, ANA).json()["name"] == ANA


@pytest.mark.parametrize("address", ["10.1.2.4", "192.0.2.7", "::1", "127.0.0.1", "testclient", ""])
def test_a_name_from_anywhere_else_is_refused(fronted, address):
    answer = asked(fronted, address, ANA)
    assert (answer.status_code, "does not come from the proxy" in answer.text) == (403, True)


def test_from_elsewhere_not_even_a_session_that_the_proxy_began_is_taken(fronted):
    inside = fronted.browser("10.1.2.3")
    inside.get("/who", headers={"x-remote-user": ANA})
    stolen = f"__Host-provenance={inside.cookies['__Host-provenance']}"
    outside = fronted.browser("192.0.2.7")
    assert outside.get("/who", headers={"cookie": stolen}).status_code == 403
    assert outside.get("/who", headers={"cookie": stolen, "x-forwarded-for": "10.1.2.3"}).status_code == 403


def test_a_proxy_that_says_two_names_or_none_or_a_look_alike_is_not_believed(fronted):
    assert asked(fronted, "10.1.2.3").status_code == 401
    assert asked(fronted, "10.1.2.3", ANA, OLA).status_code == 403
    assert asked(fronted, "10.1.2.3", ANA, ANA).status_code == 403
    assert asked(fronted, "10.1.2.3", "").status_code == 403
    assert asked(fronted, "10.1.2.3", "аna@force.example").status_code == 403
    assert asked(fronted, "10.1.2.3", "ANA@force.example").status_code == 403
    assert fronted.browser("10.1.2.3").get("/who", headers=[(b"x-remote-user", b"\xff")]).status_code == 403


def test_when_the_proxy_says_another_name_the_session_is_another(fronted):
    browser = fronted.browser("10.1.2.3")
    first = browser.get("/who", headers={"x-remote-user": ANA}).json()["token"]
    assert browser.get("/who", headers={"x-remote-user": ANA}).json()["token"] == first
    second = browser.get("/who", headers={"x-remote-user": OLA}).json()
    assert second["name"] == OLA
    assert second["token"] != first
    assert browser.post("/form", content=first, headers={"x-remote-user": ANA}).status_code == 403


def test_a_header_is_not_read_where_no_proxy_is_said(house):
    assert asked(house, "10.1.2.3", ANA).status_code == 401
    assert asked(house, "127.0.0.1", ANA).status_code == 401


def test_no_password_is_taken_where_a_proxy_signs_people_on(fronted):
    answer = sign_on(fronted.browser("10.1.2.3"))
    assert (answer.status_code, answer.text) == (403, "nobody signs on by a password here: wanted by proxy")


# ---- settings --------------------------------------------------------------------------------------------------------


def test_without_settings_passwords_on_this_machine(tmp_path):
    said = settings.read(tmp_path / "web.yaml", port=8123)
    assert (said.origin, said.sign_on.by, said.is_secure) == ("http://localhost:8123", "local", False)
    assert (said.sessions.idle_minutes, said.sessions.lifetime_minutes) == (15, 480)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("origin: http://net.force.example\nsign_on: {by: local}", "web.yaml: origin: wanted an address that begins"),
        ("origin: https://net.force.example/pages\nsign_on: {by: local}", "origin: wanted scheme, host and port alone"),
        ("origin: https://net.force.example", "web.yaml: sign_on: wanted this key"),
        ("origin: https://net.force.example\nsign_on: {by: local, password: x}", "sign_on.local.password: wanted no"),
        ("origin: https://n.example\nsign_on: {by: proxy, header: X-U, addresses: []}", "sign_on.proxy.addresses"),
        ("origin: https://n.example\nsign_on: {by: proxy, header: X-U, addresses: [10.0.0.1/8]}", "has host bits set"),
        ("origin: https://n.example\nsign_on: {by: proxy, header: 'X U', addresses: [10.0.0.1]}", "sign_on.proxy.head"),
        ("origin: https://n.example\nsign_on: {by: oidc, issuer: 'http://id.example', client_id: x}", "https://"),
        ("origin: https://n.example\nsign_on: {by: oidc, issuer: 'https://i.example', client_id: x, scopes: [email]}",
         "sign_on.oidc: wanted scopes with openid"),
        ("origin: https://n.example\nsign_on: {by: local}\nsessions: {idle_minutes: 0}", "sessions.idle_minutes"),
        ("origin: [", "settings file is not plain YAML: web.yaml"),
    ],
)  # fmt: skip
def test_settings_that_are_wrong_name_the_key(tmp_path, text, wanted):
    (tmp_path / "web.yaml").write_text(text)
    with pytest.raises(Malformed) as error:
        settings.read(tmp_path / "web.yaml")
    assert wanted in str(error.value)


def test_what_stands_in_the_wrong_place_is_not_shown(tmp_path):
    (tmp_path / "web.yaml").write_text("origin: https://n.example\nsign_on: {by: oidc, client_secret: hunter2hunter2}")
    with pytest.raises(Malformed) as error:
        settings.read(tmp_path / "web.yaml")
    assert "sign_on.oidc.client_secret: wanted no such key" in str(error.value)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "path", ["//evil.example", "/\\evil.example", "https://evil.example", "a", "", "/a\r\nb", "/a\\b"]
)
def test_nobody_is_sent_on_to_another_site(path):
    assert local_path(path) == "/"
    assert sign_on_path(path) == "/sign-on?after=%2F"


def test_whoever_wanted_a_page_comes_back_to_it():
    assert local_path("/networks/SOC-1?as_of=2026-03-14") == "/networks/SOC-1?as_of=2026-03-14"
    assert sign_on_path("/a?b=c&d") == "/sign-on?after=%2Fa%3Fb%3Dc%26d"


def test_the_token_of_a_session_follows_from_its_id_alone():
    one, two = (Session(bytes([n]) * 32, ANA, START, {}) for n in (1, 2))
    assert one.token == Session(one.id, OLA, START + 9, {"a": "b"}).token
    assert not two.is_token(one.token)
    assert not one.is_token("\ud800")


def test_what_a_sign_on_remembers_is_taken_once(house):
    sessions = house.desk.sessions
    begun = sessions.begin("", at=START, pending={"state": "x"})
    assert [sessions.settle(begun), sessions.settle(begun)] == [True, False]


def test_of_a_password_nothing_is_cut_off(keys):
    passwords.set_password(keys, ANA, "x" * passwords.LONGEST)
    assert passwords.is_right(keys, ANA, "x" * passwords.LONGEST)
    assert not passwords.is_right(keys, ANA, "x" * (passwords.LONGEST + 1))

"""Signing on by the force's provider; and a provider, a browser or a token that is not what it should be.

The provider is a real one as far as the code flow goes: discovery, keys, codes that work once, PKCE, client
authentication. Each hostile case changes one thing in it, or in what the browser brings back.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from joserfc import jwk, jwt
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from provenance import access, moments
from provenance.access import Grant
from provenance.errors import Conflict, Missing, Refused
from provenance.web.sessions import TooMany
from provenance.web.settings import Settings
from provenance.web.signon import CALLBACK, Desk, NotSignedOn, Visits, signed_on

ANA, START = "ana@force.example", 1_769_940_000
ISSUER, CLIENT, SECRET = "https://id.force.example/tenant", "dashboard", "a client's secret"
SIGNING = jwk.generate_key("RSA", 2048, {"kid": "one", "use": "sig"}, private=True)
FOREIGN = jwk.generate_key("RSA", 2048, {"kid": "one", "use": "sig"}, private=True)


def signed(claims: dict[str, Any], key: jwk.RSAKey = SIGNING) -> str:
    return jwt.encode({"alg": "RS256", "kid": "one"}, claims, key)


def keyed(claims: dict[str, Any], algorithm: str, secret: bytes) -> str:
    """A token that whoever knows `secret` can make; by hand, since no library would make some of these."""
    parts = [json.dumps({"alg": algorithm, "kid": "one"}).encode(), json.dumps(claims).encode()]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    mac = hmac.digest(secret, text, "sha256") if secret else b""
    return (text + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


class Provider:
    """Says who somebody is, to whoever comes with a code."""

    def __init__(self) -> None:
        self.at = START
        self.codes: dict[str, dict[str, str]] = {}
        self.description: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
        }
        self.claims: dict[str, Any] = {}  # in the place of what it would say
        self.without: tuple[str, ...] = ()
        self.sign: Callable[[dict[str, Any]], str | None] = signed
        self.refused: list[str] = []
        base = urlsplit(ISSUER).path
        self.app = Starlette(
            routes=[
                Route(f"{base}/.well-known/openid-configuration", lambda r: JSONResponse(self.description)),
                Route(f"{base}/keys", lambda r: JSONResponse({"keys": [SIGNING.as_dict(private=False)]})),
                Route(f"{base}/token", self.token, methods=["POST"]),
            ]
        )

    def authorize(self, url: str, who: str = ANA) -> dict[str, str]:
        """What the browser is sent back with, once somebody has signed on here."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert url.startswith(f"{ISSUER}/authorize?")
        assert (asked["response_type"], asked["client_id"], asked["scope"]) == ("code", CLIENT, "openid")
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked | {"who": who}
        return {"code": code, "state": asked["state"], "iss": ISSUER}

    async def token(self, request: Request) -> Response:
        said = dict(parse_qsl((await request.body()).decode()))
        asked = self.codes.pop(said.get("code", ""), None)  # each works once
        verifier = hashlib.sha256(said.get("code_verifier", "").encode()).digest()
        authorization = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if (
            asked is None
            or said.get("grant_type") != "authorization_code"
            or said.get("redirect_uri") != asked["redirect_uri"]
            or base64.urlsafe_b64encode(verifier).rstrip(b"=").decode() != asked["code_challenge"]
            or request.headers.get("authorization") != authorization
        ):
            self.refused.append(said.get("code", ""))
            return JSONResponse({"error": "invalid_grant"}, 400)
        claims = {
            "iss": ISSUER, "sub": asked["who"], "aud": CLIENT, "exp": self.at + 300, "iat": self.at,
            "nonce": asked["nonce"],
        } | self.claims  # fmt: skip
        for name in self.without:
            del claims[name]
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "id_token": self.sign(claims)})


class House:
    """An installation that asks this provider."""

    def __init__(self, keys: Path, provider: Provider, **said: Any) -> None:
        (keys / "oidc.secret").write_text(SECRET + "\n")
        (keys / "oidc.secret").chmod(0o600)
        self.at, self.provider = START, provider
        self.grants = [Grant(ANA, "analyst", access.DEPARTMENT, "", "2026-01-01", "", "2026-01-01T09:00:00Z", "k", "m")]
        sign_on = {"by": "oidc", "issuer": ISSUER, "client_id": CLIENT, **said}
        settings = Settings.model_validate({"origin": "https://net.force.example", "sign_on": sign_on})
        self.desk = Desk(
            settings, keys, grants=lambda: self.grants,
            clock=lambda: moments.utc(datetime.fromtimestamp(self.at, UTC)),
            transport=httpx2.ASGITransport(app=provider.app),
        )  # fmt: skip
        kinds = {NotSignedOn: 401, TooMany: 429, Refused: 403, Conflict: 502, Missing: 500}
        self.app = Starlette(
            routes=[
                Route("/sign-on", self.out),
                Route(CALLBACK, self.back),
                Route("/who", lambda request: PlainTextResponse(signed_on(request).name)),
            ],
            middleware=[Middleware(Visits, desk=self.desk)],
            exception_handlers={kind: self._answering(status) for kind, status in kinds.items()},
        )

    @staticmethod
    def _answering(status: int):
        return lambda request, error: PlainTextResponse(str(error), status)

    async def out(self, request: Request) -> Response:
        return await self.desk.to_provider(request, after=request.query_params.get("after", "/"))

    async def back(self, request: Request) -> Response:
        person, after = await self.desk.from_provider(request)
        return PlainTextResponse(f"{person.name} {after}")

    def browser(self) -> TestClient:
        return TestClient(self.app, base_url="https://net.force.example", follow_redirects=False)


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def house(tmp_path: Path, provider: Provider) -> Iterator[House]:
    made = House(tmp_path, provider)
    yield made
    made.desk.sessions.close()


def begun(browser: TestClient, provider: Provider, after: str = "/", who: str = ANA) -> dict[str, str]:
    """Off to the provider, and what it sends back with."""
    answer = browser.get("/sign-on", params={"after": after})
    assert answer.status_code == 303, answer.text
    return provider.authorize(answer.headers["location"], who)


def returned(browser: TestClient, said: dict[str, str]):
    return browser.get(f"{CALLBACK}?{urlencode(said)}")


def test_somebody_signs_on_and_comes_to_the_page_they_wanted(house, provider):
    browser = house.browser()
    assert browser.get("/who").status_code == 401
    said = begun(browser, provider, after="/networks?as_of=2026-01-20")
    before = browser.cookies["__Host-provenance"]
    answer = returned(browser, said)
    assert answer.text == f"{ANA} /networks?as_of=2026-01-20"
    assert browser.cookies["__Host-provenance"] != before
    assert browser.get("/who").text == ANA
    assert provider.refused == []


def test_each_sign_on_has_a_state_a_nonce_and_a_challenge_of_its_own(house, provider):
    asked = []
    for _ in range(3):
        begun(house.browser(), provider)
        asked += [provider.codes.popitem()[1]]
    for name in ("state", "nonce", "code_challenge"):
        assert len({each[name] for each in asked}) == 3
        assert {len(each[name]) for each in asked} == {43}
    assert {each["redirect_uri"] for each in asked} == {"https://net.force.example/sign-on/back"}


def test_an_answer_that_belongs_to_another_browser_is_refused(house, provider):
    """Login CSRF: the attacker's answer, in the victim's browser."""
    attacker, victim = house.browser(), house.browser()
    said = begun(attacker, provider)
    assert "no sign-on is under way" in returned(victim, said).text
    begun(victim, provider)
    answer = returned(victim, said)
    assert (answer.status_code, "state differs" in answer.text) == (401, True)
    assert victim.get("/who").status_code == 401


@pytest.mark.parametrize("state", ["", "x", "é"])
def test_a_state_that_nobody_gave_out_is_refused_and_the_way_back_used_up(house, provider, state):
    browser = house.browser()
    said = begun(browser, provider)
    assert "state differs" in returned(browser, said | {"state": state}).text
    assert "no sign-on is under way" in returned(browser, said).text


def test_an_answer_counts_once(house, provider):
    browser = house.browser()
    said = begun(browser, provider)
    begun_with = browser.cookies["__Host-provenance"]
    assert returned(browser, said).status_code == 200
    assert "no sign-on is under way" in returned(browser, said).text
    replayed = house.browser()
    replayed.headers["cookie"] = f"__Host-provenance={begun_with}"
    assert returned(replayed, said).status_code == 401


def test_a_code_is_worth_nothing_without_the_verifier_of_its_browser(house, provider):
    """Code injection: a stolen code under the thief's own state; PKCE has the provider refuse it."""
    victim, thief = house.browser(), house.browser()
    stolen = begun(victim, provider)["code"]
    mine = begun(thief, provider, who="thief@force.example")
    answer = returned(thief, mine | {"code": stolen})
    assert (answer.status_code, "did not take the code" in answer.text) == (401, True)
    assert provider.refused == [stolen]


def test_a_sign_on_that_takes_too_long_begins_anew(house, provider):
    browser = house.browser()
    said = begun(browser, provider)
    house.at = provider.at = START + 600
    assert "no sign-on is under way" in returned(browser, said).text


def test_the_providers_refusal_is_one(house, provider):
    browser = house.browser()
    said = begun(browser, provider)
    answer = returned(browser, {"error": "access_denied", "error_description": "<b>no", "state": said["state"]})
    assert (answer.status_code, "<b>" in answer.text) == (401, False)


def test_an_answer_that_names_another_provider_is_refused(house, provider):
    browser = house.browser()
    answer = returned(browser, begun(browser, provider) | {"iss": "https://id.evil.example"})
    assert "comes from another provider" in answer.text


@pytest.mark.parametrize(
    ("claims", "wanted"),
    [
        ({"iss": "https://id.evil.example"}, "InvalidClaimError iss"),
        ({"aud": "another"}, "InvalidClaimError aud"),
        ({"aud": [CLIENT, "another"]}, "for others too"),
        ({"azp": "another"}, "for others too"),
        ({"nonce": "another"}, "InvalidClaimError nonce"),
        ({"exp": START - 31}, "ExpiredTokenError"),
        ({"exp": "soon"}, "InvalidClaimError exp"),
        ({"iat": START + 31}, "InvalidClaimError iat"),
        ({"nbf": START + 31}, "InvalidClaimError nbf"),
        ({"sub": "аna@force.example"}, "can be taken for another"),
        ({"sub": " ana@force.example"}, "can be taken for another"),
        ({"sub": 7}, "InvalidClaimError sub"),
    ],
)
def test_a_token_that_is_not_for_us_or_not_in_force_is_refused(house, provider, claims, wanted):
    browser = house.browser()
    said = begun(browser, provider)
    provider.claims = claims
    answer = returned(browser, said)
    assert (answer.status_code, wanted in answer.text) == (401, True), answer.text
    assert ANA not in answer.text
    assert browser.get("/who").status_code == 401


def test_a_provider_that_does_not_say_the_claim_that_is_configured_signs_nobody_on(tmp_path, provider):
    house = House(tmp_path, provider, claim="upn")
    for claims in ({}, {"upn": 7}, {"upn": [ANA]}):
        browser = house.browser()
        said = begun(browser, provider)
        provider.claims = claims
        assert "lacks upn: wanted the claim that web.yaml names" in returned(browser, said).text


@pytest.mark.parametrize("name", ["iss", "aud", "nonce", "exp", "iat", "sub"])
def test_a_token_that_lacks_something_is_refused(house, provider, name):
    browser = house.browser()
    said = begun(browser, provider)
    provider.without = (name,)
    assert f"MissingClaimError {name}" in returned(browser, said).text


def test_the_clocks_may_differ_a_little(house, provider):
    browser = house.browser()
    said = begun(browser, provider)
    provider.claims = {"exp": START - 29, "iat": START + 29}
    assert returned(browser, said).status_code == 200


@pytest.mark.parametrize(
    "sign",
    [
        lambda claims: signed(claims, FOREIGN),  # its own key under our provider's key id
        lambda claims: keyed(claims, "HS256", SECRET.encode()),  # by a secret that we know
        lambda claims: keyed(claims, "HS256", SIGNING.as_pem(private=False)),  # by the public key as if it were one
        lambda claims: keyed(claims, "none", b""),
        lambda claims: signed(claims)[:-4] + "AAAA",
        lambda claims: "not a token",
        lambda claims: None,
    ],
)
def test_a_token_that_the_provider_did_not_sign_is_refused(house, provider, sign):
    browser = house.browser()
    said = begun(browser, provider)
    provider.sign = sign
    answer = returned(browser, said)
    assert (answer.status_code, "ID token is not good" in answer.text) == (401, True), answer.text


def test_a_provider_under_another_name_or_without_https_is_not_asked(house, provider):
    provider.description["issuer"] = "https://id.evil.example"
    assert "calls itself by another name" in house.browser().get("/sign-on").text
    provider.description |= {"issuer": ISSUER, "token_endpoint": "http://id.force.example/token"}
    assert "names no token_endpoint, or one that is not https" in house.browser().get("/sign-on").text
    del provider.description["jwks_uri"]
    provider.description["token_endpoint"] = f"{ISSUER}/token"
    assert "names no jwks_uri" in house.browser().get("/sign-on").text


def test_a_provider_that_does_not_answer_is_to_be_tried_again(house, provider):
    provider.description["jwks_uri"] = f"{ISSUER}/nothing-here"
    browser = house.browser()
    answer = returned(browser, begun(browser, provider))
    assert (answer.status_code, answer.text) == (502, "provider does not answer as it should: try again")


def test_who_the_provider_knows_and_nobody_granted_anything_is_refused(house, provider):
    browser = house.browser()
    answer = returned(browser, begun(browser, provider, who="new@force.example"))
    assert (answer.status_code, "nothing was ever granted to this name" in answer.text) == (403, True)


def test_an_address_counts_once_it_is_verified(tmp_path, provider):
    house = House(tmp_path, provider, claim="email")
    for claims, status in (
        ({"email": ANA}, 401),
        ({"email": ANA, "email_verified": "true"}, 401),
        ({"email": ANA, "email_verified": True}, 200),
    ):
        browser = house.browser()
        said = begun(browser, provider, who="8f1c")
        provider.claims = claims
        assert returned(browser, said).status_code == status


def test_answers_that_fail_are_counted_by_address(house, provider):
    for _ in range(30):
        assert house.browser().get(f"{CALLBACK}?code=x&state=y").status_code == 401
    assert house.browser().get(f"{CALLBACK}?code=x&state=y").status_code == 429


def test_the_clients_secret_is_read_by_its_owner_alone(house, tmp_path):
    (tmp_path / "oidc.secret").chmod(0o644)
    answer = house.browser().get("/sign-on")
    assert (answer.status_code, "key file oidc.secret may be read" in answer.text) == (403, True)
    (tmp_path / "oidc.secret").unlink()
    assert "key file oidc.secret is not there" in house.browser().get("/sign-on").text

"""Who is asking: signing on by the force's provider, by a proxy in front, or by a password here.

    person = signed_on(request)      # name, session, and what they may do at this moment by the log
    person.insist(access.NAMES)      # Refused, and why

`Visits` is the middleware that brings a visit to each request and its cookie to each response. What somebody may do is
asked of the log at each request, so a grant that is revoked opens nothing from the next one on. A name counts letter by
letter as whoever vouches for it wrote it.

Of a proxy, the connection's own address is what counts: the server must not put another in its place from a header
(`uvicorn --no-proxy-headers`). Refused: a form without the token of its session, or that another site sends.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import anyio
import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwk, jwt
from joserfc.errors import JoseError
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from provenance import access, moments
from provenance.access import Grant
from provenance.errors import Conflict, Malformed, Refused
from provenance.keys import read_own
from provenance.web import passwords
from provenance.web.sessions import Session, Sessions, draw
from provenance.web.settings import Local, Oidc, Proxy, Settings, reached

CALLBACK = "/sign-on/back"  # where the provider sends people back to
SECRET = "oidc.secret"  # key file
ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519")  # never `none`, never one keyed by our own secret
LEEWAY = 30  # seconds that the provider's clock may differ from ours
_TIMEOUT = 10  # seconds
_AT_ONCE = 2  # passwords that are checked at a time: each takes 64 MiB


class NotSignedOn(Refused):
    """Nobody is signed on: the door shows the way to."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is signed on, at the moment of one request."""

    name: str
    session: Session
    may: frozenset[str]
    on: str
    _grants: Sequence[Grant]

    @property
    def role(self) -> str:
        """As what they were let in, in words."""
        held = access.standing(self._grants, self.name, self.on)
        return " and ".join(sorted({access.ROLES[grant.role].title for grant in held if grant.role in access.ROLES}))

    @property
    def csrf(self) -> str:
        """What each form of theirs is to carry."""
        return self.session.token

    def insist(self, wanted: str, *, case: str = "") -> None:
        """Raises Refused, saying why, unless they may; see `access.insist`."""
        access.insist(self._grants, self.name, self.on, wanted, case=case)


def signed_on(request: Request) -> Person:
    """Who is asking. Raises NotSignedOn, Refused for who may do nothing at all, TooMany."""
    return request.state.visit.desk.signed_on(request)


class Visit:
    """One request's session, as its cookie has it, and the cookie that its answer is to set."""

    def __init__(self, desk: Desk, scope: Scope) -> None:
        self.desk = desk
        self.at = desk.seconds()
        self.address = (scope.get("client") or ("",))[0]
        self.answer: str | None = None
        self._sent = _cookie(scope, desk.cookie_name)
        self._found: Session | None = None
        self._is_read = False

    @property
    def session(self) -> Session | None:
        """Looked up, and counted, once for a request."""
        if not self._is_read:
            self._found = self.desk.sessions.find(self._sent, at=self.at) if self._sent else None
            self._is_read = True
        return self._found

    def enter(self, user: str, pending: dict[str, str] | None = None) -> Session:
        """Begin another session in the place of the one there is, under another id."""
        self._found = self.desk.sessions.begin(user, at=self.at, pending=pending, before=self.session)
        self.answer = self.desk.cookie(_text(self._found.id))
        return self._found

    def leave(self) -> None:
        if self.session is not None:
            self.desk.sessions.end(self.session)
        self._found = None
        self.answer = self.desk.cookie("", "Max-Age=0")


class Visits:
    """Middleware: `request.state.visit`, and its cookie on the way out."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self.app, self.desk = app, desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        visit = Visit(self.desk, scope)
        scope.setdefault("state", {})["visit"] = visit

        async def answering(message: Message) -> None:
            if message["type"] == "http.response.start" and visit.answer is not None:
                headers = MutableHeaders(scope=message)
                headers.append("set-cookie", visit.answer)
                headers["cache-control"] = "no-store"  # whoever keeps this answer would keep the session
            await send(message)

        await self.app(scope, receive, answering)


class Desk:
    """Where people sign on, by the settings of this installation."""

    def __init__(
        self,
        settings: Settings,
        keys: Path,
        *,
        grants: Callable[[], Sequence[Grant]],
        clock: Callable[[], str],
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """`grants` gives what the log says now, `clock` this moment, `transport` the way to the provider if not the
        network."""
        self.settings, self.keys, self.grants, self.clock = settings, keys, grants, clock
        self.sessions = Sessions(keys, settings.sessions, settings.attempts)
        # The prefix has browsers take the cookie from this host alone, for all of it, over https.
        self.cookie_name = "__Host-provenance" if settings.is_secure else "provenance"
        self._transport = transport
        self._checking = anyio.CapacityLimiter(_AT_ONCE)

    def seconds(self) -> int:
        return int(moments.parse(self.clock()).timestamp())

    def cookie(self, value: str, *also: str) -> str:
        """Lax, not Strict: it has to come along on the way back from a provider, and when a citation is followed from
        a report. What changes anything is a form, and needs the token."""
        parts = [f"{self.cookie_name}={value}", "Path=/", "HttpOnly", "SameSite=Lax", *also]
        return "; ".join(parts + ["Secure"] * self.settings.is_secure)

    def signed_on(self, request: Request) -> Person:
        """As the function of that name."""
        visit: Visit = request.state.visit
        if isinstance(self.settings.sign_on, Proxy):
            name = _vouched(request, self.settings.sign_on, visit.address)
            session = visit.session
            if session is None or session.user != name:
                session = visit.enter(name)
        else:
            session = visit.session
            if session is None or not session.user:
                raise NotSignedOn("nobody is signed on, or the session has ended: wanted to sign on")
        on, grants = self.clock(), tuple(self.grants())
        may = access.may(grants, session.user, on)
        if not may:
            raise Refused(access.refusal(grants, session.user, on, access.AGGREGATES))
        return Person(session.user, session, may, on, grants)

    def token(self, request: Request) -> str:
        """What each form is to carry, in a field or a header; for who is not signed on a session of nobody's begins."""
        visit: Visit = request.state.visit
        return (visit.session or visit.enter("")).token

    def check_form(self, request: Request, token: str) -> None:
        """Whether a form was sent from a page of this session. Raises Refused."""
        origin = request.headers.get("origin")
        if origin is not None and origin != self.settings.origin:
            raise Refused(f"form was sent from another site: wanted {self.settings.origin}")
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise Refused(f"form was sent from another site: wanted {self.settings.origin}")
        session = request.state.visit.session
        if session is None or not session.is_token(token):
            raise Refused("form does not carry the token of this session: wanted the page opened again")

    def sign_out(self, request: Request, *, token: str) -> None:
        """End this session. Raises Refused as `check_form`."""
        self.check_form(request, token)
        request.state.visit.leave()

    async def with_password(self, request: Request, user: str, password: str, *, token: str) -> Person:
        """Sign on by a password kept here. Raises NotSignedOn, TooMany, Refused."""
        if not isinstance(self.settings.sign_on, Local):
            raise Refused(f"nobody signs on by a password here: wanted by {self.settings.sign_on.by}")
        self.check_form(request, token)
        visit: Visit = request.state.visit
        self.sessions.attempt(user, visit.address, at=visit.at)
        right = await anyio.to_thread.run_sync(passwords.is_right, self.keys, user, password, limiter=self._checking)
        if not right:
            raise NotSignedOn("user name or password is not right: wanted both")
        self.sessions.forgive(user, visit.address)
        visit.enter(user)
        return self.signed_on(request)

    async def to_provider(self, request: Request, *, after: str = "/") -> RedirectResponse:
        """Send somebody to the provider, then to the path `after`. Raises Conflict when it does not answer."""
        oidc = self._oidc()
        async with self._client(oidc) as client:
            described = await _described(client, oidc)
            remembered = {name: _text(draw()) for name in ("state", "nonce", "verifier")}
            url, _ = client.create_authorization_url(
                described["authorization_endpoint"], state=remembered["state"], nonce=remembered["nonce"],
                code_verifier=remembered["verifier"],
            )  # fmt: skip
        request.state.visit.enter("", remembered | {"after": local_path(after)})
        return RedirectResponse(url, status_code=303)

    async def from_provider(self, request: Request) -> tuple[Person, str]:
        """Who comes back from the provider, and the path they wanted.

        OpenID Connect Core 1.0, 3.1.2.5 and 3.1.3.7; PKCE is RFC 7636, `iss` RFC 9207. Raises NotSignedOn saying which
        of these does not hold, and then the way back is used up: signing on begins anew.
        """
        oidc, visit = self._oidc(), request.state.visit
        self.sessions.attempt("", visit.address, at=visit.at)
        session, said = visit.session, request.query_params
        if session is None or not session.pending or not self.sessions.settle(session):
            raise NotSignedOn("no sign-on is under way in this browser: wanted to begin here")
        remembered = session.pending
        if not hmac.compare_digest(said.get("state", "").encode(), remembered["state"].encode()):
            raise NotSignedOn("provider's answer is to another sign-on: state differs, wanted to begin here")
        if said.get("iss", oidc.issuer) != oidc.issuer:
            raise NotSignedOn("provider's answer comes from another provider: iss differs")
        if "error" in said or not said.get("code"):
            raise NotSignedOn("provider did not sign them on: wanted to try again, or ask who runs it")
        async with self._client(oidc) as client:
            described = await _described(client, oidc)
            try:
                token = await client.fetch_token(
                    described["token_endpoint"], grant_type="authorization_code", code=said["code"],
                    code_verifier=remembered["verifier"],
                )  # fmt: skip
            except OAuthError as error:
                raise NotSignedOn("provider did not take the code back: wanted to begin anew") from error
            except (httpx2.HTTPError, ValueError) as error:
                raise Conflict("provider does not answer as it should: try again") from error
            keys = await _fetched(client, described["jwks_uri"])
        name = _named(oidc, token, keys, nonce=remembered["nonce"], at=visit.at)
        self.sessions.forgive("", visit.address)
        visit.enter(name)
        return self.signed_on(request), remembered["after"]

    def _oidc(self) -> Oidc:
        if not isinstance(self.settings.sign_on, Oidc):
            raise Refused(f"nobody signs on by a provider here: wanted by {self.settings.sign_on.by}")
        return self.settings.sign_on

    def _client(self, oidc: Oidc) -> AsyncOAuth2Client:
        secret = read_own(self.keys / SECRET).decode("utf-8").strip()
        return AsyncOAuth2Client(
            oidc.client_id, secret, scope=" ".join(oidc.scopes), redirect_uri=self.settings.origin + CALLBACK,
            code_challenge_method="S256", transport=self._transport, timeout=_TIMEOUT,
        )  # fmt: skip


def local_path(path: str) -> str:
    """A path of these pages, or the first page in its place: nobody is sent on to another site."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if is_local else "/"


def sign_on_path(after: str) -> str:
    """Where to send somebody who is not signed on, so that they come back to `after`."""
    return "/sign-on?" + urlencode({"after": local_path(after)})


def _vouched(request: Request, proxy: Proxy, address: str) -> str:
    """The name that the proxy says, and nobody else."""
    if not proxy.trusts(address):
        raise Refused("request does not come from the proxy: wanted one of sign_on.addresses in web.yaml")
    wanted = proxy.header.lower().encode()
    said = [value for name, value in request.scope["headers"] if name.lower() == wanted]
    if not said:
        raise NotSignedOn("proxy does not say who is asking: wanted it to sign them on")
    try:
        (name,) = (value.decode("utf-8") for value in said)
        access.check_name(name)
    except (ValueError, Malformed) as error:
        raise Refused("proxy does not say one name in one header: wanted a name as it was granted") from error
    return name


async def _fetched(client: AsyncOAuth2Client, url: str) -> dict[str, Any]:
    """A JSON object of the provider. Raises Conflict."""
    try:
        reached(url)
        answer = await client.request("GET", url, withhold_token=True)
        answer.raise_for_status()
        content = answer.json()
    except (httpx2.HTTPError, ValueError) as error:
        raise Conflict("provider does not answer as it should: try again") from error
    if not isinstance(content, dict):
        raise Conflict("provider does not answer as it should: wanted a JSON object")
    return content


async def _described(client: AsyncOAuth2Client, oidc: Oidc) -> dict[str, Any]:
    """What the provider says of itself (OpenID Connect Discovery 1.0, 4)."""
    described = await _fetched(client, oidc.issuer.rstrip("/") + "/.well-known/openid-configuration")
    if described.get("issuer") != oidc.issuer:
        raise Refused("provider calls itself by another name: wanted sign_on.issuer in web.yaml")
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        try:
            reached(described[name])
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise Refused(f"provider names no {name}, or one that is not https: wanted one") from error
    return described


def _named(oidc: Oidc, token: Any, keys: dict[str, Any], *, nonce: str, at: int) -> str:
    """The name in an ID token, once it is the provider's, for us, of this sign-on, and in force."""
    try:
        decoded = jwt.decode(token["id_token"], jwk.KeySet.import_key_set(keys), algorithms=list(ALGORITHMS))
        jwt.JWTClaimsRegistry(
            now=at, leeway=LEEWAY, iss={"essential": True, "value": oidc.issuer},
            aud={"essential": True, "value": oidc.client_id}, exp={"essential": True}, iat={"essential": True},
            sub={"essential": True}, nonce={"essential": True, "value": nonce},
        ).validate(decoded.claims)  # fmt: skip
    except (JoseError, KeyError, ValueError, TypeError) as error:
        what = f"{type(error).__name__} {getattr(error, 'claim', '')}".rstrip()
        raise NotSignedOn(f"provider's ID token is not good: {what}, wanted to begin anew") from error
    claims = decoded.claims
    audience = claims["aud"]
    if (isinstance(audience, list) and audience != [oidc.client_id]) or claims.get(
        "azp", oidc.client_id
    ) != oidc.client_id:
        raise NotSignedOn("provider's ID token is for others too: wanted it for us alone")
    name = claims.get(oidc.claim)
    if oidc.claim == "email" and claims.get("email_verified") is not True:
        raise NotSignedOn("provider has not verified the address by which it knows them: wanted a verified one")
    if type(name) is not str:
        raise NotSignedOn(f"provider's ID token lacks {oidc.claim}: wanted the claim that web.yaml names")
    try:
        access.check_name(name)
    except Malformed as error:
        raise NotSignedOn("provider's name for them can be taken for another: wanted one as it was granted") from error
    return name


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _cookie(scope: Scope, name: str) -> bytes:
    """The session id that the browser sends; b"" for none, for another form, and for two that differ."""
    found = {
        value.strip()
        for header, line in scope["headers"]
        if header == b"cookie"
        for part in line.split(b";")
        for key, _, value in [part.partition(b"=")]
        if key.strip() == name.encode()
    }
    if len(found) != 1:
        return b""
    try:
        value = found.pop()
        id = base64.urlsafe_b64decode(value + b"=")
    except ValueError:
        return b""
    return id if _text(id).encode() == value and len(id) == 32 else b""

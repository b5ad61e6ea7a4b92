"""How an installation is reached and how people sign on: `web.yaml` in the archive. It holds no secret.

Without the file, people have passwords here and the pages are for this machine alone, as for a demonstration.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import orjson
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from provenance.errors import Malformed


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def is_loopback(url: str) -> bool:
    """Whether an address is on this machine, where nothing crosses a network."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def reached(url: str) -> str:
    """An https address, or one on this machine."""
    parts = urlsplit(url)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))):
        raise ValueError("an address that begins with https://, or with http:// on this machine")
    if parts.query or parts.fragment or parts.username:
        raise ValueError("an address without user, query and fragment")
    return url


def _origin(url: str) -> str:
    if urlsplit(url).path not in ("", "/"):
        raise ValueError("scheme, host and port alone")
    return reached(url).rstrip("/")


def _network(text: str) -> str:
    ip_network(text)  # its ValueError says what is wrong
    return text


Url = Annotated[str, AfterValidator(reached)]
Origin = Annotated[str, AfterValidator(_origin)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]


class Oidc(_Section):
    """OpenID Connect: the force's own provider says who somebody is. Its client secret is the key file oidc.secret."""

    by: Literal["oidc"]
    issuer: Url
    client_id: Annotated[str, Field(min_length=1)]
    claim: Annotated[str, Field(min_length=1)] = "sub"  # the one that has the name under which people are granted
    scopes: tuple[str, ...] = ("openid",)

    @model_validator(mode="after")
    def _asks_for_an_id(self) -> Oidc:
        if "openid" not in self.scopes:
            raise ValueError("scopes with openid among them")
        return self


class Proxy(_Section):
    """A proxy in front has signed people on, and says in a header who they are."""

    by: Literal["proxy"]
    header: HeaderName
    # Whoever can reach us from one of these can say that they are anybody: list the proxy, never a network of desks.
    addresses: Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], Field(min_length=1)]

    def trusts(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found in ip_network(network) for network in self.addresses)


class Local(_Section):
    """Passwords kept here, in the key file passwords: for a demonstration, or a small installation."""

    by: Literal["local"]


class SessionLimits(_Section):
    idle_minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 15
    lifetime_minutes: Annotated[int, Field(ge=1, le=7 * 24 * 60)] = 8 * 60
    requests_per_minute: Annotated[int, Field(ge=1)] = 300


class AttemptLimits(_Section):
    """How often signing on may fail or be tried within the window, before it is refused for the rest of it."""

    window_minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 15
    per_user: Annotated[int, Field(ge=1)] = 5
    per_address: Annotated[int, Field(ge=1)] = 30


class Settings(_Section):
    """`web.yaml`."""

    origin: Origin  # under which browsers reach the pages
    sign_on: Annotated[Oidc | Proxy | Local, Field(discriminator="by")]
    sessions: SessionLimits = SessionLimits()
    attempts: AttemptLimits = AttemptLimits()
    # Said on every page.
    service: Annotated[str, Field(min_length=1)] = "Network archive"
    force: str = ""  # whose archive it is; "" says the archive's name
    marking: Annotated[str, Field(min_length=1)] = "Official-Sensitive"
    handling: str = "Police intelligence. Not to be copied outside the service."

    @property
    def is_secure(self) -> bool:
        """Whether cookies are for https alone: everywhere but on this machine without it."""
        return self.origin.startswith("https://")


def read(path: Path, *, port: int = 8000) -> Settings:
    """The settings in `path`; where it is not there, passwords, on this machine and `port`. Raises Malformed."""
    try:
        loaded = yaml.safe_load(path.read_text("utf-8"))
        return Settings.model_validate_json(orjson.dumps(loaded))
    except FileNotFoundError:
        return Settings(origin=f"http://localhost:{port}", sign_on=Local(by="local"))
    except (UnicodeDecodeError, yaml.YAMLError, orjson.JSONEncodeError) as error:
        raise Malformed(f"settings file is not plain YAML: {path.name}") from error
    except ValidationError as error:
        raise Malformed("\n".join(sorted(_sentence(path.name, fault) for fault in error.errors()))) from None


def _sentence(name: str, fault: dict) -> str:
    """What is wrong, without what was found: it may be a secret in the wrong file."""
    key = ".".join(str(part) for part in fault["loc"]) or "(top level)"
    wanted = {"missing": "this key", "extra_forbidden": "no such key"}.get(fault["type"])
    return f"settings key is wrong: {name}: {key}: wanted {wanted or fault['msg'].removeprefix('Value error, ')}"

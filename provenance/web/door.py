"""The pages by which people sign on and out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from provenance.errors import Refused
from provenance.web.settings import Local, Oidc
from provenance.web.signon import CALLBACK, Desk, NotSignedOn, local_path

Draw = Callable[..., Response]


class SignOn:
    """Their addresses, by the way of signing on that this installation has."""

    def __init__(self, desk: Desk, draw: Draw) -> None:
        self.desk, self._draw = desk, draw
        self.routes = [
            Route("/sign-on", self.begin, methods=["GET"]),
            Route("/sign-on", self.password, methods=["POST"]),
            Route(CALLBACK, self.back, methods=["GET"]),
            Route("/sign-out", self.leave, methods=["POST"]),
        ]

    async def begin(self, request: Request) -> Response:
        """The form, or on to the provider."""
        after = local_path(request.query_params.get("after", "/"))
        sign_on = self.desk.settings.sign_on
        if isinstance(sign_on, Oidc):
            return await self.desk.to_provider(request, after=after)
        if not isinstance(sign_on, Local):
            raise Refused("proxy in front does not say who is asking: wanted it to sign them on")
        return self._form(request, after)

    async def password(self, request: Request) -> Response:
        """Sign on with what the form says."""
        form = await request.form(max_files=0, max_fields=8)
        said: Mapping[str, str] = {name: value for name, value in form.items() if isinstance(value, str)}
        after = local_path(said.get("after", "/"))
        user = said.get("user", "")
        try:
            await self.desk.with_password(request, user, said.get("password", ""), token=said.get("csrf", ""))
        except NotSignedOn as error:
            return self._form(request, after, user, str(error), 401)
        return RedirectResponse(after, 303)

    async def back(self, request: Request) -> Response:
        """Somebody comes back from the provider."""
        try:
            _, after = await self.desk.from_provider(request)
        except NotSignedOn as error:
            return self._draw(
                request, "failed.html", {"title": "Not signed on", "error": str(error), "status": 401}, 401
            )
        return RedirectResponse(local_path(after), 303)

    async def leave(self, request: Request) -> Response:
        """End the session."""
        form = await request.form(max_files=0, max_fields=8)
        token = form.get("csrf", "")
        self.desk.sign_out(request, token=token if isinstance(token, str) else "")
        return RedirectResponse("/sign-on", 303)

    def _form(self, request: Request, after: str, user: str = "", error: str = "", status: int = 200) -> Response:
        context: dict[str, Any] = {
            "title": "Sign on",
            "after": after,
            "user": user,
            "token": self.desk.token(request),
            "error": error,
            "errors": [{"text": "User name or password is not right", "href": "#user"}] if error else [],
        }
        return self._draw(request, "sign-on.html", context, status)

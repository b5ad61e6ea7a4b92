"""The dashboard over an archive, with somebody of each role at the door, as a proxy would say who they are.

The first page is opened by `Dashboard.browser` (no browser needed) or served by `served(dashboard.app)`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from provenance import access, maps, moments, world
from provenance.access import Grant
from provenance.archive import Archive
from provenance.web import settings
from provenance.web.app import House, application
from provenance.web.reader import Reader
from provenance.web.settings import Settings
from provenance.web.signon import Desk

HEADER = "X-Remote-User"
USERS = {role: f"{role}@force.example" for role in access.ROLES}
ANALYST, OFFICER, AUDITOR = USERS["analyst"], USERS["disclosure-officer"], USERS["auditor"]
PROXY = {"by": "proxy", "header": HEADER, "addresses": ("127.0.0.1", "::1")}
HOUSE = House("Network archive", "Sample force", "Official-Sensitive", "Invented people. Not to be relied on.")


class Dashboard:
    """An application, its clock (none: the machine's), and who may look: one person of each role."""

    def __init__(
        self, archive: Archive, folder: Path, *, said: dict[str, Any] | None = None, outline: maps.Outline | None = None
    ) -> None:
        self.at = ""
        self.grants = [
            Grant(user, role, access.DEPARTMENT, "", "2026-01-01", "", "2026-01-01T09:00:00Z", "k", "memo")
            for role, user in USERS.items()
        ]
        folder.mkdir(parents=True, exist_ok=True)
        os.chmod(folder, 0o700)
        self.reader = Reader(archive)
        said = {"origin": "http://127.0.0.1:8000", "sign_on": PROXY} | (said or {})
        said["sessions"] = {"requests_per_minute": 100_000} | said.get("sessions", {})
        self.desk = Desk(
            settings.Settings.model_validate(said), folder, grants=lambda: self.grants, clock=self.clock
        )  # fmt: skip
        self.app = application(self.reader, self.desk, HOUSE, outline)

    @property
    def archive(self) -> Archive:
        return self.reader.archive

    def clock(self) -> str:
        """This moment, by the story or else by the machine."""
        return self.at or world.now()

    def later(self, **said: int) -> None:
        """Let time go by for sessions."""
        from datetime import timedelta

        self.at = moments.utc(moments.instant(self.clock()) + timedelta(**said))

    def reached_at(self, address: str) -> str:
        """Say under which address browsers reach it."""
        said = self.desk.settings.model_dump() | {"origin": address}
        self.desk.settings = Settings.model_validate(said)
        return address

    def browser(self, user: str = ANALYST) -> TestClient:
        """Somebody at the door, without a browser."""
        return TestClient(
            self.app, base_url="http://127.0.0.1:8000", client=("127.0.0.1", 40_000), headers={HEADER: user}
        )  # fmt: skip

    def close(self) -> None:
        self.desk.sessions.close()

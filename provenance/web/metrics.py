"""Figures of the archive's health for a monitor, in the text form of Prometheus; nothing in them names anybody.

They are answered to this machine, or to whoever brings the token in the key file metrics.token. A proxy on this machine
makes everybody look as if they were on it: where the file is there, or people reach the pages from elsewhere, a token
is wanted of all.
"""

from __future__ import annotations

import hmac
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from starlette.requests import Request

from provenance import moments
from provenance.errors import Refused
from provenance.health import Health
from provenance.web.settings import is_loopback

FORM = "text/plain; version=0.0.4; charset=utf-8"
TOKEN = "metrics.token"  # in the keys' folder: one line, at least 32 characters
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
_PLAIN = {
    "builds": "Builds that were made",
    "build_age_seconds": "Seconds since the last build was made; -1 without one",
    "failures": "Runs that failed since the last build",
    "verified": "Whether the last build verifies: 1 yes, 0 no, -1 not known yet",
    "entries": "Entries of the log",
    "holds": "Holds that stand",
    "holds_overdue": "Standing holds whose day of review is past",
    "reviews_overdue": "Decisions to keep something whose next look is past",
    "disposals_unfinished": "Disposals without a certificate yet",
    "waiting": "Restricted things without a hold, for somebody to decide",
    "writing": "1 while a build, an extract or a disposal is at work",
    "stored_bytes": "Bytes of sealed rows",
    "free_bytes": "Bytes left on the disk that they lie on",
}


def admit(request: Request, keys: Path, origin: str) -> None:
    """Raises Refused unless the one who asks may have the figures."""
    try:
        wanted = (keys / TOKEN).read_text("utf-8").strip()
    except FileNotFoundError:
        wanted = ""
    if wanted:
        brought = request.headers.get("authorization", "").removeprefix("Bearer ")
        if len(wanted) < 32 or not hmac.compare_digest(brought.encode(), wanted.encode()):
            raise Refused(f"figures are for a monitor that brings the token of key file {TOKEN}")
        return
    here = request.client is not None and is_loopback(f"//{_bracketed(request.client.host)}")
    if not (here and is_loopback(origin)) or any(name in request.headers for name in _FORWARDED):
        raise Refused(
            f"figures are for this machine alone without key file {TOKEN}: wanted it, for a monitor elsewhere"
        )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def text(health: Health) -> bytes:
    """The figures as Prometheus reads them, in a registry of their own."""
    registry = CollectorRegistry()
    for name, words in _PLAIN.items():
        Gauge(f"provenance_{name}", words, registry=registry).set(getattr(health, name))
    Gauge(
        "provenance_looked_at_seconds", "When these figures were taken, in seconds since 1970", registry=registry
    ).set(moments.instant(health.on).timestamp())
    if health.backup:
        age = "Seconds since the newest backup was made; -1 without one"
        Gauge("provenance_backup_age_seconds", age, registry=registry).set(health.backup.age_seconds)
        since = "Disposals since the newest backup, whose vault they closed"
        Gauge("provenance_disposals_since_backup", since, registry=registry).set(health.backup.disposals_since)
    feeds = Gauge("provenance_feed_age_seconds", "How far behind a source is", ["system"], registry=registry)
    for feed in health.feeds:
        feeds.labels(feed.system).set(feed.age_seconds)
    lag = Gauge("provenance_witness_lag_entries", "Entries not cosigned by a witness", ["witness"], registry=registry)
    for witness in health.witnesses:
        lag.labels(witness.name).set(witness.behind)
    return generate_latest(registry)

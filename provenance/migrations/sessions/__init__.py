"""Forms of `web.sessions.SCHEMA`."""

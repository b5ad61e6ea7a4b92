"""The dashboard: pages for today and for any past moment, drawn by the server."""

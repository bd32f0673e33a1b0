"""Options of path templates: which segments of an API's paths are variable."""

from __future__ import annotations

from logrouter.config.yaml.kinds import ListOf, Text, options
from logrouter.config.yaml.kinds import option as opt


@options
class PathTemplatesOptions:
    """Path templates of one API, of several or of all: written here, in an OpenAPI file, or both.

    A request whose path fits one has it as `path_template`, and tables count its URL as that. Of several that fit, the
    most concrete one is taken, as OpenAPI says: what is written out goes before a variable. Those of the request's own
    API go before those of all. Paths that fit none are counted as they would be without any: by the form of their
    segments, and by what is learned.
    """

    paths: tuple[str, ...] = opt(
        ListOf(Text(r"/[^?#\s]*", "a path that begins with /", 256), max_items=1000, shorthand=True, unique=True),
        "Templates like `/items/{id}`: a variable stands for a segment or a part of one (`{name}.json`), `/**` at the "
        "end for all that is below. Between brackets YAML wants them in quotes. A variable `{value}` is `{value_}` in "
        "events, as `{value}` is what was learned.",
        default=(),
    )
    openapi: str = opt(
        Text(r"[^\x00]+\.([jJ][sS][oO][nN]|[yY][aA]?[mM][lL])", "a .json, .yaml or .yml file", 500, may_be_empty=True),
        "A file, relative to this one, whose `paths` are templates, too: OpenAPI 3 or Swagger 2, at most 8 MiB as "
        "JSON, 1 MiB and 50000 values as YAML; 64 MiB and 4 MiB of all such files. Nothing else of it is read, and no "
        "other file that it refers to. It is read again with every change of either file.",
        default="",
    )
    base_path: str = opt(
        Text(r"/[^?#\s]*", "a path that begins with /", 256, may_be_empty=True),
        "What the gateway puts before all of these paths, such as `/core/v1`; `/` for nothing. Empty means the paths "
        "of the file's `servers`, or its `basePath`.",
        default="",
    )
    api: tuple[str, ...] = opt(
        ListOf(Text(called="the name of an API", max_length=128), max_items=100, shorthand=True, unique=True),
        "Only for requests of these APIs, by the name that events have; for all without it.",
        default=(),
    )

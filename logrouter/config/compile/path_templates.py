"""The path templates that a route declares, as the function that puts them into its events."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from logrouter.config.compile.openapi_files import OpenApiError
from logrouter.config.yaml.problems import join_path
from logrouter.core.templates.declared import DeclaredTemplates, TemplateError, compile_declared, split_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from logrouter.config.compile.openapi_files import OpenApiFiles
    from logrouter.config.options.path_templates import PathTemplatesOptions
    from logrouter.config.yaml.problems import Problems

MAX_TEMPLATES: Final = 20_000
"""Of one route, those of its files included; once for each group of APIs that has others than the rest."""
MAX_SHOWN: Final = 60


def build_path_templates(
    options: Sequence[PathTemplatesOptions], files: OpenApiFiles, path: str, problems: Problems
) -> Callable[[dict[str, Any]], None] | None:
    """A function that puts the template of an event's path into it; None without any, or with the problems noted.

    What is written in the topics.yaml goes before what a file says, where both have the same shape.
    """
    found: list[list[str]] = []
    for index, each in enumerate(options):
        at = f"{path}[{index}]"
        if not each.paths and not each.openapi:
            problems.add(at, "needs `paths` or `openapi`")
        written = list(_written(each, at, problems))
        _warn_of_repeated(written, join_path(at, "paths"), problems)
        found.append([*written, *_described(each, files, at, problems)])
    of_all = tuple(index for index, each in enumerate(options) if not each.api)
    entries_of: dict[str, list[int]] = {}
    for index, each in enumerate(options):
        for name in each.api:
            entries_of.setdefault(name, []).append(index)
    of_api = {name: tuple(entries) for name, entries in entries_of.items()}
    # APIs of the same entries share one tree, or a list of names would multiply it.
    kept = dict.fromkeys((of_all, *of_api.values()))
    count = sum(len(found[index]) for entries in kept for index in entries)
    if count > MAX_TEMPLATES:
        problems.add(path, f"has {count} templates with those of its files, at most {MAX_TEMPLATES} are allowed")
        return None
    if not count:
        return None
    trees = {entries: DeclaredTemplates(chain.from_iterable(found[index] for index in entries)) for entries in kept}
    return compile_declared(
        {name: trees[entries] for name, entries in of_api.items()}, trees[of_all] if of_all else None
    )


def _written(options: PathTemplatesOptions, path: str, problems: Problems) -> Iterator[str]:
    """The templates of the topics.yaml itself."""
    base = options.base_path.rstrip("/")
    for index, text in enumerate(options.paths):
        try:
            split_template(base + text)
        except TemplateError as error:
            problems.add(f"{join_path(path, 'paths')}[{index}]", f"{_shown(base + text)} {error}")
        else:
            yield base + text


def _warn_of_repeated(templates: list[str], path: str, problems: Problems) -> None:
    for template in DeclaredTemplates(templates).repeated:
        problems.warn(path, f"{_shown(template)} has the shape of one before it, which is taken instead")


def _described(options: PathTemplatesOptions, files: OpenApiFiles, path: str, problems: Problems) -> list[str]:
    """The templates of the OpenAPI file. A path of it that is none is left out, with a warning."""
    if not options.openapi:
        return []
    at = join_path(path, "openapi")
    try:
        described = files.paths_of(options.openapi)
    except OpenApiError as error:
        problems.add(at, f"{options.openapi} {error}")
        return []
    bases = (options.base_path.rstrip("/"),) if options.base_path else None
    made: list[str] = []
    wrong: list[str] = []
    for each in described:
        for base in bases or each.base_paths:
            try:
                split_template(base + each.path)
            except TemplateError as error:
                wrong.append(f"{_shown(base + each.path)} {error}")
            else:
                made.append(base + each.path)
    if wrong:
        share = f"{len(wrong)} of its {len(wrong) + len(made)} paths are left out, the first"
        problems.warn(at, f"{options.openapi}: {share}: {wrong[0]}")
    if not made:
        problems.add(at, f"{options.openapi} has no path that is a template")
    return made


def _shown(template: str) -> str:
    return template if len(template) <= MAX_SHOWN else template[: MAX_SHOWN - 1] + "…"

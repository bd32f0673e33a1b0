"""docs/topics-yaml.md and the JSON Schema of topics.yaml, both written from the declarations in `options`.

`python -m logrouter.config.reference > docs/topics-yaml.md` writes the page anew; a test compares the two.
"""

from __future__ import annotations

import sys
from dataclasses import MISSING
from typing import TYPE_CHECKING, Any, Final

from logrouter.config.options.file import FileOptions
from logrouter.config.options.kafka import OWNED
from logrouter.config.options.kafka_settings import GROUPS, REFUSED
from logrouter.config.options.match_fields import REWRITTEN
from logrouter.config.options.operators import OPERATORS
from logrouter.config.options.regex import MAX_PROGRAM
from logrouter.config.settings import WITHOUT_REFERENCES
from logrouter.config.yaml.kinds import ListOf, MappingOf, Option, OptionKind, Section, declared_options
from logrouter.config.yaml.one_of import OneOf
from logrouter.core.envelopes.fields import FIELD_NAMES
from logrouter.core.request_fields import REQUEST_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_REFERENCE: Final = r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"

INTRODUCTION: Final = """\
# topics.yaml

This page is written by `python -m logrouter.config.reference`; change the options in
`logrouter/config/options`, not the page.

logrouter takes the file that `--config` names, else `./topics.yaml`, else the one that it comes with. The file is read
as strict YAML 1.2: `no` is text and not a boolean, a key may occur once, and there are no tags and no merge keys.
Unknown keys are errors. `logrouter check` lists everything that is wrong with a file, with line and column, warns of
what is valid and will hardly do what was meant, and needs no broker.

**Editors.** `logrouter schema > topics.schema.json` writes the JSON Schema of this format. Editors that use the YAML
language server complete, explain and check topics.yaml by it once its first line is

```yaml
# yaml-language-server: $schema=topics.schema.json
```

**Environment.** `${NAME}` stands for an environment variable, `${NAME:-default}` for the variable or the default where
it is unset or empty, and `$${` for a literal `${`. References work in every section but `sources`, `routes` and
`tests`: what is routed where is the same on every worker that has the file. Settings that hold a secret (passwords,
private keys, client secrets) take nothing but a reference, and no message, log line or dump ever shows their values. A
variable that a sink names has to be set for this sink's processes and for `logrouter check`, and for nobody else.

**Generation.** The first twelve hex digits of the SHA-256 of the file's bytes name its content.
"""

CONDITIONS: Final = """\
## Conditions

`match` maps fields of the envelope to what they must be, and all of it must hold:

```yaml
match:
  program: api-gateway                        # equals
  namespace: [gateway, edge]                  # is one of
  host: {{prefix: gw-, exists: true}}           # each of these holds
  not: {{host: {{suffix: -test}}}}
  any:                                        # at least one; `all` likewise
    - severity: err
    - topic: {{glob: "k8s-*"}}
  looks_like: request                         # asks the format; whatever else the line is, it is ignored
request:                                      # on the request itself, once it is parsed
  status_code: {{ge: 500}}
  method: [GET, HEAD]
  client_ip: {{cidr: [10.0.0.0/8, "2001:db8::/32"]}}
  path: {{regex: "^/core/v[0-9]+/"}}
```

Fields of `match`: {fields}, `topic` (the record's Kafka topic), `label.<name>`
(a Kubernetes label), `field.<name>` (any other key of the envelope, by its flat or its dotted name) and
`header.<name>` (a header of the Kafka record, the last one where it is repeated).

Fields of `request`: {requested},
`header.<name>` (a request header) and `field.<name>` (any field of the line). `client_ip` is the one trusted address,
before the route's policy changes it; `api` and `client_id` are what the route finds.

A field that is missing, null, empty or `-` satisfies only `{{exists: false}}` and `not`. Texts are compared exactly,
but `severity` and `facility` without regard to case. In a glob, `*` is any text, `?` any character and `[…]` one of
some characters.

Operators: {operators}.

`regex` is an expression of [RE2](https://github.com/google/re2/wiki/Syntax): no back references, no look-around, so
that its time only grows with the length of the text. It may match anywhere; `^` and `$` anchor it. It compiles to
{steps} steps at most. `gt`, `ge`, `lt` and `le` compare numbers (a text that is none satisfies none of them), and
`cidr` takes one network or a list of them, IPv4 or IPv6.

**Pre-filter.** Where every route of a source needs some text in the record (at least four plain characters of a name),
records without it are ignored undecoded, which is most of the speed. Conditions on {rewritten} and headers
give no such text, nor do `request`, `exists`, `not`, `cidr` and comparisons; one route without any switches the filter
off for its source. The filter only saves work: with `prefilter: false` every record ends the same.
"""


def json_schema() -> dict[str, Any]:
    """The JSON Schema of topics.yaml, for completion and checks in editors."""
    schema = Section(FileOptions).schema()
    schema["properties"] = {
        key: below if key in WITHOUT_REFERENCES else _or_reference(below) for key, below in schema["properties"].items()
    }
    about = {"title": "logrouter topics.yaml", "description": (FileOptions.__doc__ or "").strip()}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **about, **schema}


def _or_reference(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema where each single value may be a reference to the environment instead."""
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return schema | {several: [_or_reference(below) for below in schema[several]]}
    if "properties" in schema:
        return schema | {"properties": {key: _or_reference(below) for key, below in schema["properties"].items()}}
    for each in ("additionalProperties", "items"):
        if isinstance(schema.get(each), dict):
            return schema | {each: _or_reference(schema[each])}
    if schema.get("type") not in ("integer", "number", "boolean", "string") and "enum" not in schema:
        return schema
    if schema.get("pattern", "").startswith(r"^\$"):
        return schema
    about = {key: schema[key] for key in ("description", "default") if key in schema}
    return {
        "anyOf": [{k: v for k, v in schema.items() if k not in about}, {"type": "string", "pattern": _REFERENCE}]
    } | about


def page() -> str:
    """The reference page."""
    fields = ", ".join(f"`{name}`" for name in sorted(FIELD_NAMES))
    conditions = CONDITIONS.format(
        fields=fields,
        operators=", ".join(f"`{name}`" for name in OPERATORS),
        rewritten=", ".join(f"`{name}`" for name in sorted(REWRITTEN)),
        requested=", ".join(f"`{name}`" for name in sorted(REQUEST_FIELDS)),
        steps=MAX_PROGRAM,
    )
    return "\n".join([INTRODUCTION, *_section("", FileOptions), conditions, *_kafka()]).rstrip() + "\n"


def _section(path: str, of: type, besides: type | None = None) -> Iterator[str]:
    """A heading and a table for one section, then the sections in it; without the options that it has of *besides*."""
    told = [option for _, option in declared_options(besides)] if besides is not None else []
    listed = [option for _, option in declared_options(of) if option not in told]
    yield f"## {f'`{path}`' if path else 'The file'}\n"
    yield " ".join((of.__doc__ or "").split()) + "\n"
    yield "| key | value | default | |\n|---|---|---|---|"
    for option in listed:
        yield f"| `{option.key}` | {_cell(option.kind.describe())} | {_default(option)} | {_cell(option.doc)} |"
    yield ""
    for option in listed:
        for below in _below(option.kind, f"{path}.{option.key}" if path else option.key):
            yield from _section(*below)


def _below(kind: OptionKind, path: str) -> Iterator[tuple[str, type] | tuple[str, type, type]]:
    """The sections that an option holds, alone, in a list or by name, and the path that leads there."""
    match kind:
        case Section():
            yield path, kind.of
        case OneOf():
            yield path, kind.common
            for name, of in kind.of.items():
                yield f"{path} with {kind.tag}: {name}", of, kind.common
        case ListOf():
            yield from _below(kind.of, f"{path}[]")
        case MappingOf():
            yield from _below(kind.of, f"{path}.<name>")


def _default(option: Option) -> str:
    match option.default:
        case _ if option.default is MISSING:
            return "**required**"
        case bool():
            return f"`{str(option.default).lower()}`"
        case str() | int() | float():
            return f"`{option.default}`" if option.default != "" else "empty"
        case tuple():
            return f"`[{', '.join(map(str, option.default))}]`" if all(map(_plain, option.default)) else "see below"
    return "none" if option.default is None else "see below"


def _plain(value: object) -> bool:
    return isinstance(value, str)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _kafka() -> Iterator[str]:
    yield "## Settings that `kafka` takes\n"
    yield (
        "What these mean is in the documentation of librdkafka. Others are refused: no setting may name code or a "
        "command, write a file, or send what this machine keeps to an address of the same file.\n"
    )
    yield "| for | settings |\n|---|---|"
    yield from (f"| {group.reason} | {_names(group.names)} |" for group in GROUPS)
    yield "\n## Settings that `kafka` refuses\n"
    yield "The lanes set these, because what they promise depends on them.\n"
    yield "| setting | why, or what to set |\n|---|---|"
    yield from (f"| `{name}` | {reason} |" for name, reason in OWNED.items())
    yield "\nThese no configuration may name.\n"
    yield "| settings | why, and what to do |\n|---|---|"
    for reason in dict.fromkeys(REFUSED.values()):
        yield f"| {_names(name for name, why in REFUSED.items() if why == reason)} | {reason} |"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


if __name__ == "__main__":
    sys.stdout.write(page())

"""Event validation: a compiled validator decides, and `jsonschema` explains what it turned down.

`jsonschema_rs` answers in about a microsecond where `jsonschema` takes a hundred, so the first runs on every event and
the second only on rejected ones; a property test holds the two to the same answers. What holds for both here:

- `format` is an annotation and never rejects anything: engines differ in which formats they know, and a strict
  `uri-reference` would turn down request paths that clients really send. Schemas of ours use `pattern` instead.
- Patterns run in an engine of linear time, so that no schema can hang a lane; one that needs look-around or
  back-references is an error when it is loaded. The explainer uses the same engine.
- `1.0` is an integer (from draft 6 on), `true` is not, and an integer may have any size the schema allows.
- `multipleOf` of a fraction is the one keyword on which the two may differ, by rounding. The compiled one counts.
- References are resolved inside the schema only. Nothing is ever fetched. Those that multiply each other are an error.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs

from logrouter.core.schema_size import unfolded_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from jsonschema.exceptions import ValidationError


MAX_MESSAGE: Final = 300
MAX_UNFOLDED: Final = 50_000
"""Parts of a schema with its references written out; each may be visited for every event."""
DEFAULT_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


class SchemaError(ValueError):
    """A schema that cannot be used; the text is one line that says why."""


class Validator:
    """A compiled schema. *schema* is a JSON Schema of any draft.

    *uri* is the schema's `$id`, or "": events of this schema carry it as `$schema`.

    Raises:
        SchemaError: the schema cannot be used.
    """

    __slots__ = ("_compiled", "_explainer", "_schema", "is_valid", "uri")

    is_valid: Callable[[Any], bool]
    """Whether an event made of JSON values (str, int, float, bool, None, list, dict) satisfies the schema."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = {"$schema": DEFAULT_DRAFT, **schema}
        uri = self._schema.get("$id", "")
        self.uri = uri if isinstance(uri, str) else ""
        try:
            size = unfolded_size(self._schema)
        except RecursionError:
            raise SchemaError("it is nested too deep") from None
        if size > MAX_UNFOLDED:
            raise SchemaError(f"with its references written out it has more than {MAX_UNFOLDED} parts")
        try:
            self._compiled = jsonschema_rs.validator_for(
                self._schema,
                validate_formats=False,
                pattern_options=jsonschema_rs.RegexOptions(),
                offline=True,
            )
        except (ValueError, TypeError, jsonschema_rs.ReferencingError) as error:
            raise SchemaError(_bounded(str(error))) from None
        self.is_valid = self._compiled.is_valid
        self._explainer: Callable[[Any], ValidationError | None] | None = None

    @property
    def schema(self) -> Mapping[str, Any]:
        """The schema that it was made from."""
        return self._schema

    def explain(self, event: Mapping[str, Any]) -> tuple[str, str]:
        """The most important error of an event as (JSON pointer, one bounded line); ("", "") for a valid event.

        The line names keywords, types and property names of the schema, and never a value of the event, which may be
        secret.
        """
        if self.is_valid(event):
            return "", ""
        if self._explainer is None:
            self._explainer = _explainer_for(self._schema)
        try:
            error = self._explainer(event)
        except (ArithmeticError, RecursionError, ValueError):  # endless numbers and depths are too much for jsonschema
            error = None
        if error is None:
            return self._explain_compiled(event)
        return _pointer(error.absolute_path), _bounded(_sentence(error))

    def _explain_compiled(self, event: Mapping[str, Any]) -> tuple[str, str]:
        """Where only the compiled validator knows: it has no words without values, so the keyword must do."""
        try:
            error = next(iter(self._compiled.iter_errors(event)))
        except ValueError:
            return "", "is nested too deep to say where it fails"
        return _pointer(error.instance_path), f"fails {error.schema_path[-1] if error.schema_path else 'the schema'}"


def _explainer_for(schema: Mapping[str, Any]) -> Callable[[Any], ValidationError | None]:
    """The most telling error by `jsonschema`, with our pattern engine, no formats and no way out to the network.

    The library is loaded here, once an event is rejected: commands that reject none are done sooner without it.
    """
    from jsonschema.exceptions import ValidationError, best_match  # noqa: PLC0415
    from jsonschema.validators import extend, validator_for  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415

    def pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
        """The `pattern` keyword, decided by the compiled validator's own expression engine."""
        if isinstance(instance, str) and not _matcher(pattern)(instance):
            yield ValidationError("pattern")

    make: Any = extend  # the stubs leave it untyped
    validator = make(validator_for(schema), {"pattern": pattern})(schema, registry=Registry())
    return lambda event: best_match(validator.iter_errors(event))


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> Callable[[Any], bool]:
    options = jsonschema_rs.RegexOptions()
    return jsonschema_rs.validator_for({"pattern": pattern}, pattern_options=options).is_valid


def _pointer(path: Iterable[str | int]) -> str:
    """RFC 6901, bounded: a long key of the event is cut."""
    steps = (str(step).replace("~", "~0").replace("/", "~1")[:64] for step in path)
    return "".join(f"/{step}" for step in steps)[:MAX_MESSAGE]


def _sentence(error: ValidationError) -> str:
    """What is wrong, in the schema's words only."""
    keyword = str(error.validator)
    wanted: Any = error.validator_value
    instance: Any = error.instance
    found = _type_name(instance)
    match keyword:
        case "type":
            names = wanted if isinstance(wanted, str) else " or ".join(map(str, wanted))
            return f"is {found}, must be {names}"
        case "required":
            return f"lacks {', '.join(str(name) for name in wanted if name not in instance)}"
        case "additionalProperties" | "unevaluatedProperties":
            # Their names are the event's, not the schema's, so they stay unsaid.
            return "has properties that the schema does not know"
        case "enum":
            return f"is none of the {len(wanted)} values that the schema lists"
        case "const":
            return "is not the constant that the schema demands"
        case "maxLength" | "minLength":
            return f"has {len(instance)} characters, {keyword} is {wanted}"
        case "pattern":
            return f"does not match the pattern {wanted}"
        case "maxItems" | "minItems" | "maxProperties" | "minProperties":
            return f"has {len(instance)} members, {keyword} is {wanted}"
        case "maximum" | "minimum" | "exclusiveMaximum" | "exclusiveMinimum" | "multipleOf":
            return f"is out of range, {keyword} is {wanted}"
    return f"fails {keyword} ({found})"


def _type_name(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _bounded(line: str) -> str:
    text = " ".join(line.split())
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"

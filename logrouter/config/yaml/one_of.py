"""The kind of a section that is one of several, by a key that says which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from logrouter.config.yaml.kinds import INVALID, Choice, Section, declared_options, shape_of
from logrouter.config.yaml.problems import did_you_mean, join_path

if TYPE_CHECKING:
    from logrouter.config.yaml.problems import Problems


@dataclass(frozen=True, slots=True)
class OneOf:
    """A mapping with the options of one of several `@options` classes: the key *tag* says of which."""

    tag: str
    of: dict[str, type[Any]]
    common: type[Any]
    """The class that all of them extend."""
    doc: str
    """What the tag is, in a sentence."""
    partial: bool = False

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """An instance of the class that the tag names; `INVALID` without a usable tag."""
        if not isinstance(value, dict):
            problems.add(path, f"must be {self.describe()}, not {shape_of(value)}")
            return INVALID
        if self.tag not in value:
            problems.add(path, f"lacks `{self.tag}`, which is required", at_key=True)
            every = {option.key for of in self.of.values() for _, option in declared_options(of)}
            for key in value.keys() - every:
                problems.add(join_path(path, key), f"unknown key{did_you_mean(key, {*every, self.tag})}", at_key=True)
            return INVALID
        name = Choice(tuple(self.of)).read(value[self.tag], join_path(path, self.tag), problems)
        if name is INVALID:
            return INVALID
        rest = {
            key: item
            for key, item in value.items()
            if key != self.tag and not self._note_other(key, name, path, problems)
        }
        made = Section(self.of[name], partial=self.partial).read(rest, path, problems)
        return made if self.partial or len(rest) == len(value) - 1 else INVALID

    def _note_other(self, key: str, name: str, path: str, problems: Problems) -> bool:
        """Note a key that is an option of others than *name*; whether it is."""
        has = [tag for tag, of in self.of.items() if key in {option.key for _, option in declared_options(of)}]
        if not has or name in has:
            return False
        problems.add(
            join_path(path, key), f"is no option of `{self.tag}: {name}`, but of {' and '.join(has)}", at_key=True
        )
        return True

    def schema(self) -> dict[str, Any]:
        """One object for each tag."""
        made = []
        for name, of in self.of.items():
            section = Section(of).schema()
            tag = {"const": name, "description": self.doc}
            required = [self.tag, *section.get("required", ())]
            made.append(section | {"properties": {self.tag: tag} | section["properties"], "required": required})
        return {"oneOf": made}

    def describe(self) -> str:
        """That it is a mapping, and what makes it one of several."""
        return f"a mapping whose `{self.tag}` is {Choice(tuple(self.of)).describe()}"

"""`logrouter schema`: the JSON Schema of topics.yaml, for editors."""

from __future__ import annotations

import rich_click as click

from logrouter.commands.help_text import Command
from logrouter.commands.terminal import print_json


@click.command("schema", cls=Command)
def schema_command() -> None:
    """Print the JSON Schema of topics.yaml, for completion and checks while typing in an editor.

    Editors with the YAML language server take it by a comment on the first line of topics.yaml:
    `# yaml-language-server: $schema=topics.schema.json`

    **Examples**

        logrouter schema > topics.schema.json

    **Exit codes**: 0 printed; 2 wrong usage.
    """
    from logrouter.config.reference import json_schema

    print_json(json_schema(), indent=True)

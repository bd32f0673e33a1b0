"""The demo's topics.yaml is the one that ships, and a sink whose secret is only in the environment."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack, nullcontext
from types import SimpleNamespace
from urllib.request import urlopen

import pytest

from logrouter import config
from logrouter.config.options.sinks import OpensearchOptions, WebhookOptions
from logrouter.demo import sink_target
from logrouter.demo.processes import shipped_config
from logrouter.demo.sink_target import start_opensearch, start_receiver, write_config


def test_the_file_that_ships_delivers_nowhere():
    """Whoever starts with it decides where events go."""
    assert config.load(shipped_config(), {}).sinks == {}


def test_the_example_in_the_file_that_ships_is_right():
    """Without its comment signs it is a sink."""
    before, example, after = re.split(r"^(# sinks:\n(?:#  .*\n)+)", shipped_config().read_text(), flags=re.MULTILINE)
    text = before + example.replace("# ", "", 1).replace("\n# ", "\n") + after

    settings = config.parse(text.encode(), {"SEARCH_API_KEY": "0123456789abcdef0123456789abcdef"})

    assert list(settings.sinks) == ["search"]


def test_the_file_of_the_demo_delivers_to_its_receiver(tmp_path):
    """And is the one that ships in all else; it does not work without the environment, where the key is."""
    with ExitStack() as exits:
        target = start_receiver(exits)
        made = write_config(tmp_path, target)
        shipped, settings = config.load(shipped_config(), {}), config.load(made.file, target.environment)
        [sink] = settings.sinks.values()
        with urlopen(target.page, timeout=30) as answer:  # noqa: S310 - our own URL
            held = json.load(answer)["held"]

    assert isinstance(sink.options, WebhookOptions)
    assert sink.options.url == target.page + "events"
    assert [key.reveal() for key in sink.options.signing_keys] == [*target.environment.values()]
    assert all(value not in made.file.read_text() for value in target.environment.values())
    assert (settings.outputs, settings.table.event_topics()) == (shipped.outputs, [*sink.options.topics])
    assert held == target.count_held() == 0
    with pytest.raises(config.ConfigError, match="is not set"):
        config.load(made.file, {})


def test_the_file_of_the_demo_delivers_to_its_opensearch(tmp_path, monkeypatch):
    """Where it listens, and what is shown and counted are the indices of the sink."""
    node = SimpleNamespace(url="http://127.0.0.1:20001")
    monkeypatch.setattr(sink_target, "OpenSearchNode", lambda **_: nullcontext(node))
    with ExitStack() as exits:
        target = start_opensearch(exits, print)
        [sink] = config.load(write_config(tmp_path, target).file, target.environment).sinks.values()

    assert isinstance(sink.options, OpensearchOptions)
    assert (sink.name, sink.options.url) == (target.name, node.url)
    assert sink.options.index is not None
    assert target.page.startswith(f"{node.url}/{sink.options.index.name}-*/")


def test_two_demos_have_a_receiver_each():
    """The second one on another port."""
    with ExitStack() as exits:
        assert start_receiver(exits).page != start_receiver(exits).page

"""Of which requests the client went away: the same statuses in answers, on the page and in the terminal."""

import re
from importlib.resources import files

from logrouter.commands import humanise
from logrouter.core.outcomes import outcome_of
from logrouter.query.reports.outcomes import LEFT_BY_CLIENT

LEFT = {f"{code:03d}" for code in range(1000) if outcome_of(code) == "aborted"}


def test_what_the_client_left_is_the_same_in_answers_on_the_page_and_in_the_terminal():
    """499 of nginx and 000 of HAProxy and Envoy: one word and one colour, and no client error."""
    script = files("logrouter.web").joinpath("assets", "format.js").read_text()
    (listed,) = re.findall(r"const LEFT = new Set\((\[.*?\])\)", script)

    assert set(re.findall(r'"(.*?)"', listed)) == LEFT
    assert LEFT_BY_CLIENT == LEFT
    assert {code: humanise.status(code) for code in LEFT} == {"000": ("000 left", "dim"), "499": ("499 left", "dim")}
    assert humanise.status("404") == ("404", "yellow")

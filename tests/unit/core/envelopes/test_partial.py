"""Pieces of cut lines: the same key for the pieces of one line, and the end told from the middle."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.envelopes import ENVELOPES
from logrouter.core.envelopes.partial import FragmentText, fragment_of
from logrouter.model import PARTIAL, Envelope

TIME = "2026-05-01T10:00:00.123456789Z"
POD = {"namespace_name": "prod", "pod_name": "shop-1", "container_name": "shop"}


def piece(kind: str, record: bytes | str | dict, headers: tuple[tuple[str, bytes], ...] = ()) -> FragmentText | None:
    """The piece in one record of an envelope of this kind."""
    data = record.encode() if isinstance(record, str) else record if isinstance(record, bytes) else orjson.dumps(record)
    envelope = ENVELOPES[kind].decode(data)
    assert isinstance(envelope, Envelope)
    envelope.headers = headers
    return fragment_of(envelope)


@pytest.mark.parametrize(
    ("kind", "record", "expected"),
    [
        ("cri", f"{TIME} stdout P half ", FragmentText(("", "stdout"), last=False, text="half ")),
        ("cri", f"{TIME} stdout F  of it", FragmentText(("", "stdout"), last=True, text=" of it")),
        ("cri", {"log": "half ", "stream": "stderr"}, FragmentText(("", "stderr"), last=False, text="half ")),
        ("cri", {"log": "of it\n", "stream": "stderr"}, FragmentText(("", "stderr"), last=True, text="of it")),
        ("rsyslog", {"msg": f"{TIME} stdout P  half", "metadata": {"filename": "/f.log"}},
         FragmentText(("/f.log", "stdout"), last=False, text=" half")),
        ("rsyslog", {"msg": f"{TIME} stdout F of it", "metadata": {"filename": "/f.log"}},
         FragmentText(("/f.log", "stdout"), last=True, text="of it")),
        ("rsyslog", {"log": "half", "stream": "stdout", "docker": {"container_id": "0a"}},
         FragmentText(("0a", "stdout"), last=False, text="half")),
        ("rsyslog", {"log": "of it\n", "stream": "stdout", "docker": {"container_id": "0a"}},
         FragmentText(("0a", "stdout"), last=True, text="of it")),
        ("kubernetes", {"log": "half", "stream": "stdout", "logtag": "P", "kubernetes": POD},
         FragmentText(("prod", "shop-1", "shop", "stdout"), last=False, text="half")),
        ("kubernetes", {"log": "of it", "stream": "stdout", "_p": "F", "kubernetes": {"container_id": "0a"}},
         FragmentText(("0a", "stdout"), last=True, text="of it")),
        ("kubernetes", {"log": "short and without newline", "stream": "stdout", "docker": {"container_id": "0a"}},
         FragmentText(("0a", "stdout"), last=True, text="short and without newline")),
        ("kubernetes", {"log": '{"status":2', "stream": "stdout", "docker": {"container_id": "0a"}},
         FragmentText(("0a", "stdout"), last=False, text='{"status":2')),
        ("kubernetes", {"log": "00}\n", "stream": "stdout", "docker": {"container_id": "0a"}},
         FragmentText(("0a", "stdout"), last=True, text="00}")),
        ("kubernetes", {"log": "x", "partial_message": "true", "partial_id": "77", "partial_last": "false"},
         FragmentText(("77", ""), last=False, text="x")),
        ("kubernetes", {"log": "y", "partial_message": True, "partial_id": "77", "partial_last": True},
         FragmentText(("77", ""), last=True, text="y")),
        ("kubernetes", {"log": "x\n", "tag": "kube.tag"}, FragmentText(("kube.tag", ""), last=True, text="x")),
        ("kubernetes", {"log": {"status": 200}}, None),
        ("rsyslog", {"message": "text", "program": "sshd"}, None),
        ("plain", "text", None),
        ("json", {"log": "x", "stream": "stdout"}, None),
    ],
)  # fmt: skip
def test_a_piece_is_known_by_container_and_stream(kind, record, expected):
    """The container by its id, its file, its pod or its tag; the end by tag, newline or number."""
    assert piece(kind, record) == expected


def test_a_header_names_the_container_of_a_bare_line():
    """Raw lines hold no name of their container; the shipper may have put one beside them."""
    found = piece("cri", f"{TIME} stdout P x", (("trace", b"1"), ("container_id", b"0a")))
    assert found is not None
    assert found.key == ("0a", "stdout")


def test_streams_of_one_container_do_not_mix():
    """Runtimes cut the two streams on their own."""
    out, err = (piece("cri", f"{TIME} {name} P x", (("container_id", b"0a"),)) for name in ("stdout", "stderr"))
    assert out is not None
    assert err is not None
    assert out.key != err.key


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), min_size=1), st.data())
def test_the_texts_of_the_pieces_are_the_line(line, data):
    """Cut anywhere, by either runtime, the pieces put together are what the application wrote."""
    places = data.draw(st.lists(st.integers(0, len(line)), max_size=4).map(sorted))
    parts = [line[a:b] for a, b in zip([0, *places], [*places, len(line)], strict=True)]
    for kind in ("cri", "docker", "rsyslog"):
        pieces = [piece("cri" if kind == "docker" else kind, _cut(kind, parts, index)) for index in range(len(parts))]
        assert "".join(each.text for each in pieces if each) == line
        assert [each.last for each in pieces if each] == [False] * (len(parts) - 1) + [True]


def _cut(kind: str, parts: list[str], index: int) -> str | dict:
    last = index == len(parts) - 1
    if kind == "docker":
        return {"log": parts[index] + ("\n" if last else ""), "stream": "stdout", "time": TIME}
    text = f"{TIME} stdout {'F' if last else 'P'} {parts[index]}"
    return text if kind == "cri" else {"msg": text}


@given(st.dictionaries(st.text(max_size=3) | st.sampled_from(["log", "stream", "msg", "tag", "logtag", "partial_id"]),
                       st.none() | st.integers() | st.text(max_size=20) | st.just({"container_id": 7}), max_size=6),
       st.sampled_from(["docker", "containerd", "kubernetes", "plain", "odd"]), st.booleans())  # fmt: skip
def test_no_envelope_makes_it_raise(fields, shape, cut):
    """Whatever the fields hold."""
    found = fragment_of(Envelope(shape, "text", fields=fields, flags=(PARTIAL,) if cut else ()))
    assert found is None or all(isinstance(part, str) for part in found.key)

"""Real receivers of syslog as processes of their own, each of which writes what it has understood to a file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.devkafka.ports import claim_port
from logrouter.process.watchdog import Watchdog
from tests.conftest import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
RSYSLOGD = shutil.which("rsyslogd", path=SBIN)
HAS_TLS = bool([*Path("/usr/lib").glob("*/rsyslog/lmnsd_ossl.so"), *Path("/usr/lib64/rsyslog").glob("lmnsd_ossl.so")])
SEPARATOR: Final = "\x1f"

_RSYSLOG = """
global(workDirectory="{folder}" maxMessageSize="128k" preserveFQDN="on" parser.escapeControlCharactersOnReceive="off"
  net.enableDNS="off" defaultNetstreamDriverCAFile="{folder}/ca.pem"
  defaultNetstreamDriverCertFile="{folder}/receiver.pem" defaultNetstreamDriverKeyFile="{folder}/receiver.key")
module(load="mmpstrucdata")
{inputs}
template(name="line" type="list" option.jsonf="off") {{
  property(name="syslogfacility-text") constant(value="{separator}")
  property(name="syslogseverity") constant(value="{separator}")
  property(name="hostname") constant(value="{separator}")
  property(name="app-name") constant(value="{separator}")
  property(name="msgid") constant(value="{separator}")
  property(name="$!rfc5424-sd!logrouter@32473!id") constant(value="{separator}")
  {time}property(name="msg") constant(value="\\n")
}}
ruleset(name="events") {{
  action(type="mmpstrucdata")
  action(type="omfile" file="{folder}/received.txt" template="line" asyncWriting="off" flushOnTXEnd="on")
}}
"""
_INPUTS = {
    "tcp": 'module(load="imtcp")\ninput(type="imtcp" address="127.0.0.1" port="{port}" ruleset="events")',
    "udp": 'module(load="imudp")\ninput(type="imudp" address="127.0.0.1" port="{port}" ruleset="events")',
    "tls": 'module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1"\n'
    '  streamDriver.authMode="x509/certvalid")\n'
    'input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="events")',
    "tls-anonymous": 'module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1"\n'
    '  streamDriver.authMode="anon")\n'
    'input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="events")',
}
_TIME: Final = 'property(name="timereported" dateFormat="rfc3339") constant(value="{separator}")\n  '

_SYSLOG_NG = """
@version: {version}
options {{ keep-hostname(yes); frac-digits(6); use-dns(no); dns-cache(no); log-msg-size(131072); }};
source s {{ syslog(ip("127.0.0.1") port({port}) transport("tcp")); }};
destination d {{ file("{folder}/received.txt" template("{template}\\n")); }};
log {{ source(s); destination(d); }};
"""
_PACKAGES = ("syslog-ng-core", "libivykis0", "libnet1", "libpcre3", "libwrap0", "libnsl2", "libtirpc3")
"""syslog-ng and what it needs beside an ordinary system: Debian takes rsyslog away where it is installed."""


class Message(NamedTuple):
    """What a receiver has understood of a message."""

    facility: str
    severity: str
    host: str
    app_name: str
    msgid: str
    id: str
    text: str


class Receiver:
    """A running receiver on a port of loopback."""

    def __init__(self, port: int, file: Path) -> None:
        self.port, self._file = port, file

    def lines(self) -> list[str]:
        """All that it has written, except a line that is not complete."""
        text = self._file.read_text() if self._file.exists() else ""
        return text.split("\n")[:-1]

    def messages(self) -> list[Message]:
        """The lines, as `rsyslog` and `syslog_ng` have them written."""
        return [Message(*line.split(SEPARATOR)) for line in self.lines()]


@contextmanager
def rsyslog(folder: Path, transport: str, *, tells_time: bool = False) -> Iterator[Receiver]:
    """A process of rsyslog with `tcp`, `udp` or `tls`; for that *folder* holds `ca.pem`, `receiver.pem` and its key.

    `tls-anonymous` asks for no certificate of ours. With *tells_time* a line has the message's time before its text.
    """
    port = claim_port()
    config = folder / "rsyslog.conf"
    inputs = _INPUTS[transport].format(port=port)
    time = _TIME.format(separator=SEPARATOR) if tells_time else ""
    text = _RSYSLOG.format(folder=folder, inputs=inputs, separator=SEPARATOR, time=time)
    if not transport.startswith("tls"):
        text = text[: text.index("net.enableDNS")] + ")" + text[text.index("\nmodule(") :]
    config.write_text(text)
    with running(folder, [str(RSYSLOGD), "-n", "-f", str(config), "-i", str(folder / "rsyslog.pid")]):
        yield Receiver(port, folder / "received.txt")


@contextmanager
def rsyslog_of_page(folder: Path, page: Path) -> Iterator[Receiver]:
    """A process of rsyslog with the configuration that a page shows, but for its port and file."""
    port, config, file = claim_port(), folder / "rsyslog.conf", folder / "received.txt"
    [shown] = re.findall(r"```text\n(global.*?)```", page.read_text(), re.DOTALL)
    assert shown.count('port="514"') == shown.count("/var/log/requests.jsonl") == 1
    config.write_text(
        shown.replace('"514"', f'"{port}" address="127.0.0.1"').replace("/var/log/requests.jsonl", str(file))
    )
    with running(folder, [str(RSYSLOGD), "-n", "-f", str(config), "-i", str(folder / "rsyslog.pid")]):
        yield Receiver(port, file)


@contextmanager
def syslog_ng(folder: Path, root: Path, *, tells_time: bool = False) -> Iterator[Receiver]:
    """A process of syslog-ng, unpacked at *root*, with TCP and octet counting; *tells_time* as for rsyslog."""
    port = claim_port()
    [modules] = (root / "usr/lib/syslog-ng").glob("[0-9]*")
    macros = ("$FACILITY", "$LEVEL_NUM", "$HOST", "$PROGRAM", "$MSGID", "${.SDATA.logrouter@32473.id}")
    macros = (*macros, *(["$S_ISODATE"] if tells_time else []), "$MSG")
    template = SEPARATOR.join(macros)
    config = folder / "syslog-ng.conf"
    config.write_text(_SYSLOG_NG.format(version=modules.name, port=port, folder=folder, template=template))
    own = [f"--{name}={folder}/syslog-ng.{name}" for name in ("persist-file", "pidfile", "control")]
    command = [str(root / "usr/sbin/syslog-ng"), "-F", "--no-caps", "-f", str(config), *own]
    with running(folder, [*command, f"--module-path={modules}"], {"LD_LIBRARY_PATH": _libraries(root)}):
        yield Receiver(port, folder / "received.txt")


@contextmanager
def running(folder: Path, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """A process that ends with the test, and whose output is shown if that fails."""
    with Watchdog() as watchdog, (folder / "receiver.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, process_group=0, env={**os.environ, **(environment or {})}
        )
        watchdog.watch(process.pid)
        try:
            yield
        finally:
            process.terminate()
            process.wait(HANG_SECONDS)
            print((folder / "receiver.log").read_text(errors="replace")[-2000:])  # noqa: T201 - for a failed test


def fetch_syslog_ng() -> Path | None:
    """Where syslog-ng is unpacked, beside what is installed; None where its packages can't be had or do not fit."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "logrouter" / "syslog-ng"
    if not cache.exists() and shutil.which("apt-get") and shutil.which("dpkg"):
        cache.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache.parent) as made:
            try:
                load = ["apt-get", "download", "-qq", *_PACKAGES]
                subprocess.run(load, cwd=made, check=True, capture_output=True, timeout=60)
                for package in sorted(Path(made).glob("*.deb")):
                    subprocess.run(
                        ["dpkg", "-x", package, "root"], cwd=made, check=True, capture_output=True, timeout=60
                    )
                (Path(made) / "root").rename(cache)
            except (OSError, subprocess.SubprocessError):
                return None
    return cache if cache.exists() and _starts(cache) else None


def _starts(root: Path) -> bool:
    asked = subprocess.run(
        [root / "usr/sbin/syslog-ng", "--version"],
        env={**os.environ, "LD_LIBRARY_PATH": _libraries(root)},
        capture_output=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    return asked.returncode == 0


def _libraries(root: Path) -> str:
    return ":".join(sorted({str(file.parent) for file in root.rglob("*.so*")}))

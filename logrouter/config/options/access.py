"""Options of the `access:` section: who may read the table view, and who may make log drains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from logrouter.access.drain_scopes import PATTERN
from logrouter.access.policy import ALGORITHMS
from logrouter.access.scopes import FORMS, is_scope
from logrouter.access.tokens import HASH_PATTERN, PREFIX
from logrouter.config.yaml.kinds import (
    INVALID,
    Boolean,
    Choice,
    Integer,
    ListOf,
    MappingOf,
    Number,
    Section,
    Text,
    options,
)
from logrouter.config.yaml.kinds import option as opt
from logrouter.config.yaml.problems import quote_value
from logrouter.core.text.timestamps import epoch_ms

if TYPE_CHECKING:
    from logrouter.config.yaml.problems import Problems

_FILE = Text(r"[^\x00]*", "a file", 500, may_be_empty=True)
_CLAIM = Text(r"[^\x00-\x20]+", "the name of a claim", 200)
_RATE: Final = Number(0, 1_000_000)


@dataclass(frozen=True, slots=True)
class ScopeName:
    """One scope."""

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """The scope as it is written in the file."""
        if isinstance(value, str) and is_scope(value):
            return str(value)
        problems.add(path, f"must be {self.describe()}, not {quote_value(value)}")
        return INVALID

    def schema(self) -> dict[str, Any]:
        """A string."""
        return {"type": "string", "pattern": rf"^(usage:read(:(client|api)=.+)?|metrics:read|admin|{PATTERN})$"}

    def describe(self) -> str:
        """All scopes."""
        return f"a scope ({FORMS})"


@dataclass(frozen=True, slots=True)
class TokenHash:
    """The hash of a token. What is written instead is never repeated: it may be the token."""

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """The hash as text."""
        made = Text(HASH_PATTERN).read(value, path, type(problems)()) if isinstance(value, str) else INVALID
        if made is INVALID:
            is_token = isinstance(value, str) and value.startswith(PREFIX)
            hint = ": this is the token itself, so make another one" if is_token else ""
            problems.add(path, f"must be {self.describe()}{hint}")
        return made

    def schema(self) -> dict[str, Any]:
        """A string."""
        return {"type": "string", "pattern": f"^{HASH_PATTERN}$"}

    def describe(self) -> str:
        """Its form, and where it comes from."""
        return "`sha256:` and 64 hexadecimal digits, as `logrouter token` prints it"


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A time in RFC 3339, as epoch milliseconds."""

    def read(self, value: Any, path: str, problems: Problems) -> Any:
        """The milliseconds."""
        found = epoch_ms(value) if isinstance(value, str) else None
        if found is None:
            problems.add(path, f"must be {self.describe()}, not {quote_value(value)}")
            return INVALID
        return found

    def schema(self) -> dict[str, Any]:
        """A string."""
        return {"type": "string", "format": "date-time"}

    def describe(self) -> str:
        """An example."""
        return "a time like 2030-01-31T00:00:00Z"


@options
class TokenOptions:
    """One token, as `logrouter token` prints it. The token itself is kept nowhere."""

    name: str = opt(
        Text(r"[A-Za-z0-9._@-]{1,64}", "a name (letters, digits, . _ @ -; at most 64)", 64),
        "Who sends it. The audit log names it, and the rate is counted for it.",
    )
    hash: str = opt(TokenHash(), "Its SHA-256. No slow hash is needed, as a token is 256 random bits.")
    scopes: tuple[str, ...] = opt(
        ListOf(ScopeName(), min_items=1, max_items=100, shorthand=True, unique=True), "What it allows."
    )
    not_before: int | None = opt(Timestamp(), "From when it is valid.", default=None)
    expires: int | None = opt(Timestamp(), "From when it is not valid any more.", default=None)


@options
class JwtOptions:
    """Bearer tokens of an OAuth issuer. Signature, issuer, audience and times are verified; `exp` must be there."""

    issuer: str = opt(Text(called="the issuer", max_length=500), "What `iss` must be, exactly.")
    audience: tuple[str, ...] = opt(
        ListOf(Text(called="an audience", max_length=500), min_items=1, max_items=20, shorthand=True, unique=True),
        "One of these must be in `aud`: tokens for other services are rejected.",
    )
    jwks_file: str = opt(
        _FILE, "The issuer's public keys: a JWKS, relative to this file. Read again when it changes.", default=""
    )
    jwks_url: str = opt(
        Text(r"https?://[^\s\x00]+", "a URL", 1000, may_be_empty=True),
        "Where they are fetched from instead: by https (or http on loopback), kept, and fetched again after 10 minutes "
        "and, at most every 30 seconds, for a key that is not known. The last good ones stay.",
        default="",
    )
    algorithms: tuple[str, ...] = opt(
        ListOf(Choice(ALGORITHMS), min_items=1, shorthand=True, unique=True),
        "Signature algorithms that are accepted. There is no `none`, and no HMAC.",
        default=("RS256", "ES256"),
    )
    leeway_seconds: int = opt(Integer(0, 300), "How far the issuer's clock may differ from ours.", default=30)
    claim: str = opt(
        _CLAIM, "The claim that holds scopes: words with spaces between, or a list of words.", default="scope"
    )
    scopes: dict[str, tuple[str, ...]] | None = opt(
        MappingOf(
            ListOf(ScopeName(), max_items=100, shorthand=True), key=Text(r"[^\x00-\x20]+", "a word of the claim", 200)
        ),
        "What each word of that claim allows. Without it the words are our scopes themselves; others allow nothing.",
        default=None,
    )
    client_claim: str = opt(
        Text(r"[^\x00-\x20]*", "the name of a claim", 200, may_be_empty=True),
        "A claim that holds a client id, such as `client_id` or `azp`: the bearer may read this client.",
        default="",
    )


@options
class CallerRate:
    """How often each caller may ask, and how much may be read for it; beyond that it gets 429 with `Retry-After`."""

    requests_per_second: float = opt(_RATE, "On average; 0 means no bound.", default=100.0)
    burst: int = opt(Integer(1, 1_000_000), "Requests at once.", default=200)
    rows_per_second: float = opt(
        Number(0, 1_000_000_000),
        "Table rows that are read for its questions, on average; 0 means no bound. A day by minutes is 1,441 rows.",
        default=50_000.0,
    )
    rows_burst: int = opt(Integer(1, 1_000_000_000), "Rows at once.", default=500_000)


@options
class StrangerRate:
    """How many requests are refused with 401 to each address (or /64 of IPv6); beyond that they get 429."""

    requests_per_second: float = opt(_RATE, "On average; 0 means no bound.", default=10.0)
    burst: int = opt(Integer(1, 1_000_000), "Requests at once.", default=50)


@options
class AccessOptions:
    """Who may read the table view. If it names nobody, every request for data is refused."""

    mode: str = opt(
        Choice(("callers", "open")),
        "`callers` lets in whom this section names. `open` lets in everybody who reaches the port, which is for a "
        "worker that listens on loopback.",
        default="callers",
    )
    open_to_network: bool = opt(
        Boolean(),
        "With `mode: open`: also where the worker listens on more than loopback. Without it, such a worker does not "
        "start.",
        default=False,
    )
    hosts: tuple[str, ...] = opt(
        ListOf(Text(r"[A-Za-z0-9.-]+", "a host name", 253), unique=True),
        "With `mode: open`: names besides `localhost` that requests may come by, such as that of a proxy which passes "
        "its own on. Others are refused, lest a web page reads usage by way of the browser: always on loopback, on a "
        "network if any names are given.",
        default=(),
    )
    tokens_file: str = opt(
        _FILE,
        "A YAML file with a list of tokens, relative to this one, as `tokens` has them. Read again when it changes.",
        default="",
    )
    tokens: tuple[TokenOptions, ...] = opt(
        ListOf(Section(TokenOptions), partial=True), "Tokens written here. They change with a restart.", default=()
    )
    jwt: JwtOptions | None = opt(Section(JwtOptions), "An issuer whose bearer tokens are accepted.", default=None)
    metrics: str = opt(
        Choice(("token", "open")),
        "`/metrics` of the tables lane: for callers with the scope `metrics:read`, or for everybody.",
        default="token",
    )
    rate: CallerRate = opt(Section(CallerRate), "Bounds for each caller.", default=CallerRate())
    strangers: StrangerRate = opt(
        Section(StrangerRate), "Bounds for requests that are not let in.", default=StrangerRate()
    )
    audit: bool = opt(
        Boolean(), "Log who asked what. With `mode: open` there is nobody to name and so no such line.", default=True
    )

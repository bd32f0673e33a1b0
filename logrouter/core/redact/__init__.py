"""What must not be published: tokens, passwords, query strings, and client addresses as far as the operator says.

`names` is the table of names, `tokens` knows secrets by their form. `uris` is for the URIs of an event and knows their
syntax, `text` for text whose format is not known, `documents` for what can be walked (JSON, JSON in strings), and
`disclosure` says what may be shown of the lines of one route: in dead letters, and by `logrouter explain`.
"""

from logrouter.core.redact.addresses import ip_policy
from logrouter.core.redact.names import REDACTED, names_secret
from logrouter.core.redact.text import holds_secret, redact_raw, redact_shown, redact_text
from logrouter.core.redact.uris import backend_url, has_broken_host, path_of, redact_uri

__all__ = [
    "REDACTED",
    "backend_url",
    "has_broken_host",
    "holds_secret",
    "ip_policy",
    "names_secret",
    "path_of",
    "redact_raw",
    "redact_shown",
    "redact_text",
    "redact_uri",
]

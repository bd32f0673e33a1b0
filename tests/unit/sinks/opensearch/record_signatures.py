"""Record what botocore signs, for test_sigv4.py to compare with; botocore is no dependency of the tests.

    uv run --no-project --with botocore python tests/unit/sinks/opensearch/record_signatures.py

botocore takes queries as they are in the URL: so they are encoded here as AWS encodes them.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

OUTPUT = Path(__file__).parent / "signatures.json"
NUMBER = 150
_TEXTS = [
    "a",
    "_bulk",
    "items.*.status",
    "",
    " ",
    "~",
    "ä€😀",
    "a/b",
    "a+b",
    "%2F",
    "*",
    "'()!",
    "..",
    ".",
    "a=b&c",
    "w,x",
]
_HEADERS = {
    "Content-Type": ["application/x-ndjson", "application/json"],
    "Content-Encoding": ["gzip"],
    "X-Odd": ["  two   blanks ", "tab\there", "", "a,b"],
    "x-lower": ["1"],
}
_HOSTS = [
    "https://search-x.eu-west-1.es.amazonaws.com",
    "http://127.0.0.1:9200",
    "https://h:443",
    "https://H.example:8443",
]


def make_case(dice: random.Random) -> dict[str, object]:
    """A request, its time and keys."""
    segments = [
        quote(dice.choice(_TEXTS), safe="~" if dice.random() < 0.7 else "~*'()!+,=") for _ in range(dice.randrange(5))
    ]
    pairs = [(dice.choice(_TEXTS) or "k", dice.choice(_TEXTS)) for _ in range(dice.randrange(4))]
    query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)
    path = "".join(f"/{segment}" for segment in segments) + dice.choice(["", "/"])
    return {
        "method": dice.choice(["POST", "GET", "PUT"]),
        "url": dice.choice(_HOSTS) + path + (f"?{query}" if query else ""),
        "headers": {name: dice.choice(values) for name, values in _HEADERS.items() if dice.random() < 0.5},
        "body": dice.choice(["", "{}", '{"create":{"_id":"ä"}}\n{"a":1}\n']),
        "now": dice.randrange(1_400_000_000, 2_000_000_000),
        "access_key_id": "AKIDEXAMPLE",
        "secret_access_key": dice.choice(["wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "short"]),
        "session_token": dice.choice(["", "FwoGZXIvYXdzEBYaD//token=="]),
        "region": dice.choice(["eu-west-1", "us-gov-east-1"]),
        "service": dice.choice(["es", "aoss"]),
    }


def sign(case: dict[str, object]) -> str:
    """The header `Authorization` that botocore makes."""
    from hashlib import sha256

    body = str(case["body"]).encode()
    headers = dict(case["headers"]) | {"X-Amz-Content-SHA256": sha256(body).hexdigest()}
    request = AWSRequest(method=case["method"], url=case["url"], headers=headers, data=body)
    keys = Credentials(case["access_key_id"], case["secret_access_key"], case["session_token"] or None)
    now = datetime.fromtimestamp(case["now"], UTC)
    with patch("botocore.auth.get_current_datetime", return_value=now):
        SigV4Auth(keys, case["service"], case["region"]).add_auth(request)
    return request.headers["Authorization"]


if __name__ == "__main__":
    dice = random.Random(4)
    cases = [make_case(dice) for _ in range(NUMBER)]
    for case in cases:
        case["authorization"] = sign(case)
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    OUTPUT.write_text(f"[\n{lines}\n]\n", encoding="utf-8")

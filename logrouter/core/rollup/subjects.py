"""The two kinds of subjects that usage is counted for."""

from __future__ import annotations

from enum import StrEnum


class SubjectKind(StrEnum):
    """A kind of subject. The value is the first letter of the subject's key in rollup records, rows and changelogs."""

    CLIENT = "c"
    API = "a"

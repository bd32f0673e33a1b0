"""topics.yaml: read strictly, checked as a whole, compiled to immutable values.

settings = load(None, os.environ)       # or ConfigError, whose text lists every problem with line and column
"""

from logrouter.config.problems import ConfigError, Problem
from logrouter.config.secrets import Secret
from logrouter.config.settings import Settings, load, parse

__all__ = ["ConfigError", "Problem", "Secret", "Settings", "load", "parse"]

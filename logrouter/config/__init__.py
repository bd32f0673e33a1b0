"""topics.yaml: read strictly, checked as a whole, compiled to immutable values.

settings = load(None, os.environ)       # or ConfigError, whose text lists every problem with line and column
"""

from logrouter.config.settings import Settings, load, parse
from logrouter.config.yaml.problems import ConfigError, Problem
from logrouter.config.yaml.secrets import Secret

__all__ = ["ConfigError", "Problem", "Secret", "Settings", "load", "parse"]

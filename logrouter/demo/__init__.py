"""The demo: a generated stream whose right counts are known, and a session that shows the whole path live."""

"""eventgate: events as `api-gateway/request/1.0.0` to Wikimedia's event intake. Pure."""

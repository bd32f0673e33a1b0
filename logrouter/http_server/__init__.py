"""The HTTP edge: server, authentication, authorisation, audit log and problem documents."""

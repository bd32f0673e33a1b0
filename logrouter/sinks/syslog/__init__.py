"""Syslog: messages of RFC 5424, what an event becomes, and connections over TCP, TLS and UDP."""

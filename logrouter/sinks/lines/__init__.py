"""Lines of log drains, as messages of syslog, in Heroku's logplex contract, and as lines of JSON. Pure."""

"""The table view over HTTP, health and metrics. Asks the tables through `query.reader`, never imports them."""

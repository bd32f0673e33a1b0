"""Who may see what: callers and their scopes, tokens, the signatures of hops, rates. Pure."""

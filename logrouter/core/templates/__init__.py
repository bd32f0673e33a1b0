"""Path templates: which variable segments a path has, so that requests are counted by `/items/{id}`."""

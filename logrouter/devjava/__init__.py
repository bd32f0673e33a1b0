"""What the embedded servers for development have in common: pinned jars, and a Java process that never stays behind."""

"""Turn layer events into commands, and new documents into layer patches."""

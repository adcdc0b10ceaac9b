"""SXT: what the soft X-rays measure."""

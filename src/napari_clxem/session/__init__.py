"""The experiment: a frozen document, its store, and its file."""

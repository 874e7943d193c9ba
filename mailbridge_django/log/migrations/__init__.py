"""The tables of the history, as they came to be."""

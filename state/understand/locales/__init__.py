"""One module a language: its lexicon."""

"""A call as a pure state machine: what is heard goes in, what is said and what is decided come out."""

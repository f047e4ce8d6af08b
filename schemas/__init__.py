"""The language: records, identifiers and their Avro form. No I/O but the registry client's HTTP."""

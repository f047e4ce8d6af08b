"""Kafka, Faust and the processes: what is read, committed and run."""

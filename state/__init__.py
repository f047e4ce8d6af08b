"""What a conversation is and how it moves. Pure, but for the one door to RocksDB."""

"""The `nightshift` command. What a command needs is imported when it runs."""

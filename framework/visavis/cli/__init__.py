"""The command line: one command a module in `commands/`. Nothing heavy is imported before a command runs."""

"""The commands. Each module has `add(commands)`, which describes it to argparse, and `run(args, out)`, which does it.

`run` answers the exit code: 0, or 1 when the command worked and the news is bad.
"""

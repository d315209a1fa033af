"""What benchmarks of agents share: entries in, runs of programs, official verdicts, one report."""

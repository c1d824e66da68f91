"""What all suites share. Python 3's standard library only."""

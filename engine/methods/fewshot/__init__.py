"""Learning a class from one picture or a few."""

from patience_runs import begin, busy, home  # noqa: F401 - fixtures

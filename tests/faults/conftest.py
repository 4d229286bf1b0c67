from patience_runs import begin, busy, disk, home  # noqa: F401 - fixtures

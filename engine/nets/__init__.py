"""Networks and parts of networks that two methods or more need."""

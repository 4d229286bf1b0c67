"""visionarium data"""


def add(commands):
    commands.add_parser("data")

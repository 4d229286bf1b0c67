"""visionarium bench"""
def add(commands): commands.add_parser("bench")

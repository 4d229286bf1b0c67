"""The methods: one published idea a file, in wings as one would teach them."""

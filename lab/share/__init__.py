"""Taking a run out of the lab: as a script, as a notebook, as one file that another lab brings in."""

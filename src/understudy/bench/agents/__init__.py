"""Methods on many turns: agents of the tiny house, compared as ``bench methods`` compares them on single turns."""

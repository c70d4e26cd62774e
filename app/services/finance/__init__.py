"""Money books: what bills say, journal entries by hand, closed months and reports by accounting time."""

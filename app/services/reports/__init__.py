"""What finance takes away: reports as tables, and the files in which they are written."""

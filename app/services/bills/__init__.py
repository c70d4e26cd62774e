"""What providers say about their own books."""

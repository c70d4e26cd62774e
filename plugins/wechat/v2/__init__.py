"""API v2: XML, one shared secret."""

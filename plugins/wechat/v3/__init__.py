"""API v3: JSON, RSA signatures both ways, AES-256-GCM for what is confidential."""

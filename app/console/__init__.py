"""The console: pages on which operators look things up, over the same services as the API and the command line.

They read only: whatever changes something is a command or a request to the API, and the pages say which. No script
runs in them. Signing in takes a name, a password and a one-time code (`sign_in`).
"""

"""For plugin authors: the conformance kit, the broken HTTP clients it uses, and the common part of simulators.

Nothing here is imported by the running service.
"""

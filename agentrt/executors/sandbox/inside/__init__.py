"""What runs beside a box, in a process of its own for each call: it starts the command, watches it and ends it.

Needs the standard library alone and imports as little of that as it can, because every call pays for it.
"""

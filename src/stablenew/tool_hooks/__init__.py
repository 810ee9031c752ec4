"""What runs inside other programs to record what they make: nothing but the standard library, and never in their way.

The programs bring libraries of their own, in versions that are not ours, so nothing of StableNew is imported here: the
recorder is a child process, and what happens is reported to it line by line.
"""

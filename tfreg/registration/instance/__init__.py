"""Optimising a transform on the pair at hand: its levels, loops, similarities and schedules."""

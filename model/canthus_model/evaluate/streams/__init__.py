"""Recordings whose truth is known: how a bundle's answers fare as a stream."""

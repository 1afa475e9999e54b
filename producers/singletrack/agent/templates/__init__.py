"""Small pictures compared with parts of a screenshot."""

"""Policies: expressions over the attributes of a subject, and which of them guards which resource."""

"""The small services of a node, and the seam to the application."""

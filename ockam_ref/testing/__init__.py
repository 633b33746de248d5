"""Tools for tests of this package and of programs that embed it; nothing in the package imports them."""

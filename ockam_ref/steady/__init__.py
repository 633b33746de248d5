"""Links between two of our own nodes that outlive the paths under them: a relay first, a puncture when there is one."""

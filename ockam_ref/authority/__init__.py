"""The authority: who is a member, which attributes it vouches for, and tickets to become one."""

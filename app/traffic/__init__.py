"""Traffic: the counts of calls to exchanges that all processes on one database share."""

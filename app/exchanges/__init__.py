"""The exchanges library: talks to one exchange with one user's keys; knows nothing of the rest of Keydeck."""

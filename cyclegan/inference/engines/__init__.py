"""Libraries other than torch that run generators, and the files that they read."""

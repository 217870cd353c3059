"""`python -m cyclegan`, the same as the console script."""

from cyclegan.cli import main

main()

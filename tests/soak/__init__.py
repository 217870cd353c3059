"""Long trials of what the suite tries shortly; each is a script that exits with 1 when a promise is broken."""

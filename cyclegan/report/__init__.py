"""Pages about runs. Each page is a single HTML file that works offline."""

"""Networks: generators, discriminators and their building blocks."""

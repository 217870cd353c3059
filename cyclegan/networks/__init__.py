"""Networks: generators, discriminators and what they are built of; tensors in, tensors out."""

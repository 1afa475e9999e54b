"""What is added to Flower: a page that shows the GPU, and access rules for a Flower that others can reach."""

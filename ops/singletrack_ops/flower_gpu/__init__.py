"""What is added to Flower: a page that shows the GPU, and the manners of a tool that may be seen from elsewhere."""

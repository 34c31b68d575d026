"""What is delivered, looked at: locked dependencies, the bill of materials, the image."""

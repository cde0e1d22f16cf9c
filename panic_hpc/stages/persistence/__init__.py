"""What the diagrams stage is made of: clouds, null models, one diagram, its file."""

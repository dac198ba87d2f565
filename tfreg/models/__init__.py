"""What a task asks of a model of the zoo, one module per task."""

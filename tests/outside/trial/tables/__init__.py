"""Tables, one module each."""

"""Classical registration of described images: demons of many channels, and matching of features."""

"""WeChat Pay as the simulator plays it, without a web framework: keys, books, and the two protocols."""

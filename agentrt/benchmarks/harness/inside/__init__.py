"""What runs inside a grader's environment, beside the official package: the standard library is all it may import."""

"""What is written, as words for the voice: markup.py takes the signs away, words.py says numbers and addresses."""

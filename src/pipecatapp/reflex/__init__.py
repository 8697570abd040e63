"""What a request wants, decided in milliseconds by small trained judges that must agree."""

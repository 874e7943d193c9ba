"""A Flask app whose mail goes through mailbridge."""

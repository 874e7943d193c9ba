"""A Django site whose mail goes through mailbridge."""

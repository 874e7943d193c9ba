"""A Django site and a Flask app that send real mail to an embedded server: `make demo`."""

"""Commands of manage.py, where INSTALLED_APPS has "mailbridge_django"."""
